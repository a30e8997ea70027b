"""Where attempts are made: one file for each engine, listed in one dict.

Describing stays on this machine in its box whatever the engine; what goes elsewhere are training jobs,
which hold no code of a student's.
"""

from __future__ import annotations

from collections.abc import Callable

from grader.runners.interface import Engine, Settings

__all__ = ["ENGINES", "Engine", "Settings"]


def _local(settings: Settings) -> Engine:
    from grader.runners.local import Local

    return Local(settings)


def _ray(settings: Settings) -> Engine:
    from grader.runners.ray import OnRay

    return OnRay(settings)


ENGINES: dict[str, Callable[[Settings], Engine]] = {"local": _local, "ray": _ray}
