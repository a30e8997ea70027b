"""Whose mistake an error is: what objects of a submission raise stays theirs."""

from __future__ import annotations

import gc
import weakref

import pytest

from grader.errors import StudentsCode, text_of


class Loud(Exception):
    """An exception class of a student's that fails when it is asked what it says."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Words(str):
    """A text of a student's that fails when it is put into another."""

    def __format__(self, how: str) -> str:
        raise RuntimeError("no format")


class Sly(Exception):
    def __str__(self) -> str:
        return Words("sly")


def answer(raised: BaseException | None) -> str:
    with StudentsCode() as call:
        if raised is not None:
            raise raised
        return "answered"
    return f"failed: {call.said}"


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (None, "answered"),
        (ValueError("no"), "failed: no"),
        (Loud(), "failed: "),
        (Sly(), "failed: sly"),
        (RecursionError("too deep"), "failed: too deep"),
    ],
)
def test_what_a_students_object_raises_ends_the_block(raised: BaseException | None, expected: str) -> None:
    """Whatever it is, and whatever it says of itself."""
    assert answer(raised) == expected


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_what_is_no_exception_goes_on(raised: BaseException) -> None:
    """^C, and the end of a cell, are not the object's to raise."""
    with pytest.raises(type(raised)):
        answer(raised)


def test_nothing_of_the_call_is_kept_alive() -> None:
    """The error is kept without the frames in which it was raised, and what they hold."""

    class Images:
        pass

    def fails(images: Images) -> None:
        raise ValueError("no")

    images = Images()
    gone = weakref.ref(images)
    gc.disable()
    try:
        with StudentsCode() as call:
            fails(images)
        del images
        assert gone() is None
        assert call.said == "no"
    finally:
        gc.enable()


def test_the_text_of_an_error() -> None:
    """A plain one, also where the exception's own class gives another."""
    assert type(text_of(Sly())) is str
    assert text_of(Loud()) == ""
