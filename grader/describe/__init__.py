"""The untrusted child: runs a submission and answers with a description of its models.

It runs students' code, so nothing it says is believed: its answer is one JSON document that the
parent validates as `grader.records.Description`. It never sees test labels. Nobody imports it.
"""

import sys


def without_threads() -> None:
    """Keep out what starts a thread when it is imported; for children, before anything else.

    Keras imports pandas, and pandas pyarrow where it is installed. A process with threads cannot be forked
    (`grader.describe.server`); a cold start does without it as well, so that both read alike.
    """
    sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]
