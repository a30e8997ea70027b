"""Have a child process do one thing, and check its answer: describe, train, replay, fingerprint."""
