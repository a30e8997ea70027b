"""Limits of the describing child, set by itself before it touches a submission.

They are hard limits of the kernel: code that runs afterwards cannot raise them.
"""

from __future__ import annotations

import resource

ADDRESS_SPACE = 8 << 30
FILE_SIZE = 200 << 20
OPEN_FILES = 1024


def apply(seconds: int) -> None:
    """``seconds`` of processor time on each of a few cores; no core dumps."""
    for kind, value in (
        (resource.RLIMIT_AS, ADDRESS_SPACE),
        (resource.RLIMIT_FSIZE, FILE_SIZE),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CPU, seconds * 4),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (limit, limit))
