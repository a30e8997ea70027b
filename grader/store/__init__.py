"""A graded class on disk."""
