"""The training child: ``python -m grader.train``, one `TrainJob` on standard input.

Events go out as lines of JSON (`grader.records.TrainEvent`): the environment first, then batches
and epochs, and at last how the run ended. With ``--environment`` it reads no job, and writes the
environment of an ordinary one alone.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from grader import records as r
from grader.data import datasets
from grader.train import engines, symmetric


def main() -> None:
    """Read a job from standard input, train it, and write its events to standard output."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # TensorFlow's prints are no events

    def emit(event: r.TrainEvent) -> None:
        events.write(event.model_dump_json() + "\n")
        events.flush()

    if sys.argv[1:] == ["--environment"]:
        emit(engines.usual())
        return
    job = r.TrainJob.model_validate_json(sys.stdin.buffer.read())
    data = datasets.load(job.dataset)
    arrays: dict[str, Any] = {
        "x_train": data.x_train,
        "y_train": data.y_train,
        "x_test": data.x_test,
        "y_test": data.y_test,
    }
    emit(engines.run(*symmetric.applied(job, arrays), emit))


if __name__ == "__main__":
    main()
