"""Report formats: one file each, listed in one dict.

A new format is a module with a `render` (of one grade), a `render_class` or both, a line in
`FORMATS`, and a line in the table of hostile text that the tests run through every format.
"""

from __future__ import annotations

from grader.report import as_json, html, terminal
from grader.report.interface import Format

FORMATS: dict[str, Format] = {
    "terminal": Format(".txt", one=terminal.render),
    "html": Format(".html", one=html.render, many=html.render_class),
    "json": Format(".json", one=as_json.render, many=as_json.render_class),
}
