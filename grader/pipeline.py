"""Grade one submission: the whole story.

load -> describe (sandboxed child) -> structural checks -> retrain (trusted children) -> score
"""

from __future__ import annotations

import math
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from grader import __version__, claims, datasets, describing, isolation, load, retraining, score, shapes
from grader import records as r
from grader.asking import Asker
from grader.checks import MEASURED
from grader.checks.interface import Subject
from grader.checks.validation_accuracy import ValidationAccuracy, settled
from grader.errors import BrokenError, GraderError, StudentError, Unsupported
from grader.layers import row
from grader.rubric import LoadedRubric, Rubric

BATCH_ACTIVATIONS = 1_500_000_000  # values of one batch in memory: 6 GB in float32


@dataclass(frozen=True)
class Grading:
    """What stays the same for every submission graded with one rubric."""

    loaded: LoadedRubric
    dataset: datasets.Dataset
    asker: Asker
    retrain: bool
    watcher: retraining.Watcher

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
) -> Iterator[Grading]:
    """What one or ``many`` submissions need; many get a fork server where there can be one.

    Raises `InstructorError` for what is wrong with the rubric's data or this machine, before any
    grading.
    """
    box = isolation.choose(isolated)
    dataset = datasets.load(loaded.dataset)
    with tempfile.TemporaryDirectory(prefix="grader-") as shared:
        asker = Asker(dataset, box, Path(shared))
        if many:
            asker.serve()
        try:
            yield Grading(loaded, dataset, asker, retrain, watcher)
        finally:
            asker.close()


def grade_one(path: Path, grading: Grading) -> r.Grade:
    """The grade of one submission. A student's mistake is a grade; so is a fault of ours.

    Raises `InstructorError` only, for a path that does not exist.
    """
    with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
        program: r.Program | None = None
        try:
            loaded = load.load(path, Path(scratch))
            program = loaded.program
            description = describing.describe(loaded, grading.asker, grading.rubric.describe_seconds)
            return _grade_best(description, program, grading)
        except StudentError as error:
            return _without_model(path, program, grading, _problem("student", error))
        except Unsupported as error:
            return _without_model(path, program, grading, _problem("unsupported", error))
        except BrokenError as error:
            return _without_model(path, program, grading, _problem("broken", error))
        except GraderError:
            raise
        except Exception:  # the one broad boundary: our own fault must not end a class
            problem = r.Problem(kind="broken", message=traceback.format_exc()[-3_000:])
            return _without_model(path, program, grading, problem)


def _grade_best(description: r.Description, program: r.Program, grading: Grading) -> r.Grade:
    """The best grade among the candidates; one that cannot be graded counts only if all are such."""
    grades: list[r.Grade] = []
    errors: list[StudentError] = []
    for model in candidates(description, grading.rubric.graded_model):
        try:
            grades.append(_grade_model(model, description, program, grading))
        except StudentError as error:
            errors.append(error)
        if grades and grades[-1].status == "interrupted":
            return grades[-1]
    if not grades:
        raise errors[0]
    return max(grades, key=lambda grade: grade.points)


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


def _grade_model(
    model: r.DescribedModel, description: r.Description, program: r.Program, grading: Grading
) -> r.Grade:
    analysis = shapes.analyse(model.network)
    recipe, source = recipe_of(model, grading.rubric)
    if not model.network.unsupported and not any(fit.unsupported for fit in recipe):
        _check_fit(model.network, analysis, grading.dataset)
    subject = Subject(
        network=model.network,
        analysis=analysis,
        recipe=recipe,
        own_recipe=source == "submission",
        cells=program.cells,
        policy=grading.rubric.training,
        obstacle=_obstacle(model.network, analysis, recipe, grading),
    )
    runs, problem = _retrain(subject, grading)
    if runs:
        subject = Subject(**{**vars(subject), "runs": runs})
    verdicts = score.judge(grading.rubric, subject, grading.retrain)
    if problem is not None and problem.kind == "broken":
        verdicts = tuple(_broken(v) if v.kind in MEASURED else v for v in verdicts)
    claimed = claims.compare(claims.read(program), analysis.total, _submitted_epochs(recipe, source), runs)
    grade = _grade(
        program.name, program.digest, grading, verdicts, problem,
        model=_graded_model(model, analysis, recipe, source),
        runs=runs, claims=claimed, notes=tuple(_notes(description, recipe, source, grading)),
    )  # fmt: skip
    return grade.model_copy(update={"needs_review": True}) if description.incomplete else grade


def _check_fit(network: r.ModelDescription, analysis: shapes.Analysis, dataset: datasets.Dataset) -> None:
    """The network must take the data set's images and put out its classes."""
    inputs = analysis.of(network.inputs[0]).output or ()
    if len(network.inputs) > 1 or math.prod(inputs) != math.prod(dataset.image_shape):
        given = " and ".join(str(analysis.of(name).output) for name in network.inputs)
        raise StudentError(
            f"the network takes inputs of shape {given}, but the images are {dataset.image_shape}",
            f"Give the first layer input_shape={dataset.image_shape}.",
        )
    outputs = [analysis.of(name).output for name in network.outputs]
    if None not in outputs and outputs != [(dataset.classes,)]:
        given = " and ".join(str(shape) for shape in outputs)
        raise StudentError(
            f"the network puts out {given}, but there are {dataset.classes} classes",
            f"End with Flatten or Dense so that the output has shape ({dataset.classes},).",
        )


def _obstacle(
    network: r.ModelDescription,
    analysis: shapes.Analysis,
    recipe: tuple[r.TrainingRecipe, ...],
    grading: Grading,
) -> str:
    """Why this network cannot be retrained as handed in, if so."""
    policy = grading.rubric.training
    if not grading.retrain:
        return "not retrained: --no-retrain"
    if network.unsupported:
        named = ", ".join(f"{u.name} ({u.class_name}: {u.reason})" for u in network.unsupported[:3])
        return f"cannot be retrained from its description: {named}"
    reasons = [reason for fit in recipe for reason in fit.unsupported]
    if reasons:
        return f"cannot be retrained as handed in: {'; '.join(dict.fromkeys(reasons))}"
    if (analysis.total or 0) > policy.max_parameters:
        return f"{analysis.total:,} parameters are more than the rubric retrains ({policy.max_parameters:,})"
    activations = sum(layer.activations for layer in analysis.layers)
    largest_batch = max(fit.batch_size for fit in recipe)
    if activations > policy.max_activations or activations * largest_batch > BATCH_ACTIVATIONS:
        return "its feature maps are larger than the rubric retrains"
    multiplications = sum(layer.multiplications for layer in analysis.layers)
    if multiplications > policy.max_multiplications:
        return f"{multiplications:,} multiplications per image are more than the rubric retrains"
    return ""


def _retrain(subject: Subject, grading: Grading) -> tuple[tuple[r.TrainingRun, ...], r.Problem | None]:
    """The runs that the rubric asks for; none where a criterion that they need has failed."""
    if subject.obstacle or not _asked_for(subject, grading):
        return (), None
    policy = grading.rubric.training
    criterion = next((c for c in grading.rubric.criterion if isinstance(c, ValidationAccuracy)), None)
    job = r.TrainJob(
        network=subject.network,
        training=subject.recipe,
        dataset=grading.dataset.spec,
        seed=grading.seeds[0],
        max_epochs=policy.epochs,
        stop_at=_stop_at(criterion, grading),
    )

    def is_settled(runs: Sequence[r.TrainingRun]) -> bool:
        return bool(policy.stop_when_settled and criterion and settled(criterion, runs, policy))

    try:
        return retraining.retrain(job, grading.seeds, is_settled, grading.watcher), None
    except retraining.Stopped as stopped:
        if stopped.error is not None:
            return stopped.runs, _problem("broken", stopped.error)
        return stopped.runs, r.Problem(kind="interrupted", message="stopped by ^C while retraining")


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
    images = len(grading.dataset.y_test)
    needed = criterion.needed(images) if criterion else None
    return r.Target(correct=needed, images=images, epochs=grading.rubric.training.epochs)


def _stop_at(criterion: ValidationAccuracy | None, grading: Grading) -> int | None:
    """A run may end at the threshold only where the best epoch alone counts."""
    policy = grading.rubric.training
    others = [c for c in grading.rubric.criterion if c.kind in MEASURED and c is not criterion]
    if criterion is None or others or policy.metric != "best_epoch" or not policy.stop_when_settled:
        return None
    return criterion.needed(len(grading.dataset.y_test))


def _broken(verdict: r.Verdict) -> r.Verdict:
    return verdict.model_copy(
        update={
            "outcome": "broken",
            "needs_review": True,
            "message": "retraining failed by no fault of the submission",
        }
    )


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


def _submitted_epochs(recipe: tuple[r.TrainingRecipe, ...], source: str) -> int | None:
    return sum(fit.epochs for fit in recipe) if source == "submission" else None


def _notes(
    description: r.Description, recipe: tuple[r.TrainingRecipe, ...], source: str, grading: Grading
) -> Iterator[r.Note]:
    if description.incomplete:
        yield r.Note(message=f"{description.incomplete}; more models or fits may have followed")
    limit = grading.rubric.training.epochs
    epochs = _submitted_epochs(recipe, source)
    if source == "rubric":
        yield r.Note(message="no training handed in: the rubric's default recipe is used")
    elif source == "compile":
        yield r.Note(message="compiled but not fitted: batch size and epochs are the rubric's default")
    elif epochs and epochs > limit:
        yield r.Note(message=f"{epochs} epochs handed in: retraining ends after {limit}")
    if source == "submission":
        yield from _data_notes(recipe[-1])
    if len(description.models) > 1:
        names = ", ".join(m.name for m in description.models[:10])
        yield r.Note(message=f"{len(description.models)} models were described: {names}")
    yield from description.notes
    for failure in description.failures:
        where = f", line {failure.line}" if failure.line else ""
        yield r.Note(message=f"failed{where}: {failure.error}"[:2_000], cell=failure.cell)


def _data_notes(fit: r.TrainingRecipe) -> Iterator[r.Note]:
    """Where the submission's own data differ from the whole training split and the test split."""
    used, validated = fit.trained_on, fit.validated_on
    if used.split == "train" and not used.whole_split:
        yield r.Note(message=f"trained on {used.images:,} images: retraining uses the whole training split")
    if validated.split == "train":
        yield r.Note(message="validated on training images: retraining validates on the test split")
    elif validated.split == "test" and not validated.whole_split:
        yield r.Note(message=f"validated on {validated.images:,} test images: retraining counts all of them")


def _problem(kind: str, error: GraderError) -> r.Problem:
    return r.Problem(
        kind=kind,
        message=error.message,
        hint=error.hint,
        cell=error.cell,
        excerpt=error.excerpt,
    )


def _without_model(path: Path, program: r.Program | None, grading: Grading, problem: r.Problem) -> r.Grade:
    verdicts = score.without_model(grading.rubric, problem)
    digest = program.digest if program else ""
    return _grade(program.name if program else path.name, digest, grading, verdicts, problem)


def _grade(
    name: str,
    digest: str,
    grading: Grading,
    verdicts: tuple[r.Verdict, ...],
    problem: r.Problem | None,
    model: r.GradedModel | None = None,
    runs: tuple[r.TrainingRun, ...] = (),
    claims: tuple[r.ClaimCheck, ...] = (),
    notes: tuple[r.Note, ...] = (),
) -> r.Grade:
    return r.Grade(
        submission=name,
        rubric=grading.rubric.title,
        status=score.status(grading.rubric, verdicts, problem, grading.retrain),
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
            submission_digest=digest,
            rubric_digest=grading.loaded.digest,
            dataset=grading.dataset.spec.name,
            dataset_digest=grading.dataset.spec.sha256,
            seeds=grading.seeds,
            isolation=grading.asker.isolation.name,
            isolated=grading.asker.isolation.closed,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )
