"""Writes the notes of a report: how a submission was read, and what a person should know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from grader import records as r


def of_submission(
    description: r.Description,
    recipe: tuple[r.TrainingRecipe, ...],
    source: str,
    policy: r.TrainingPolicy,
    images: int,
) -> Iterator[r.Note]:
    """Yield notes on how the submission was read; ``images`` is the size of the training split."""
    if description.incomplete:
        yield r.Note(message=f"{description.incomplete}; more models or fits may have followed")
    epochs, limit = _submitted_epochs(recipe, source), policy.epochs
    if source == "rubric":
        yield r.Note(message="no training handed in: the rubric's default recipe is used")
    elif source == "compile":
        yield r.Note(message="compiled but not fitted: batch size and epochs are the rubric's default")
    elif epochs and (passes := _passes(recipe, images)) > max(epochs, policy.passes_at_most) + r.PASSES_SLACK:
        yield r.Note(
            message=f"{epochs} epochs are {passes:.3g} passes over the training images; retraining ends "
            f"after {policy.passes_at_most:g} passes, with epoch {max(1, policy.epochs_of(recipe, images))}"
        )
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


def of_replay(
    obstacle: str, network: r.ModelDescription, total: int | None, runs: Sequence[r.TrainingRun]
) -> Iterator[r.Note]:
    """Yield notes on what a replay is worth, and on numbers that only the submission's own layers report."""
    yield r.Note(
        message=f"{obstacle}: replayed instead. The submission's own code trained in its "
        "box, and its predictions were counted: a lower assurance than retraining"
    )
    for layer in network.unsupported[:10]:
        if layer.reported is not None:
            own = layer.reported.trainable + layer.reported.non_trainable
            yield r.Note(
                message=f"the shape and the {own:,} parameters of {layer.name} ({layer.class_name}) are what "
                "the layer itself reports: a person should look"
            )

    for run in runs:
        yield from _replayed(run, total)


def _replayed(run: r.TrainingRun, total: int | None) -> Iterator[r.Note]:
    """Yield what a person who confirms one run should know; ``total`` is the network's parameters."""
    if run.best is None:
        return
    changed = run.best.changed
    read = f"{changed.correct:,} of {changed.images:,} are right" if changed else "not tried"
    yield r.Note(message=f"seed {run.seed}, test images shifted by a pixel, with faint noise: {read}")
    if run.touched is not None and total is not None and run.touched > total:
        yield r.Note(
            message=f"seed {run.seed}: optimizers changed {run.touched:,} parameters, and the graded network "
            f"has {total:,}: other models were trained too"
        )


def _data_notes(fit: r.TrainingRecipe) -> Iterator[r.Note]:
    """Yield where the submission's own data differ from the whole training split and the test split."""
    used, validated = fit.trained_on, fit.validated_on
    if used.split == "train" and not used.whole_split:
        yield r.Note(
            message=f"trained on {used.images:,} of the training images; retraining uses the same ones"
        )
    if validated.split == "train":
        yield r.Note(
            message="validated on training images: callbacks see the same, the verdict counts the test split"
        )
    elif validated.split == "test" and not validated.whole_split:
        yield r.Note(message=f"validated on {validated.images:,} test images: retraining counts all of them")


def _passes(recipe: tuple[r.TrainingRecipe, ...], images: int) -> float:
    return sum(fit.epochs * fit.passes(images) for fit in recipe)


def _submitted_epochs(recipe: tuple[r.TrainingRecipe, ...], source: str) -> int | None:
    """Return the epochs of all fits; None where none were handed in."""
    return sum(fit.epochs for fit in recipe) if source == "submission" else None
