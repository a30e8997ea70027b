"""Read the untrusted child's answer, or raise the error that says why there is none and by whose fault."""

from __future__ import annotations

from grader.box.isolation.interface import BOX_FILES, BOX_MEMORY, BOX_PROCESSES
from grader.box.sandbox import Ended
from grader.errors import BrokenError, GraderError
from grader.records import MAX_ANSWER, DescribeAnswer, Description, because
from grader.safe import strict_json

LINE_BYTES = MAX_ANSWER


def read_answer(line: bytes, ended: Ended, seconds: float) -> Description:
    """Return the description in ``line``, the last answer of a child that ``ended`` within ``seconds``.

    Where the child was stopped after that answer, ``incomplete`` of the description says why. Raises
    `StudentError`, `Unsupported` or `BrokenError`.
    """
    try:
        answer = strict_json.parse(line, DescribeAnswer, LINE_BYTES) if line else None
    except ValueError as error:
        if ended.stopped == "flood":
            raise _silent(ended, seconds) from None
        raise because("invalid_answer", detail=error).error() from None
    if answer is None:
        raise _never_began(ended, seconds)
    if answer.description is not None:
        incomplete = _cut_short(ended, seconds) or answer.description.incomplete
        return answer.description.model_copy(update={"incomplete": incomplete})
    if answer.problem is None:
        raise _silent(ended, seconds)
    raise answer.problem.error()


def _cut_short(ended: Ended, seconds: float) -> str:
    """Return why a child was stopped after its last answer; empty if it ended with status 0."""
    match ended.stopped:
        case "time":
            return f"the submission ran longer than {seconds:.0f} s and was stopped after its last fit"
        case "flood":
            return "the description grew too large and was cut"
        case "memory" | "processes" | "files":
            return f"the submission took too {_MUCH[ended.stopped]} and was stopped after its last fit"
        case "machine":
            return "the machine ran out of memory, and the submission was stopped after its last fit"
    if ended.returncode != 0:
        return f"the submission ended its own process ({_how(ended)}) after its last fit"
    return ""


_MUCH = {
    "memory": f"much memory (limit: {BOX_MEMORY >> 30} GB)",
    "processes": f"many processes (limit: {BOX_PROCESSES})",
    "files": f"many files (limit: {BOX_FILES:,})",
}


def _silent(ended: Ended, seconds: float) -> GraderError:
    """Return the error for a child that reported ready and answered no more.

    The submission's code caused that, unless the machine ran out of memory.
    """
    match ended.stopped:
        case "time":
            return because("endless", f"{seconds:.0f}").error()
        case "flood":
            return because("flood").error()
        case "memory" | "processes" | "files":
            return because("too_much", _MUCH[ended.stopped]).error()
        case "machine":
            return BrokenError(
                "the machine ran out of memory while the submission was described",
                "Grade it again with less running beside it, or by itself.",
            )
    return because("ended_itself", _how(ended)).error()


def _never_began(ended: Ended, seconds: float) -> BrokenError:
    """Return the error for a child that did not even report ready: no code of the student's has run."""
    how = f"was not ready after {seconds:.0f} s" if ended.stopped == "time" else f"ended by {_how(ended)}"
    return BrokenError(
        f"the process that describes submissions {how}:\n{ended.log[-3_000:].strip()}",
        "This is no fault of the submission. `grader doctor` tests this machine.",
    )


def _how(ended: Ended) -> str:
    """Return ``signal N`` or ``status N``; a shell, and so a box, reports signal N as status 128 + N."""
    signal = -ended.returncode if ended.returncode < 0 else ended.returncode - 128
    return f"signal {signal}" if 0 < signal < 65 else f"status {ended.returncode}"
