"""Keeps out libraries that start a thread when they are imported."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from typing import Any

_WITH_THREADS = "pyarrow"


class _Finder:
    """Finds what is installed, but for a library that starts a thread when it is imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.partition(".")[0] == _WITH_THREADS else PathFinder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:  # `importlib.metadata` asks it for distributions
        return getattr(PathFinder, name)


def without_threads() -> None:
    """Keep out what starts a thread when it is imported; for children, before anything else.

    Keras imports pandas, and pandas pyarrow where it is installed. A process with threads cannot be forked
    (`grader.describe.child.server`); a cold start does without it as well, so that both read alike.
    """
    sys.meta_path[:] = [_Finder() if finder is PathFinder else finder for finder in sys.meta_path]
