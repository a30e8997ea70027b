"""Makes code written for any Keras run on Keras 3, as far as describing a network needs that.

Old import paths, layer arguments, optimizer arguments and defaults, backend functions and model methods. Only
names and arguments are translated here, by the tables of `tables` and `legacy`; `grader.describe.keras`
decides what `fit` does instead of training. Imported in the describing child only.
"""

from __future__ import annotations

from grader.describe.world.compat import arrays, environment, layers, names, training
from grader.describe.world.compat.environment import Note, serve_data
from grader.describe.world.compat.layers import Positional
from grader.describe.world.era import Era

__all__ = ["Positional", "install", "serve_data"]


def install(era: Era, positional: Positional, note: Note) -> None:
    """Patch Keras and TensorFlow in this process. Call once, before any student code."""
    if era == "keras2":
        layers.count_names_from_one()
    layers.layers()
    layers.positional(era, positional)
    training.optimizers(era)
    training.activations()
    names.models()
    training.callbacks()
    training.regularizers()
    names.backend()
    names.modules()
    names.names()
    names.tensorflow_1()
    arrays.install()
    environment.install(note)
