"""Inert stand-ins for libraries that draw, display, download or are simply not installed.

A network does not depend on a plot, so a missing plotting library must not sink a submission. Every stand-in
accepts any operation and does nothing; each missing library is reported once as a note.
"""

from __future__ import annotations

import dis
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, ClassVar

# Replaced even where installed: these draw, display or use the network, and no model needs them.
ALWAYS = {
    "matplotlib", "pylab", "seaborn", "plotly", "bokeh", "altair", "pydot", "pydotplus", "graphviz",
    "ann_visualizer", "google.colab", "IPython.display", "tqdm", "wandb", "tensorboard",
    "tensorboardcolab", "livelossplot", "pydrive", "oauth2client", "googleapiclient", "kaggle",
    "requests", "gdown", "torchvision", "keras.wrappers", "tensorflow.keras.wrappers",
}  # fmt: skip

_SHOWING = ("plot", "progress", "tqdm", "log", "board", "live", "display", "neptune", "mlflow", "comet")


class Inert:
    """Accepts any attribute, call, item, operator and `with`; unpacks into as many values as are wanted.

    An attribute or item that a submission sets, as on `wandb.config`, can be read back.
    """

    def __init__(self, name: str = "stand-in") -> None:
        object.__setattr__(self, "_inert_name", name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        made = Inert(f"{self._inert_name}.{name}")
        object.__setattr__(self, name, made)
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return another stand-in; the argument of tqdm, and wandb's settings, pass through."""
        # tqdm(iterable) and decorators pass their argument through.
        if self._inert_name.startswith("tqdm") and args:
            return range(*args) if self._inert_name.endswith("trange") else args[0]
        if self._inert_name == "wandb.init" and isinstance(kwargs.get("config"), dict):
            sys.modules["wandb"].config.update(kwargs["config"])
            return sys.modules["wandb"]
        if self._inert_name.endswith("config.update") and args and isinstance(args[0], dict):
            vars(sys.modules["wandb"].config).update(args[0])
        return Inert(f"{self._inert_name}()")

    def __getitem__(self, key: Any) -> Any:
        return getattr(self, key) if isinstance(key, str) else Inert(f"{self._inert_name}[…]")

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, str):
            setattr(self, key, value)

    def __iter__(self) -> Iterator[Any]:
        return iter([Inert(f"{self._inert_name}[…]") for _ in range(_wanted())])

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return False

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: Any) -> None:
        return None

    def __repr__(self) -> str:
        return f"<{self._inert_name}: not run by grader>"

    def __index__(self) -> int:
        return 0

    def __float__(self) -> float:
        return 0.0

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (object,)

    def _operate(self, *args: Any) -> Any:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _operate
    __truediv__ = __rtruediv__ = __pow__ = __neg__ = __mod__ = __matmul__ = _operate


def _wanted() -> int:
    """Return how many values the student's `a, b = …` unpacks into; 0 in any other iteration."""
    frame = sys._getframe(2)
    code = frame.f_code.co_code
    at = frame.f_lasti
    is_unpack = 0 <= at < len(code) - 1 and dis.opname[code[at]].startswith("UNPACK_SEQUENCE")
    return code[at + 1] if is_unpack else 0


class InertModule(ModuleType):
    """A module whose every name is inert."""

    __all__: ClassVar[list[str]] = []
    __path__: ClassVar[list[str]] = []  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        made = Inert(f"{self.__name__}.{name}")
        setattr(self, name, made)
        return made


def shows_only(value: Inert) -> bool:
    """Whether the stand-in replaces something that only draws, prints or logs."""
    name = value._inert_name
    return _under(name, ALWAYS) or any(word in name.lower() for word in _SHOWING)


class _Loader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Make an inert module in place of the library."""
        return InertModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: an inert module has no code."""
        pass


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, wants: Callable[[str], bool], found: Callable[[str], None]) -> None:
        self._wants, self._found = wants, found

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """Return the spec of an inert module if the name is wanted; else None, for the next finder."""
        if not self._wants(name):
            return None
        self._found(name)
        return importlib.machinery.ModuleSpec(name, _Loader(), is_package=True)


def _under(name: str, roots: set[str]) -> bool:
    return any(name == root or name.startswith(root + ".") for root in roots)


def install(note: Callable[[str], None]) -> None:
    """Stand in for `ALWAYS` before all finders, and for modules that no finder has after them."""
    missing: set[str] = set()

    def is_missing(name: str) -> bool:
        root = name.split(".")[0]
        # A submodule that an installed package lacks is a real ImportError of the student's.
        if root in missing:
            return True
        return "." not in name and root not in sys.stdlib_module_names and not _internal()

    def found_missing(name: str) -> None:
        if "." not in name:
            missing.add(name)
            note(f"the library {name!r} is not installed here; an inert stand-in took its place")

    sys.meta_path.insert(0, _Finder(lambda name: _under(name, ALWAYS), lambda name: None))
    sys.meta_path.append(_Finder(is_missing, found_missing))
    for name in list(sys.modules):
        if _under(name, ALWAYS):
            del sys.modules[name]


def _internal() -> bool:
    """Whether a library, not the submission, is importing: its optional imports must stay missing."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith("<frozen importlib") and name != __file__:
            return not (name.startswith("<cell") or "site-packages" not in name)
        frame = frame.f_back  # type: ignore[assignment]
    return False
