"""SVG elements as safe markup: attributes and text are escaped, colours come from style classes."""

from __future__ import annotations

import math

from markupsafe import Markup, escape

from grader.report.interface import line


def tag(_name: str, *inner: str, **attributes: object) -> Markup:
    """`tag("text", "a<b", x=1, text_anchor="end")`: `_` in a name is `-`, a trailing one is dropped."""
    given = Markup("").join(
        Markup(' {}="{}"').format(Markup(key.rstrip("_").replace("_", "-")), _short(value))
        for key, value in attributes.items()
        if value is not None
    )
    content = Markup("").join(part if isinstance(part, Markup) else escape(line(part, 120)) for part in inner)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(_name), given, content)


def _short(value: object) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def picture(width: int, height: float, label: str, *inner: Markup, kind: str) -> Markup:
    """A whole drawing with the sentence that stands for it where it cannot be seen."""
    return tag(
        "svg",
        *inner,
        viewBox=f"0 0 {width} {height:.0f}",
        role="img",
        aria_label=line(label, 400),
        class_=kind,
    )


class ErrorScale:
    """Accuracies on a logarithmic scale of the errors: 99 % and 99.4 % lie as far apart as 90 and 94.

    What is above ``best`` (an accuracy below 1) lies at its end.
    """

    TICKS = (0.1, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.994, 0.996, 0.998, 0.999)

    def __init__(self, worst: float, best: float, start: float, end: float) -> None:
        self.worst, self.best = max(0.0, min(worst, 0.98)), min(max(best, 0.995), 0.9999)
        self.start, self.end = start, end

    def __call__(self, accuracy: float) -> float:
        """Return where an accuracy stands, between ``start`` and ``end``."""
        low, high = -math.log(1 - self.worst), -math.log(1 - self.best)
        at = -math.log(1 - min(max(accuracy, self.worst), self.best))
        return self.start + (self.end - self.start) * (at - low) / (high - low)

    def ticks(self, apart: float = 16.0) -> list[float]:
        """Round accuracies within the scale that leave each other room, the best ones first."""
        chosen: list[float] = []
        for value in reversed(self.TICKS):
            if self.worst <= value <= self.best and all(
                abs(self(value) - self(other)) >= apart for other in chosen
            ):
                chosen.append(value)
        return chosen


def percent(accuracy: float) -> str:
    """`99.4 %`, `90 %`."""
    return f"{accuracy * 100:.2f}".rstrip("0").rstrip(".") + "\u202f%"
