"""JSON reports: the record itself, as its published schema promises."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from jsonschema import Draft202012Validator
from samples import HOSTILE, STATUSES, unsafe

from grader import records as r
from grader.report import FORMATS
from grader.report.interface import Context, Screen

Make = Callable[..., r.Grade]
WIDE = Screen(width=200)


def test_json_follows_its_schema(full: r.Grade, make: Make) -> None:
    """What is written is what the published schema promises, and nothing else."""
    schema = r.Grade.model_json_schema(mode="serialization")
    Draft202012Validator.check_schema(schema)
    for grade in (full, make(), *(make(status=status) for status in STATUSES)):
        written = json.loads(FORMATS["json"](grade, WIDE))
        Draft202012Validator(schema).validate(written)
        Draft202012Validator(r.Grade.model_json_schema()).validate(written)
        assert written["schema_version"] == "grader/report/1"
        assert set(written) == set(r.Grade.model_fields)


def test_schema_refuses_other_things(full: r.Grade) -> None:
    """The schema is closed: an unknown key or outcome is no report."""
    validator = Draft202012Validator(r.Grade.model_json_schema())
    written = json.loads(FORMATS["json"](full, WIDE))
    assert not validator.is_valid(written | {"extra": 1})
    assert not validator.is_valid(written | {"status": "excellent"})
    assert not validator.is_valid(written | {"verdicts": [written["verdicts"][0] | {"outcome": "maybe"}]})


def test_json_round_trip(full: r.Grade) -> None:
    """A stored report is the same grade again, whatever screen it was written for."""
    written = FORMATS["json"](full, WIDE)
    assert r.Grade.model_validate_json(written) == full
    assert FORMATS["json"](full, Screen(width=10, colour=True)) == written


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_hostile_text_as_json(everywhere: Callable[[str], r.Grade], text: str) -> None:
    """JSON keeps the text whole, escaped: harmless where a terminal shows it, and readable again."""
    grade = everywhere(text)
    shown = FORMATS["json"](grade, WIDE)
    assert unsafe(shown) == set()
    assert r.Grade.model_validate_json(shown) == grade
    assert json.loads(shown)["notes"][0]["message"] == text.replace("\ud800", "?")


def test_a_class_follows_its_schema(klass: r.ClassResults) -> None:
    """A class is written as its own record, and read back unchanged."""
    written = FORMATS["json"].many(klass, Context())
    schema = r.ClassResults.model_json_schema(mode="serialization")
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(written))
    assert r.ClassResults.model_validate_json(written) == klass
