"""The story of a grade: examine a submission, make its attempts, judge it; one at a time or a class."""
