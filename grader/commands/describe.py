"""`grader describe`: the models of a submission, untrained."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from grader.commands.console import screen, show
from grader.commands.options import AsJson, Isolated, RubricName, Submission, wanted_box


def describe(
    submission: Submission,
    rubric: RubricName = "assignment4",
    isolation: Isolated = None,
    as_json: AsJson = False,
) -> None:
    """Show every model of a submission as the grader sees it; nothing is trained."""
    from grader.ask import description as asked
    from grader.ask.training import Watcher
    from grader.grade import examine
    from grader.grade.session import prepare
    from grader.intake import load
    from grader.judge.rubric import load as load_rubric
    from grader.report import description as report

    rules = load_rubric(rubric)
    with (
        tempfile.TemporaryDirectory(prefix="grader-") as scratch,
        prepare(rules, False, Watcher(), wanted_box(isolation)) as grading,
    ):
        loaded = load.load(submission, Path(scratch))
        found = asked.describe(loaded, grading.asker, rules.rubric.describe_seconds)
        graded = examine.candidates(found, rules.rubric.graded_model)
    shown = report.as_dict(found, graded)
    show(json.dumps(shown, indent=2) if as_json else report.as_text(shown, screen()))
