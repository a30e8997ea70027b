"""Reads claims from saved outputs and compares them with what was recomputed and reproduced.

A number printed in a notebook is a claim. A contradiction is shown and costs no points by itself.
"""

from grader.claims.compare import SPREAD, check
from grader.claims.flags import flags
from grader.claims.read import read

__all__ = ["SPREAD", "check", "flags", "read"]
