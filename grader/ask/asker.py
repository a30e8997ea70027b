"""Ask the untrusted child for a description, and use only what was validated.

The child gets copies of the files that came with the submission, and the data set with permuted test
labels. Its answer is parsed strictly and of limited size.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grader.ask.answer import LINE_BYTES, read_answer
from grader.box.isolation import Isolation, Places, Task, self_test
from grader.box.isolation.bubblewrap import Bubblewrap
from grader.box.isolation.interface import (
    BOX_FILES,
    BOX_MEMORY,
    BOX_PROCESSES,
    HOME,
    MACHINE_RESERVE,
    readable,
)
from grader.box.isolation.server import ForkServer, ServerGone
from grader.box.sandbox import Child, Ended, Limits, run
from grader.data.datasets import Dataset, write_blinded
from grader.intake.load import Loaded
from grader.records import DescribeJob, Description, Reading, ReplayJob, because

ANSWER_BYTES = 64_000_000  # of all answers of one child; the last one counts
MODEL_SECONDS = 60.0  # for a saved model: nothing of it is run, but HDF5 can loop over a damaged file


@dataclass(frozen=True)
class ReplayWish:
    """Limits of one attempt of a replay in seconds and bytes, its seed, and the number of its model."""

    seconds: float
    answer_bytes: int
    seed: int
    model: int
    reading: Reading | None = None


class Asker:
    """Asks children in one kind of box; holds the blinded data set that they all read."""

    def __init__(self, dataset: Dataset, isolation: Isolation, shared: Path) -> None:
        """``shared`` is a new folder below which this may write."""
        self.dataset, self.isolation = dataset, isolation
        self._data = shared / "data"
        self._data.mkdir()
        self._lock = threading.Lock()  # several threads may ask at a time
        self._serving = threading.Lock()
        self._server: ForkServer | None = None
        self._tried = False
        self.many = False  # whether the first task starts a fork server

    def serve(self) -> str:
        """Start a fork server, for a class or a replay.

        Returns the reason why every child starts cold, where no server is to be had; empty otherwise.
        """
        self._tried = True
        if not isinstance(self.isolation, Bubblewrap):
            return "it needs bubblewrap"
        try:
            server = ForkServer(self.isolation, self._blinded())
        except OSError as error:
            return str(error)
        if reason := self_test(server):
            server.close()
            return reason
        self._server = server
        return ""

    def close(self) -> None:
        """End the fork server, if one was started; may be called again."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _start(self, task: Task, many: bool = False) -> Child:
        """Start ``task`` in the fork server if one runs, otherwise in a new box; answers are the same.

        Where ``many`` tasks are expected, a server is started first.
        """
        with self._serving:
            if (many or self.many) and not self._tried:
                self.serve()
            server = self._server
        if server is not None:
            try:
                return server.start(task)
            except ServerGone:
                self.close()
        return self.isolation.start(task)

    def ask(self, loaded: Loaded, seconds: float, reading: Reading | None = None) -> Description:
        """Describe a submission in a new child. Raises `StudentError`, `Unsupported` or `BrokenError`."""
        if loaded.program.model_file is not None:
            seconds = min(seconds, MODEL_SECONDS)
        with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
            task = self._task(loaded, Path(scratch))
            job = self._job(loaded, self.isolation.places(task), seconds, reading)
            answers: list[bytes] = []

            def keep_last(line: bytes) -> None:
                answers[:] = [line]

            child = self._start(task)
            if task.data is not None:
                self._prepare(child)
            ended = run(child, job.model_dump_json().encode(), self._limits(seconds), keep_last)
        if ended.stopped == "time" and loaded.program.model_file is not None:
            raise because("file_endless", loaded.program.name, f"{seconds:.0f}").error()
        return read_answer(answers[0] if answers else b"", ended, seconds)

    def replay(
        self,
        loaded: Loaded,
        data: Path,
        job: ReplayWish,
        on_line: Callable[[bytes], None],
        started: Callable[[Child], None],
    ) -> Ended:
        """Run a submission's own training in a child that sees the npz ``data``.

        ``on_line`` gets each `ReplayAnswer` as a line of JSON; ``started`` gets the child, for whoever wants
        to end it early. Of the files beside the submission the child sees texts alone, and no weights.
        """
        with tempfile.TemporaryDirectory(prefix="grader-") as scratch:
            inputs, home = _laid_out(loaded, Path(scratch), _is_text)
            readable(data.parent)
            task = Task("grader.describe.child.replay", inputs, data.parent, home)
            places = self.isolation.places(task)
            asked = self._job(loaded, places, job.seconds, job.reading, data.name)
            full = ReplayJob(**dict(asked), seed=job.seed, model=job.model)
            child = self._start(task, many=True)  # an attempt is rarely the only one
            started(child)
            limits = self._limits(job.seconds, job.answer_bytes)
            return run(child, full.model_dump_json().encode(), limits, on_line)

    def _limits(self, seconds: float, answer_bytes: int = ANSWER_BYTES) -> Limits:
        return Limits(
            seconds,
            answer_bytes=answer_bytes,
            line_bytes=LINE_BYTES,
            memory=BOX_MEMORY,
            processes=BOX_PROCESSES,
            files=BOX_FILES if self.isolation.closed else None,
            home=HOME,
            reserve=MACHINE_RESERVE,
        )

    def _task(self, loaded: Loaded, scratch: Path) -> Task:
        inputs, home = _laid_out(loaded, scratch, lambda file: True)
        model = loaded.program.model_file
        if model is not None:
            _copy_model(Path(model), inputs)
            readable(inputs)
            return Task("grader.describe.child.serve", inputs, None, home)
        return Task("grader.describe.child.of_code", inputs, self._data, home)

    def _prepare(self, child: Child) -> None:
        """Write the data set, if nothing has, while the child imports TensorFlow and waits for its job."""
        try:
            self._blinded()
        except BaseException:
            child.kill()
            raise

    def _blinded(self) -> Path:
        """Return the folder with the data set that children see, written when it is first needed."""
        file = self._data / Path(self.dataset.spec.path).name
        with self._lock:
            if not file.exists():
                unfinished = self._data.with_name(file.name)  # a full disk must not leave half of it
                write_blinded(self.dataset, unfinished)
                unfinished.rename(file)
                readable(self._data)
        return self._data

    def _job(
        self, loaded: Loaded, places: Places, seconds: float, reading: Reading | None, data: str = ""
    ) -> DescribeJob:
        """Return the job, with every path as the child sees it; ``data`` names another data file than usual.

        The child does not see the submission's name, which is no part of its digest.
        """
        program, spec = loaded.program, self.dataset.spec
        model = f"{places.inputs}/{_inside(Path(program.model_file))}" if program.model_file else None
        return DescribeJob(
            program=program.model_copy(update={"name": "submission", "model_file": model, "path": ""}),
            files=f"{places.inputs}/files",
            data=f"{places.data}/{data or Path(spec.path).name}" if places.data else "",
            dataset=spec.served_as,
            image_shape=self.dataset.image_shape,
            seconds=int(seconds),
            reading=reading,
        )


# --- what the child may read --------------------------------------------------------------------


def _laid_out(loaded: Loaded, scratch: Path, wanted: Callable[[Path], bool]) -> tuple[Path, Path]:
    """Make folders for a child's inputs, with the ``wanted`` files beside the submission, and its home."""
    inputs, home = scratch / "input", scratch / "home"
    home.mkdir()
    inputs.mkdir()
    _copy(loaded.beside, inputs / "files", wanted)
    readable(inputs)
    return inputs, home


def _is_text(file: Path) -> bool:
    """Whether a file holds no more than text: a zero byte is in every file of weights."""
    with file.open("rb") as opened:
        return not any(b"\0" in chunk for chunk in iter(lambda: opened.read(1_000_000), b""))


def _copy(beside: Path | None, folder: Path, wanted: Callable[[Path], bool]) -> None:
    """Copy the ``wanted`` files of a submission's private copy (`grader.intake.parcel`) to ``folder``."""
    folder.mkdir(parents=True)
    for file in sorted(beside.rglob("*")) if beside else ():
        if file.is_file() and wanted(file):
            target = folder / file.relative_to(beside or file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def _inside(model: Path) -> str:
    """Return the path of a model among the inputs: its own name, in a folder beside that of the files."""
    return f"model/{model.name}"


def _copy_model(model: Path, inputs: Path) -> None:
    if model.is_dir():
        _copy(model, inputs / "model" / model.name, lambda file: True)
    else:
        (inputs / "model").mkdir()
        shutil.copyfile(model, inputs / _inside(model))
