"""The tables of a store, one step for each version; a store of an older version is brought up step by step.

A step, once released, is never changed: what is to be different becomes the next step.
"""

from __future__ import annotations

STEPS = (
    """
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);

    -- One row for each student that was ever found or on the roster; present: in the latest discovery.
    CREATE TABLE student (
        id TEXT PRIMARY KEY,
        record TEXT NOT NULL,
        handed_in TEXT,
        present INTEGER NOT NULL DEFAULT 1
    );
    CREATE TABLE left_out (number INTEGER PRIMARY KEY, record TEXT NOT NULL);
    CREATE TABLE note (number INTEGER PRIMARY KEY, text TEXT NOT NULL);
    CREATE TABLE resemblance (number INTEGER PRIMARY KEY, record TEXT NOT NULL);

    -- Every time that a class was graded.
    CREATE TABLE batch (
        number INTEGER PRIMARY KEY,
        began TEXT NOT NULL,
        ended TEXT,
        how TEXT NOT NULL DEFAULT 'killed',
        settings TEXT NOT NULL
    );

    -- What was worked out, under digests of all that it depends on, and by which batch.
    CREATE TABLE description (
        key TEXT PRIMARY KEY,
        answer BLOB NOT NULL,
        batch INTEGER NOT NULL REFERENCES batch (number)
    );
    CREATE TABLE attempt (
        key TEXT PRIMARY KEY,
        record TEXT NOT NULL,
        seed INTEGER NOT NULL,
        batch INTEGER NOT NULL REFERENCES batch (number)
    );

    -- Grades as the grader gave them; a person's verdicts are laid over them when they are read.
    CREATE TABLE grade (
        student TEXT PRIMARY KEY REFERENCES student (id) ON DELETE CASCADE,
        submission_digest TEXT NOT NULL,
        rubric_digest TEXT NOT NULL,
        record TEXT NOT NULL
    );
    CREATE TABLE by_hand (
        student TEXT NOT NULL REFERENCES student (id),
        criterion TEXT NOT NULL,
        points REAL NOT NULL CHECK (points >= 0),
        reason TEXT NOT NULL CHECK (reason <> ''),
        made TEXT NOT NULL,
        PRIMARY KEY (student, criterion)
    );
    """,
)
