"""Training curves of every attempt, with the threshold and the epoch limit drawn in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from grader import records as r
from grader.report.html.svg import ErrorScale, percent, picture, tag

WIDTH, HEIGHT = 400, 250
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 26, 36
STYLES = 5  # dash patterns of .run-0 to .run-4


def curves(runs: Sequence[r.TrainingRun], target: r.Target | None) -> Markup:
    """Validation accuracy over epochs, on a scale of errors; nothing where no epoch was finished."""
    trained = [run for run in runs if run.epochs]
    if not trained:
        return Markup("")
    chart = _Chart(trained, target)
    return picture(WIDTH, HEIGHT, chart.sentence(), *chart.parts(), kind="chart")


class _Chart:
    def __init__(self, runs: Sequence[r.TrainingRun], target: r.Target | None) -> None:
        self.runs, self.target = runs, target
        reached = [_accuracy(e) for run in runs for e in run.epochs]
        goal = [target.correct / target.images] if target and target.correct else []
        self.y = ErrorScale(min(reached + goal), max(reached + goal) + 0.0005, HEIGHT - BOTTOM, TOP)
        self.limit = target.epochs if target else 0
        self.last = max([self.limit, 2, *(e.epoch for run in runs for e in run.epochs)])

    def x(self, epoch: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / (self.last - 1)

    def sentence(self) -> str:
        told = [
            f"attempt {n}: best {percent(_accuracy(run.best))} in epoch {run.best.epoch} of {len(run.epochs)}"
            for n, run in enumerate(self.runs, 1)
            if run.best
        ]
        goal = f"; wanted: {_goal(self.target)}" if self.target and self.target.correct else ""
        return f"Validation accuracy over epochs. {'; '.join(told)}{goal}."

    def parts(self) -> Iterator[Markup]:
        yield from self._grid()
        yield from self._goal()
        for number, run in enumerate(self.runs):
            yield from self._run(number, run)

    def _grid(self) -> Iterator[Markup]:
        bottom = HEIGHT - BOTTOM
        near = (
            self.y(self.target.correct / self.target.images) if self.target and self.target.correct else -99
        )
        for value in self.y.ticks():
            y = self.y(value)
            yield tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid")
            if abs(y - near) > 10:
                yield tag("text", percent(value), x=LEFT - 6, y=y + 4, text_anchor="end")
        step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 1_000, 10_000) if self.last / s <= 10)
        for epoch in [1] * (step != 2) + list(range(max(2, step), self.last + 1, step)):
            yield tag("text", str(epoch), x=self.x(epoch), y=bottom + 15, text_anchor="middle")
        yield tag("text", "epoch", x=WIDTH - RIGHT, y=bottom + 30, text_anchor="end", class_="quiet")
        yield tag("text", "validation accuracy", x=4, y=14, class_="quiet")

    def _goal(self) -> Iterator[Markup]:
        if self.target is None:
            return
        if self.target.correct:
            accuracy = self.target.correct / self.target.images
            y = self.y(accuracy)
            yield tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="goal")
            yield tag("text", percent(accuracy), x=LEFT - 6, y=y + 4, text_anchor="end", class_="goal-text")
        x = self.x(self.limit)
        yield tag("line", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM, class_="goal")
        yield tag("text", f"limit {self.limit}", x=x, y=TOP - 6, text_anchor="end", class_="goal-text")

    def _run(self, number: int, run: r.TrainingRun) -> Iterator[Markup]:
        style = f"run run-{number % STYLES}"
        places = [(self.x(e.epoch), self.y(_accuracy(e))) for e in run.epochs]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield tag("polyline", points=points, class_=style)
        best = run.best
        if best:
            reached = f"best {best.correct:,} of {best.images:,}, epoch {best.epoch}"
            told = f"attempt {number + 1}, seed {run.seed}: {reached}"
            yield tag(
                "circle", tag("title", told), cx=self.x(best.epoch), cy=self.y(_accuracy(best)), r=4,
                class_=style + " best",
            )  # fmt: skip


def _accuracy(epoch: r.EpochResult) -> float:
    return epoch.correct / epoch.images if epoch.images else 0.0


def _goal(target: r.Target | None) -> str:
    if target is None or target.correct is None:
        return ""
    return f"{percent(target.correct / target.images)} within {target.epochs} epochs"


def key(number: int) -> Markup:
    """The line of an attempt, for the table beneath."""
    style = f"run run-{number % STYLES}"
    return tag(
        "svg", tag("polyline", points="1,6 31,6", class_=style),
        viewBox="0 0 32 12", class_="key", aria_hidden="true", focusable="false",
    )  # fmt: skip
