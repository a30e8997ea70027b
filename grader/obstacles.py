"""Why a network cannot be retrained as handed in: what no record says, what does not fit, what is too large.

Everything is computed from the description before anything is allocated, for a description may be forged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from grader import records as r
from grader.datasets import Dataset
from grader.errors import StudentError
from grader.shapes import Analysis

BATCH_ACTIVATIONS = 1_500_000_000  # values of one batch in memory: 6 GB in float32
INPUT_VALUES = 800_000_000  # of all prepared images together: 3 GB
PASSES = 3  # over the training split, in what a submission calls one epoch
MOST_CHANNELS = 4  # of an image
MOST_CONSTANTS = 10  # numbers in layers that are not learned, of one kind
PREPARING = (
    r.Rescaling, r.Resizing, r.CenterCrop, r.Cropping2D, r.ZeroPadding2D, r.Reshape, r.RandomFlip,
    r.RandomRotation, r.RandomTranslation, r.RandomZoom, r.RandomContrast, r.RandomBrightness,
    r.Normalization,
)  # fmt: skip

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
    yield from _brings_numbers(network)
    yield from _too_large(analysis, recipe, policy)
    inputs = analysis.of(network.inputs[0]).output or ()
    for fit in recipe:
        yield from _misfits(fit, inputs, dataset)


def _brings_numbers(network: r.ModelDescription) -> Iterator[str]:
    """Layers can hold numbers that are no parameters: enough of them are a trained network."""
    layers = {layer.name: layer for layer in network.layers}
    statistics = [layer for layer in network.layers if isinstance(layer, r.Normalization)]
    if len(statistics) > 1:
        yield "it has several Normalization layers"
    for layer in statistics:
        if max(len(layer.mean), len(layer.variance)) > MOST_CHANNELS or not _prepares(layer, layers):
            yield f"{layer.name} (Normalization) holds numbers that are no statistics of an image's channels"
    rescaled = sum(isinstance(layer, r.Rescaling) for layer in network.layers)
    constants = {
        value.value
        for layer in network.layers
        for value in (getattr(layer, field) for field in type(layer).model_fields)
        if isinstance(value, r.Constant)
    }
    if max(rescaled, len(constants)) > MOST_CONSTANTS:
        yield f"its layers hold more than {MOST_CONSTANTS} numbers that it did not learn"


def _prepares(layer: r.Layer, layers: Mapping[str, r.Layer]) -> bool:
    """Whether a layer has only the input and other preparation of images before it."""
    if isinstance(layer, r.InputLayer):
        return True
    return isinstance(layer, PREPARING) and all(_prepares(layers[name], layers) for name in layer.inbound)


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


def _misfits(fit: r.TrainingRecipe, inputs: Sequence[int], dataset: Dataset) -> Iterator[str]:
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
    if (fit.steps_per_epoch or 0) * fit.batch_size > PASSES * count:
        yield f"{fit.steps_per_epoch:,} steps an epoch are more than {PASSES} passes over the images"
    for rows in (fit.rows, fit.held_out):
        if not _in_order(rows, count):
            yield "it names rows that the training split does not have"
    trained = sum(last - first for first, last in fit.rows) or count
    if len(fit.sample_weights) not in (0, trained):
        yield f"{len(fit.sample_weights):,} sample weights do not fit {trained:,} images"


def _standardised(fit: r.TrainingRecipe, dataset: Dataset) -> bool:
    from grader.standardised import standardises  # with NumPy, which few submissions make necessary

    return standardises(fit, dataset)


def _in_order(rows: r.Rows, count: int) -> bool:
    """Ranges that are not empty, do not overlap and stay within so many rows."""
    end = 0
    for first, last in rows:
        if not end <= first < last <= count:
            return False
        end = last
    return True
