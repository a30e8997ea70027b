"""Arrays from files: what a header claims is held against what lies behind it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from grader.data import datasets
from grader.errors import InstructorError
from grader.records import DatasetSpec
from grader.safe import npy


def _saved(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def _with_header(header: str, body: bytes = b"") -> bytes:
    text = header.encode("latin-1")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def _array(descr: str = "'|u1'", shape: str = "(3,)", order: str = "False", body: bytes = b"abc") -> bytes:
    return _with_header(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}", body)


@given(
    hnp.arrays(
        hnp.integer_dtypes(endianness="<") | hnp.floating_dtypes(endianness=">"), hnp.array_shapes(max_dims=4)
    )
)
def test_an_array_comes_back(array: Any) -> None:
    """Both orders of bytes, in both orders of axes."""
    for given_array in (array, np.asfortranarray(array)):
        found = npy.read(_saved(given_array))
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_the_hand_made_header_is_valid() -> None:
    """Else the tests below would refuse it for another reason."""
    np.testing.assert_array_equal(npy.read(_array()), np.frombuffer(b"abc", np.uint8))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "header"),
        (b"PK\x03\x04", "header"),
        (_saved(np.zeros(3))[:40], "header"),
        (_saved(np.zeros(3))[:-1], "bytes do not make"),
        (_saved(np.zeros(3)) + b"x", "bytes do not make"),
        (_saved(np.array([{"a": 1}], dtype=object), allow_pickle=True), "it holds object"),
        (_array("'|V3'", "(1,)"), r"it holds \|V3"),
        (_array("'<U1'"), "it holds <U1"),
        (_array("'<c16'"), "it holds complex128"),
        (_array("[('a', '|u1')]"), "it holds"),
        (_array(shape="(10**9, 10**9)"), "header"),
        (_array(shape="(1000000000, 1000000000, 1000000000)"), "bytes do not make"),
        (_array(shape="(-3,)"), "shape is"),
        (_array(shape="(-1, -3)"), "shape is"),
        (_array(shape=f"({'1, ' * 40})"), "shape is"),
        (_array(shape="(3.0,)"), "header"),
        (_array(shape="'abc'"), "header"),
        (_array(descr="__import__('os').system('true')"), "header"),
        (_with_header("{'descr': '|u1', " * 300), "header"),
        (_with_header("(" * 3_000), "header"),
        (b"\x93NUMPY\x09\x00" + b"\0" * 100, "header"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"\0" * 100, "header"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_is_no_plain_array_is_refused(data: bytes, message: str) -> None:
    """Before anything is allocated, and with the reason."""
    with pytest.raises(ValueError, match=message):
        npy.read(data)


@given(st.binary(max_size=300))
def test_nonsense_is_a_value_error(data: bytes) -> None:
    """Behind a real magic number as well."""
    for raw in (data, b"\x93NUMPY\x01\x00" + data):
        try:
            assert isinstance(npy.read(raw), np.ndarray)
        except ValueError:
            pass


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([{"a": 1}] * 3, dtype=object), "it holds object"),
        (np.zeros(3, "V4"), "it holds"),
        (np.array([0.0, 1.0, np.nan]), "class numbers"),
        (np.array([0, 1, -1]), "class numbers"),
        (np.zeros(4, int), "class numbers"),
    ],
)
def test_a_data_set_of_something_else_is_the_instructors_error(
    labels: Any, message: str, tmp_path: Path
) -> None:
    """Read without unpickling, and with the reason."""
    images = np.zeros((3, 4, 4), np.uint8)
    file = tmp_path / "own.npz"
    np.savez(file, x_train=images, y_train=labels, x_test=images, y_test=np.arange(3))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(InstructorError, match=message):
        datasets.load(DatasetSpec(name="own", path=str(file), sha256=digest))


def test_the_sizes_of_our_own_data_set_are_those_of_its_arrays() -> None:
    """They are known beforehand, so that nothing is unpacked for them; another file's are looked at."""
    ours = datasets.load(datasets.MNIST)
    other = datasets.Dataset(datasets.MNIST.model_copy(update={"sha256": ""}), ours.raw)
    assert ours.sizes == other.sizes
