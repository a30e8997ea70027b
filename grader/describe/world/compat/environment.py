"""Replaces the machine that a submission was written on: its folders, its questions, its data sets."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import keras

_TF = keras._tf_keras.keras  # the module behind `tensorflow.keras`

Note = Callable[[str], None]


def install(note: Note) -> None:
    """Let paths of other machines and questions to a person not stop a description."""
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
    builtins.input = lambda *a, **k: next(answers)  # so that a loop which asks for an answer ends
    os.system = lambda command: 0


def serve_data(names: tuple[str, ...], data: Any, note: Note) -> None:
    """Let `keras.datasets.<name>.load_data()` return the graded data set; all others raise `OSError`."""
    for space in (keras.datasets, _TF.datasets):
        for name in dir(space):
            module = getattr(space, name)
            if hasattr(module, "load_data"):
                module.load_data = data.load_data if name in names else _refuse_data(name)

    def get_file(fname: Any = None, origin: Any = None, *args: Any, **kwargs: Any) -> str:
        for name in (os.path.basename(str(x)) for x in (fname, origin)):
            if os.path.exists(name):  # the data set itself, which `lay_out` has linked here
                return os.path.abspath(name)
        note("keras.utils.get_file skipped: there is no network here")
        raise OSError("grader downloads nothing")

    keras.utils.get_file = _TF.utils.get_file = get_file


def _refuse_data(name: str) -> Callable[..., Any]:
    def load_data(*args: Any, **kwargs: Any) -> Any:
        raise OSError(f"the data set {name!r} is not part of this assignment")

    return load_data
