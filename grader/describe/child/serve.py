"""The describing child: ``python -m grader.describe.child.serve [USER]``, one job on standard input.

With a USER (a number) the child gives up all privileges before it reads the job
(`grader.describe.child.confine`). The job is a JSON object (`grader.records.DescribeJob`). Each answer
(`DescribeAnswer`) is one line of JSON on the original standard output, which the submission itself cannot
print to. The first answer is empty and says that the child is ready; one answer follows each recorded fit, so
that nothing that happens later loses the results so far; the last complete line counts.
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from grader import records as r
from grader.describe.child import confine
from grader.describe.child.threads import without_threads
from grader.describe.networks import compiled, configuration, graph, saved
from grader.errors import GraderError, StudentError, Unsupported


def main(of_code: bool = False) -> None:
    """Confine this process, if it is started with a user, and do the job."""
    user = int(sys.argv[1]) if len(sys.argv) > 1 else None
    if user is not None:
        confine.enter(user)
    serve(of_code)


def serve(of_code: bool = False) -> NoReturn:
    """Do the job on standard input, in the place that the caller has prepared.

    A job ``of_code`` will need TensorFlow, which is imported while the parent still prepares the data set.
    """
    without_threads()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # prints of the submission, and of TensorFlow, go with the errors
    if of_code:
        from grader.describe import program  # noqa: F401
    job = r.DescribeJob.model_validate_json(sys.stdin.buffer.read())
    confine.limit(job.seconds)
    lay_out(job)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)

    def answer(result: r.DescribeAnswer) -> None:
        line = result.model_dump_json() + "\n"
        if (size := len(line.encode())) > r.MAX_ANSWER:
            line = _too_large(size).model_dump_json() + "\n"
        answers.write(line)
        answers.flush()

    try:
        _describe(job, answer)
    except GraderError as error:
        kind = "unsupported" if isinstance(error, Unsupported) else "student"
        answer(r.DescribeAnswer(problem=r.Problem(kind=kind, message=error.message, hint=error.hint)))
    except Exception:  # a fault of ours, or of a student who made it look like one: for a person
        problem = r.Problem(kind="broken", message=traceback.format_exc()[-3_000:])
        answer(r.DescribeAnswer(problem=problem))
    os._exit(0)  # threads that the submission has left running do not keep this process alive


def _too_large(size: int) -> r.DescribeAnswer:
    """Return the answer for a limit of grader's, which is no mistake of a student's."""
    message = f"the description of this submission has {size:,} bytes; at most {r.MAX_ANSWER:,} are read"
    hint = "A person should look at the submission."
    return r.DescribeAnswer(problem=r.Problem(kind="unsupported", message=message, hint=hint))


def _describe(job: r.DescribeJob, answer: Callable[[r.DescribeAnswer], None]) -> None:
    if job.program.model_file is not None:
        answer(r.DescribeAnswer())
        answer(r.DescribeAnswer(description=_saved_model(Path(job.program.model_file), job)))
        return
    from grader.describe import program  # costs the import of TensorFlow

    answer(r.DescribeAnswer())
    program.describe(job, lambda d: answer(r.DescribeAnswer(description=d)))


def lay_out(job: r.DescribeJob) -> None:
    """Copy the submission's files to the working folder, and link the data set there under its own name."""
    for folder, _, names in os.walk(job.files):
        here = os.path.relpath(folder, job.files)
        os.makedirs(here, exist_ok=True)
        for name in names:
            shutil.copyfile(os.path.join(folder, name), os.path.join(here, name))
    if job.data and not os.path.exists(name := os.path.basename(job.data)):
        os.symlink(job.data, name)


def _saved_model(path: Path, job: r.DescribeJob) -> r.Description:
    hint = "Save the model again with model.save('model.keras')."
    try:
        config = saved.read_config(path)
        recipe, note = compiled.recipe(saved.read_compiled(path, config))
        network = graph.describe(configuration.of_config(config, job.image_shape), job.image_shape)
    except GraderError:
        raise
    except graph.OwnModel as error:
        raise Unsupported(f"{path.name}: {error}", "A person should look at the code.") from None
    except graph.TooLarge as error:
        raise Unsupported(f"{path.name}: {error}", "A person should look at the submission.") from None
    except Exception as error:  # a file that is not what it seems may raise anything
        raise StudentError(f"{path.name}: {type(error).__name__}: {error}"[:500], hint) from None
    name = config.get("config", {}).get("name") if isinstance(config.get("config"), dict) else None
    model = r.DescribedModel(name=str(name or path.stem)[:200], network=network, compiled=recipe)
    return r.Description(models=(model,), notes=(r.Note(message=note),))


if __name__ == "__main__":
    main()
