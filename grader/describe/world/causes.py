"""Why a cell may have failed by no fault of its author's: facts about the exception, never its words.

Objects and exceptions of a submission are asked by `type` and by the methods of `BaseException` itself: their
own `__class__`, `__cause__` and the like may lie, raise, or run on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import keras
import tensorflow as tf

from grader.describe.world.standins import Inert
from grader.records import Cause

_SYMBOLIC = keras.KerasTensor
_SYMBOLIC_FILE = _SYMBOLIC.__init__.__code__.co_filename
_TENSORFLOW = os.path.join(os.path.dirname(tf.__file__), "")
_LIBRARIES = tuple({os.path.join(Path(file).parents[1], "") for file in (keras.__file__, tf.__file__)})
_OURS = os.path.join(Path(__file__).parents[2], "")
_LACKING = vars(AttributeError)["obj"]
_TRACE, _CAUSE, _CONTEXT = (vars(BaseException)[f"__{name}__"] for name in ("traceback", "cause", "context"))
_MEMORY = (MemoryError, tf.errors.ResourceExhaustedError)


def of(error: BaseException) -> Cause | None:
    """The cause, by what the library that raised was given; None where the cell's own code is at fault.

    Keras 2 let TensorFlow's functions take a network's symbolic tensors; Keras 3 does not.
    """
    if is_a(error, _MEMORY):
        return "memory"
    frames = list(_library_frames(error))
    given = [value for frame in frames for value in _held(frame)]
    if any(is_a(value, Inert) for value in given):
        return "stand_in"
    lacking = _LACKING.__get__(error) if is_a(error, AttributeError) else None
    if is_a(lacking, _SYMBOLIC) or any(map(_refuses_symbolic, frames)):
        return "older_keras"
    return None


def is_a(value: object, kinds: type | tuple[type, ...]) -> bool:
    """Whether a value is of one of these kinds, whatever it says of its class."""
    return issubclass(type(value), kinds)


def trace_of(error: BaseException) -> TracebackType | None:
    """Return the traceback of an exception, whatever its own class makes of that attribute."""
    trace: TracebackType | None = _TRACE.__get__(error)
    return trace


def _library_frames(error: BaseException) -> Iterator[FrameType]:
    """The frames of libraries through which an exception, or one that it came of, has passed."""
    seen: set[int] = set()
    chained: BaseException | None = error
    while chained is not None and id(chained) not in seen:
        seen.add(id(chained))
        trace = trace_of(chained)
        while trace is not None:
            name = trace.tb_frame.f_code.co_filename
            if name.startswith(_LIBRARIES) and not name.startswith(_OURS):
                yield trace.tb_frame
            trace = trace.tb_next
        cause = _CAUSE.__get__(chained)
        chained = cause if cause is not None else _CONTEXT.__get__(chained)


def _held(frame: FrameType) -> Iterator[Any]:
    """What a function's variables hold, and what lists, tuples and dicts among them do."""
    for value in list(frame.f_locals.values()):
        yield value
        if type(value) in (list, tuple):
            yield from value[:50]
        elif type(value) is dict:
            yield from list(value.values())[:50]


def _refuses_symbolic(frame: FrameType) -> bool:
    """Whether this is a symbolic tensor's own refusal, or TensorFlow that was handed one."""
    if frame.f_code.co_filename == _SYMBOLIC_FILE:
        return True
    in_tensorflow = frame.f_code.co_filename.startswith(_TENSORFLOW)
    return in_tensorflow and any(is_a(value, _SYMBOLIC) for value in _held(frame))
