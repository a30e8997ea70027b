"""Results as JSON; the schemas are docs/report-schema.json and docs/results-schema.json.

Plain ASCII: what a submission says is kept whole, and harmless where a terminal shows it. Nothing
is left out, hidden criteria neither: this is the record.
"""

from __future__ import annotations

import json

from grader.records import ClassResults
from grader.report.interface import Screen, Whole


def render(whole: Whole, screen: Screen) -> str:
    """Return the record of one grade."""
    return json.dumps(whole.grade.model_dump(mode="json"), indent=2)


def render_class(results: ClassResults, screen: Screen) -> str:
    """Return the record of a class."""
    return json.dumps(results.model_dump(mode="json"), indent=2)
