"""Why a network cannot be retrained as handed in: what no record says, what does not fit, what is too large.

Everything is computed from the description before anything is allocated, for a description may be forged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from grader import records as r
from grader.data.datasets import Dataset
from grader.errors import StudentError
from grader.judge import information
from grader.layers.shapes import Analysis

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
        raise StudentError(
            f"the network takes inputs of shape {given}, but the images are {prepared}",
            f"Give the first layer input_shape={prepared}.",
        )
    outputs = [analysis.of(name).output for name in network.outputs]
    if None not in outputs and outputs != [(dataset.classes,)]:
        given = " and ".join(str(shape) for shape in outputs)
        raise StudentError(
            f"the network puts out {given}, but there are {dataset.classes} classes",
            f"End with Flatten or Dense so that the output has shape ({dataset.classes},).",
        )


def obstacle(
    network: r.ModelDescription,
    analysis: Analysis,
    recipe: Recipe,
    dataset: Dataset,
    policy: r.TrainingPolicy,
) -> str:
    """The first reason, or nothing."""
    return next(_reasons(network, analysis, recipe, dataset, policy), "")


def _reasons(
    network: r.ModelDescription,
    analysis: Analysis,
    recipe: Recipe,
    dataset: Dataset,
    policy: r.TrainingPolicy,
) -> Iterator[str]:
    if given := [fit.pretrained for fit in recipe if fit.pretrained]:
        yield f"its training starts from weights that came with it, by {given[0]}: only retraining counts"
    if network.unsupported:
        named = ", ".join(f"{u.name} ({u.class_name}: {u.reason})" for u in network.unsupported[:3])
        yield f"cannot be retrained from its description: {named}"
    if told := [reason for fit in recipe for reason in fit.unsupported]:
        yield f"cannot be retrained as handed in: {'; '.join(dict.fromkeys(told))}"
    yield from _too_large(analysis, recipe, policy)
    inputs = analysis.of(network.inputs[0]).output or ()
    for fit in recipe:
        yield from _misfits(fit, inputs, dataset, policy)
    yield from _brings_numbers(network, recipe, dataset)


def _brings_numbers(network: r.ModelDescription, recipe: Recipe, dataset: Dataset) -> Iterator[str]:
    """Numbers that are not learned here can be a network that was trained elsewhere."""
    bits = information.fixed_bits(network, recipe, lambda: dataset.y_train.tolist())
    if bits > FIXED_BITS:
        yield (
            f"network and recipe fix {bits:,} bits that are neither defaults nor repeated, more than the "
            f"{FIXED_BITS:,} that any ordinary submission comes near: so many could hold trained weights"
        )


def _too_large(analysis: Analysis, recipe: Recipe, policy: r.TrainingPolicy) -> Iterator[str]:
    if (analysis.total or 0) > policy.max_parameters:
        yield f"{analysis.total:,} parameters are more than the rubric retrains ({policy.max_parameters:,})"
    activations = sum(layer.activations for layer in analysis.layers)
    largest_batch = max(fit.batch_size for fit in recipe)
    if activations > policy.max_activations or activations * largest_batch > BATCH_ACTIVATIONS:
        yield "its feature maps are larger than the rubric retrains"
    multiplications = sum(layer.multiplications for layer in analysis.layers)
    if multiplications > policy.max_multiplications:
        yield f"{multiplications:,} multiplications per image are more than the rubric retrains"


def _misfits(
    fit: r.TrainingRecipe, inputs: Sequence[int], dataset: Dataset, policy: r.TrainingPolicy
) -> Iterator[str]:
    """What one fit says of images and steps must fit the data set and the network."""
    count, shape = dataset.sizes.train, fit.geometry.shape_of(dataset.image_shape)
    values = math.prod(shape)
    if fit.geometry.channels > 1 and dataset.image_shape[2] != 1:
        yield "it repeats the channels of images that have several"
    if values != math.prod(inputs):
        yield f"its images are prepared to {shape}, which is not what its network takes"
    if values * (count + dataset.sizes.test) > INPUT_VALUES:
        yield f"its images, prepared to {shape}, take more memory than is given to retraining"
    if any(
        len(values_) not in (0, values) for values_ in (fit.scaling.pixel_scale, fit.scaling.pixel_offset)
    ):
        yield "its scaling by pixel does not fit its images"
    elif bool(fit.scaling.pixel_scale) != bool(fit.scaling.pixel_offset):
        yield "its scaling by pixel lacks a half"
    elif fit.scaling.pixel_scale and not (
        fit.geometry == r.Geometry() and _in_order(fit.rows, count) and _standardised(fit, dataset)
    ):
        yield "its scaling by pixel is no standardization by the training images"
    if fit.augmentation is not None and len(inputs) != 3:
        yield "its network takes no images that an ImageDataGenerator could change"
    if fit.passes(count) > policy.passes_at_most + r.PASSES_SLACK:
        most = f"{policy.passes_at_most:g} passes over the images that the rubric retrains"
        yield f"{fit.steps_per_epoch:,} steps an epoch are more than the {most}"
    for rows in (fit.rows, fit.held_out):
        if not _in_order(rows, count):
            yield "it names rows that the training split does not have"
    trained = sum(last - first for first, last in fit.rows) or count
    if len(fit.sample_weights) not in (0, trained):
        yield f"{len(fit.sample_weights):,} sample weights do not fit {trained:,} images"


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
