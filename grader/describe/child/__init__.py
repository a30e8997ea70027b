"""The describing process: its walls, its fork server, and the jobs that it does."""
