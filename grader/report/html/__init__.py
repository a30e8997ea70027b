"""A self-contained HTML page: of one grade for its student, or of a class for its instructor.

One file that works offline: styles, script and drawings are in it, and its own policy (CSP) lets
nothing else run or load. All text is escaped, and control characters are shown as what they are.
The class page holds every student's page; without JavaScript it only lacks sorting and filtering.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader import records as r
from grader.report import words
from grader.report.interface import CleanResults, Context, View, clean, plain, whole
from grader.report.view import Seen

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
MARKS = {"pass": "✓", "fail": "✕", "borderline": "◐", "not_reached": "–", "broken": "!"}
STATE_MARKS = {
    "passed": "✓",
    "not_passed": "✕",
    "structure_only": "◔",
    "needs_person": "?",
    "interrupted": "‖",
    "not_graded": "–",
    "partial": "◔",
}


def render(view: View, context: Context) -> str:
    """The student's page."""
    student = r.Student(id="student", name=view.grade.submission)
    page = _page(view, r.Entry(student=student, grade=view.grade))
    return _environment().get_template("student.html.j2").render(page=page, **_head(view.grade.rubric))


def render_class(results: CleanResults, context: Context) -> str:
    """The class page: everything, hidden criteria too."""
    from grader.report.html import numbers

    rows = numbers.rows(results)
    pages = [
        _page(whole(clean(row.entry.grade)), row.entry) | {"row": row}
        for row in rows
        if row.entry.grade is not None
    ]
    return (
        _environment()
        .get_template("class.html.j2")
        .render(
            results=results,
            rows=rows,
            pages=pages,
            states=numbers.states(rows),
            criteria=numbers.criteria(rows),
            **_spreads(rows),
            **_similar(results),
            **_head(results.rubric),
        )
    )


def _spreads(rows: list[Any]) -> dict[str, Any]:
    from grader.report.html import spread
    from grader.report.html.numbers import outcome_of

    targets = [row.entry.grade.target for row in rows if row.entry.grade and row.entry.grade.target]
    goal = next((t.correct / t.images for t in targets if t.correct), None)
    trained = [
        spread.Dot(row.name, row.accuracy, outcome_of(row, "validation_accuracy"))
        for row in rows
        if row.accuracy is not None
    ]
    counted = [
        spread.Dot(row.name, row.parameters, outcome_of(row, "parameter_limit"))
        for row in rows
        if row.parameters is not None
    ]
    return {
        "accuracies": spread.accuracies(trained, goal),
        "parameters": spread.parameters(counted),
        "trained": len(trained),
        "counted": len(counted),
    }


def _similar(results: r.ClassResults) -> dict[str, Any]:
    names = {entry.student.id: entry.student.name or entry.student.id for entry in results.entries}
    return {"names": names}


def _page(seen: Seen, entry: r.Entry) -> dict[str, Any]:
    """All that the page of one student shows."""
    from grader.report.html.curves import curves
    from grader.report.html.drawing import drawing

    grade = seen.grade
    return {
        "grade": grade,
        "entry": entry,
        "headline": seen.headline,
        "state": seen.state,
        "curves": curves(grade.runs, grade.target),
        "drawing": drawing(grade.model.layers) if grade.model else "",
        "command": _command(seen, entry),
    }


def _command(seen: Seen, entry: r.Entry) -> str:
    path = entry.handed_in.path if entry.handed_in else seen.grade.submission
    structure = " --no-retrain" if seen.structural else ""
    return f"grader check {shlex.quote(plain(path))} --rubric RUBRIC.toml{structure}"


def _head(title: str) -> dict[str, Any]:
    """Style and script, and the policy that allows these two and nothing else."""
    from markupsafe import Markup

    style, script = (_asset(name) for name in ("style.css", "script.js"))
    policy = (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return {"title": title, "style": Markup(style), "script": Markup(script), "policy": Markup(policy)}


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    import jinja2

    from grader.report.html.curves import key

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    made.globals |= {"words": words, "marks": MARKS, "state_marks": STATE_MARKS, "key": key}
    made.filters |= {"points": words.points, "shape": words.shape, "duration": words.duration}
    return made


def _harmless(value: Any) -> Any:
    """Every expression of the templates passes here before it is escaped."""
    from markupsafe import Markup

    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
