"""One table of hostile text through every format, read back by what reads that format in earnest."""

from __future__ import annotations

import base64
import contextlib
import csv
import dataclasses
import io
import json
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt
from pydantic import BaseModel, ValidationError
from samples import HOSTILE, OUTCOMES, unsafe

from grader import records as r
from grader.errors import InstructorError
from grader.report import FORMATS, deliver
from grader.report.interface import Context, plain
from grader.report.names import file_name

Everywhere = Callable[[str], r.Grade]
HostileClass = Callable[[str], r.ClassResults]
hostile = pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))

RUNNER = {
    "CLASSROOM": "dl",
    "ASSIGNMENT": "a4",
    "SUBMISSION_TAG": "submit/1",
    "COMMIT_URL": "u",
    "RELEASE_URL": "u",
    "COMMIT_DATETIME": "2026-11-01T10:00:00+01:00",
}
CONTEXT = Context(environment=RUNNER)
GRADEBOOKS = {
    "canvas": 'Student,ID,SIS Login ID,Section,A (1)\n    Points Possible,,,,100\n"x",1,x,s,\n',
    "moodle": "Identifier,Full name,Status,Grade,Maximum grade,Grade can be changed,Feedback comments\n"
    "Participant 1,x,,,100,Yes,\n",
}


def text_of(made: str | bytes | dict[str, str | bytes]) -> str:
    if isinstance(made, dict):
        return "".join(text_of(x) for name, x in made.items() if not name.endswith(".zip"))
    return made if isinstance(made, str) else made.decode()


@hostile
@pytest.mark.parametrize("name", [n for n, f in FORMATS.items() if f.single])
def test_no_control_character_in_any_format(everywhere: Everywhere, name: str, text: str) -> None:
    """Whatever a grade's text is, no format of one student holds a control or format character."""
    shown = text_of(FORMATS[name](everywhere(text), CONTEXT))
    assert unsafe(shown) - {"\t"} == set()
    shown.encode("utf-8")


@hostile
@pytest.mark.parametrize("name", [n for n, f in FORMATS.items() if f.many and n != "parquet"])
def test_no_control_character_in_any_class(
    hostile_class: HostileClass, name: str, text: str, tmp_path: Path
) -> None:
    """Nor does a format of a class, whose names and paths are a platform's and the students'."""
    book = tmp_path / "book.csv"
    book.write_text(GRADEBOOKS.get(name, ""))
    made = FORMATS[name].of_class(hostile_class(text), Context(gradebook=book))
    shown = text_of(made).replace("\r\n", "\n")
    assert unsafe(shown) - {"\t"} == set()


# --- every field there is ---------------------------------------------------------------------------


def planted(value: Any, text: str) -> Any:
    """The same record with this text in every field that takes it, however deep; fields that are yet to
    be thought of are among them.
    """
    if isinstance(value, BaseModel):
        for name, old in value:
            new = text if isinstance(old, str) else planted(old, text)
            if new is not old and new != old:
                value = _with(value, name, new)
        return value
    if isinstance(value, tuple):
        return tuple(text if isinstance(x, str) else planted(x, text) for x in value)
    return {text: text} if isinstance(value, dict) and value else value


def _with(record: BaseModel, name: str, new: Any) -> BaseModel:
    """With the field as wished, cut if need be; or as it was, where it takes only certain words."""
    for wished in (new, new[:200] if isinstance(new, str) else new):
        changed = vars(record) | {name: wished}
        with contextlib.suppress(ValidationError):
            return type(record).model_validate(changed)
    return record


def texts(value: Any) -> Iterator[str]:
    """All texts of a record that are free, which are those that planting has changed."""
    if isinstance(value, BaseModel):
        for _, inner in value:
            yield from texts(inner)
    elif isinstance(value, tuple | dict):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


@hostile
def test_no_format_shows_any_field_as_it_is(full: r.Grade, text: str, tmp_path: Path) -> None:
    """Text in every field of a full grade and of a class of it: no control character, formula, link, heading,
    element or command of its own comes out of any format.
    """
    problem = full.problem.model_copy(update={"kind": "student"})
    full = full.model_copy(update={"problem": problem, "status": "not_passed"})
    grade, harmless = planted(full, text), planted(full, "harmless")
    assert sum(x == "harmless" for x in texts(harmless)) > 60
    entry = r.Entry(
        student=r.Student(id="x", name="x", email="x"),
        handed_in=r.HandedIn(layout="plain", path="x", submitted_at="x", keys={"name": "x"}),
        grade=grade,
    )
    whole = r.ClassResults(
        rubric="x", max_points=100, entries=(entry,), notes=("x",),
        left_out=(r.LeftOut(path="x", reason="x"),),
        similar=(r.Similar(students=("x", "b"), kind="nearly the same code", likeness=1, detail="x"),),
    )  # fmt: skip
    klass = planted(whole, text)
    context = dataclasses.replace(CONTEXT, throwaway=True)
    made = {name: text_of(f(grade, context)) for name, f in FORMATS.items() if f.single}
    for name, chosen in FORMATS.items():
        if chosen.many and name != "parquet":
            book = tmp_path / name
            book.write_text(GRADEBOOKS.get(name, ""))
            shown = chosen.of_class(klass, dataclasses.replace(context, gradebook=book))
            made[f"class {name}"] = text_of(shown).replace("\r\n", "\n")
    for name, shown in made.items():
        assert unsafe(shown) - {"\t"} == set(), name
        shown.encode("utf-8")
    assert shape(made["html"]) == shape(text_of(FORMATS["html"](harmless, context)))
    shape(made["class html"])
    _assert_markdown(made["markdown"], text_of(FORMATS["markdown"](harmless, context)))
    _assert_markdown(made["github-summary"], text_of(FORMATS["markdown"](harmless, context)))
    for name in ("junit", "class junit"):
        assert len(list(ET.fromstring(made[name]).iter("testcase"))) == 6, name
    for name in ("class csv", "class nbgrader"):
        for row in csv.reader(io.StringIO(made[name])):
            assert not any(x.strip(" '\"").startswith(FORMULA) and x[:1] != "'" for x in row), name
    assert all(x.startswith(("::error ", "::warning ", "::notice ")) for x in made["github"].splitlines())
    assert len(made["github-output"].splitlines()) == 5
    assert json.loads(made["autolab"].splitlines()[-1])["scores"].keys() <= {
        plain(r.writable(text)),
        *OUTCOMES,
    }
    for name in ("json", "class json", "gradescope", "prairielearn", "classroom50"):
        assert made[name].isascii()
        json.loads(made[name])


FORMULA = ("=", "+", "-", "@", "|", "%", "＝")


def _assert_markdown(shown: str, harmless: str) -> None:
    """The same blocks, and nothing within them but text and the report's own emphasis."""
    parser = MarkdownIt("commonmark").enable("table")
    blocks = [[t.type for t in parser.parse(x) if t.type != "fence"] for x in (shown, harmless)]
    assert blocks[0] == blocks[1]
    inner = {child.type for token in parser.parse(shown) for child in token.children or ()}
    assert not {"link_open", "image", "html_inline", "code_inline", "autolink"} & inner


class Page(HTMLParser):
    """All tags with their attributes, and the ids that are linked to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def shape(html: str) -> list[str]:
    page = Page()
    page.feed(html)
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert all((attributes.get(name) or "#").startswith("#") for name in ("href", "src"))
        assert "style" not in attributes
    return [tag for tag, _ in page.tags]


@hostile
def test_html_keeps_its_shape(everywhere: Everywhere, hostile_class: HostileClass, text: str) -> None:
    """Text adds no element, attribute or link to a page: it has the tags that harmless text has."""
    harmless = "harmless " * 600 if len(text) > 1_000 else "harmless"
    one = FORMATS["html"]
    assert shape(one(everywhere(text), CONTEXT)) == shape(one(everywhere(harmless), CONTEXT))
    many = FORMATS["html"].many
    assert shape(many(hostile_class(text), CONTEXT)) == shape(many(hostile_class(harmless), CONTEXT))


@hostile
def test_xml_keeps_its_shape(everywhere: Everywhere, text: str) -> None:
    """JUnit XML parses, and has one case for the problem and one for the criterion."""
    root = ET.fromstring(FORMATS["junit"](everywhere(text), CONTEXT))
    assert [case.tag for case in root.iter("testcase")] == ["testcase"] * 2
    assert len(list(root.iter("failure"))) == 2


@hostile
@pytest.mark.parametrize("name", ["csv", "nbgrader"])
def test_no_cell_starts_a_formula(hostile_class: HostileClass, name: str, text: str) -> None:
    """Neither as it stands nor behind white space, and the table keeps its rows."""
    rows = list(csv.reader(io.StringIO(text_of(FORMATS[name].of_class(hostile_class(text), CONTEXT)))))
    assert len(rows) == 2
    assert len(rows[0]) == len(rows[1])
    for value in rows[1]:
        assert not value.strip().startswith(("=", "+", "-", "@", "|", "%", "＝"))


@hostile
def test_markdown_shows_text_only(everywhere: Everywhere, text: str) -> None:
    """No heading, link, image or HTML beside the report's own, and tables keep their columns."""
    tokens = MarkdownIt("commonmark").enable("table").parse(FORMATS["markdown"](everywhere(text), CONTEXT))
    inner = [child.type for token in tokens for child in token.children or ()]
    assert not {"link_open", "image", "html_inline", "code_inline", "autolink"} & set(inner)
    types = [token.type for token in tokens]
    assert types.count("heading_open") == 6
    assert types.count("fence") == 2
    assert "html_block" not in types
    assert types.count("table_open") == 2


@hostile
def test_annotations_are_ours(everywhere: Everywhere, text: str) -> None:
    """Every line is one workflow command of ours; the text makes none of its own."""
    grade = everywhere(text)
    lines = FORMATS["github"](grade, CONTEXT).splitlines()
    assert len(lines) == 2
    assert all(line.startswith(("::error title=", "::warning title=")) for line in lines)
    outputs = dict(
        line.split("=", 1) for line in text_of(FORMATS["github-output"](grade, CONTEXT)).splitlines()
    )
    assert set(outputs) == {"result", "points", "max-points", "needs-review", "submission"}


@hostile
def test_the_last_line_for_autolab_is_ours(everywhere: Everywhere, text: str) -> None:
    """A submission's text is never taken for the scores."""
    lines = FORMATS["autolab"](everywhere(text), CONTEXT).splitlines()
    assert json.loads(lines[-1])["scores"] == {"fail": 2.5}
    assert not any(line.startswith("{") for line in lines[:-1])


@hostile
@pytest.mark.parametrize("name", ["gradescope", "prairielearn", "classroom50", "github-classroom", "json"])
def test_json_of_platforms_parses(everywhere: Everywhere, name: str, text: str) -> None:
    """JSON stays JSON, in ASCII."""
    shown = text_of(FORMATS[name](everywhere(text), CONTEXT))
    assert shown.isascii()
    json.loads(base64.b64decode(shown.removeprefix("result=")) if name == "github-classroom" else shown)


@hostile
def test_no_path_leaves_the_folder(hostile_class: HostileClass, text: str, tmp_path: Path) -> None:
    """One file per student: within the folder, or an error that says which name is at fault."""
    folder = tmp_path / "deep" / "out"
    made = deliver.make(hostile_class(text), "json", CONTEXT, each=True)
    written = []
    with contextlib.suppress(InstructorError):
        written = deliver.write(made, folder)
    assert all(path.resolve().is_relative_to(folder) for path in written)
    outside = [p for p in tmp_path.rglob("*") if p.is_file() and not p.is_relative_to(folder)]
    assert outside == []


@hostile
def test_file_names(text: str) -> None:
    """A name of any text is one harmless part of a path."""
    name = file_name(text)
    assert name not in ("", ".", "..")
    assert not set(name) & set('/\\:*?"<>|\n\t')
    assert len(name.encode()) <= 210
    assert name.upper() != "CON"
