"""Grade one submission: the whole story, in two halves.

`examine`: load -> describe (sandboxed child) -> what there is to check and to train
`advance`: the attempts made so far -> the grade by what is known, and the next attempt to make

`grade_one` goes from one to the other for a single submission, `grader.batch` for a class.
"""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from grader import (
    __version__,
    attempts,
    claims,
    datasets,
    describing,
    isolation,
    load,
    notes,
    obstacles,
    retraining,
    score,
    shapes,
)
from grader import records as r
from grader.asking import Asker
from grader.attempts import Attempt
from grader.checks import MEASURED
from grader.checks.interface import Subject
from grader.checks.validation_accuracy import ValidationAccuracy, settled
from grader.errors import BrokenError, GraderError, StudentError, Unsupported
from grader.layers import row
from grader.replaying import Replay
from grader.rubric import LoadedRubric, Rubric


@dataclass(frozen=True)
class Grading:
    """What stays the same for every submission graded with one rubric."""

    loaded: LoadedRubric
    dataset: datasets.Dataset
    asker: Asker
    retrain: bool
    watcher: retraining.Watcher
    kept: describing.Kept = describing.NOTHING

    @property
    def rubric(self) -> Rubric:
        return self.loaded.rubric

    @property
    def seeds(self) -> tuple[int, ...]:
        policy = self.rubric.training
        return policy.seeds[: policy.attempts]


@contextmanager
def prepare(
    loaded: LoadedRubric,
    retrain: bool,
    watcher: retraining.Watcher,
    isolated: isolation.Wanted = "preferred",
    many: bool = False,
    kept: describing.Kept = describing.NOTHING,
) -> Iterator[Grading]:
    """What one or ``many`` submissions need; many get a fork server where there can be one.

    Raises `InstructorError` for what is wrong with the rubric's data or this machine, before any
    grading.
    """
    box = isolation.choose(isolated)
    dataset = datasets.load(loaded.dataset)
    with tempfile.TemporaryDirectory(prefix="grader-") as shared:
        asker = Asker(dataset, box, Path(shared))
        asker.many = many
        try:
            yield Grading(loaded, dataset, asker, retrain, watcher, kept)
        finally:
            asker.close()


@dataclass(frozen=True)
class Candidate:
    """One model of a submission that may be the graded one; no ``job``: there is nothing to train.

    With a ``replay``, its own code is what trains.
    """

    model: r.DescribedModel
    source: str
    subject: Subject
    job: r.TrainJob | None = None
    replay: Replay | None = None


@dataclass(frozen=True)
class Examined:
    """What is known of a submission before any training: its candidates, or the problem with it."""

    name: str
    program: r.Program | None = None
    description: r.Description | None = None
    candidates: tuple[Candidate, ...] = ()
    problem: r.Problem | None = None

    @property
    def digest(self) -> str:
        return self.program.digest if self.program else ""


Known = Callable[[Attempt], r.TrainingRun | r.Problem | None]
"""The outcome of an attempt: its run, why there is none, or None while it has not been made."""


def grade_one(path: Path, grading: Grading) -> r.Grade:
    """The grade of one submission. A student's mistake is a grade; so is a fault of ours.

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
    """What came of an attempt, and of those that were made with it, by their keys."""
    try:
        runs = attempt.training(grading.watcher).run()
        return {attempt.of(run.seed).key: run for run in runs}
    except retraining.Stopped as stopped:
        return {attempt.key: stopped.run or INTERRUPTED}
    except (BrokenError, Unsupported) as error:
        return {attempt.key: problem_of(error)}
    except Exception:
        return {attempt.key: _fault()}


def examine(path: Path, grading: Grading) -> Examined:
    """The first half. Raises `InstructorError` only, for a path that does not exist."""
    with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
        examined = Examined(path.name)
        try:
            loaded = load.load(path, Path(scratch))
            examined = Examined(loaded.program.name, loaded.program)
            seconds = grading.rubric.describe_seconds
            description = describing.describe_once(loaded, grading.asker, seconds, grading.kept)
            found = _candidates(description, loaded.program, path, grading)
            return replace(examined, description=description, candidates=found)
        except (StudentError, Unsupported, BrokenError) as error:
            return replace(examined, problem=problem_of(error))
        except GraderError:
            raise
        except Exception:  # the broad boundary: our own fault must not end a class
            return replace(examined, problem=_fault())


def advance(examined: Examined, grading: Grading, known: Known) -> tuple[r.Grade, Attempt | None]:
    """The second half: the grade by the attempts that are known, and the next one, if one is to be made."""
    if examined.problem is not None:
        return _without_model(examined, grading, examined.problem), None
    try:
        graded = [_grade_model(candidate, examined, grading, known) for candidate in examined.candidates]
    except Exception:  # the same boundary
        return _without_model(examined, grading, _fault()), None
    pending = next((attempt for _, attempt in graded if attempt is not None), None)
    return max((grade for grade, _ in graded), key=lambda grade: grade.points), pending


def _candidates(
    description: r.Description, program: r.Program, path: Path, grading: Grading
) -> tuple[Candidate, ...]:
    """The models to grade; one that cannot be graded counts only if all are such."""
    found: list[Candidate] = []
    errors: list[StudentError] = []
    for model in candidates(description, grading.rubric.graded_model):
        try:
            replay = Replay(
                path.resolve(), program.digest, model.number, grading.rubric.training.replay_seconds,
                grading.asker, description.reading,
            )  # fmt: skip
            found.append(_candidate(model, program, replay, grading))
        except StudentError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return tuple(found)


# --- which model, which recipe ------------------------------------------------------------------


def candidates(description: r.Description, choice: str) -> tuple[r.DescribedModel, ...]:
    """The models to grade, by the rubric's choice: the last fitted, the best, or a named variable."""
    models = description.models
    fitted = [m for m in models if m.fit_order]
    if choice.startswith("variable:"):
        wanted = choice.removeprefix("variable:")
        named = [m for m in models if m.name.split("#")[0] == wanted]
        if not named:
            names = ", ".join(sorted({m.name.split("#")[0] for m in models}))
            raise StudentError(
                f"no model is called {wanted!r}; there are: {names}",
                f"Assign the network to a variable called {wanted}.",
            )
        return (named[-1],)
    if choice == "best":
        return tuple(fitted or models)
    return (max(fitted, key=lambda m: m.fit_order) if fitted else models[-1],)


def recipe_of(model: r.DescribedModel, rubric: Rubric) -> tuple[tuple[r.TrainingRecipe, ...], str]:
    """The submitted recipe; what is missing of it is filled in from the rubric's default."""
    if model.training:
        return model.training, "submission"
    default = rubric.default_recipe.recipe(rubric.training.epochs)
    if model.compiled is None:
        return (default,), "rubric"
    given = model.compiled
    filled = default.model_copy(
        update={
            "optimizer": given.optimizer,
            "loss": given.loss,
            "learning_rates": given.learning_rates[:1],
            "unsupported": given.unsupported,
        }
    )
    return (filled,), "compile"


# --- one model ----------------------------------------------------------------------------------


def _candidate(model: r.DescribedModel, program: r.Program, replay: Replay, grading: Grading) -> Candidate:
    replayable = _is_replayable(model, program, grading.rubric)
    replayed = replayable and grading.retrain
    analysis = shapes.analyse(model.network, reported=replayed)
    recipe, source = recipe_of(model, grading.rubric)
    if not model.network.unsupported and not any(fit.unsupported for fit in recipe):
        obstacles.check_fit(model.network, analysis, recipe, grading.dataset)
    subject = Subject(
        network=model.network,
        analysis=analysis,
        recipe=recipe,
        own_recipe=source == "submission",
        cells=program.cells,
        policy=grading.rubric.training,
        obstacle=obstacles.obstacle(
            model.network, analysis, recipe, grading.dataset, grading.rubric.training
        ),
    )
    if not grading.retrain:
        subject = replace(subject, obstacle=_not_retrained(subject.obstacle, replayable))
    wanted = (replayed or not subject.obstacle) and _asked_for(subject, grading)
    if not wanted:
        return Candidate(model, source, subject)
    return Candidate(model, source, subject, _job(subject, grading), replay if replayed else None)


def _not_retrained(obstacle: str, replayable: bool) -> str:
    """Who checks without retraining should know what retraining would come to."""
    said = "not retrained: --no-retrain"
    if not obstacle:
        return said
    would = "be replayed by its own code" if replayable else "be left to a person"
    return f"{said}. It would {would}: {obstacle}"


def _is_replayable(model: r.DescribedModel, program: r.Program, rubric: Rubric) -> bool:
    """Whether this model cannot be retrained from its description, but by its own code."""
    if rubric.training.replay == "forbidden" or program.model_file:
        return False
    own_training = any(fit.unsupported for fit in model.training)
    pretrained = any(fit.pretrained for fit in model.training)
    return bool(model.training) and not pretrained and (bool(model.network.unsupported) or own_training)


def _grade_model(
    candidate: Candidate, examined: Examined, grading: Grading, known: Known
) -> tuple[r.Grade, Attempt | None]:
    runs, problem, pending = _runs(candidate, grading, known)
    if pending is not None and runs:
        problem = UNFINISHED
    subject = replace(candidate.subject, runs=runs)
    if problem is not None and problem.kind == "unsupported":
        subject = replace(subject, obstacle=f"{subject.obstacle}; {problem.message}"[:2_000])
    retrained = grading.retrain and (pending is None or bool(runs))
    verdicts = score.judge(grading.rubric, subject, retrained)
    if problem is not None and problem.kind == "broken":
        verdicts = tuple(_broken(v) if v.kind in MEASURED else v for v in verdicts)
    if _may_be_misled(candidate):
        verdicts = tuple(_undecided(v) if v.kind in MEASURED and v.outcome == "fail" else v for v in verdicts)
    return _graded(candidate, examined, grading, verdicts, problem, runs, retrained), pending


_WATCHING = ("callback", "ReduceLROnPlateau", "EarlyStopping", "decided by measured results")
_MISLED = "in a replay test labels mean nothing, and its training goes by what it measures on them"


def _may_be_misled(candidate: Candidate) -> bool:
    """Whether a replay could miss what the real labels of the validation images would have led it to."""
    told = " ".join(reason for fit in candidate.model.training for reason in fit.unsupported)
    return candidate.replay is not None and any(word in told for word in _WATCHING)


def _undecided(verdict: r.Verdict) -> r.Verdict:
    message = f"{verdict.message}; but {_MISLED}"
    return verdict.model_copy(update={"outcome": "not_reached", "needs_review": True, "message": message})


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
            *(notes.of_replay(subject.obstacle, subject.network) if candidate.replay else ()),
            *program.notes, *claims.flags(program, model),
            *notes.of_submission(examined.description, recipe, source, grading.rubric.training.epochs),
        ),
    )  # fmt: skip
    # A replay's word is the submission's own: a person looks at it before it counts.
    doubtful = examined.description.incomplete or candidate.replay is not None
    return grade.model_copy(update={"needs_review": True}) if doubtful else grade


def _job(subject: Subject, grading: Grading) -> r.TrainJob:
    policy = grading.rubric.training
    return r.TrainJob(
        network=attempts.canonical(subject.network),
        training=tuple(attempts.bare(fit, subject.network) for fit in subject.recipe),
        dataset=grading.dataset.spec,
        seed=grading.seeds[0],
        max_epochs=policy.epochs,
        stop_at=_stop_at(_criterion(grading), grading),
        engine=policy.engine,
    )


def _criterion(grading: Grading) -> ValidationAccuracy | None:
    return next((c for c in grading.rubric.criterion if isinstance(c, ValidationAccuracy)), None)


def attempts_of(candidate: Candidate, grading: Grading) -> Iterator[Attempt]:
    """All attempts that may be made at a candidate, in their order."""
    if candidate.job is not None:
        at_once = grading.rubric.training.seeds_at_once
        for number, seed in enumerate(grading.seeds, 1):
            beside = grading.seeds[number : number + at_once - 1]
            job = candidate.job.model_copy(update={"seed": seed, "beside": tuple(beside)})
            yield Attempt(job, number, len(grading.seeds), candidate.replay)


def _runs(
    candidate: Candidate, grading: Grading, known: Known
) -> tuple[tuple[r.TrainingRun, ...], r.Problem | None, Attempt | None]:
    """The runs in their order until the outcome is settled, what went wrong, and which is the next one."""
    policy, criterion = grading.rubric.training, _criterion(grading)
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
    return tuple(runs), None, None


def _asked_for(subject: Subject, grading: Grading) -> bool:
    """Whether some measured criterion is still to be reached after the structural ones."""
    verdicts = {v.criterion: v for v in score.judge(grading.rubric, subject, False)}
    measured = [c for c in grading.rubric.criterion if c.kind in MEASURED]
    return any(
        all(verdicts[n].outcome == "pass" for n in c.needs if verdicts[n].kind not in MEASURED)
        for c in measured
    )


def _target(grading: Grading) -> r.Target | None:
    """What retraining had to reach; None where there was to be none."""
    if not grading.retrain:
        return None
    criterion = next((c for c in grading.rubric.criterion if isinstance(c, ValidationAccuracy)), None)
    images = grading.dataset.sizes.test
    needed = criterion.needed(images) if criterion else None
    return r.Target(correct=needed, images=images, epochs=grading.rubric.training.epochs)


def _stop_at(criterion: ValidationAccuracy | None, grading: Grading) -> int | None:
    """A run may end at the threshold only where the best epoch alone counts."""
    policy = grading.rubric.training
    others = [c for c in grading.rubric.criterion if c.kind in MEASURED and c is not criterion]
    if criterion is None or others or policy.metric != "best_epoch" or not policy.stop_when_settled:
        return None
    return criterion.needed(grading.dataset.sizes.test)


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


def problem_of(error: GraderError) -> r.Problem:
    """The record of an error, by whose fault it is."""
    kind = {StudentError: "student", Unsupported: "unsupported"}.get(type(error), "broken")
    return r.Problem(
        kind=kind, message=error.message, hint=error.hint, cell=error.cell, excerpt=error.excerpt
    )


def _fault() -> r.Problem:
    return r.Problem(kind="broken", message=traceback.format_exc()[-3_000:])


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
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )
