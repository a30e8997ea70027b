"""Print docs/compatibility.md from the tables that the describing child applies.

    python scripts/compatibility.py > docs/compatibility.md

`make compatibility` does so; a test fails when the file is out of date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from grader.describe.keras import arguments
from grader.describe.world import legacy, standins, tables
from grader.layers import old_names
from grader.layers.kinds import CLASSES

Rows = Iterable[tuple[str, str]]

HEAD = """# Old names, and what grader reads them as

Printed by `make compatibility` from `grader/layers/`, and from `tables.py`, `legacy.py` and `standins.py` in
`grader/describe/world/`: do not edit it here. Submissions run on Keras 3 with these names put back; saved
models are read with the same tables. Paths are relative to `keras` and to `tensorflow.keras` (and
`tensorflow.python.keras`) alike.

A submission is read as *old Keras* (standalone Keras 1 and 2) or as *newer* (tf.keras, Keras 3) by its
imports, its names and its saved outputs; the report says which, and why. Marked † is what holds for old
Keras only.
"""


def main() -> None:
    print(document(), end="")


def document() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_modules(), *_layers(), *_training(), *_rest()])


def _table(title: str, said: str, head: tuple[str, str], rows: Rows) -> list[str]:
    lines = [f"| {a} | {b} |" for a, b in rows]
    text = [said, ""] if said else []
    return [f"## {title}", "", *text, f"| {head[0]} | {head[1]} |", "|---|---|", *lines, ""]


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _renames(renames: Mapping[str, str]) -> Rows:
    return ((f"`{old}`", f"`{new}`") for old, new in renames.items())


def _modules() -> list[str]:
    rows = ((_code(olds), f"`{new}`") for new, olds in tables.MODULES.items())
    return [
        *_table("Modules", "Every old module imports the one that has its names now.", ("old", "now"), rows),
        *_table("Single names", "", ("old", "now"), _renames(tables.NAMES)),
    ]


def _layers() -> list[str]:
    renamed = [(f"`{layer}`", _arrows(names)) for layer, names in old_names.ARGUMENTS.items()]
    joined = [
        (f"`{layer}`", f"{_code(olds)} → `{new}`")
        for layer, kind in CLASSES.items()
        for new, olds in kind.joined.items()
    ]
    defaults = [
        f"`{layer}({name}={value})`"
        for layer, kind in CLASSES.items()
        for name, value in kind.old_defaults.items()
    ]
    dropped = [(f"`{layer}`", _code(sorted(names))) for layer, names in old_names.DROPPED.items()]
    dropped.append(("every layer", _code(sorted(old_names.DROPPED_BY_ALL))))
    counted = _code(layer for layer, kind in CLASSES.items() if kind.three_numbers)
    values = [(f"`{name}`", _arrows(found)) for name, found in old_names.VALUES.items()]
    values.append(("an initializer", _arrows(old_names.INITIALIZERS)))
    return [
        *_table("Layer classes", "", ("old", "now"), _renames(old_names.CLASS_NAMES)),
        *_table(
            "Layer arguments",
            f"Defaults that Keras 3 does not have: {', '.join(defaults)}.",
            ("layer", "old → now"), [*renamed, *joined],
        ),
        *_table("Values", "", ("argument", "old → now"), values),
        *_table("Arguments without a meaning left", "They are dropped.", ("layer", "arguments"), dropped),
        "## Three positional numbers", "",
        f"In {counted}: `Conv2D(16, 3, 3)` is a 3×3 kernel in old Keras and a stride of 3 in newer ones.",
        "Where the saved summary contradicts the first reading, the other one is tried.", "",
        "## Layers that are gone", "",
        f"{_code(old_names.GONE)}: the code runs on, the layer is described as unsupported.", "",
    ]  # fmt: skip


def _training() -> list[str]:
    order = ((f"`{name}`", _code(names)) for name, names in legacy.OPTIMIZER_ORDER.items())
    defaults = (
        (f"`{name}`", ", ".join(f"`{k}={v:g}`" for k, v in found.items()))
        for name, found in legacy.OPTIMIZER_DEFAULTS.items()
    )
    epsilon = _code(sorted(legacy.EPSILON_OUTSIDE_ROOT))
    callbacks = [(f"`{k}`", _arrows(v)) for k, v in tables.CALLBACK_ARGUMENTS.items() if v]
    callbacks.append(("`ModelCheckpoint`", "any file name and any old argument: nothing is written"))
    return [
        *_table(
            "Optimizers",
            f"{_arrows(tables.OPTIMIZER_ARGUMENTS)} in all of them, and `decay` lowers the rate step by step "
            "as it did. All have a name in small letters, too (`keras.optimizers.sgd`). Old defaults†:",
            ("optimizer", "defaults"), defaults,
        ),
        f"An `epsilon` left out or `None` is 1e-7†; in {epsilon} it stood outside the root, so its",
        "square is taken†.",
        "`clipnorm` clips the norm of all gradients together†.", "",
        *_table("Positional arguments of optimizers†", "", ("optimizer", "in this order"), order),
        *_table(
            "Training",
            "All methods of old models are there: `fit_generator`, `evaluate_generator`, `predict_classes`, "
            "`predict_proba`, `predict_generator` and so on. `fit` records instead of training.",
            ("argument of fit", "now"), _renames(arguments.OLD_NAMES),
        ),
        *_table(
            "Callbacks", "Monitors `acc` and `val_acc` are `accuracy` and `val_accuracy`.",
            ("callback", "old → now"), callbacks,
        ),
        *_table("Models", "", ("argument of Model", "now"), _renames(tables.MODEL_ARGUMENTS)),
    ]  # fmt: skip


def _rest() -> list[str]:
    backend = ((f"`{name}`", text) for name, text in tables.BACKEND.items())
    environment = ((name, text) for name, text in tables.ENVIRONMENT.items())
    return [
        *_table(
            "Backend",
            "`keras.backend` has Keras 3's own legacy functions, and:", ("function", "what it does"), backend,
        ),
        "## TensorFlow", "",
        f"Inert, where the installed one lacks them: {_code('tf.' + name for name in tables.TENSORFLOW_1)}.",
        "",
        "Keras's, by TensorFlow 1's arguments and defaults: "
        f"{_code('tf.train.' + name for name in tables.TENSORFLOW_1_OPTIMIZERS)}.",
        "`tf.set_random_seed` is `tf.random.set_seed`. As activations of layers, these are Keras's own:",
        f"{_code('tf.nn.' + name for name in tables.ACTIVATIONS)}.", "",
        "## Stand-ins", "",
        f"Inert even where installed, for they draw, display or reach out: {_code(sorted(standins.ALWAYS))},",
        f"{_code(tables.INERT)}. So is any library that is not installed, with a note.", "",
        *_table("The machine", "", ("asked for", "what happens"), environment),
    ]  # fmt: skip


def _arrows(renames: Mapping[str, str]) -> str:
    return ", ".join(f"`{old}` → {f'`{new}`' if new else 'nothing'}" for old, new in renames.items())


if __name__ == "__main__":
    main()
