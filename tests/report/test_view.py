"""Hidden criteria: no format for students is handed one, and none can be told from what is shown."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_type_hints

import pytest
from samples import class_of, verdict
from test_hostile import GRADEBOOKS
from test_platforms import CONTEXT, TARGET

from grader import records as r
from grader.report import FORMATS
from grader.report.interface import Context, Format, Report, View, Whole, clean, for_student, whole

Make = Callable[..., r.Grade]
STUDENTS = {name: f for name, f in FORMATS.items() if f.one}
EVERYTHING = {name: f for name, f in FORMATS.items() if f.everything}
SECRETS = (
    "secret",  # its id, title, message, hint and evidence
    "13.37", "41.43",  # its points
    "73.37", "101.43",  # the totals that its points are in
    "9,000", "9000", "0.90", "not passed", "NOT PASSED", "not_passed",  # what retraining reached
)  # fmt: skip


@pytest.fixture
def secret(make: Make, run: Callable[..., r.TrainingRun]) -> r.Grade:
    """One criterion that students see, and a hidden one that failed."""
    hidden = verdict(
        "fail", criterion="secret", title="the secret", message="secret words", hint="secret hint",
        evidence=(r.Evidence(text="secret fact", cell=3),), points=13.37, max_points=41.43,
        kind="validation_accuracy", hidden=True, needs_review=True,
    )  # fmt: skip
    return make(
        status="not_passed",
        points=73.37,
        max_points=101.43,
        needs_review=True,
        verdicts=(verdict("pass", points=60, max_points=60), hidden),
        runs=(run([9_000]),),
        target=TARGET,
        claims=(r.ClaimCheck(claim="0.99", found="retraining reached 0.90", agrees=False),),
    )


def readable(name: str, made: Report) -> str:
    """A report as its reader gets it."""
    text = made if isinstance(made, str) else made.decode()
    if name == "github-classroom":
        text = base64.b64decode(text.removeprefix("result=")).decode()
    return re.sub("<style>.*</style>", "", text, flags=re.DOTALL)


def told(text: str) -> list[str]:
    return [word for word in SECRETS if word in text]


@pytest.mark.parametrize("name", STUDENTS)
def test_hidden_criteria_stay_hidden(secret: r.Grade, name: str) -> None:
    """Neither named nor told, nor to be had by subtraction: points, runs and claims lack them too."""
    assert told(readable(name, FORMATS[name](secret, CONTEXT))) == []


@pytest.mark.parametrize("name", STUDENTS)
def test_a_format_for_students_is_handed_no_hidden_criterion(secret: r.Grade, name: str) -> None:
    """Whatever a format may show one day: nothing of a hidden criterion is in what it is handed."""
    handed: list[View] = []

    def keep(view: View, context: Context) -> str:
        handed.append(view)
        return ""

    dataclasses.replace(FORMATS[name], one=keep)(secret, CONTEXT)
    (view,) = handed
    assert type(view) is View
    assert told(repr(view) + view.grade.model_dump_json()) == []
    assert view.partial


def test_formats_say_by_their_type_what_they_are_handed() -> None:
    """Only the record, and the platform that hides tests itself, take all that is in a grade."""
    assert set(EVERYTHING) == {"json", "gradescope"}
    assert not set(EVERYTHING) & set(STUDENTS)
    for found, kind in ((STUDENTS, View), (EVERYTHING, Whole)):
        for name, format_ in found.items():
            assert next(iter(get_type_hints(format_.one or format_.everything).values())) is kind, name
    assert not issubclass(Whole, View)


def test_no_view_can_be_made_of_a_hidden_criterion(secret: r.Grade) -> None:
    """Not by hand either; an instructor's is of another type."""
    everything = whole(clean(secret))
    assert everything.grade.verdicts == secret.verdicts
    with pytest.raises(ValueError, match="hidden criterion"):
        View(**vars(everything))
    assert for_student(clean(secret)).grade.verdicts == secret.verdicts[:1]


def test_a_student_sees_the_whole_of_a_grade_that_hides_nothing(full: r.Grade) -> None:
    """Then both views are of the same grade, with the same words over it."""
    assert vars(for_student(clean(full))) == vars(whole(clean(full)))


@pytest.mark.parametrize("name", ["canvas", "moodle"])
def test_feedback_for_students_hides_too(secret: r.Grade, name: str, tmp_path: Path) -> None:
    """The points of hidden criteria count in the gradebook, and the pages beside it do not tell of them."""
    book = tmp_path / "book.csv"
    book.write_text(GRADEBOOKS[name])
    results = class_of([secret])
    keys = {"name": "work_1_assignsubmission_file_x", "participant": "1", "user": "1"}
    handed_in = r.HandedIn(layout=name, path="x", keys=keys)
    entries = (results.entries[0].model_copy(update={"handed_in": handed_in}),)
    made = FORMATS[name].of_class(
        results.model_copy(update={"entries": entries}), dataclasses.replace(CONTEXT, gradebook=book)
    )
    assert isinstance(made, dict)
    pages = list(_unpacked(made["feedback.zip"]))
    assert [told(readable("html", page)) for page in pages] == [[]]
    assert "73.37" in str(made[f"{name}.csv"])


def _unpacked(packed: Report) -> Iterator[str]:
    assert isinstance(packed, bytes)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        yield from (archive.read(name).decode() for name in archive.namelist())


def test_hidden_criteria_use_gradescopes_own_means(secret: r.Grade) -> None:
    """A hidden test, which makes Gradescope hide the total; what students can read says nothing of it."""
    made = json.loads(str(FORMATS["gradescope"](secret, CONTEXT)))
    assert [t["visibility"] for t in made["tests"]] == ["visible", "hidden"]
    assert made["score"] == 73.37
    assert made["leaderboard"] == []
    assert "secret" not in made["output"]
    assert "look at this" not in made["output"]


def test_hidden_criteria_do_not_claim_success(secret: r.Grade) -> None:
    """All that is shown passes, and the report does not say that the work did."""
    assert "PARTIAL RESULT: NOT ALL CRITERIA ARE SHOWN, 60 of 60" in str(FORMATS["terminal"](secret, CONTEXT))
    assert "result=partial\n" in str(FORMATS["github-output"](secret, CONTEXT))


@pytest.mark.parametrize("name", STUDENTS)
def test_the_verdict_of_hidden_criteria_changes_nothing(secret: r.Grade, name: str) -> None:
    """Retrained or not: passed and not passed give the same report to the letter."""
    for target in (TARGET, None):
        made = {
            FORMATS[name](secret.model_copy(update={"status": status, "target": target}), CONTEXT)
            for status in ("passed", "not_passed", "structure_only")
        }
        assert len(made) == 1


@pytest.mark.parametrize("name", ["html", "csv", "jsonl", "json", "junit"])
def test_instructors_see_everything(secret: r.Grade, name: str) -> None:
    """Formats of a class hold hidden criteria and say that they are hidden."""
    chosen: Format = FORMATS[name]
    assert "secret" in str(chosen.of_class(class_of([secret]), CONTEXT))
