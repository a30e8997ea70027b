"""The grade as JSON; its schema is docs/report-schema.json, versioned by `schema_version`."""

from __future__ import annotations

from grader.records import Grade
from grader.report.interface import Screen


def render(grade: Grade, screen: Screen) -> str:
    return grade.model_dump_json(indent=2)
