"""grader: describe, check and retrain the networks that students hand in."""

__version__ = "0.1.0"
