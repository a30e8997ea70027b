"""Where attempts are made: one file for each runner, listed in one dict.

Every runner leaves describing on this machine, in its box; only training jobs go elsewhere, and a training
job holds no code of a student's.
"""

from __future__ import annotations

from collections.abc import Callable

from grader.runners.interface import Runner, Settings

__all__ = ["RUNNERS", "Runner", "Settings"]


def _local(settings: Settings) -> Runner:
    from grader.runners.local import Local

    return Local(settings)


def _ray(settings: Settings) -> Runner:
    from grader.runners.ray import OnRay

    return OnRay(settings)


RUNNERS: dict[str, Callable[[Settings], Runner]] = {"local": _local, "ray": _ray}
