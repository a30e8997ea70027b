"""Which pixels a window sees, for any kernel, stride, dilation and padding, in both directions.

For each pixel that is written there is a base pixel in what is read and a list of taps: a distance from
the base, and the number of the kernel's element. Pixels with equal lists share them.
"""

from __future__ import annotations

from dataclasses import dataclass

from grader.train.covered import NotCovered

MOST_TAPS = 1_000_000  # in one table
Taps = tuple[tuple[int, int], ...]  # (element of the kernel along one axis, distance from the base)
Taken = list[tuple[int, Taps]]  # for each element: its base, its taps


@dataclass(frozen=True)
class Axis:
    """A window along one axis: sizes before and after, kernel, stride, dilation, padding before."""

    before: int
    after: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    pad: int = 0

    @classmethod
    def of(cls, before: int, kernel: int, stride: int, dilation: int, padding: str) -> Axis:
        """The window of a Keras layer; ``padding`` is "valid" or "same", more of it after than before."""
        reach = (kernel - 1) * dilation + 1
        if padding == "valid":
            return cls(before, (before - reach) // stride + 1, kernel, stride, dilation)
        after = -(-before // stride)
        return cls(
            before, after, kernel, stride, dilation, max((after - 1) * stride + reach - before, 0) // 2
        )

    def forward(self) -> Taken:
        """For each element after: its base before, and its taps."""
        found = []
        for n in range(self.after):
            base = n * self.stride - self.pad
            reached = [(k, k * self.dilation) for k in range(self.kernel)]
            found.append((base, tuple(x for x in reached if 0 <= base + x[1] < self.before)))
        return found

    def backward(self) -> Taken:
        """For each element before: its base after, and the taps that it was seen through."""
        found = []
        for n in range(self.before):
            base, taps = (n + self.pad) // self.stride, []
            for k in range(self.kernel):
                distance, rest = divmod(n + self.pad - k * self.dilation, self.stride)
                if not rest and 0 <= distance < self.after:
                    taps.append((k, distance - base))
            found.append((base, tuple(taps)))
        return found


def table(
    rows: list[tuple[int, Taps]],
    columns: list[tuple[int, Taps]],
    width: int,
    kernel: int,
    pixel: int,
    tap: int,
) -> list[int]:
    """A table for compiled code, its offsets counted from its own start.

    Bases of rows, then of columns; classes of rows times the number of column classes, then of columns;
    then first and last tap of each pair of classes; then the taps: distance times ``pixel``, with
    ``width`` pixels in a row, and element number times ``tap``, with ``kernel`` elements in a row.
    """
    row_classes = list(dict.fromkeys(taps for _, taps in rows))
    column_classes = list(dict.fromkeys(taps for _, taps in columns))
    head = [base for base, _ in rows] + [base for base, _ in columns]
    head += [row_classes.index(taps) * len(column_classes) for _, taps in rows]
    head += [column_classes.index(taps) for _, taps in columns]
    if sum(map(len, row_classes)) * sum(map(len, column_classes)) > MOST_TAPS:
        raise NotCovered("a window of so many elements")
    start = len(head) + 2 * len(row_classes) * len(column_classes)
    spans: list[int] = []
    taps: list[int] = []
    for across in row_classes:
        for along in column_classes:
            spans.append(start + len(taps))
            for ky, dy in across:
                for kx, dx in along:
                    taps += [(dy * width + dx) * pixel, (ky * kernel + kx) * tap]
            spans.append(start + len(taps))
    return head + spans + taps
