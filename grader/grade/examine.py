"""The first half of grading: load -> describe (sandboxed child) -> the models to check and train."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from grader import records as r
from grader.ask import attempt
from grader.ask.attempt import Attempt
from grader.ask.description import describe_once
from grader.ask.replay import Replay
from grader.errors import BrokenError, GraderError, StudentError, Unsupported
from grader.grade.session import Grading
from grader.intake import load
from grader.judge import obstacles, score, symmetry
from grader.judge.checks import MEASURED
from grader.judge.checks.interface import Subject
from grader.judge.rubric import Rubric
from grader.layers import shapes


@dataclass(frozen=True)
class Candidate:
    """One model of a submission that may be the graded one.

    Without a ``job`` there is nothing to train; with a ``replay`` the submission's own code trains.
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
        """The digest of the submission; empty if it could not be loaded."""
        return self.program.digest if self.program else ""


def examine(path: Path, grading: Grading) -> Examined:
    """Load and describe a submission. Raises `InstructorError` only, for a ``path`` that does not exist."""
    with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
        examined = Examined(path.name)
        try:
            loaded = load.load(path, Path(scratch))
            examined = Examined(loaded.program.name, loaded.program)
            seconds = grading.rubric.describe_seconds
            description = describe_once(loaded, grading.asker, seconds, grading.kept)
            found = _candidates(description, loaded.program, path, grading)
            return replace(examined, description=description, candidates=found)
        except (StudentError, Unsupported, BrokenError) as error:
            return replace(examined, problem=r.Problem.of(error))
        except GraderError:
            raise
        except Exception:  # the broad boundary: our own fault must not end a class
            return replace(examined, problem=r.Problem.fault())


def attempts_of(candidate: Candidate, grading: Grading) -> Iterator[Attempt]:
    """Yield all attempts that may be made at a candidate, in order."""
    if candidate.job is None:
        return
    number = 0
    for seeds, shared in _groups(candidate, grading):
        for place, seed in enumerate(seeds):
            number += 1
            update = {"seed": seed, "beside": seeds[place + 1 :], "symmetry": shared}
            job = candidate.job.model_copy(update=update)
            yield Attempt(job, number, len(grading.seeds), candidate.replay)


def _groups(candidate: Candidate, grading: Grading) -> Iterator[tuple[tuple[int, ...], r.Symmetry]]:
    """Yield groups of seeds that one program may train, each with the symmetry under which it does.

    The first attempt is as handed in, to be compared with; not where it alone could pass the submission.
    """
    seeds, policy = grading.seeds, grading.rubric.training
    if candidate.replay is not None:  # the submission's code trains without a symmetry
        yield from (((seed,), r.AS_HANDED_IN) for seed in seeds)
        return
    if policy.decide != "any" and len(seeds) > 1:
        yield seeds[:1], r.AS_HANDED_IN
        seeds = seeds[1:]
    subject, dataset = candidate.subject, grading.dataset
    image, classes = dataset.image_shape, dataset.classes
    transposable = symmetry.is_transposable(subject.network, subject.analysis, subject.recipe, image)
    for first in range(0, len(seeds), policy.seeds_at_once):
        group = seeds[first : first + policy.seeds_at_once]
        yield group, symmetry.drawn(group[0], classes, transposable)


def _candidates(
    description: r.Description, program: r.Program, path: Path, grading: Grading
) -> tuple[Candidate, ...]:
    """Return the models to grade; a model that cannot be graded counts only if none can."""
    found: list[Candidate] = []
    errors: list[StudentError] = []
    for model in candidates(description, grading.rubric.graded_model):
        try:
            replay = Replay(
                path.resolve(), program.digest, model.number, grading.rubric.training.replay_seconds,
                grading.asker, model.network, _all_parameters(description), description.reading,
            )  # fmt: skip
            found.append(_candidate(model, program, replay, grading))
        except StudentError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return tuple(found)


def _all_parameters(description: r.Description) -> int | None:
    """Count the parameters of all models of a submission; None where one model's cannot be counted."""
    try:
        totals = [shapes.analyse(model.network, reported=True).total for model in description.models]
    except StudentError:
        return None
    known = [total for total in totals if total is not None]
    return sum(known) if len(known) == len(totals) else None


# --- which model, which recipe ------------------------------------------------------------------


def candidates(description: r.Description, choice: str) -> tuple[r.DescribedModel, ...]:
    """Return the models to grade, by the rubric's choice: the last fitted, the best, or a named variable."""
    models = description.models
    fitted = [m for m in models if m.fit_order]
    if choice.startswith("variable:"):
        wanted = choice.removeprefix("variable:")
        named = [m for m in models if m.name.split("#")[0] == wanted]
        if not named:
            names = ", ".join(sorted({m.name.split("#")[0] for m in models}))
            kind = Unsupported if description.incomplete else StudentError
            raise kind(
                f"no model is called {wanted!r}; there are: {names[:2_000]}",
                f"Assign the network to a variable called {wanted}.",
            )
        return (named[-1],)
    if choice == "best":
        return tuple(fitted or models)
    return (max(fitted, key=lambda m: m.fit_order) if fitted else models[-1],)


def recipe_of(model: r.DescribedModel, rubric: Rubric) -> tuple[tuple[r.TrainingRecipe, ...], str]:
    """Return a model's recipe, completed from the rubric's default, and where the recipe comes from."""
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


def trained(network: r.ModelDescription, recipe: tuple[r.TrainingRecipe, ...]) -> r.ModelDescription:
    """Return the network with each layer trainable that one of its fits trains, frozen at last or not."""
    frozen = [fit.frozen for fit in recipe]
    if all(names is None for names in frozen):
        return network
    at_last = tuple(layer.name for layer in network.layers if not layer.trainable)
    always = set.intersection(*(set(at_last if names is None else names) for names in frozen))
    layers = tuple(x.model_copy(update={"trainable": x.name not in always}) for x in network.layers)
    return network.model_copy(update={"layers": layers})


# --- one model ----------------------------------------------------------------------------------


def _candidate(model: r.DescribedModel, program: r.Program, replay: Replay, grading: Grading) -> Candidate:
    replayable = _is_replayable(model, program, grading.rubric)
    replayed = replayable and grading.retrain
    recipe, source = recipe_of(model, grading.rubric)
    analysis = shapes.analyse(trained(model.network, recipe), reported=replayed)
    if not model.network.unsupported and not any(fit.unsupported for fit in recipe):
        obstacles.check_fit(model.network, analysis, recipe, grading.dataset)
    subject = Subject(
        network=model.network,
        analysis=analysis,
        recipe=recipe,
        own_recipe=source == "submission",
        cells=program.cells,
        policy=grading.rubric.training,
        images=grading.dataset.sizes.train,
    )
    obstacle = obstacles.obstacle(model.network, analysis, recipe, grading.dataset, grading.rubric.training)
    if not grading.retrain:
        obstacle = _not_retrained(obstacle, replayable)
    if obstacle is not None:
        subject = replace(subject, obstacles=(obstacle,))
    wanted = (replayed or obstacle is None) and _asked_for(subject, grading)
    if not wanted:
        return Candidate(model, source, subject)
    epochs = grading.rubric.training.epochs if replayed else _epochs(subject)
    return Candidate(model, source, subject, _job(subject, grading, epochs), replay if replayed else None)


def _not_retrained(obstacle: r.Reason | None, replayable: bool) -> r.Reason:
    """Return why there is no retraining, with what retraining would meet, as the user asked for none."""
    if obstacle is None:
        return r.because("no_retrain")
    code: r.Code = "no_retrain_replay" if replayable else "no_retrain_person"
    return r.because(code, detail=obstacle.sentence)


def _is_replayable(model: r.DescribedModel, program: r.Program, rubric: Rubric) -> bool:
    """Whether this model cannot be retrained from its description, but by its own code."""
    if rubric.training.replay == "forbidden" or program.model_file or not model.training:
        return False
    reasons = list(obstacles.told(model.network, model.training))
    return bool(reasons) and all(reason.meaning.replayable for reason in reasons)


def _asked_for(subject: Subject, grading: Grading) -> bool:
    """Whether a measured criterion is left whose structural prerequisites (``needs``) all pass."""
    verdicts = {v.criterion: v for v in score.judge(grading.rubric, subject, False)}
    measured = [c for c in grading.rubric.criterion if c.kind in MEASURED]
    return any(
        all(verdicts[n].outcome == "pass" for n in c.needs if verdicts[n].kind not in MEASURED)
        for c in measured
    )


def _epochs(subject: Subject) -> int:
    """Return the epochs that the rubric retrains; 1 at least, for what is not retrained at all."""
    return max(1, subject.policy.epochs_of(subject.recipe, subject.images))


def _job(subject: Subject, grading: Grading, epochs: int) -> r.TrainJob:
    policy = grading.rubric.training
    return r.TrainJob(
        network=subject.network.canonical(),
        training=tuple(attempt.bare(fit, subject.network) for fit in subject.recipe),
        dataset=grading.dataset.spec,
        seed=grading.seeds[0],
        max_epochs=epochs,
        stop_at=grading.stop_at,
        engine=policy.engine,
    )
