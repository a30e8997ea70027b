"""Turns findings and a rubric into verdicts, points and status. Pure: the same input, the same grade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grader.judge.checks import CHECKS, MEASURED
from grader.judge.checks.interface import BaseCriterion, Finding, Subject
from grader.judge.rubric import Rubric
from grader.records import Grade, Problem, Verdict

Status = str


def judge(rubric: Rubric, subject: Subject, retrained: bool) -> tuple[Verdict, ...]:
    """Return one verdict per criterion, in the rubric's order.

    Without retraining, a criterion that needs it is not reached, which by itself asks for no review.
    """
    done: dict[str, Verdict] = {}
    for criterion in rubric.criterion:
        missing = [need for need in criterion.needs if done[need].outcome != "pass"]
        if missing:
            done[criterion.id] = _not_reached(
                criterion,
                f"needs {missing[0]!r}, which did not pass",
                any(done[need].needs_review for need in missing),
            )
        elif criterion.kind in MEASURED and not retrained:
            done[criterion.id] = _not_reached(criterion, subject.obstacle or "not retrained")
        else:
            done[criterion.id] = _verdict(criterion, CHECKS[criterion.kind](criterion, subject))
    return tuple(done.values())


def _verdict(criterion: BaseCriterion, finding: Finding) -> Verdict:
    outcome = finding.result if finding.result in ("pass", "fail", "borderline") else "not_reached"
    fraction = {"pass": 1.0, "borderline": finding.fraction}.get(finding.result, 0.0)
    part = min(round(criterion.points * fraction, 2), criterion.points)
    return Verdict(
        criterion=criterion.id,
        title=criterion.label,
        kind=getattr(criterion, "kind", ""),
        outcome=outcome,
        points=criterion.points if fraction == 1 else part,
        max_points=criterion.points,
        required=criterion.required,
        message=finding.message,
        hint=finding.hint,
        evidence=finding.evidence,
        needs_review=finding.result in ("borderline", "unknown", "manual"),
        hidden=criterion.hidden,
    )


def _not_reached(criterion: BaseCriterion, why: str, needs_review: bool = False) -> Verdict:
    return _verdict(criterion, Finding("fail", why)).model_copy(
        update={"outcome": "not_reached", "needs_review": needs_review}
    )


def without_model(rubric: Rubric, problem: Problem) -> tuple[Verdict, ...]:
    """Return the verdicts on a submission without a model, by the ``problem`` that left none."""
    broken = problem.kind in ("broken", "unsupported")
    return tuple(
        _not_reached(criterion, "no model could be graded").model_copy(
            update={
                "outcome": "broken" if problem.kind == "broken" else "not_reached",
                "needs_review": broken,
            }
        )
        for criterion in rubric.criterion
    )


def status(rubric: Rubric, verdicts: Sequence[Verdict], problem: Problem | None, retrain: bool) -> Status:
    """Return passed, not_passed, structure_only, needs_person or interrupted."""
    if problem is not None:
        return {"student": "not_passed", "interrupted": "interrupted"}.get(problem.kind, "needs_person")
    required = [v for v in verdicts if v.required]
    if any(_failed(rubric, v) for v in required):
        return "not_passed"
    if any(v.outcome in ("not_reached", "broken") and v.needs_review for v in required):
        return "needs_person"
    if any(v.to_confirm is not None for v in verdicts):
        return "needs_person"
    if not retrain and any(v.kind in MEASURED for v in verdicts):
        return "structure_only"
    if any(v.outcome == "not_reached" for v in required):
        return "not_passed"
    points = round(sum(v.points for v in verdicts), 2)
    enough = rubric.pass_points is None or points >= rubric.pass_points
    return "passed" if enough else "not_passed"


def _failed(rubric: Rubric, verdict: Verdict) -> bool:
    """Whether a verdict fails; a borderline one does, unless the rubric gives it full points."""
    if verdict.outcome == "borderline":
        return verdict.points < verdict.max_points or verdict.max_points == 0
    return verdict.outcome == "fail"


def unconfirmed(verdict: Verdict) -> Verdict:
    """Withhold what a replay has earned until a person confirms it. A fail stays a fail."""
    if verdict.outcome not in ("pass", "borderline"):
        return verdict
    waiting = "it was trained by the submission's own code, and a person has to confirm it"
    return verdict.model_copy(
        update={
            "outcome": "not_reached",
            "points": 0.0,
            "to_confirm": verdict.points,
            "needs_review": True,
            "message": f"{verdict.message}; {waiting}",
        }
    )


def by_hand(rubric: Rubric, grade: Grade, given: Mapping[str, tuple[float, str]]) -> Grade:
    """Return the grade with a person's points and reasons, by criterion, in place of grader's verdicts.

    A problem is settled once it leaves no required criterion open.
    """
    verdicts = tuple(_by_hand(v, *given[v.criterion]) if v.criterion in given else v for v in grade.verdicts)
    is_open = any(v.required and v.outcome in ("not_reached", "broken") for v in verdicts)
    problem = grade.problem if is_open else None
    retrained = grade.status != "structure_only" or not is_open
    unclear = grade.needs_review and not needs_review(grade.verdicts, grade.problem)
    return grade.model_copy(
        update={
            "verdicts": verdicts,
            "points": round(sum(v.points for v in verdicts), 2),
            "status": status(rubric, verdicts, problem, retrained),
            "needs_review": unclear or needs_review(verdicts, problem),
        }
    )


def _by_hand(verdict: Verdict, points: float, reason: str) -> Verdict:
    outcome = "pass" if points >= verdict.max_points else "borderline" if points > 0 else "fail"
    return verdict.model_copy(
        update={
            "outcome": outcome,
            "points": points,
            "message": reason,
            "hint": "",
            "needs_review": False,
            "by_hand": True,
            "to_confirm": None,
        }
    )


def needs_review(verdicts: Sequence[Verdict], problem: Problem | None) -> bool:
    """Whether a person must look: at a verdict, or at a problem that is not the student's."""
    unclear = problem is not None and problem.kind in ("unsupported", "broken")
    return unclear or any(v.needs_review for v in verdicts)


def exit_code(grade: Grade) -> int:
    """Return 0 for passed · 1 graded and not passed · 3 needs a person · 130 interrupted."""
    codes = {"passed": 0, "structure_only": 0, "not_passed": 1, "needs_person": 3, "interrupted": 130}
    return codes[grade.status]
