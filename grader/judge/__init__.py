"""From records to verdicts, by pure functions: rubric, checks, points, obstacles and notes."""
