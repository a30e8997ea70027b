"""Why a cell fails: by what a library was given, not by the words of an exception."""

from __future__ import annotations

from typing import Any

import pytest

from grader.describe.world import cells
from grader.describe.world.standins import Inert

START = "import keras, numpy as np, tensorflow as tf\nfrom keras import layers\nx = keras.Input((4,))\n"
EVIL = "class Evil({base}):\n    __class__ = property(lambda self: 1 / 0)\n{raised}"

CAUSES: dict[str, tuple[str, str | None]] = {
    "a layer of a library that is not here": ("keras.Sequential([lib.Layer(3)])", "stand_in"),
    "its number, whose name no message has": ("layers.Conv2D(lib.FILTERS, 3)", "stand_in"),
    "its optimizer": ("keras.Sequential([x, layers.Dense(1)]).compile(lib.Adam(), 'mse')", "stand_in"),
    "a function of TensorFlow's": ("tf.nn.relu(x)", "older_keras"),
    "a function of NumPy's": ("np.log(x)", "older_keras"),
    "a method of TensorFlow's": ("x.get_shape()", "older_keras"),
    "a condition": ("if x > 1: pass", "older_keras"),
    "more memory than there is": ("np.zeros((10**7, 10**7))", "memory"),
    "a call that no Keras allows": ("x(3)", None),
    "a wrong shape": ("layers.Conv2D(3, 3)(x)", None),
    "a plot, and beside it a mistake": ("def plot(h):\n    f = lib.figure()\n    h['acc']\nplot({})", None),
    "a class called MemoryError": ("class MemoryError(Exception): pass\nraise MemoryError('x')", None),
    "what a stand-in is shown as": ("raise ValueError('<lib.Layer(): not run by grader>')", None),
    "an object whose class cannot be asked for": (EVIL.format(base="", raised="layers.Dense(Evil())"), None),
    "an exception whose class cannot": (EVIL.format(base="Exception", raised="raise Evil('x')"), None),
    "an exception that hides where it comes from": (
        "class Hides(AttributeError):\n    obj = __cause__ = __context__ = property(lambda self: 1 / 0)\n"
        "    __traceback__ = __bool__ = obj\nraise Hides('x')",
        None,
    ),
    "an object that poses as a stand-in": (
        "class Pose:\n    __class__ = property(lambda self: type(lib))\nlayers.Dense(Pose())",
        None,
    ),
    "what a symbolic tensor is called": ("raise ValueError('KerasTensor')", None),
}


@pytest.mark.parametrize("name", CAUSES)
def test_why_a_cell_failed(name: str) -> None:
    """What the student's own code raises is the student's, whatever it says."""
    source, cause = CAUSES[name]
    namespace: dict[str, Any] = {"lib": Inert("lib")}
    cells.run_source(START, namespace, "<cell 1>")
    failure = cells._run_cell(2, source, namespace)
    assert failure is not None
    assert failure.cause == cause, failure.error
