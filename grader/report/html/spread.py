"""How a number is distributed over a class: one dot per student, stacked where they coincide."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from grader.report.html.svg import ErrorScale, percent, picture, tag

WIDTH, HEIGHT, SIDE, BASE, TOP = 400, 130, 18, 98, 16
BINS = 46


@dataclass(frozen=True)
class Dot:
    """A student's value, and what became of the criterion that it decides: an outcome."""

    who: str
    value: float
    outcome: str


def accuracies(dots: Sequence[Dot], goal: float | None) -> Markup:
    """Best accuracy of each student, on a scale of errors; the threshold is drawn in."""
    if not dots:
        return Markup("")
    values = [dot.value for dot in dots]
    scale = ErrorScale(min(values), max([*values, goal or 0]) + 0.0005, SIDE, WIDTH - SIDE)
    ticks = [t for t in scale.ticks(46) if goal is None or abs(scale(t) - scale(goal)) > 40]
    marks = [(scale(t), percent(t)) for t in ticks]
    return _plot(dots, scale, marks, "Best validation accuracy", percent, goal)


def parameters(dots: Sequence[Dot]) -> Markup:
    """Parameters of each student's network, on a logarithmic scale."""
    if not dots:
        return Markup("")
    low = math.log10(max(1, min(dot.value for dot in dots))) - 0.05
    high = math.log10(max(1, max(dot.value for dot in dots))) + 0.05

    def scale(value: float) -> float:
        return SIDE + (WIDTH - 2 * SIDE) * (math.log10(max(1, value)) - low) / max(high - low, 1e-9)

    return _plot(dots, scale, _rounds(scale, low, high), "Parameters", lambda n: f"{n:,.0f}", None)


def _rounds(scale: Callable[[float], float], low: float, high: float) -> list[tuple[float, str]]:
    """1, 2 and 5 times powers of ten; all multiples where those would be too few."""
    for digits in ((1, 2, 5), range(1, 10), [n / 2 for n in range(2, 20)], [n / 10 for n in range(10, 100)]):
        found = [d * 10.0**e for e in range(int(low), int(high) + 1) for d in digits]
        inside = [v for v in found if low <= math.log10(v) <= high]
        if len(inside) >= 3:
            break
    marks: list[tuple[float, str]] = []
    for value in inside:
        if not marks or scale(value) - marks[-1][0] > 52:
            marks.append((scale(value), f"{value:,.0f}"))
    return marks


def _plot(
    dots: Sequence[Dot], scale: Callable[[float], float], marks: list[tuple[float, str]], name: str,
    told: Callable[[float], str], goal: float | None,
) -> Markup:  # fmt: skip
    values = sorted(dot.value for dot in dots)
    label = (
        f"{name} of {len(dots)} students: lowest {told(values[0])}, median {told(values[len(values) // 2])}, "
        f"highest {told(values[-1])}."
    )
    inner = [tag("line", x1=SIDE - 8, x2=WIDTH - SIDE + 8, y1=BASE, y2=BASE, class_="axis")]
    for x, text in marks:
        inner.append(tag("text", text, x=x, y=BASE + 16, text_anchor="middle"))
    if goal is not None:
        x = scale(goal)
        inner.append(tag("line", x1=x, x2=x, y1=TOP, y2=BASE, class_="goal"))
        inner.append(tag("text", told(goal), x=x, y=BASE + 16, text_anchor="middle", class_="goal-text"))
    return picture(WIDTH, HEIGHT, label, *inner, *_dots(dots, scale, told), kind="chart")


def _dots(
    dots: Sequence[Dot], scale: Callable[[float], float], told: Callable[[float], str]
) -> Iterator[Markup]:
    width = (WIDTH - 2 * SIDE) / BINS
    stacks: dict[int, list[Dot]] = defaultdict(list)
    for dot in sorted(dots, key=lambda d: d.outcome):
        stacks[round((scale(dot.value) - SIDE) / width)].append(dot)
    tallest = max(len(stack) for stack in stacks.values())
    step = min(width, (BASE - TOP - 6) / tallest)
    for column, stack in sorted(stacks.items()):
        for height, dot in enumerate(stack):
            yield tag(
                "circle", tag("title", f"{dot.who}: {told(dot.value)}"), cx=SIDE + column * width,
                cy=BASE - 5 - step * (height + 0.5), r=min(3.6, step * 0.46), class_=f"dot {dot.outcome}",
            )  # fmt: skip
