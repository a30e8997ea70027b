"""Autolab's autoresult: feedback, and on the last line of it the scores by problem.

An assessment's problems are named like the rubric's criteria (`parameters`, `accuracy`). Where
grading failed the scores are empty, so that no problem gets a zero.
"""

from __future__ import annotations

import json

from grader.report import marks, words
from grader.report.interface import Context, View, line, plain


def render(view: View, context: Context) -> str:
    """Return the feedback, and behind it one line of scores."""
    grade, given = view.grade, marks.of(view)
    lines = [line(grade.rubric), marks.problem(grade) or "", *given.remarks]
    if given.failed:
        lines = [given.failed]
    for v in given.verdicts if not given.failed else ():
        score = f"{words.points(v.points)}/{words.points(v.max_points)}"
        lines += [f"{line(v.title)}: {words.OUTCOME[v.outcome]}, {score}", marks.told(v)]
    # No line of a submission's may be taken for the last one.
    told = [f" {x}" if x.lstrip().startswith("{") else x for x in "\n".join(filter(None, lines)).splitlines()]
    scores = {} if given.failed else {v.criterion: words.number(v.points) for v in given.verdicts}
    return plain("\n".join(told)) + "\n" + json.dumps({"scores": scores} | _scoreboard(view, given)) + "\n"


def _scoreboard(view: View, given: marks.Marks) -> dict[str, list[float | int]]:
    """Points, then parameters; left out where something is hidden or missing."""
    model = view.grade.model
    size = model.total_parameters if model else None
    if given.failed or size is None or view.partial:
        return {}
    return {"scoreboard": [words.number(given.points), size]}
