"""Grade one submission: the whole story, in two halves.

`grader.grade.examine.examine`: load -> describe (sandboxed child) -> the models to check and train
`advance`: the attempts made so far -> the grade by these attempts, and the next attempt to make

`grade_one` goes from one to the other for a single submission, `grader.grade.many` for a class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from grader import __version__, claims
from grader import records as r
from grader.ask import training
from grader.ask.attempt import Attempt
from grader.errors import BrokenError, Unsupported
from grader.grade.examine import Candidate, Examined, attempts_of, examine
from grader.grade.session import Grading
from grader.judge import notes, obstacles, score, trust
from grader.judge.checks import MEASURED
from grader.judge.checks.validation_accuracy import settled
from grader.layers import shapes
from grader.layers.row import row

Known = Callable[[Attempt], r.TrainingRun | r.Problem | None]
"""The outcome of an attempt: its run, why there is none, or None while it has not been made."""


def grade_one(path: Path, grading: Grading) -> r.Grade:
    """Grade one submission. A student's mistake gives a grade; so does a fault of ours.

    Raises `InstructorError` only, for a path that does not exist.
    """
    examined = examine(path, grading)
    made: dict[str, r.TrainingRun | r.Problem | None] = {}
    while True:
        grade, attempt = advance(examined, grading, lambda x: made.get(x.key))
        if attempt is None:
            return grade
        made.update(_make(attempt, grading))


def _make(attempt: Attempt, grading: Grading) -> dict[str, r.TrainingRun | r.Problem | None]:
    """Make an attempt; return its outcome, and those of the seeds that were trained beside it, by key."""
    try:
        runs = attempt.training(grading.watcher).run()
        return {attempt.of(run.seed).key: run for run in runs}
    except training.Stopped as stopped:
        return {attempt.key: stopped.run or INTERRUPTED}
    except (BrokenError, Unsupported) as error:
        return {attempt.key: r.Problem.of(error)}
    except Exception:
        return {attempt.key: r.Problem.fault()}


def advance(examined: Examined, grading: Grading, known: Known) -> tuple[r.Grade, Attempt | None]:
    """Return the grade by the attempts that are ``known``, and the next attempt, if one is to be made."""
    if examined.problem is not None:
        return _without_model(examined, grading, examined.problem), None
    try:
        graded = [_grade_model(candidate, examined, grading, known) for candidate in examined.candidates]
    except Exception:  # the broad boundary, as in `examine`
        return _without_model(examined, grading, r.Problem.fault()), None
    pending = next((attempt for _, attempt in graded if attempt is not None), None)
    return max((grade for grade, _ in graded), key=lambda grade: grade.points), pending


def _grade_model(
    candidate: Candidate, examined: Examined, grading: Grading, known: Known
) -> tuple[r.Grade, Attempt | None]:
    runs, problem, pending = _runs(candidate, grading, known)
    if pending is not None and runs:
        problem = UNFINISHED
    subject = replace(candidate.subject, runs=runs)
    if problem is not None and problem.kind == "unsupported":
        failed = r.because("replay_failed", detail=problem.message)
        subject = replace(subject, obstacles=(*subject.obstacles, failed))
    retrained = grading.retrain and (pending is None or bool(runs))
    verdicts = score.judge(grading.rubric, subject, retrained)
    if problem is not None and problem.kind == "broken":
        verdicts = tuple(_broken(v) if v.kind in MEASURED else v for v in verdicts)
    if _may_be_misled(candidate):
        verdicts = tuple(_no_fail(v, _MISLED) if v.kind in MEASURED else v for v in verdicts)
    if examined.description is not None and (incomplete := examined.description.incomplete):
        verdicts = tuple(_no_fail(v, incomplete) for v in verdicts)
    if candidate.replay is not None:
        verdicts = tuple(score.unconfirmed(v) if v.kind in MEASURED else v for v in verdicts)
    if doubt := trust.doubt(runs, grading.dataset.classes, grading.needed):
        verdicts = tuple(_undecided(v, doubt) if v.kind in MEASURED else v for v in verdicts)
    return _graded(candidate, examined, grading, verdicts, problem, runs, retrained), pending


_MISLED = "in a replay test labels mean nothing, and its training goes by what it measures on them"


def _may_be_misled(candidate: Candidate) -> bool:
    """Whether a replay's training reacts to measurements, for which its test labels mean nothing."""
    reasons = obstacles.told(candidate.model.network, candidate.model.training)
    return candidate.replay is not None and any(reason.meaning.misled for reason in reasons)


def _undecided(verdict: r.Verdict, why: str) -> r.Verdict:
    """Return the verdict with its measurement, but left to a person because of ``why``."""
    message = f"{verdict.message}; but {why}"
    return verdict.model_copy(
        update={
            "outcome": "not_reached",
            "points": 0.0,
            "to_confirm": None,
            "needs_review": True,
            "message": message,
        }
    )


def _no_fail(verdict: r.Verdict, why: str) -> r.Verdict:
    """Leave a failed criterion to a person because of ``why``; return any other verdict unchanged."""
    return _undecided(verdict, why) if verdict.outcome == "fail" else verdict


def _graded(
    candidate: Candidate,
    examined: Examined,
    grading: Grading,
    verdicts: tuple[r.Verdict, ...],
    problem: r.Problem | None,
    runs: tuple[r.TrainingRun, ...],
    retrained: bool,
) -> r.Grade:
    subject, source = candidate.subject, candidate.source
    recipe, analysis = subject.recipe, subject.analysis
    assert examined.program is not None
    assert examined.description is not None
    program, model = examined.program, candidate.model
    grade = _grade(
        examined, grading, verdicts, problem, retrained,
        model=_graded_model(model, analysis, recipe, source),
        runs=runs,
        claims=claims.check(program, examined.description, model, analysis, runs),
        notes=(
            *(
                notes.of_replay(subject.why_not, subject.network, analysis.total, runs)
                if candidate.replay
                else ()
            ),
            *program.notes, *claims.flags(program, model),
            *notes.of_submission(
                examined.description, recipe, source, grading.rubric.training, grading.dataset.sizes.train
            ),
        ),
    )  # fmt: skip
    # The submission's own code reports a replay: a person looks at it before it counts.
    doubtful = examined.description.incomplete or candidate.replay is not None
    return grade.model_copy(update={"needs_review": True}) if doubtful else grade


def _runs(
    candidate: Candidate, grading: Grading, known: Known
) -> tuple[tuple[r.TrainingRun, ...], r.Problem | None, Attempt | None]:
    """Return the runs until the outcome is settled, the problem that ended them, and the next attempt."""
    policy, criterion = grading.rubric.training, grading.accuracy
    runs: list[r.TrainingRun] = []
    for attempt in attempts_of(candidate, grading):
        outcome = known(attempt)
        if outcome is None:
            return tuple(runs), None, attempt
        if isinstance(outcome, r.Problem):
            return tuple(runs), outcome, None
        runs.append(outcome)
        if outcome.ended == "interrupted":
            return tuple(runs), INTERRUPTED, None
        if policy.stop_when_settled and criterion and settled(criterion, runs, policy):
            break
        if trust.doubt(runs, grading.dataset.classes, grading.needed):
            break
    return tuple(runs), None, None


def _target(grading: Grading) -> r.Target | None:
    """Return what retraining had to reach; None where nothing is retrained."""
    if not grading.retrain:
        return None
    images, epochs = grading.dataset.sizes.test, grading.rubric.training.epochs
    return r.Target(correct=grading.needed, images=images, epochs=epochs)


def _broken(verdict: r.Verdict) -> r.Verdict:
    return verdict.model_copy(
        update={
            "outcome": "broken",
            "needs_review": True,
            "message": "retraining failed by no fault of the submission",
        }
    )


INTERRUPTED = r.Problem(kind="interrupted", message="stopped by ^C while retraining")
UNFINISHED = r.Problem(kind="interrupted", message="more attempts are to be made")


# --- the grade ----------------------------------------------------------------------------------


def _graded_model(
    model: r.DescribedModel, analysis: shapes.Analysis, recipe: tuple[r.TrainingRecipe, ...], source: str
) -> r.GradedModel:
    return r.GradedModel(
        name=model.name,
        total_parameters=analysis.total,
        trainable_parameters=analysis.trainable,
        non_trainable_parameters=analysis.non_trainable,
        layers=tuple(row(x) for x in analysis.layers),
        recipe=recipe,
        recipe_source=source,
    )


def _without_model(examined: Examined, grading: Grading, problem: r.Problem) -> r.Grade:
    verdicts = score.without_model(grading.rubric, problem)
    return _grade(examined, grading, verdicts, problem, grading.retrain)


def _grade(
    examined: Examined,
    grading: Grading,
    verdicts: tuple[r.Verdict, ...],
    problem: r.Problem | None,
    retrained: bool,
    model: r.GradedModel | None = None,
    runs: tuple[r.TrainingRun, ...] = (),
    claims: tuple[r.ClaimCheck, ...] = (),
    notes: tuple[r.Note, ...] = (),
) -> r.Grade:
    return r.Grade(
        submission=examined.name,
        rubric=grading.rubric.title,
        status=score.status(grading.rubric, verdicts, problem, retrained),
        points=round(sum(v.points for v in verdicts), 2),
        max_points=grading.rubric.max_points,
        needs_review=score.needs_review(verdicts, problem),
        verdicts=verdicts,
        problem=problem,
        model=model,
        target=_target(grading),
        runs=runs,
        claims=claims,
        notes=notes,
        provenance=r.Provenance(
            grader_version=__version__,
            submission_digest=examined.digest,
            rubric_digest=grading.loaded.digest,
            dataset=grading.dataset.spec.name,
            dataset_digest=grading.dataset.spec.sha256,
            seeds=grading.seeds,
            isolation=grading.asker.isolation.name,
            isolated=grading.asker.isolation.closed,
            contained=grading.asker.isolation.contained,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )
