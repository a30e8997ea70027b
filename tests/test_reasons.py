"""Reasons: every code of the table, what hostile words do in its sentences, and what is decided by it."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from pydantic import ValidationError

from grader import reasons
from grader import records as r
from grader.errors import BrokenError, GraderError, StudentError, Unsupported

CODES = get_args(reasons.Code)
HOSTILE = ["", "{what}", "{detail.__class__}", "{0}", "{", "}}", "%s", "\x00\ud800\u202e", "x" * 100_000]

# What reacts to measured results: a replay, whose test labels mean nothing, may go another way.
MISLED = {
    "own_callback", "callback", "callback_setting", "callback_failed", "callback_ends_epoch",
    "callback_absent", "plateau", "odd_validation", "measured_results", "earlier",
}  # fmt: skip
# What a description says of layers and fits, and the submission's own code cannot train in its place.
NOT_REPLAYED = {"gone_layer", "gone_argument", "pretrained"}
FITS_AND_LAYERS = CODES[: CODES.index("pretrained") + 1]


def test_the_table_has_every_code_once() -> None:
    assert list(r.MEANINGS) == list(dict.fromkeys(r.MEANINGS))
    assert sorted(r.MEANINGS) == sorted(set(CODES))
    assert len(CODES) == len(set(CODES))


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_sentence_a_hint_and_a_fault(code: r.Code) -> None:
    """A sentence without a full stop, for others are added to it; a hint with one."""
    meaning = r.MEANINGS[code]
    assert meaning.sentence
    assert not meaning.sentence.endswith(".")
    assert meaning.hint == "{what}" if code == "recipe" else meaning.hint.endswith((".", ".keras')."))
    assert meaning.fault in get_args(reasons.Fault)
    assert not meaning.misled or meaning.replayable


@pytest.mark.parametrize("code", CODES)
def test_hostile_words_are_shown_and_fill_in_nothing(code: r.Code) -> None:
    """Neither a template nor a format of its own, within the limits of the record, and readable again."""
    template = r.MEANINGS[code].sentence
    for text in HOSTILE:
        reason = r.because(code, text, text)
        assert len(reason.sentence) <= len(template) + reasons.MAX_WHAT + reasons.MAX_DETAIL
        assert "{detail}" not in template or r.writable(text)[:100] in reason.sentence
        assert r.Reason.model_validate_json(reason.model_dump_json()) == reason


def test_who_may_be_misled_and_who_is_not_replayed() -> None:
    assert {code for code, meaning in r.MEANINGS.items() if meaning.misled} == MISLED
    assert {code for code in FITS_AND_LAYERS if not r.MEANINGS[code].replayable} == NOT_REPLAYED


def test_a_sentence_that_somebody_wrote_is_not_read() -> None:
    """It follows from the code; an unknown code, and a field of another name, are refused."""
    written = json.loads(r.because("loss", "focal").model_dump_json())
    assert written["sentence"] == "grader has no record for the loss 'focal'"
    forged = json.dumps(written | {"sentence": "all is well"})
    assert r.Reason.model_validate_json(forged).sentence == written["sentence"]
    for wrong in ({"code": "all is well"}, {"code": "loss", "fault": "limit"}, {"what": "loss"}, 3):
        with pytest.raises(ValidationError):
            r.Reason.model_validate_json(json.dumps(wrong))


def test_what_an_earlier_grader_wrote_is_still_read() -> None:
    """A sentence alone: it is shown as it was, and nobody knows whether it goes by measured results."""
    fit = {"optimizer": {"type": "SGD"}, "epochs": 1, "learning_rates": [0.1], "unsupported": ["an odd loss"]}
    (reason,) = r.TrainingRecipe.model_validate_json(json.dumps(fit)).unsupported
    assert (reason.code, reason.sentence, reason.meaning.misled) == ("earlier", "an odd loss", True)


@pytest.mark.parametrize("code", CODES)
def test_a_reason_is_an_error_by_whose_fault_it_is(code: r.Code) -> None:
    error = r.because(code, "this", "that").error(cell=3, excerpt="x = 1")
    assert isinstance(error, StudentError if r.MEANINGS[code].fault == "student" else Unsupported)
    assert (error.code, error.cell, error.excerpt) == (code, 3, "x = 1")
    assert _again(error) == (type(error), vars(error))


@pytest.mark.parametrize("kind", [StudentError, Unsupported, BrokenError])
def test_an_error_travels_as_a_record_and_comes_back_whole(kind: type[GraderError]) -> None:
    error = kind("what", "what to do", cell=2, excerpt="y = 2")
    assert _again(error) == (kind, vars(error))


def _again(error: GraderError) -> tuple[type[GraderError], dict[str, object]]:
    """The type and the fields of an error after it has been a line of JSON."""
    line = r.Problem.of(error).model_dump_json()
    back = r.Problem.model_validate_json(line).error()
    return type(back), vars(back)
