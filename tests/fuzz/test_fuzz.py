"""A few seconds of fuzzing for every reader of untrusted input; `run.py` does it for hours.

The seed is fixed, so that a failure can be repeated; the inputs in `seeds.hard` are tried as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import records as r
from grader.safe import strict_json

RUN = Path(__file__).with_name("run.py")
EXECUTIONS, SECONDS = 3_000, 4  # whichever is reached first
TARGETS = (
    "notebook", "script", "markdown", "zip", "claims", "keras", "hdf5", "architecture", "yaml", "savedmodel",
    "description", "rubric",
)  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_reader_keeps_its_promise(target: str, tmp_path: Path) -> None:
    """No exception but the documented ones, no hang, bounded memory."""
    pytest.importorskip("atheris", reason="atheris has wheels for Linux on x86-64 only")
    command = [
        sys.executable, str(RUN), target, f"--runs={EXECUTIONS}", f"--seconds={SECONDS}", "--seed=1",
        f"--crashes={tmp_path}",
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    first = ended.stderr.find("FINDING")
    said = ended.stderr[-3_000:] if first < 0 else ended.stderr[first : first + 3_000]
    assert ended.returncode == 0, f"{ended.stdout}\n{said}"


# --- strict.parse -------------------------------------------------------------------------------

_TEXT = st.text(max_size=50)
_NOTES = st.builds(r.Note, message=_TEXT, cell=st.none() | st.integers(-(2**70), 2**70))
_FAILURES = st.builds(
    r.CellFailure, cell=st.integers(), line=st.none() | st.integers(), error=_TEXT, excerpt=_TEXT
)
_RECIPES = st.builds(
    r.TrainingRecipe,
    optimizer=st.builds(r.SGD, momentum=st.floats(0, 1)) | st.builds(r.Adam, epsilon=st.floats(0, 1e30)),
    epochs=st.integers(1, 100),
    learning_rates=st.lists(st.floats(0, 1e30), min_size=1, max_size=5).map(tuple),
    scaling=st.builds(r.InputScaling, scale=st.floats(-1e6, 1e6), offset=st.floats(-1e6, 1e6)),
)
_NETWORK = r.ModelDescription(
    inputs=("input",), layers=(r.InputLayer(name="input", shape=(28, 28, 1)),), outputs=("input",)
)
_MODELS = st.builds(
    r.DescribedModel,
    name=st.text(min_size=1, max_size=50),
    network=st.just(_NETWORK),
    training=st.lists(_RECIPES, max_size=2).map(tuple),
)
_DESCRIPTIONS = st.builds(
    r.Description,
    models=st.lists(_MODELS, max_size=2).map(tuple),
    notes=st.lists(_NOTES, max_size=3).map(tuple),
    failures=st.lists(_FAILURES, max_size=3).map(tuple),
)
_ANSWERS = st.builds(r.DescribeAnswer, description=st.none() | _DESCRIPTIONS)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(_ANSWERS)
def test_what_a_child_says_arrives(answer: r.DescribeAnswer) -> None:
    """Every record comes back from its own JSON as it was, to the last bit."""
    assert strict_json.parse(answer.model_dump_json().encode(), r.DescribeAnswer, 10**6) == answer


@given(_ANSWERS)
def test_size_is_limited_first(answer: r.DescribeAnswer) -> None:
    """One byte less than it takes is too little."""
    line = answer.model_dump_json().encode()
    with pytest.raises(ValueError, match="bytes are more than"):
        strict_json.parse(line, r.DescribeAnswer, len(line) - 1)


@given(_TEXT, _JSON, _JSON, st.lists(st.none() | _TEXT, max_size=30))
def test_duplicate_key_is_refused_at_any_depth(key: str, one: Any, two: Any, path: list[str | None]) -> None:
    """However deep it lies in lists (None) and objects, and whatever its two values are."""
    text = f"{{{json.dumps(key)}: {json.dumps(one)}, {json.dumps(key)}: {json.dumps(two)}}}"
    for step in path:
        text = f"[{text}, 1]" if step is None else f"{{{json.dumps(step)}: {text}}}"
    with pytest.raises(ValueError, match="is there twice"):
        strict_json.parse(text.encode(), r.DescribeAnswer, 10**6)


@given(st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_a_value_error(data: bytes) -> None:
    """Bytes and documents that are no answer raise nothing but `ValueError`."""
    try:
        answer = strict_json.parse(data, r.DescribeAnswer, 10**6)
    except ValueError:
        return
    assert isinstance(answer, r.DescribeAnswer)
