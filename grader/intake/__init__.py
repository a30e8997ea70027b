"""From the path of a submission, or of a class, to programs: what was handed in, read but not run."""
