"""Records -> Keras objects. The only place where a network is built for retraining."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers as kl

from grader import records as r
from grader.layers import kinds

_NAMED = "layer_"


def model(network: r.ModelDescription) -> keras.Model:
    """Build the network with fresh weights. Layers get names of our own: a student's may not be legal."""
    outputs: dict[str, Any] = {}
    inputs = []
    for number, layer in enumerate(network.layers):
        name = f"{_NAMED}{number}"
        if isinstance(layer, r.InputLayer):
            outputs[layer.name] = keras.Input(layer.shape, name=name)
            inputs.append(outputs[layer.name])
            continue
        taken = [outputs[source] for source in layer.inbound]
        built = _layer(layer, name)
        outputs[layer.name] = built(taken if isinstance(layer, r.MergingLayer) else taken[0])
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs[network.outputs[0]])


def freeze(model: keras.Model, network: r.ModelDescription, frozen: tuple[str, ...] | None) -> None:
    """Set which layers train: all but the ``frozen`` ones, or as the network's records say."""
    for number, layer in enumerate(network.layers):
        trains = layer.trainable if frozen is None else layer.name not in frozen
        model.get_layer(f"{_NAMED}{number}").trainable = trains


def owners(model: keras.Model) -> list[int]:
    """Return for each weight of a model that was built here, in Keras's order, the place of its layer."""
    return [int(layer.name.removeprefix(_NAMED)) for layer in model.layers for _ in layer.weights]


def _layer(layer: r.Layer, name: str) -> Any:
    """Build one Keras layer with the settings of its record."""
    if isinstance(layer, r.UnsupportedLayer):
        raise ValueError(f"{layer.class_name} cannot be rebuilt")
    kind = kinds.of(layer)
    settings = {setting: _value(value) for setting, value in kind.arguments(kind, layer).items()}
    built = getattr(kl, layer.type)(name=name, **settings)
    built.trainable = layer.trainable  # not every constructor takes `trainable`
    return built


def _value(value: Any) -> Any:
    match value:
        case r.L1L2():
            return keras.regularizers.L1L2(l1=value.l1, l2=value.l2)
        case r.Record():
            return _initializer(value)
        case _:
            return value


def _initializer(record: Any) -> Any:
    settings = record.model_dump(exclude={"type"})
    return getattr(keras.initializers, record.type)(**settings)


# --- optimizer and loss -------------------------------------------------------------------------


class Keras2Nadam(keras.optimizers.Nadam):  # type: ignore[misc]
    """Nadam whose momentum schedule decays as ``0.96 ** (schedule_decay * t)``.

    Dozat, "Incorporating Nesterov Momentum into Adam" (2016); Keras up to 2.3 had
    ``schedule_decay=0.004``, Keras 3 has 1.
    """

    def __init__(self, *, schedule_decay: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._decay = 0.96**schedule_decay

    def _momentum(self, step: Any) -> Any:
        return self.beta_1 * (1.0 - 0.5 * keras.ops.power(self._decay, step))

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
        step = keras.ops.cast(self.iterations + 1, self._u_product.dtype)
        self.assign(self._u_product, self._u_product * self._momentum(step))
        # Not Nadam's own method, which would multiply by Keras 3's schedule.
        super(keras.optimizers.Nadam, self)._backend_update_step(grads, trainable_variables, learning_rate)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable by its gradient, with the momentum schedule of Keras 2."""
        ops = keras.ops
        step = ops.cast(self.iterations + 1, variable.dtype)
        now, following = self._momentum(step), self._momentum(step + 1)
        product = ops.cast(self._u_product, variable.dtype)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        self.assign_add(m, (gradient - m) * (1 - self.beta_1))
        self.assign_add(v, (ops.square(gradient) - v) * (1 - self.beta_2))
        m_hat = following * m / (1 - product * following) + (1 - now) * gradient / (1 - product)
        v_hat = v / (1 - ops.power(ops.cast(self.beta_2, variable.dtype), step))
        rate = ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, rate * m_hat / (ops.sqrt(v_hat) + self.epsilon))


def optimizer(recipe: r.TrainingRecipe) -> Any:
    """Build the recipe's optimizer with the first of its learning rates; it has seen no gradient yet."""
    settings = recipe.optimizer.model_dump(exclude={"type"})
    settings["learning_rate"] = recipe.learning_rates[0]
    if recipe.optimizer.type != "Nadam":
        return getattr(keras.optimizers, recipe.optimizer.type)(**settings)
    if settings["schedule_decay"] == 1.0:
        settings.pop("schedule_decay")
        return keras.optimizers.Nadam(**settings)
    return Keras2Nadam(**settings)


def loss(record: r.Loss) -> Any:
    """Build the Keras loss of a record: the mean over a batch, with weights where they are given."""
    settings: dict[str, Any] = {}
    if "crossentropy" in record.name:
        settings["from_logits"] = record.from_logits
        if record.name != "sparse_categorical_crossentropy":
            settings["label_smoothing"] = record.label_smoothing
    words = "".join(map(str.capitalize, record.name.split("_")))
    return getattr(keras.losses, words.replace("Kl", "KL"))(**settings)


def accuracy(record: r.Loss) -> Any:
    """Build categorical accuracy, whatever the loss: Keras's 'accuracy' counts bits under a binary one."""
    if is_sparse(record):
        return keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    return keras.metrics.CategoricalAccuracy(name="accuracy")


def is_sparse(record: r.Loss) -> bool:
    """Whether targets are class numbers (n,), not one-hot rows (n, classes)."""
    return record.name.startswith("sparse")
