"""Old names and their present ones, as data: `compat` applies them, docs/compatibility.md shows them.

Arguments, values and defaults of layers and optimizers are in `legacy`. Nothing here imports Keras. Paths are
relative to `keras`, and to `tensorflow.keras`, where the same holds.
"""

from __future__ import annotations

# Where names live now -> the modules in which they lived.
MODULES = {
    "layers": ["layers.core", "layers.convolutional", "layers.pooling", "layers.normalization",
               "layers.merge", "layers.advanced_activations", "layers.noise", "layers.local",
               "layers.embeddings", "layers.recurrent", "layers.wrappers", "engine", "engine.topology",
               "engine.base_layer", "engine.input_layer", "legacy.layers", "layers.experimental",
               "layers.experimental.preprocessing"],
    "models": ["engine.training", "engine.network", "engine.sequential"],
    "utils": ["utils.np_utils", "utils.generic_utils", "utils.vis_utils", "utils.layer_utils",
              "utils.data_utils", "utils.training_utils", "utils.all_utils"],
    "callbacks": ["callbacks.callbacks"],
    "losses": ["objectives"],
    "optimizers": ["optimizers.legacy", "optimizers.experimental"],
    "preprocessing.image": ["preprocessing.image.image"],
}  # fmt: skip

# Modules under their own names, which `import` must find under `tensorflow.keras` as well.
PATHS = (
    "layers", "models", "utils", "callbacks", "losses", "optimizers", "datasets", "preprocessing",
    "preprocessing.image", "backend", "regularizers", "metrics", "initializers", "activations",
    "applications", "constraints", "datasets.mnist",
)  # fmt: skip

# Single names that were elsewhere.
NAMES = {
    "layers.Model": "Model",
    "layers.Sequential": "models.Sequential",
    "layers.Merge": "layers.Add",
    "layers.regularizers": "regularizers",
    "layers.to_categorical": "utils.to_categorical",
    "models.Input": "layers.Input",
    "models.InputSpec": "layers.InputSpec",
    "models.Layer": "layers.Layer",
    "models.to_categorical": "utils.to_categorical",
    "utils.np_utils": "utils",
    "constraints.maxnorm": "constraints.MaxNorm",
    "constraints.nonneg": "constraints.NonNeg",
    "constraints.unitnorm": "constraints.UnitNorm",
    "regularizers.activity_l1": "regularizers.L1",
    "regularizers.activity_l2": "regularizers.L2",
    "initializers.normal": "initializers.RandomNormal",
    "initializers.uniform": "initializers.RandomUniform",
}

# Functions that draw, and do nothing here.
INERT = ("utils.plot_model", "utils.model_to_dot")

IMAGE_ORDERINGS = {"th": "channels_first", "tf": "channels_last"}

# Replacements for functions of `keras.backend` that Keras 3 does not have; the rest of the old backend is
# Keras 3's own legacy module.
BACKEND = {
    "set_image_dim_ordering": "keras.config.set_image_data_format, with 'th' and 'tf'",
    "image_dim_ordering": "keras.config.image_data_format, as 'th' or 'tf'",
    "set_value": "variable.assign(value)",
    "get_value": "the value as an array",
    "learning_phase": "0",
    "set_learning_phase": "nothing",
    "get_session": "an inert stand-in",
    "set_session": "nothing",
    "manual_variable_initialization": "nothing",
    "clear_session": "also counts layer names from 1 again",
    "common": "keras.backend",
    "tensorflow_backend": "keras.backend",
}

MODEL_ARGUMENTS = {"input": "inputs", "output": "outputs"}
OPTIMIZER_ARGUMENTS = {"lr": "learning_rate"}
CALLBACK_ARGUMENTS: dict[str, dict[str, str]] = {
    "ReduceLROnPlateau": {"epsilon": "min_delta"},
    "EarlyStopping": {},
    "TensorBoard": dict.fromkeys(
        ("write_grads", "batch_size", "embeddings_layer_names", "embeddings_data"), ""
    ),
}

# Optimizers of TensorFlow 1's, `tf.train` and `tf.compat.v1.train`: Keras's class, arguments and defaults.
TENSORFLOW_1_OPTIMIZERS: dict[str, tuple[str, dict[str, str], dict[str, float]]] = {
    "AdamOptimizer": (
        "Adam", {"beta1": "beta_1", "beta2": "beta_2"}, {"learning_rate": 0.001, "epsilon": 1e-8},
    ),
    "GradientDescentOptimizer": ("SGD", {}, {}),
    "MomentumOptimizer": ("SGD", {"use_nesterov": "nesterov"}, {}),
    "RMSPropOptimizer": ("RMSprop", {"decay": "rho"}, {"rho": 0.9, "epsilon": 1e-10}),
    "AdagradOptimizer": ("Adagrad", {}, {"initial_accumulator_value": 0.1}),
}  # fmt: skip

# Functions of `tf.nn` that count as Keras's activations in a layer.
ACTIVATIONS = (
    "relu", "softmax", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "leaky_relu", "relu6",
    "silu",
)  # fmt: skip

# Names of TensorFlow 1 with which notebooks set up, made inert.
TENSORFLOW_1 = (
    "Session", "InteractiveSession", "ConfigProto", "GPUOptions", "get_default_graph",
    "reset_default_graph", "global_variables_initializer", "logging",
)  # fmt: skip

# A submission's questions to its machine, and the answers.
ENVIRONMENT = {
    "`os.chdir` to a folder that is not there": "skipped, with a note",
    "`getpass.getpass`, `input`": "an empty answer; `input` gives twenty and then ends",
    "`os.system`": "not run",
    "`keras.datasets.<name>.load_data`": "the graded data set under its names, its test labels permuted; "
    "no other is there",
    "`keras.utils.get_file`": "refused, with a note",
}
