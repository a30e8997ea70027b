"""Report formats: one file each, listed in one dict."""

from __future__ import annotations

from grader.report import as_json, terminal
from grader.report.interface import Render

FORMATS: dict[str, Render] = {
    "terminal": terminal.render,
    "json": as_json.render,
}
