"""GitHub Actions and JUnit: annotations at the right lines, and XML that Jenkins takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import nbformat
import pytest
import xmlschema
from samples import HOSTILE, class_of, verdict

from grader import records as r
from grader.report import FORMATS
from grader.report.interface import Context
from grader.report.lines import source

FIXTURES = Path(__file__).parent / "fixtures"
Make = Callable[..., r.Grade]


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """Two Markdown cells and three cells of code; the second has three lines."""
    new = nbformat.v4
    cells = [
        new.new_markdown_cell("x = 1"),
        new.new_code_cell("x = 1"),
        new.new_markdown_cell("é"),
        new.new_code_cell('# "ünïcode"\ny = 2\nprint(zzz)'),
        new.new_code_cell("x = 1"),
    ]
    path = tmp_path / "work.ipynb"
    nbformat.write(new.new_notebook(cells=cells), path)
    return path


def lines_of(path: Path) -> list[str]:
    return ["", *path.read_text(encoding="utf-8").split("\n")]


def test_lines_of_cells(notebook: Path) -> None:
    """A code cell is found by its number, whatever stands in the cells around it."""
    found, text = source(notebook, notebook.parent), lines_of(notebook)
    assert found is not None
    assert found.path == "work.ipynb"
    assert '"x = 1"' in text[found.line(1)]
    assert "nïcode" in text[found.line(2)]
    assert "print(zzz)" in text[found.line(2, "print(zzz)")]
    assert found.line(3) > found.line(2) > found.line(1) > 1
    assert '"x = 1"' in text[found.line(3, "x = 1")]
    assert found.line(None) == found.line(99) == 1


def test_lines_of_compact_and_old_notebooks(tmp_path: Path) -> None:
    """JSON on one line has one line; a notebook of format 3 has its cells in a worksheet."""
    cell = {"cell_type": "code", "input": ["a = 1\n", "b = 2"], "outputs": []}
    old = tmp_path / "old.ipynb"
    old.write_text(json.dumps({"nbformat": 3, "worksheets": [{"cells": [cell]}]}, indent=1))
    found = source(old, tmp_path)
    assert found is not None
    assert "b = 2" in lines_of(old)[found.line(1, "b = 2")]
    old.write_text("{not json")
    broken = source(old, tmp_path)
    assert broken is not None
    assert broken.line(3, "x") == 1


def test_no_line_where_the_file_is_not_clear(tmp_path: Path, notebook: Path) -> None:
    """A folder with one notebook is that notebook; with two of them, nothing is guessed."""
    assert source(tmp_path, tmp_path) == source(notebook, tmp_path)
    (tmp_path / "b.ipynb").write_text("{}")
    assert source(tmp_path, tmp_path) is None
    assert source(tmp_path / "none", tmp_path) is None


def test_annotations(make: Make, notebook: Path) -> None:
    """The line of the cell, a title, and text in which `%`, `:` and line ends are escaped."""
    problem = r.Problem(
        kind="student", message="NameError: zzz", hint="100 % sure?", cell=2, excerpt="print(zzz)"
    )
    context = Context(submission=notebook, environment={"GITHUB_WORKSPACE": str(notebook.parent)})
    shown = FORMATS["github"](make(problem=problem), context)
    at = next(n for n, text in enumerate(lines_of(notebook)) if "zzz" in text)
    title = "The submission cannot be graded"
    assert shown == (
        f"::error file=work.ipynb,line={at},endLine={at},title={title}::NameError: zzz%0A100 %25 sure?\n"
    )


def test_ten_annotations_of_a_kind(make: Make) -> None:
    """The worst first, and the last says how many more there are."""
    many = [verdict("fail", title=f"c{n}, x:y", points=0, max_points=n) for n in range(15)]
    optional = verdict("fail", title="optional", required=False)
    lines = str(FORMATS["github"](make(verdicts=(*many, optional)), Context())).splitlines()
    errors = [line for line in lines if line.startswith("::error")]
    assert len(errors) == 10
    assert errors[0].startswith("::error title=c14%2C x%3Ay%3A fail::")
    assert errors[-1] == "::error title=more::and 6 more; see the summary of this job"
    assert sum(line.startswith("::warning") for line in lines) == 1


def test_summary_fits(make: Make) -> None:
    """GitHub refuses a summary of more than 1 MiB."""
    long = make(notes=tuple(r.Note(message="é" * 1_000) for _ in range(1_000)))
    shown = FORMATS["github-summary"](long, Context())
    assert len(shown.encode()) < 1 << 20
    assert shown.endswith("(cut: GitHub shows 1 MiB)\n")


# --- JUnit --------------------------------------------------------------------------------------


def test_junit_is_valid(klass: r.ClassResults, everywhere: Callable[[str], r.Grade]) -> None:
    """Against what Jenkins's plugin accepts, hostile text included."""
    schema = xmlschema.XMLSchema11(FIXTURES / "junit.xsd")
    shown = [FORMATS["junit"].many(klass, Context())]
    shown += [FORMATS["junit"](everywhere(text), Context()) for text in HOSTILE]
    for document in shown:
        assert isinstance(document, str)
        schema.validate(ET.ElementTree(ET.fromstring(document)))


def test_junit_counts_and_names(make: Make, full: r.Grade) -> None:
    """Counts are those of the cases; names are unique in a suite; the text is in body and message."""
    twins = (verdict("fail", title="same"), verdict("fail", title="same"), verdict("fail", required=False))
    root = ET.fromstring(FORMATS["junit"].many(class_of([full, make(verdicts=twins)]), Context()))
    for suite in root.iter("testsuite"):
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(key, -1)) == len(list(suite.iter(tag)))
        names = [case.get("name") for case in suite.iter("testcase")]
        assert len(set(names)) == len(names) == int(suite.get("tests", -1))
        assert {case.get("classname") for case in suite.iter("testcase")} == {suite.get("name")}
    failure = next(root.iter("failure"))
    assert failure.get("message") == "said of fail"
    assert "said of fail" in (failure.text or "")
    assert "hint for fail" in (failure.text or "")
    last = list(root.iter("testsuite"))[1]
    assert (last.get("failures"), last.get("skipped")) == ("2", "1")
