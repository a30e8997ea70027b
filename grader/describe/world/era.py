"""Finds the Keras that a submission was written for, from its text: imports first, then other evidence.

Keras 1 and standalone Keras up to 2.3 read `Conv2D(16, 3, 3)` as a 3x3 kernel and had other optimizer
defaults; `tf.keras` and Keras 3 read the third argument as strides.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from grader.records import Cell

Era = Literal["keras2", "keras3"]

_ONLY_OLD = re.compile(
    r"np_utils|nb_epoch|nb_filter|border_mode|subsample=|dim_ordering|fit_generator|samples_per_epoch"
    r"|%tensorflow_version 1|keras\.layers\.(?:core|convolutional|normalization|merge)\b"
)
_ONLY_NEW = re.compile(
    r"keras\.ops|keras\.random|keras_core|KERAS_BACKEND|keras\.saving|from keras import .*\bops\b"
    r"|\.keras[\"']|\bPyDataset\b|utils\.set_random_seed|\bAdamW\(|optimizers\.schedules|jit_compile"
    r"|BackupAndRestore|mixed_precision|\b(?:Rescaling|Random(?:Flip|Rotation|Translation|Zoom|Contrast))\("
)
# A network may use TensorFlow's Keras while only its data come from standalone Keras.
_NO_NETWORK = ("keras.datasets", "keras.utils", "keras.preprocessing")
_NEW_OUTPUT = re.compile(r"[┏┃┡]|Total params: [\d,]+ \(")


@dataclass(frozen=True)
class Finding:
    """The era, and the reason for it in words."""

    era: Era
    reason: str


def find(cells: Iterable[Cell], python: str | None) -> Finding:
    """Decide on the era; ``python`` is the version that the notebook's metadata name, if any."""
    code = [cell for cell in cells if cell.kind == "code"]
    source = "\n".join(cell.source for cell in code)
    modules = set(_imported(code))
    standalone = any(_is_standalone(m) and not m.startswith(_NO_NETWORK) for m in modules)
    if not any(m.startswith("tensorflow.") and "keras" in m for m in modules):
        standalone = any(map(_is_standalone, modules))
    if not standalone:
        return Finding("keras3", "it imports Keras from TensorFlow")
    if _ONLY_OLD.search(source):
        return Finding("keras2", "it imports standalone Keras and uses names of Keras 1 and 2")
    if match := _ONLY_NEW.search(source):
        return Finding("keras3", f"it uses {match[0]!r}, which Keras 3 brought")
    if any(_NEW_OUTPUT.search(cell.output) for cell in code):
        return Finding("keras3", "its saved summary has the form of a newer Keras")
    if python and _version(python) >= (3, 8):
        return Finding("keras3", f"it was run with Python {python}, too new for Keras 2.3")
    return Finding("keras2", "it imports standalone Keras")


def _is_standalone(module: str) -> bool:
    return module == "keras" or module.startswith("keras.")


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def _imported(cells: Iterable[Cell]) -> Iterator[str]:
    for cell in cells:
        try:
            tree = ast.parse(_without_magics(cell.source))
        except (SyntaxError, ValueError):
            yield from re.findall(r"^\s*(?:from|import)\s+([\w.]+)", cell.source, re.MULTILINE)
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module


def _without_magics(source: str) -> str:
    return "\n".join("" if re.match(r"\s*[%!?]", line) else line for line in source.split("\n"))
