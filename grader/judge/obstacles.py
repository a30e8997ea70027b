"""Why a network cannot be retrained as handed in: what no record says, what does not fit, what is too large.

Everything is computed from the description before anything is allocated, for a description may be forged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from grader import records as r
from grader.data.datasets import Dataset
from grader.judge import information
from grader.layers.shapes import Analysis
from grader.records import Reason, because

BATCH_ACTIVATIONS = 1_500_000_000  # values of one batch in memory: 6 GB in float32
INPUT_VALUES = 800_000_000  # of all prepared images together: 3 GB
FIXED_BITS = 5_000  # that a submission may fix without learning them: `grader.judge.information`

Recipe = Sequence[r.TrainingRecipe]


def check_fit(network: r.ModelDescription, analysis: Analysis, recipe: Recipe, dataset: Dataset) -> None:
    """The network must take the images as they were prepared, and put out the data set's classes.

    Raises `StudentError`.
    """
    inputs = analysis.of(network.inputs[0]).output or ()
    prepared = recipe[-1].geometry.shape_of(dataset.image_shape)
    if len(network.inputs) > 1 or math.prod(inputs) != math.prod(prepared):
        given = " and ".join(str(analysis.of(name).output) for name in network.inputs)
        raise because("inputs_misfit", given, prepared).error()
    outputs = [analysis.of(name).output for name in network.outputs]
    if None not in outputs and outputs != [(dataset.classes,)]:
        given = " and ".join(str(shape) for shape in outputs)
        raise because("outputs_misfit", given, dataset.classes).error()


def obstacle(
    network: r.ModelDescription,
    analysis: Analysis,
    recipe: Recipe,
    dataset: Dataset,
    policy: r.TrainingPolicy,
) -> Reason | None:
    """The first reason, if there is one."""
    return next(_reasons(network, analysis, recipe, dataset, policy), None)


def told(network: r.ModelDescription, recipe: Recipe) -> Iterator[Reason]:
    """Every reason that the description itself gives, whatever the rubric allows."""
    yield from (because("pretrained", fit.pretrained) for fit in recipe if fit.pretrained)
    yield from (layer.reason for layer in network.unsupported)
    yield from (reason for fit in recipe for reason in fit.unsupported)


def _reasons(
    network: r.ModelDescription,
    analysis: Analysis,
    recipe: Recipe,
    dataset: Dataset,
    policy: r.TrainingPolicy,
) -> Iterator[Reason]:
    yield from (because("pretrained", fit.pretrained) for fit in recipe if fit.pretrained)
    if network.unsupported:
        named = (f"{u.name} ({u.class_name}: {u.reason.sentence})" for u in network.unsupported[:3])
        yield because("layers", detail=", ".join(named))
    if reasons := [reason for fit in recipe for reason in fit.unsupported]:
        yield because("recipe", reasons[0].hint, r.sentences(reasons))
    yield from _too_large(analysis, recipe, policy)
    inputs = analysis.of(network.inputs[0]).output or ()
    for fit in recipe:
        yield from _misfits(fit, inputs, dataset, policy)
    yield from _brings_numbers(network, recipe, dataset)


def _brings_numbers(network: r.ModelDescription, recipe: Recipe, dataset: Dataset) -> Iterator[Reason]:
    """Numbers that are not learned here can be a network that was trained elsewhere."""
    bits = information.fixed_bits(network, recipe, lambda: dataset.y_train.tolist())
    if bits > FIXED_BITS:
        yield because("fixed_bits", f"{bits:,}", f"{FIXED_BITS:,}")


def _too_large(analysis: Analysis, recipe: Recipe, policy: r.TrainingPolicy) -> Iterator[Reason]:
    if (analysis.total or 0) > policy.max_parameters:
        yield because("parameters", f"{analysis.total:,}", f"{policy.max_parameters:,}")
    activations = sum(layer.activations for layer in analysis.layers)
    largest_batch = max(fit.batch_size for fit in recipe)
    if activations > policy.max_activations or activations * largest_batch > BATCH_ACTIVATIONS:
        yield because("activations")
    multiplications = sum(layer.multiplications for layer in analysis.layers)
    if multiplications > policy.max_multiplications:
        yield because("multiplications", f"{multiplications:,}")


def _misfits(
    fit: r.TrainingRecipe, inputs: Sequence[int], dataset: Dataset, policy: r.TrainingPolicy
) -> Iterator[Reason]:
    """What one fit says of images and steps must fit the data set and the network."""
    count, shape = dataset.sizes.train, fit.geometry.shape_of(dataset.image_shape)
    values = math.prod(shape)
    if fit.geometry.channels > 1 and dataset.image_shape[2] != 1:
        yield because("channels_repeated")
    if values != math.prod(inputs):
        yield because("prepared_shape", shape)
    if values * (count + dataset.sizes.test) > INPUT_VALUES:
        yield because("prepared_memory", shape)
    if any(
        len(values_) not in (0, values) for values_ in (fit.scaling.pixel_scale, fit.scaling.pixel_offset)
    ):
        yield because("pixel_scaling_size")
    elif bool(fit.scaling.pixel_scale) != bool(fit.scaling.pixel_offset):
        yield because("pixel_scaling_half")
    elif fit.scaling.pixel_scale and not (
        fit.geometry == r.Geometry() and _in_order(fit.rows, count) and _standardised(fit, dataset)
    ):
        yield because("pixel_scaling")
    if fit.augmentation is not None and len(inputs) != 3:
        yield because("augments_no_images")
    if fit.passes(count) > policy.passes_at_most + r.PASSES_SLACK:
        yield because("steps", f"{fit.steps_per_epoch:,}", f"{policy.passes_at_most:g}")
    for rows in (fit.rows, fit.held_out):
        if not _in_order(rows, count):
            yield because("rows")
    trained = sum(last - first for first, last in fit.rows) or count
    if len(fit.sample_weights) not in (0, trained):
        yield because("sample_weights", f"{len(fit.sample_weights):,}", f"{trained:,}")


def _standardised(fit: r.TrainingRecipe, dataset: Dataset) -> bool:
    from grader.data.standardised import standardises  # with NumPy, which few submissions make necessary

    return standardises(fit, dataset)


def _in_order(rows: r.Rows, count: int) -> bool:
    """Ranges that are not empty, do not overlap and stay within so many rows."""
    end = 0
    for first, last in rows:
        if not end <= first < last <= count:
            return False
        end = last
    return True
