"""Checks whether stored results fit together: others may have edited the file that is read back.

Nothing is graded again. Each fault names a field whose value grader itself would never have written, and says
what is wrong with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from grader import records as r
from grader.judge import score

CENT = 0.005  # points are stored with two decimals
_BY_PROBLEM = {"student": "not_passed", "interrupted": "interrupted"}
Fault = tuple[str, str]


def faults(record: r.Grade | r.ClassResults) -> Iterator[Fault]:
    """Yield each field that contradicts another one, with a phrase that says how."""
    yield from _class(record) if isinstance(record, r.ClassResults) else _grade(record)


def _class(results: r.ClassResults) -> Iterator[Fault]:
    yield from _twice("entries.student.id", (entry.student.id for entry in results.entries))
    if results.max_points < 0:
        yield "max_points", f"{results.max_points:g} is below 0"
    for number, entry in enumerate(results.entries):
        if entry.grade is None:
            continue
        where = f"entries.{number}.grade"
        yield from ((f"{where}.{field}", what) for field, what in _grade(entry.grade))
        if entry.handed_in is None:
            yield where, "nothing was handed in, and there is a grade"
        if _differ(entry.grade.max_points, results.max_points):
            most = f"{entry.grade.max_points:g}, and the class's rubric has {results.max_points:g}"
            yield f"{where}.max_points", most


def _grade(grade: r.Grade) -> Iterator[Fault]:
    yield from _twice("verdicts.criterion", (v.criterion for v in grade.verdicts))
    for number, verdict in enumerate(grade.verdicts):
        yield from ((f"verdicts.{number}.{field}", what) for field, what in _verdict(verdict))
    for field in ("points", "max_points"):
        stored, total = getattr(grade, field), sum(getattr(v, field) for v in grade.verdicts)
        if _differ(stored, total):
            yield field, f"{stored:g}, and the verdicts add up to {total:g}"
    yield from _status(grade)
    yield from _model(grade)
    for number, run in enumerate(grade.runs):
        yield from ((f"runs.{number}.{field}", what) for field, what in _run(run, grade.target))


def _verdict(verdict: r.Verdict) -> Iterator[Fault]:
    if not 0 <= verdict.points <= verdict.max_points:
        yield "points", f"{verdict.points:g} is not between 0 and {verdict.max_points:g}"
    if verdict.outcome == "pass" and _differ(verdict.points, verdict.max_points):
        yield "points", f"{verdict.points:g}, and it passes, which earns {verdict.max_points:g}"
    if verdict.outcome in ("fail", "not_reached", "broken") and verdict.points:
        yield "points", f"{verdict.points:g}, and its outcome {verdict.outcome!r} earns nothing"
    if verdict.to_confirm is not None:
        if not 0 <= verdict.to_confirm <= verdict.max_points:
            yield "to_confirm", f"{verdict.to_confirm:g} is not between 0 and {verdict.max_points:g}"
        if verdict.outcome != "not_reached" or not verdict.needs_review:
            yield "to_confirm", f"{verdict.to_confirm:g}, and nobody is asked to confirm it"


def _status(grade: r.Grade) -> Iterator[Fault]:
    required = [v for v in grade.verdicts if v.required]
    if grade.problem is not None:
        if grade.status != (by := _BY_PROBLEM.get(grade.problem.kind, "needs_person")):
            yield "status", f"{grade.status!r}, and its problem makes it {by!r}"
    elif grade.status == "interrupted":
        yield "status", "'interrupted', and no problem says so"
    elif grade.status in ("passed", "structure_only") and any(v.outcome == "fail" for v in required):
        yield "status", f"{grade.status!r}, and a required criterion fails"
    elif grade.status == "passed" and any(v.outcome in ("not_reached", "broken") for v in required):
        yield "status", "'passed', and a required criterion is open"
    elif grade.status == "needs_person" and not grade.needs_review:
        yield "status", "'needs_person', and needs_review is false"
    if score.needs_review(grade.verdicts, grade.problem) and not grade.needs_review:
        yield "needs_review", "false, and its problem or a verdict needs review"


def _model(grade: r.Grade) -> Iterator[Fault]:
    model = grade.model
    if model is None:
        return
    if not model.recipe:
        yield "model.recipe", "it is empty"
    counts = (model.trainable_parameters, model.non_trainable_parameters)
    if any(count is not None and count < 0 for count in (*counts, model.total_parameters)):
        yield "model.total_parameters", "a number of parameters is below 0"
    elif None not in counts and model.total_parameters != sum(count or 0 for count in counts):
        yield "model.total_parameters", f"{model.total_parameters}, which is not the sum of its parts"


def _run(run: r.TrainingRun, target: r.Target | None) -> Iterator[Fault]:
    for number, epoch in enumerate(run.epochs, 1):
        if epoch.epoch != number:
            yield f"epochs.{number - 1}.epoch", f"{epoch.epoch}, and it is number {number}"
        if not 0 <= epoch.correct <= epoch.images:
            yield f"epochs.{number - 1}.correct", f"{epoch.correct:,} of {epoch.images:,} images"
        if target is not None and epoch.images != target.images:
            yield f"epochs.{number - 1}.images", f"{epoch.images:,}, and the target has {target.images:,}"
        if epoch.seconds < 0 or epoch.training_seconds < 0:
            yield f"epochs.{number - 1}.seconds", "it is below 0"
    if run.kept is not None and not 0 <= run.kept <= len(run.epochs):
        yield "kept", f"epoch {run.kept}, and there are {len(run.epochs)}"


def _twice(field: str, names: Iterable[str]) -> Iterator[Fault]:
    for name, count in Counter(names).items():
        if count > 1:
            yield field, f"{name[:80]!r} is there {count} times"


def _differ(one: float, other: float) -> bool:
    return abs(one - other) > CENT
