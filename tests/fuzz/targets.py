"""What grader promises of every reader of untrusted input, one function per reader.

Each takes the bytes of a file and swallows the errors that its reader documents, and no others. Whatever
else comes out is a finding; so are a hang and memory without bound. Needs neither atheris nor TensorFlow.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from grader import claims
from grader import records as r
from grader.ask.answer import LINE_BYTES
from grader.ask.description import _checked
from grader.describe.child import confine
from grader.describe.child.serve import _saved_model as read_model
from grader.describe.networks import saved
from grader.errors import GraderError, InstructorError, StudentError, Unsupported
from grader.intake import load as loading
from grader.intake import readers
from grader.judge import rubric
from grader.judge.checks import explanation
from grader.judge.checks.interface import Subject
from grader.layers import shapes
from grader.safe import strict_json

IMAGE_SHAPE, CLASSES = (28, 28, 1), 10

# The fuzzer ends without cleaning up: whoever starts it names a folder and removes it.
_SCRATCH = Path(tempfile.mkdtemp(prefix="grader-fuzz-", dir=os.environ.get("GRADER_FUZZ_SCRATCH")))

_NETWORK = r.ModelDescription(
    inputs=("input",), layers=(r.InputLayer(name="input", shape=IMAGE_SHAPE),), outputs=("input",)
)
_SUBJECT = Subject(_NETWORK, shapes.analyse(_NETWORK), (), False, (), r.TrainingPolicy())
_FIT = r.TrainingRecipe(
    optimizer=r.SGD(), epochs=20, learning_rates=(0.01,), cell=1,
    validated_on=r.DataUse(split="test", images=10_000, whole_split=True),
)  # fmt: skip
_DESCRIPTION = r.Description(
    models=(r.DescribedModel(name="model", network=_NETWORK, training=(_FIT,), fit_order=1, cell=1),)
)


def _file(data: bytes, name: str) -> Path:
    file = _SCRATCH / name
    file.write_bytes(data)
    return file


# --- submissions as text ------------------------------------------------------------------------


def notebook(data: bytes) -> None:
    """A notebook of any nbformat."""
    _submission(_file(data, "submission.ipynb"))


def script(data: bytes) -> None:
    """A Python file."""
    _submission(_file(data, "submission.py"))


def markdown(data: bytes) -> None:
    """A write-up with fenced code."""
    _submission(_file(data, "submission.md"))


def zipped(data: bytes) -> None:
    """A zip with any submission in it, a saved model too."""
    _submission(_file(data, "submission.zip"))


def _remove(folder: Path) -> None:
    """Also what lies too deep for `shutil`."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:
        pass
    if folder.exists():
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def _submission(path: Path) -> None:
    """Load it, and read what the parent reads of its text by itself."""
    folder = _SCRATCH / "scratch"
    try:
        try:
            program = loading.load(path, folder).program
        except (StudentError, Unsupported) as error:
            _problem(error)
            return
        _loaded(program)
    finally:
        _remove(folder)


def _loaded(program: r.Program) -> None:
    if r.Program.model_validate_json(program.model_dump_json()) != program:
        raise AssertionError("the program changes on its way to the child")
    if program.model_file is not None:
        _model(Path(program.model_file))
        return
    claims.read(program)
    subject = Subject(**{**vars(_SUBJECT), "cells": program.cells})
    explanation.check(
        explanation.Explanation(id="words", kind="explanation", points=1, min_words=10), subject
    )


def outputs(data: bytes) -> None:
    """The saved output of a cell, and prose, that claim something."""
    text = data.decode("utf-8", "replace")
    cells = (
        r.Cell(kind="code", source="pass", output=readers._clean(text)),
        r.Cell(kind="markdown", source=text),
    )
    program = r.Program(name="x", path="x", digest="x", cells=cells)
    claims.read(program)
    claims.check(program, _DESCRIPTION, _DESCRIPTION.models[0], _SUBJECT.analysis, ())
    list(claims.flags(program, _DESCRIPTION.models[0]))


# --- saved models -------------------------------------------------------------------------------


def keras(data: bytes) -> None:
    """A `.keras` file, as the describing child reads it."""
    _model(_file(data, "model.keras"))


def hdf5(data: bytes) -> None:
    """An HDF5 file; not one on which libhdf5 itself loops or crashes, for that ends a child of grader's."""
    file = _file(data, "model.h5")
    if _survives(file):
        _model(file)


def _survives(file: Path) -> bool:
    """Whether a process can read it at all, within the limits that a describing child has."""
    if (child := os.fork()) == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
        resource.setrlimit(resource.RLIMIT_AS, (confine.ADDRESS_SPACE, confine.ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            saved.read_config(file)
        except BaseException:  # what it raises is tried again, where it counts
            pass
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def architecture(data: bytes) -> None:
    """The JSON of a network."""
    _model(_file(data, "model.json"))


def yaml(data: bytes) -> None:
    """The same as old Keras wrote it in YAML."""
    _model(_file(data, "model.yaml"))


def savedmodel(data: bytes) -> None:
    """The protocol buffer of a SavedModel folder."""
    folder = _SCRATCH / "savedmodel"
    folder.mkdir(exist_ok=True)
    (folder / "saved_model.pb").write_bytes(data)
    _model(folder)


def _model(path: Path) -> None:
    """From the child's own boundary to the parent, which believes what the child has said and no more."""
    program = r.Program(name=path.name, path="", digest="x", model_file=str(path))
    job = r.DescribeJob(
        program=program, files="files", data="", dataset=("mnist",), image_shape=IMAGE_SHAPE, seconds=60
    )
    try:
        description = read_model(path, job)
    except GraderError as error:
        _problem(error)
        return
    _returns(r.DescribeAnswer(description=description))
    _analyse(description)


def _problem(error: GraderError) -> None:
    """An error travels as a record too."""
    _returns(r.DescribeAnswer(problem=r.Problem.of(error)))


def _returns(answer: r.DescribeAnswer) -> None:
    """What an honest child says arrives as it was, unless it is too long."""
    line = answer.model_dump_json().encode()
    if len(line) <= LINE_BYTES and strict_json.parse(line, r.DescribeAnswer, LINE_BYTES) != answer:
        raise AssertionError("the answer changes on its way to the parent")


def _analyse(description: r.Description) -> None:
    for model in description.models:
        try:
            analysis = shapes.analyse(model.network)
        except StudentError:
            continue
        for layer in analysis.layers:
            _ = layer.parameters, layer.multiplications, layer.activations
            _ = layer.field and layer.field.rounded()
        _ = analysis.total, analysis.non_trainable
    try:
        _checked(description, _TEXT, CLASSES)
    except (StudentError, Unsupported):
        pass


_TEXT = r.Program(name="x", path="x", digest="x", cells=(r.Cell(kind="code", source="model.fit(x)"),))


# --- records ------------------------------------------------------------------------------------


def description(data: bytes) -> None:
    """The answer of a child that a submission has taken over."""
    try:
        answer = strict_json.parse(data, r.DescribeAnswer, LINE_BYTES)
    except ValueError:
        return
    _returns(answer)
    if answer.description is not None:
        _analyse(answer.description)


def toml(data: bytes) -> None:
    """A rubric."""
    try:
        loaded = rubric.load(str(_file(data, "rubric.toml")))
    except InstructorError:
        return
    _ = loaded.dataset, loaded.rubric.max_points
    loaded.rubric.default_recipe.recipe(loaded.rubric.training.epochs)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "notebook": notebook,
    "script": script,
    "markdown": markdown,
    "zip": zipped,
    "claims": outputs,
    "keras": keras,
    "hdf5": hdf5,
    "architecture": architecture,
    "yaml": yaml,
    "savedmodel": savedmodel,
    "description": description,
    "rubric": toml,
}
