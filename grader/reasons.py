"""Why something cannot be retrained, replayed or judged: a code, and one table of what each code means.

Decisions go by code, by the table's columns; reports show the sentence. ``what`` and ``detail`` are a
submission's own words, or an error's: they are shown and decide nothing, for they come from an untrusted
child.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, computed_field, model_validator

from grader.errors import StudentError, Unsupported
from grader.record import Record, writable

MAX_WHAT, MAX_DETAIL = 200, 2_000  # characters; what is longer is cut

Fault = Literal["student", "nobody", "limit"]
"""Whose fault a reason is: the submission's, nobody's, or a limit of grader's own."""

Code = Literal[
    # a layer
    "no_record", "unrepresentable", "own_layer", "own_function", "subclassed", "operation", "nested_model",
    "applied_twice", "training_true", "several_outputs", "settings_unreadable", "other_weights",
    "mixed_channels", "layer_limit", "gone_layer", "gone_argument",
    # a fit: optimizer and loss
    "setting", "optimizer", "optimizer_setting", "decay_excluded", "loss", "loss_reduction", "loss_weights",
    "sparse_soft_labels", "schedule_too_long", "schedule_failed",
    # a fit: callbacks, and other code that reacts to measured results
    "own_callback", "callback", "callback_setting", "callback_failed", "callback_ends_epoch",
    "callback_absent", "plateau", "odd_validation", "measured_results",
    # a fit: images and labels
    "argument_absent", "own_generator", "epoch_too_large", "other_images", "repeated_images",
    "unknown_images", "other_labels", "soft_labels", "weights_unreadable", "two_weights",
    "generator_setting", "generator_channels_first", "generator_rescales", "generator_by_channel",
    # a fit: the model
    "own_methods", "own_loop", "network_changed", "weights_changed", "layer_weights_set", "shared_layers",
    "earlier",
    # a network and its recipe: why they are not retrained
    "pretrained", "layers", "recipe", "parameters", "activations", "multiplications", "fixed_bits",
    "channels_repeated", "prepared_shape", "prepared_memory", "pixel_scaling_size", "pixel_scaling_half",
    "pixel_scaling", "augments_no_images", "steps", "rows", "sample_weights",
    "no_retrain", "no_retrain_replay", "no_retrain_person", "replay_failed",
    # a submission that is not described
    "invalid_answer", "description_too_large", "endless", "flood", "too_much", "ended_itself",
    "file_endless", "file_unreadable", "own_model", "model_limit",
    "library_absent", "stand_in", "memory", "older_keras", "no_model", "cell_failed",
    "inputs_misfit", "outputs_misfit",
    # a replay
    "replay_empty", "replay_invalid", "replay_other_network", "replay_no_network", "replay_other_models",
    "replay_unreadable", "replay_misshapen", "replay_ended", "replay_refused", "replay_code_failed",
    "replay_test_images", "replay_no_inputs", "replay_outputs",
]  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """What a code stands for.

    ``sentence`` and ``hint`` are templates over ``{what}`` and ``{detail}``. ``replayable``: the submission's
    own code can train in place of a description. ``misled``: its code reacts to measured results, so that a
    replay, whose test labels mean nothing, may go another way than the submission would.
    """

    sentence: str
    hint: str
    fault: Fault = "limit"
    replayable: bool = False
    misled: bool = False


_LOOK = "A person should look at the submission."


def _layer(sentence: str, replayable: bool = True) -> Meaning:
    hint = "Layers of Keras's own, with ordinary settings, are retrained."
    return Meaning(sentence, hint, replayable=replayable)


def _fit(sentence: str, hint: str = "Optimizers and losses of Keras's own are retrained.") -> Meaning:
    return Meaning(sentence, hint, replayable=True)


def _callback(sentence: str) -> Meaning:
    hint = "EarlyStopping, ReduceLROnPlateau and LearningRateScheduler of Keras's own are retrained."
    return Meaning(sentence, hint, replayable=True, misled=True)


def _images(sentence: str) -> Meaning:
    return _fit(sentence, "Fit the data set's own images and labels, and all of them equally often.")


def _generator(sentence: str) -> Meaning:
    return _fit(sentence, "Shifts, rotations, zooms and flips of an ImageDataGenerator are retrained.")


def _model(sentence: str) -> Meaning:
    return _fit(sentence, "A network that only compile and fit train is retrained.")


def _size(sentence: str) -> Meaning:
    return Meaning(sentence, "A smaller network or shorter epochs can be retrained.")


def _forged(sentence: str) -> Meaning:
    """Return the meaning of what no honest description says of a network that Keras has built."""
    return Meaning(sentence, _LOOK)


def _person(sentence: str, fault: Fault = "limit") -> Meaning:
    return Meaning(sentence, _LOOK, fault)


def _student(sentence: str, hint: str) -> Meaning:
    return Meaning(sentence, hint, "student")


MEANINGS: dict[Code, Meaning] = {
    # a layer
    "no_record": _layer("grader has no record for this kind of layer"),
    "unrepresentable": _layer("{detail}"),
    "own_layer": _layer("a layer class of the student's own"),
    "own_function": _layer("its {what} is a function of the student's own"),
    "subclassed": _layer("a subclassed model has no graph of layers"),
    "operation": _layer("an operation that is not a layer"),
    "nested_model": _layer("a model within the model that has several inputs, outputs or calls"),
    "applied_twice": _layer("the same layer is applied more than once, sharing its weights"),
    "training_true": _layer("it is called with training=True, so it also acts at validation"),
    "several_outputs": _layer("it has several outputs"),
    "settings_unreadable": _layer("its settings cannot be read: {detail}"),
    "other_weights": _layer("its weights are not those of its configuration"),
    "mixed_channels": _layer("other layers are channels_first, and it is not"),
    "layer_limit": _layer("{detail}"),
    # Not even the layer's own code is here.
    "gone_layer": _layer("a layer that Keras 3 no longer has: {what}", replayable=False),
    "gone_argument": _layer("it is given {what}, which Keras 3 no longer has", replayable=False),
    # a fit: optimizer and loss
    "setting": _fit("{what} has a setting that grader cannot record: {detail}"),
    "optimizer": _fit("grader has no record for the optimizer {what!r}"),
    "optimizer_setting": _fit("the optimizer's {what} is not retrained"),
    "decay_excluded": _fit("weights that are excluded from the optimizer's decay"),
    "loss": _fit("grader has no record for the loss {what!r}"),
    "loss_reduction": _fit("the loss is reduced by {what!r}"),
    "loss_weights": _fit("loss_weights are not retrained"),
    "sparse_soft_labels": _fit("labels that are no classes under a sparse loss"),
    "schedule_too_long": _fit("a schedule over {what} steps is too long to sample"),
    "schedule_failed": _fit("the learning-rate schedule failed at epoch {what}: {detail}"),
    # a fit: callbacks, and other code that reacts to measured results
    "own_callback": _callback("the callback {what} of the submission is not retrained"),
    "callback": _callback("the callback {what} is not retrained"),
    "callback_setting": _callback("{what} has a setting that grader cannot record: {detail}"),
    "callback_failed": _callback(
        "the callback {what} failed when played through without training: {detail}"
    ),
    "callback_ends_epoch": _callback("{what} ends training as an epoch begins"),
    "callback_absent": _callback("a callback is {what}"),
    "plateau": _callback("ReduceLROnPlateau together with {what}"),
    "odd_validation": _callback("{what} watches {detail}"),
    "measured_results": _callback(
        "what it trains was decided by measured results, which are not known here"
    ),
    # a fit: images and labels
    "argument_absent": _images("its {what} come from {detail}"),
    "own_generator": _images("training data come from a generator of the submission's own"),
    "epoch_too_large": _images("an epoch of more images than grader looks at"),
    "other_images": _images("its data set draws other images in every epoch"),
    "repeated_images": _images("some images are trained on more often than others"),
    "unknown_images": _images(
        "the images passed to fit are not those of the data set under any map that grader knows"
    ),
    "other_labels": _images("the labels passed to fit are not those of the data set"),
    "soft_labels": _images("the labels passed to fit are not one class for each image"),
    "weights_unreadable": _images("the weights of images or classes cannot be recorded: {detail}"),
    "two_weights": _images("class_weight together with sample_weight is not retrained"),
    "generator_setting": _generator("the {what} of an ImageDataGenerator is not retrained"),
    "generator_channels_first": _generator(
        "an ImageDataGenerator for images with channels first is not retrained"
    ),
    "generator_rescales": _generator(
        "an ImageDataGenerator that scales images which were scaled in a way of their own"
    ),
    "generator_by_channel": _generator("the {what} of an ImageDataGenerator differs between channels"),
    # a fit: the model
    "own_methods": _model("the model has its own {what}"),
    "own_loop": _model("the model is trained by {what}, which grader cannot repeat from a description"),
    "network_changed": _model("the network was changed between two fits"),
    "weights_changed": _model("its weights were changed between two fits"),
    "layer_weights_set": _model("weights of single layers were set by the submission"),
    "shared_layers": _model("it shares layers with {what}, trained before"),
    # An earlier grader wrote a sentence without a code: whether the code reacts to results is unknown.
    "earlier": Meaning("{detail}", _LOOK, replayable=True, misled=True),
    # a network and its recipe: why they are not retrained
    "pretrained": Meaning(
        "its training starts from weights that came with it, by {what}: only retraining counts",
        "Train from the layers' own initializers.", "nobody",
    ),
    "layers": _layer("cannot be retrained from its description: {detail}"),
    "recipe": _fit("cannot be retrained as handed in: {detail}", hint="{what}"),  # the first reason's hint
    "parameters": _size("{what} parameters are more than the rubric retrains ({detail})"),
    "activations": _size("its feature maps are larger than the rubric retrains"),
    "multiplications": _size("{what} multiplications per image are more than the rubric retrains"),
    "fixed_bits": _person(
        "network and recipe fix {what} bits that are neither defaults nor repeated, more than the {detail} "
        "that any ordinary submission comes near: so many could hold trained weights"
    ),
    "channels_repeated": _forged("it repeats the channels of images that have several"),
    "prepared_shape": _forged("its images are prepared to {what}, which is not what its network takes"),
    "prepared_memory": _size("its images, prepared to {what}, take more memory than is given to retraining"),
    "pixel_scaling_size": _forged("its scaling by pixel does not fit its images"),
    "pixel_scaling_half": _forged("its scaling by pixel lacks a half"),
    "pixel_scaling": _forged("its scaling by pixel is no standardization by the training images"),
    "augments_no_images": _forged("its network takes no images that an ImageDataGenerator could change"),
    "steps": _size(
        "{what} steps an epoch are more than the {detail} passes over the images that the rubric retrains"
    ),
    "rows": _forged("it names rows that the training split does not have"),
    "sample_weights": _forged("{what} sample weights do not fit {detail} images"),
    "no_retrain": Meaning("not retrained: --no-retrain", "Without --no-retrain it is.", "nobody"),
    "no_retrain_replay": _person(
        "not retrained: --no-retrain. It would be replayed by its own code: {detail}", "nobody"
    ),
    "no_retrain_person": _person(
        "not retrained: --no-retrain. It would be left to a person: {detail}", "nobody"
    ),
    "replay_failed": _person("{detail}", "nobody"),
    # a submission that is not described
    "invalid_answer": _person("the description of this submission is not valid: {detail}"),
    "description_too_large": _person(
        "the description of this submission has {what} bytes; at most {detail} are read"
    ),
    "endless": _student(
        "the submission ran longer than {what} s before any fit",
        "grader does not train while it reads a submission: look for a loop that never ends.",
    ),
    "flood": _student("the submission floods the answer of its process", "Let it print and build less."),
    "too_much": _student(
        "the submission took too {what} before any model was built",
        "Nothing is trained while a submission is read, and MNIST takes 50 MB.",
    ),
    "ended_itself": _student(
        "the submission ended its own process ({what}) before any model was built",
        "Remove exit() and os._exit(); a signal 9 or 11 means that memory ran out or a library crashed.",
    ),
    "file_endless": _student(
        "{what}: the file could not be read within {detail} s",
        "Save the model again with model.save('model.keras').",
    ),
    "file_unreadable": _student("{what}: {detail}", "Save the model again with model.save('model.keras')."),
    "own_model": Meaning("{what}: {detail}", "A person should look at the code."),
    "model_limit": _person("{what}: {detail}"),
    "library_absent": Meaning(
        "no model comes of the cells, which use {what!r}: that is not installed here",
        "A person should look at the submission, or install the library beside grader.", "nobody",
    ),
    "stand_in": Meaning(
        "{what} builds on a library that is not installed here: {detail}",
        "A person should look at the submission, or install the library beside grader.", "nobody",
    ),
    "memory": _person("{what} needs more memory than there is in a box: {detail}"),  # the box is small
    "older_keras": Meaning(
        "{what} needs an older Keras: {detail}",
        "A person should look at the submission, or use Keras's layers and keras.ops instead.", "nobody",
    ),
    "no_model": _student("no cell builds a Keras model", "Hand in the cells that build the network."),
    "cell_failed": _student("{what}: {detail}", "Restart the kernel and run all cells from the top."),
    "inputs_misfit": _student(
        "the network takes inputs of shape {what}, but the images are {detail}",
        "Give the first layer input_shape={detail}.",
    ),
    "outputs_misfit": _student(
        "the network puts out {what}, but there are {detail} classes",
        "End with Flatten or Dense so that the output has shape ({detail},).",
    ),
    # a replay
    "replay_empty": _person("the replay came to its end without an epoch of the model in question"),
    "replay_invalid": _person("the answer of the replay is not valid: {detail}"),
    "replay_other_network": _person(
        "the network that trains in the replay is not the one that was described: {what} parameters were "
        "described, {detail} train"
    ),
    "replay_no_network": _person("the replay did not say which network trains"),
    "replay_other_models": _person(
        "its optimizers changed {what} parameters, and all models that were described have {detail}"
    ),
    "replay_unreadable": _person("the predictions of the replay cannot be read: {detail}"),
    "replay_misshapen": _person("the replay handed in {what} for predictions"),
    "replay_refused": _person("it cannot be replayed: {detail}"),
    "replay_code_failed": _person("the code failed: {detail}", "nobody"),
    "replay_test_images": _person(
        "it trains on images of the test split, whose labels it was never given: those that it was served "
        "mean nothing", "nobody",
    ),
    "replay_no_inputs": _person(
        "the test images as its network takes them were not found among its variables"
    ),
    "replay_outputs": _person("its network puts out {what} for {detail} images"),
    "replay_ended": _person("its replay came to no end: {what}, after {detail} epochs"),
}  # fmt: skip


def _at_most(characters: int) -> BeforeValidator:
    return BeforeValidator(lambda text: writable(text[:characters]) if isinstance(text, str) else text)


class Reason(Record):
    """Why not: a code of the closed set, with the submission's own term for ``what`` it is about."""

    code: Code
    what: Annotated[str, _at_most(MAX_WHAT)] = ""
    detail: Annotated[str, _at_most(MAX_DETAIL)] = ""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        """Drop the sentence, which is for readers of the JSON; an earlier grader wrote nothing else."""
        if isinstance(value, str):
            return {"code": "earlier", "detail": value}
        if isinstance(value, dict):
            return {name: item for name, item in value.items() if name != "sentence"}
        return value

    @computed_field  # type: ignore[prop-decorator]
    @property
    def sentence(self) -> str:
        """The sentence of reports, without a full stop."""
        return self._filled(self.meaning.sentence)

    @property
    def hint(self) -> str:
        """What a student or a person can do about it."""
        return self._filled(self.meaning.hint)

    @property
    def meaning(self) -> Meaning:
        """The row of the table for this code."""
        return MEANINGS[self.code]

    def _filled(self, template: str) -> str:
        return template.format(what=self.what, detail=self.detail)

    def error(self, *, cell: int | None = None, excerpt: str = "") -> StudentError | Unsupported:
        """Return the exception that ends grading for this reason, by whose fault it is."""
        kind = StudentError if self.meaning.fault == "student" else Unsupported
        return kind(self.sentence, self.hint, cell=cell, excerpt=excerpt, code=self.code)


def because(code: Code, what: object = "", detail: object = "") -> Reason:
    """Return a reason about anything that has a text, which is cut to the limits of the record."""
    return Reason(code=code, what=str(what), detail=str(detail))


def sentences(reasons: Iterable[Reason]) -> str:
    """Return several reasons in one line, each of them once."""
    return "; ".join(dict.fromkeys(reason.sentence for reason in reasons))
