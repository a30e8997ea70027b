"""The grade as JSON; its schema is docs/report-schema.json, versioned by `schema_version`.

Plain ASCII: what a submission says is kept whole, and harmless where a terminal shows it.
"""

from __future__ import annotations

import json

from grader.records import Grade
from grader.report.interface import Screen


def render(grade: Grade, screen: Screen) -> str:
    return json.dumps(grade.model_dump(mode="json"), indent=2)
