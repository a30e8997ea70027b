"""One table of hostile text through every format, read back by what reads that format in earnest."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt
from samples import HOSTILE, unsafe

from grader import records as r
from grader.errors import InstructorError
from grader.report import FORMATS, deliver, github
from grader.report.interface import Context
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
@pytest.mark.parametrize("name", [n for n, f in FORMATS.items() if f.one])
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
    made = FORMATS[name].many(hostile_class(text), Context(gradebook=book))
    shown = text_of(made).replace("\r\n", "\n")
    assert unsafe(shown) - {"\t"} == set()


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
    one = FORMATS["html"].one
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
    rows = list(csv.reader(io.StringIO(FORMATS[name].many(hostile_class(text), CONTEXT))))
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
    outputs = dict(line.split("=", 1) for line in github.outputs(grade, CONTEXT).splitlines())
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
