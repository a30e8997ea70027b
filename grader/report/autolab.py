"""Autolab's autoresult: feedback, and on the last line of it the scores by problem.

An assessment's problems are named like the rubric's criteria (`parameters`, `accuracy`). Where
grading failed the scores are empty, so that no problem gets a zero.
"""

from __future__ import annotations

import json

from grader import records as r
from grader.report import marks, words
from grader.report.interface import CleanGrade, Context, line, plain


def render(grade: CleanGrade, context: Context) -> str:
    given = marks.of(grade)
    lines = [line(grade.rubric), marks.problem(grade) or "", *given.remarks]
    if given.failed:
        lines = [given.failed]
    for v in given.verdicts if not given.failed else ():
        score = f"{words.points(v.points)}/{words.points(v.max_points)}"
        lines += [f"{line(v.title)}: {words.OUTCOME[v.outcome]}, {score}", marks.told(v)]
    # No line of a submission's may be taken for the last one.
    told = [f" {x}" if x.lstrip().startswith("{") else x for x in "\n".join(filter(None, lines)).splitlines()]
    scores = {} if given.failed else {v.criterion: words.number(v.points) for v in given.verdicts}
    return plain("\n".join(told)) + "\n" + json.dumps({"scores": scores} | _scoreboard(grade, given)) + "\n"


def _scoreboard(grade: r.Grade, given: marks.Marks) -> dict[str, list[float | int]]:
    """Points, then parameters; left out where something is hidden or missing."""
    size = grade.model.total_parameters if grade.model else None
    if given.failed or size is None or any(v.hidden for v in grade.verdicts):
        return {}
    return {"scoreboard": [words.number(given.points), size]}
