"""The describing child: ``python -m grader.describe``, one job on standard input.

The job is a JSON object (see `grader.records.DescribeJob`). The answer, `grader.records.Description`
as one line of JSON, goes to what was standard output at the start, which the submission itself
cannot print to. A new line is written after each recorded fit, so that whatever
happens later does not lose what is known; the last complete line counts.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from grader import records as r
from grader.describe import graph, limits, saved
from grader.errors import GraderError, StudentError, Unsupported


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # prints of the submission, and of TensorFlow, go with the errors
    job = r.DescribeJob.model_validate_json(sys.stdin.buffer.read())
    limits.apply(job.seconds)
    _lay_out(job)
    sys.stdin = open(os.devnull)  # noqa: SIM115 - it stays open as long as the process

    def answer(result: r.DescribeAnswer) -> None:
        answers.write(result.model_dump_json() + "\n")
        answers.flush()

    try:
        if job.program.model_file is not None:
            answer(r.DescribeAnswer(description=_saved_model(Path(job.program.model_file), job)))
        else:
            from grader.describe import program  # costs the import of TensorFlow

            program.describe(job, lambda d: answer(r.DescribeAnswer(description=d)))
    except GraderError as error:
        answer(
            r.DescribeAnswer(
                problem=r.Problem(
                    kind="unsupported" if isinstance(error, Unsupported) else "student",
                    message=error.message,
                    hint=error.hint,
                )
            )
        )
    os._exit(0)  # threads that the submission has left running do not keep this process alive


def _lay_out(job: r.DescribeJob) -> None:
    """The submission's files in the working folder, and the data set under its own name."""
    shutil.copytree(job.files, ".", dirs_exist_ok=True)
    if job.data and not os.path.exists(name := os.path.basename(job.data)):
        os.symlink(job.data, name)


def _saved_model(path: Path, job: r.DescribeJob) -> r.Description:
    hint = "Save the model again with model.save('model.keras')."
    try:
        config = saved.read_config(path)
        network = graph.describe(graph.of_config(config, job.image_shape), job.image_shape)
    except GraderError:
        raise
    except graph.OwnModel as error:
        raise Unsupported(f"{path.name}: {error}", "A person should look at the code.") from None
    except Exception as error:  # a file that is not what it seems may raise anything in here
        raise StudentError(f"{path.name}: {type(error).__name__}: {error}"[:500], hint) from None
    name = config.get("config", {}).get("name") if isinstance(config.get("config"), dict) else None
    model = r.DescribedModel(name=str(name or path.stem)[:200], network=network)
    return r.Description(
        models=(model,),
        notes=(r.Note(message="a saved model is retrained with the rubric's recipe"),),
    )


if __name__ == "__main__":
    main()
