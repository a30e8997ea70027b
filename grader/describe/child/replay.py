"""The replaying child: ``python -m grader.describe.child.replay [USER]``, one `ReplayJob` on standard input.

The child runs a submission's cells as `grader.describe.child.serve` does, but trains: with Keras's own `fit`,
or with any loop that the submission wrote. After each epoch of the model in question the child predicts the
test images and sends the classes; it never has the test labels. All answers are the word of untrusted code.
"""

from __future__ import annotations

import base64
import io
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from grader import records as r
from grader.describe.child import confine
from grader.describe.child.serve import lay_out
from grader.describe.child.threads import without_threads

Answer = Callable[[Any], None]


def main() -> None:
    """Confine this process, if it is started with a user, and do the job."""
    user = int(sys.argv[1]) if len(sys.argv) > 1 else None
    if user is not None:
        confine.enter(user)
    serve()


def serve() -> NoReturn:
    """Do the job on standard input."""
    without_threads()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = r.ReplayJob.model_validate_json(sys.stdin.buffer.read())
    confine.limit(job.seconds)
    lay_out(job)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)

    def answer(event: Any) -> None:
        answers.write(r.ReplayAnswer(event=event).model_dump_json() + "\n")
        answers.flush()

    _replay(job, answer)
    os._exit(0)


def _replay(job: r.ReplayJob, answer: Answer) -> None:
    from grader.describe import program
    from grader.describe.keras.replayer import Refused, Replayer
    from grader.describe.world import seeding
    from grader.describe.world.compat.training import decaying

    seeding.begin(job.seed)
    session = program.Session(job)
    replayer = Replayer(session, job.model, answer, encoded)
    session.recorder = replayer
    replayer.install()
    decaying()
    answer(r.ReplayReady())
    try:
        session.run()
        replayer.last_part()
        failed = session.failures[0].error if session.failures and not replayer.handed_in else ""
        answer(r.ReplayEnd(refused=f"the code failed: {failed}" if failed else ""))
    except Refused as refusal:
        answer(r.ReplayEnd(refused=str(refusal)))


def encoded(classes: Any) -> str:
    """Encode class numbers (n,) as a base64 .npy of int32."""
    import numpy as np

    file = io.BytesIO()
    np.save(file, classes.astype(np.int32), allow_pickle=False)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    main()
