"""Report formats: one file each, listed in one dict.

A new format is a module with a `render` (of one grade, as its student may see it), a `render_class` or
both, and a line in `FORMATS`; the tests then run the table of hostile text through it.
"""

from __future__ import annotations

from grader.report import (
    as_json,
    autolab,
    canvas,
    class_table,
    classroom50,
    github,
    github_classroom,
    gradescope,
    html,
    junit,
    markdown,
    moodle,
    nbgrader,
    prairielearn,
    table,
    terminal,
)
from grader.report.interface import Format

FORMATS: dict[str, Format] = {
    # for people
    "terminal": Format(".txt", one=terminal.render, many=class_table.render),
    "html": Format(".html", one=html.render, many=html.render_class),
    "markdown": Format(".md", one=markdown.render),
    # for programs
    "json": Format(".json", everything=as_json.render, many=as_json.render_class, record=True),
    "csv": Format(".csv", many=table.render_csv),
    "jsonl": Format(".jsonl", many=table.render_jsonl),
    "parquet": Format(".parquet", many=table.render_parquet),
    "junit": Format(".xml", one=junit.render, many=junit.render_class, reader="container"),
    # for continuous integration
    "github": Format(".txt", one=github.render),
    "github-summary": Format(".md", one=github.summary, reader="job", appended=True),
    "github-output": Format(".txt", one=github.outputs, reader="job", appended=True),
    # for learning platforms
    "gradescope": Format(".json", everything=gradescope.render, reader="container"),
    "prairielearn": Format(".json", one=prairielearn.render, reader="container"),
    "autolab": Format(".txt", one=autolab.render, reader="container"),
    "classroom50": Format(".json", one=classroom50.render, reader="container"),
    "github-classroom": Format(".txt", one=github_classroom.render, reader="container", appended=True),
    "canvas": Format(".csv", many=canvas.render_class, reader="gradebook"),
    "moodle": Format(".csv", many=moodle.render_class, reader="gradebook"),
    "nbgrader": Format(".csv", many=nbgrader.render_class, reader="gradebook"),
}
