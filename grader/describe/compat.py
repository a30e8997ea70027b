"""Makes code written for any Keras run on Keras 3, as far as describing a network needs it.

Old import paths, layer arguments, optimizer arguments and defaults, backend functions and model
methods. Only names and arguments are translated here; what `fit` does instead of training is
`recorder`'s business. Lives only in the describing child.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader.describe import legacy, standins
from grader.describe.era import Era
from grader.records import Reading

Note = Callable[[str], None]

_TF = keras._tf_keras.keras  # what `tensorflow.keras` is

# Old module path -> where its names live now (relative to `keras`, and to `tensorflow.keras`).
MODULES = {
    "layers": ["layers.core", "layers.convolutional", "layers.pooling", "layers.normalization",
               "layers.merge", "layers.advanced_activations", "layers.noise", "layers.local",
               "layers.embeddings", "layers.recurrent", "layers.wrappers", "engine", "engine.topology",
               "engine.base_layer", "engine.input_layer", "legacy.layers"],
    "models": ["engine.training", "engine.network", "engine.sequential"],
    "utils": ["utils.np_utils", "utils.generic_utils", "utils.vis_utils", "utils.layer_utils",
              "utils.data_utils", "utils.training_utils", "utils.all_utils"],
    "callbacks": ["callbacks.callbacks"],
    "losses": ["objectives"],
    "optimizers": ["optimizers.legacy", "optimizers.experimental"],
    "preprocessing.image": ["preprocessing.image.image"],
}  # fmt: skip


class Positional:
    """Counts calls like `Conv2D(16, 3, 3)`, and how they were read."""

    def __init__(self, forced: Reading | None) -> None:
        self.forced = forced
        self.calls = 0
        self.used: Reading | None = None

    def read(self, args: tuple[Any, ...], style: Reading) -> tuple[Any, ...]:
        """Positional arguments of a convolution -> the same with one kernel size."""
        if len(args) < 3 or not all(isinstance(a, int | np.integer) for a in args[1:3]):
            return args
        if args[1] == args[2] == 1:
            return args  # a 1x1 kernel with stride 1 either way
        self.calls += 1
        self.used = self.forced or style
        if self.used == "strides":
            return args
        return (args[0], (int(args[1]), int(args[2])), *args[3:])


def install(era: Era, positional: Positional, note: Note) -> None:
    """Patch Keras and TensorFlow in this process. Call once, before any student code."""
    if era == "keras2":
        _count_names_from_one()
    _layers()
    _positional(era, positional)
    _optimizers(era)
    _activations()
    _models()
    _callbacks()
    _backend()
    _modules()
    _names()
    _tensorflow_1()
    _environment(note)


# --- layers -------------------------------------------------------------------------------------


def _layers() -> None:
    """Every layer class takes the argument names of Keras 1 and 2 as well."""
    for name in dir(keras.layers):
        cls = getattr(keras.layers, name)
        if isinstance(cls, type) and issubclass(cls, keras.layers.Layer) and cls.__name__ == name:
            _take_old_arguments(cls)


def _count_names_from_one() -> None:
    """Layer names as the student's own summary has them: the first is `conv2d_1`."""
    from keras.src.utils import naming

    counts: dict[str, int] = {}

    def uniquify(name: str) -> str:
        counts[name] = counts.get(name, 0) + 1
        return f"{name}_{counts[name]}"

    naming.uniquify = uniquify
    clear = keras.backend.clear_session

    def clear_session(*args: Any, **kwargs: Any) -> None:
        counts.clear()
        clear()

    keras.backend.clear_session = _TF.backend.clear_session = clear_session


def _take_old_arguments(cls: type) -> None:
    original = cls.__init__  # type: ignore[misc]

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        kwargs = legacy.modern_arguments(cls.__name__, kwargs)
        shape = kwargs.pop("batch_input_shape", None)
        if shape is not None and cls is not keras.layers.InputLayer:
            kwargs["input_shape"] = tuple(shape)[1:]
        if cls is keras.layers.AveragePooling2D and not args:
            kwargs.setdefault("pool_size", (2, 2))  # the default until Keras 3
        if isinstance(kwargs.get("input_shape"), int):
            kwargs["input_shape"] = (kwargs["input_shape"],)
        original(self, *args, **kwargs)

    # Keras compares two views of the signature; they must not differ.
    init.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
    cls.__init__ = init  # type: ignore[misc]


def _positional(era: Era, positional: Positional) -> None:
    """`Conv2D(16, 3, 3)`: rows and columns in old standalone Keras, a stride anywhere else."""
    old: Reading = "rows_columns" if era == "keras2" else "strides"
    spaces: list[tuple[ModuleType, Reading]] = [(keras.layers, old), (_TF.layers, "strides")]
    for space, style in spaces:
        for name in ("Conv2D", "SeparableConv2D", "Conv2DTranspose"):
            alias = _positional_alias(getattr(space, name), positional, style)
            for spelling in (name, *(k for k, v in legacy.CLASS_NAMES.items() if v == name)):
                setattr(space, spelling, alias)


def _positional_alias(real: Any, positional: Positional, style: Reading) -> type:
    """A class that makes `real` layers, so that they convert and save like any other."""

    class Alias(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            args = positional.read(args, style)
            if cls is alias:
                return real(*args, **kwargs)
            return super().__call__(*args, **kwargs)

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, real) if cls is alias else super().__instancecheck__(instance)

    alias = Alias(real.__name__, (real,), {"__module__": real.__module__})
    return alias


# --- optimizers and activations -----------------------------------------------------------------


def _optimizers(era: Era) -> None:
    for name in legacy.OPTIMIZER_DEFAULTS:
        cls = getattr(keras.optimizers, name)
        _take_old_optimizer_arguments(cls, era)
        for space in (keras.optimizers, _TF.optimizers):
            setattr(space, name.lower(), cls)
    base = keras.optimizers.Optimizer
    base.lr = property(
        lambda self: self._learning_rate, lambda self, value: setattr(self, "learning_rate", value)
    )
    assign = base.__setattr__
    base.__setattr__ = lambda self, name, value: assign(
        self, "learning_rate" if name == "lr" else name, value
    )


def _take_old_optimizer_arguments(cls: type, era: Era) -> None:
    """`lr`, `decay`, `schedule_decay` and `epsilon=None`; in old Keras its order and defaults too."""
    original = cls.__init__  # type: ignore[misc]

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if "lr" in kwargs:
            kwargs["learning_rate"] = kwargs.pop("lr")
        if era == "keras2":
            kwargs, args = legacy.modern_optimizer(cls.__name__, args, kwargs), ()
        if kwargs.get("epsilon", 0) is None:
            kwargs["epsilon"] = 1e-7
        decay = float(kwargs.pop("decay", 0.0) or 0.0)
        schedule_decay = float(kwargs.pop("schedule_decay", 1.0))
        original(self, *args, **kwargs)
        object.__setattr__(self, "grader_decay", decay)
        object.__setattr__(self, "grader_schedule_decay", schedule_decay)

    init.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
    cls.__init__ = init  # type: ignore[misc]


def _activations() -> None:
    """`activation=tf.nn.relu` is Keras's relu, and is described as such."""
    known = {
        getattr(tf.nn, n): n
        for n in (
            "relu",
            "softmax",
            "sigmoid",
            "tanh",
            "elu",
            "selu",
            "softplus",
            "softsign",
            "leaky_relu",
            "relu6",
            "silu",
        )
        if hasattr(tf.nn, n)
    }
    known |= {tf.identity: "linear", tf.sigmoid: "sigmoid", tf.tanh: "tanh"}
    original = keras.activations.get

    def get(identifier: Any) -> Any:
        try:
            identifier = known.get(identifier, identifier)
        except TypeError:  # a dict, from a saved configuration
            pass
        return original(identifier)

    spaces: tuple[Any, ...] = (keras.activations, _TF.activations, sys.modules["keras.src.activations"])
    for space in spaces:
        space.get = get


def _callbacks() -> None:
    """A checkpoint may have any name and any old argument: nothing is ever written."""
    cls = keras.callbacks.ModelCheckpoint
    original = cls.__init__

    def init(self: Any, filepath: Any = "model.keras", *args: Any, **kwargs: Any) -> None:
        order = ("monitor", "verbose", "save_best_only", "save_weights_only", "mode")
        given = dict(zip(order, args, strict=False)) | kwargs
        kept = {k: v for k, v in given.items() if k in ("monitor", "save_best_only", "mode")}
        original(self, "checkpoint.keras", **kept)
        self.grader_path = str(filepath)
        self.grader_whole = not given.get("save_weights_only", False)

    cls.__init__ = init
    for name, renames in (("ReduceLROnPlateau", {"epsilon": "min_delta"}), ("EarlyStopping", {})):
        _rename_arguments(getattr(keras.callbacks, name), renames)


def _rename_arguments(cls: type, renames: dict[str, str]) -> None:
    original = cls.__init__  # type: ignore[misc]

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **{renames.get(k, k): v for k, v in kwargs.items()})

    cls.__init__ = init  # type: ignore[misc]


# --- names and modules --------------------------------------------------------------------------


def _backend() -> None:
    """`K`: what Keras 3 keeps as legacy, and the settings that came and went."""
    import keras.src.legacy.backend as old

    extra = {name: getattr(old, name) for name in dir(old) if not name.startswith("_")}
    orderings = {"th": "channels_first", "tf": "channels_last"}
    always = {
        "set_value": lambda variable, value: variable.assign(value),
        "get_value": lambda variable: np.asarray(variable),
    }
    extra |= {
        "set_image_dim_ordering": lambda o: keras.config.set_image_data_format(orderings[o]),
        "image_dim_ordering": lambda: {v: k for k, v in orderings.items()}[keras.config.image_data_format()],
        "common": keras.backend,
        "tensorflow_backend": keras.backend,
        "learning_phase": lambda: 0,
        "set_learning_phase": lambda value: None,
        "set_session": lambda session: None,
        "get_session": standins.Inert("get_session"),
        "manual_variable_initialization": lambda value: None,
    }
    for space in (keras.backend, _TF.backend):
        for name, value in extra.items():
            if not hasattr(space, name):
                setattr(space, name, value)
        vars(space).update(always)
    sys.modules["keras.backend.tensorflow_backend"] = keras.backend


def _modules() -> None:
    for root, base in (("keras", keras), ("tensorflow.keras", _TF), ("tensorflow.python.keras", _TF)):
        if root != "keras":
            _register(root, base)
        for new, olds in MODULES.items():
            module = _resolve(base, new)
            for old in olds:
                _register(f"{root}.{old}", module)
                parent, _, leaf = old.rpartition(".")
                holder = _resolve(base, parent) if parent else base
                if holder is not None and not isinstance(getattr(holder, leaf, None), ModuleType):
                    setattr(holder, leaf, module)
        for path in (
            "layers",
            "models",
            "utils",
            "callbacks",
            "losses",
            "optimizers",
            "datasets",
            "preprocessing",
            "preprocessing.image",
            "backend",
            "regularizers",
            "metrics",
            "initializers",
            "activations",
            "applications",
            "constraints",
            "datasets.mnist",
        ):
            _register(f"{root}.{path}", _resolve(base, path))
    keras.engine, keras.objectives = keras.layers, keras.losses


def _register(path: str, module: Any) -> None:
    if module is not None and path not in sys.modules:
        sys.modules[path] = module


def _resolve(base: Any, path: str) -> Any:
    for part in path.split("."):
        base = getattr(base, part, None)
    return base


def _names() -> None:
    """Single names that Keras 3 has moved or dropped."""
    import keras.src.legacy.preprocessing.image as old_image

    for space in (keras, _TF):
        layers, models, utils = space.layers, space.models, space.utils
        layers.Model = layers.Model if hasattr(layers, "Model") else space.Model
        for name in ("Input", "InputSpec", "Layer"):
            setattr(models, name, getattr(layers, name, None))
        layers.Sequential = models.Sequential
        for name in legacy.GONE_LAYERS:
            if not hasattr(layers, name):
                setattr(layers, name, _gone(name))
        layers.Merge = layers.Add
        for module in (models, utils, layers):
            module.to_categorical = space.utils.to_categorical
        utils.plot_model = utils.model_to_dot = standins.Inert("plot_model")
        utils.print_summary = lambda model, *a, **k: model.summary()
        utils.np_utils = utils
        utils.multi_gpu_model = lambda model, *a, **k: model
        space.initializers.normal = space.initializers.RandomNormal
        space.initializers.uniform = space.initializers.RandomUniform
        for name in dir(old_image):
            if not name.startswith("_") and not hasattr(space.preprocessing.image, name):
                setattr(space.preprocessing.image, name, getattr(old_image, name))
    old_image.Iterator.next = lambda self: self[0]


def _gone(name: str) -> type:
    """A layer that passes its input on; it is described as unsupported."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        shape = {"input_shape": kwargs["input_shape"]} if "input_shape" in kwargs else {}
        keras.layers.Layer.__init__(self, **shape)

    body = {"__init__": init, "call": lambda self, x: x, "__module__": __name__}
    return type(name, (keras.layers.Layer,), body)


def _models() -> None:
    """Keras 1's `Model(input=, output=)`."""
    from keras.src.models.functional import Functional

    renames = {"input": "inputs", "output": "outputs"}
    new, init = keras.Model.__new__, Functional.__init__

    def modern(kwargs: dict[str, Any]) -> dict[str, Any]:
        return {renames.get(k, k): v for k, v in kwargs.items()}

    keras.Model.__new__ = staticmethod(lambda cls, *args, **kwargs: new(cls, *args, **modern(kwargs)))
    Functional.__init__ = lambda self, *args, **kwargs: init(self, *args, **modern(kwargs))


def _tensorflow_1() -> None:
    """The few names of TensorFlow 1 that such notebooks set up with, made harmless."""
    tf.set_random_seed = tf.random.set_seed
    for name in (
        "Session",
        "InteractiveSession",
        "ConfigProto",
        "GPUOptions",
        "get_default_graph",
        "reset_default_graph",
        "global_variables_initializer",
        "logging",
    ):
        if not hasattr(tf, name):
            setattr(tf, name, standins.Inert(f"tf.{name}"))


def _environment(note: Note) -> None:
    """Paths of other machines and questions to a person do not stop a description."""
    import builtins
    import getpass

    chdir = os.chdir

    def change(path: Any) -> None:
        try:
            chdir(path)
        except OSError:
            note(f"os.chdir({path!r}) skipped: no such folder here")

    os.chdir = change
    getpass.getpass = lambda *a, **k: ""
    answers = iter([""] * 20)
    builtins.input = lambda *a, **k: next(answers)  # a loop that waits for an answer must end
    os.system = lambda command: 0


def serve_data(names: tuple[str, ...], data: Any, note: Note) -> None:
    """`keras.datasets.<name>.load_data()` gives the graded data set; no other is at hand."""
    for space in (keras.datasets, _TF.datasets):
        for name in dir(space):
            module = getattr(space, name)
            if hasattr(module, "load_data"):
                module.load_data = data.load_data if name in names else _refuse_data(name)

    def get_file(*args: Any, **kwargs: Any) -> str:
        note("keras.utils.get_file skipped: there is no network here")
        raise OSError("grader downloads nothing")

    keras.utils.get_file = _TF.utils.get_file = get_file


def _refuse_data(name: str) -> Callable[..., Any]:
    def load_data(*args: Any, **kwargs: Any) -> Any:
        raise OSError(f"the data set {name!r} is not part of this assignment")

    return load_data
