"""A drawing of a network: one row per layer, as wide as its feature maps, with shapes and parameters.

Edges that skip layers run along the left, one lane for each as long as they overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from grader import records as r
from grader.report import words
from grader.report.html.svg import picture, tag
from grader.report.interface import line

WIDTH, ROW, LANE, BAR = 400, 22, 9, 74
MOST_ROWS, MOST_LANES = 150, 8


def drawing(layers: Sequence[r.LayerRow]) -> Markup:
    """Of very deep networks the first layers; the table holds them all."""
    shown = layers[:MOST_ROWS]
    if not shown:
        return Markup("")
    drawn = _Drawing(shown)
    height = ROW * (len(shown) + 1) + 4
    label = f"The network, {len(layers)} layers from input to output; the table of layers says the same."
    return picture(WIDTH, height, label, *drawn.parts(), kind="network")


class _Drawing:
    def __init__(self, layers: Sequence[r.LayerRow]) -> None:
        self.layers = layers
        self.rows = {layer.name: n for n, layer in enumerate(layers)}
        self.lanes = dict(_lanes(layers, self.rows))
        used = max(self.lanes.values(), default=-1) + 1
        self.left = 6 + LANE * min(used, MOST_LANES)
        self.middle = self.left + BAR / 2
        self.extent = max((max(_spatial(x), 1) for x in layers), default=1)
        self.heaviest = max((_parameters(x) for x in layers), default=0) or 1

    def parts(self) -> Iterator[Markup]:
        yield tag("text", "layer", x=self.left + BAR + 8, y=12, class_="quiet")
        yield tag("text", "output", x=WIDTH - 78, y=12, text_anchor="end", class_="quiet")
        yield tag("text", "parameters", x=WIDTH - 2, y=12, text_anchor="end", class_="quiet")
        for (source, target), lane in self.lanes.items():
            yield self._skip(source, target, lane)
        for row in range(1, len(self.layers)):
            if self._follows(row):
                x = self.middle
                yield tag("line", x1=x, x2=x, y1=self._y(row - 1), y2=self._y(row), class_="edge")
        for number, layer in enumerate(self.layers):
            yield from self._layer(number, layer)

    def _y(self, row: int) -> float:
        return ROW * (row + 1.5)

    def _skip(self, source: int, target: int, lane: int) -> Markup:
        x = 4 + LANE * (lane % MOST_LANES)
        start, end = self._y(source), self._y(target)
        near, far = (self.middle - self._width(self.layers[row]) / 2 for row in (source, target))
        return tag(
            "path", class_="edge",
            d=f"M{near:.0f} {start:.0f} H{x + 4} Q{x} {start:.0f} {x} {start + 4:.0f} "
            f"V{end - 4:.0f} Q{x} {end:.0f} {x + 4} {end:.0f} H{far:.0f}",
        )  # fmt: skip

    def _width(self, layer: r.LayerRow) -> float:
        return BAR * (0.12 + 0.88 * _spatial(layer) / self.extent)

    def _layer(self, row: int, layer: r.LayerRow) -> Iterator[Markup]:
        y, width = self._y(row), self._width(layer)
        quiet = " quiet" if not _parameters(layer) else ""
        height = 6 + min(10, 2 * _channels(layer) ** 0.4) if not quiet else 4
        yield tag(
            "rect", tag("title", f"{layer.name}: {layer.type}"), x=self.middle - width / 2, y=y - height / 2,
            width=width, height=height, rx=2, class_=f"layer{quiet}",
        )  # fmt: skip
        told = f"{layer.type} {layer.detail}" if layer.detail else layer.type
        yield tag("text", line(told, 30), x=self.left + BAR + 8, y=y + 4, class_=f"name{quiet}")
        yield tag(
            "text",
            words.shape(layer.output_shape),
            x=WIDTH - 78,
            y=y + 4,
            text_anchor="end",
            class_=f"size{quiet}",
        )
        yield from self._weight(layer, y)

    def _weight(self, layer: r.LayerRow, y: float) -> Iterator[Markup]:
        count = _parameters(layer)
        if layer.trainable_parameters is None:
            yield tag("text", "?", x=WIDTH - 2, y=y + 4, text_anchor="end", class_="name")
        if not count:
            return
        share = 66 * count / self.heaviest
        yield tag("rect", x=WIDTH - 2 - share, y=y + 6, width=share, height=2, class_="share")
        yield tag("text", f"{count:,}", x=WIDTH - 2, y=y + 4, text_anchor="end", class_="name")

    def _follows(self, row: int) -> bool:
        """Whether the layer takes the one above; one without a list of inbound layers does."""
        inbound = self.layers[row].inbound
        return not inbound or self.layers[row - 1].name in inbound


def _lanes(layers: Sequence[r.LayerRow], rows: dict[str, int]) -> Iterator[tuple[tuple[int, int], int]]:
    """For each edge that skips layers the first lane that is free along it."""
    taken: list[int] = []  # up to which row each lane is in use
    skips = {(rows[name], n) for n, x in enumerate(layers) for name in x.inbound if rows.get(name, n) < n - 1}
    for source, target in sorted(skips):
        lane = next((k for k, end in enumerate(taken) if end <= source), len(taken))
        taken[lane : lane + 1] = [target]
        yield (source, target), lane


def _spatial(layer: r.LayerRow) -> int:
    shape = layer.output_shape or (1,)
    return shape[0] if len(shape) == 3 else 1


def _channels(layer: r.LayerRow) -> int:
    return (layer.output_shape or (1,))[-1]


def _parameters(layer: r.LayerRow) -> int:
    return (layer.trainable_parameters or 0) + (layer.non_trainable_parameters or 0)
