"""A student's feedback file in Markdown: verdicts, hints, attempts. Hidden criteria are left out.

What a submission says cannot become a heading, a link, an image, a table or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from grader import records as r
from grader.report import words
from grader.report.interface import Context, View, line, plain

_MARK = {"pass": "✅", "fail": "❌", "borderline": "🟡", "not_reached": "➖", "broken": "⚠️"}
_SPECIAL = re.compile(r"([\\`*_\[\]|~$@<>&]|^[-+#=]|:(?=//))")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;", ":": "&#58;"}


def render(view: View, context: Context) -> str:
    """Return the feedback file."""
    return "\n".join(_lines(view)) + "\n"


def text(said: str, most: int = 1_000) -> str:
    """Text that came from a submission as one line of Markdown that shows just that text."""
    return _SPECIAL.sub(lambda m: _ENTITIES.get(m[1], f"\\{m[1]}"), line(said, most)).replace(
        "www.", "www\\."
    )


def block(said: str) -> str:
    """Several lines of it as a code block, whose fence is longer than any within."""
    shown = plain(said).replace("\r", "")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", shown)), default=0))
    return f"{fence}text\n{shown}\n{fence}"


def _lines(view: View) -> Iterator[str]:
    grade = view.grade
    yield f"# {text(grade.submission)}"
    yield f"\n{text(grade.rubric)}\n"
    headline = view.headline[:1].upper() + view.headline[1:]
    yield f"**{headline}**: {words.points(grade.points)} of {words.points(grade.max_points)} points"
    if grade.needs_review:
        yield "\nA person should look at this one; it may change."
    if not grade.provenance.isolated:
        yield f"\n*{words.UNISOLATED.capitalize()}.*"
    yield from _problem(grade)
    yield from _criteria(grade)
    yield from _runs(grade)
    yield from _rest(grade)


def _problem(grade: r.Grade) -> Iterator[str]:
    problem = grade.problem
    if problem is None:
        return
    yield f"\n## {words.PROBLEM[problem.kind]}\n"
    yield block(problem.message)
    if problem.excerpt:
        where = f"Cell {problem.cell}:\n\n" if problem.cell else ""
        yield f"\n{where}{block(problem.excerpt)}"
    if problem.hint:
        yield f"\n{text(problem.hint)}"


def _criteria(grade: r.Grade) -> Iterator[str]:
    if not grade.verdicts:
        return
    yield "\n## Criteria\n"
    yield "| | criterion | points | |\n|---|---|---:|---|"
    for v in grade.verdicts:
        title = text(v.title) + ("" if v.required else " (optional)")
        points = f"{words.points(v.points)} / {words.points(v.max_points)}"
        yield f"| {_MARK[v.outcome]} {words.OUTCOME[v.outcome]} | {title} | {points} | {text(v.message)} |"
    hints = [v for v in grade.verdicts if v.hint and v.outcome != "pass"]
    if hints:
        yield "\nWhat would help:\n"
        yield from (f"- {text(v.title)}: {text(v.hint)}" for v in hints)


def _runs(grade: r.Grade) -> Iterator[str]:
    if not grade.runs:
        return
    yield "\n## Retraining\n"
    yield f"{text(words.retraining(grade))}\n"
    yield "| attempt | seed | best epoch | correct | epochs | ended by |\n|---:|---:|---:|---:|---:|---|"
    for number, run in enumerate(grade.runs, 1):
        best = f"{run.best.epoch} | {run.best.correct:,} of {run.best.images:,}" if run.best else "– | –"
        yield f"| {number} | {run.seed} | {best} | {len(run.epochs)} | {words.ENDED[run.ended]} |"
    if told := words.learning(grade):
        yield f"\n{told}"


def _rest(grade: r.Grade) -> Iterator[str]:
    if grade.model is not None and grade.model.total_parameters is not None:
        source = words.RECIPE[grade.model.recipe_source]
        yield f"\n{grade.model.total_parameters:,} parameters, {len(grade.model.layers)} layers. "
        yield f"Recipe ({source}): {text(words.recipe(grade.model))}."
    if grade.claims:
        yield "\n## What the saved outputs claim\n"
        for claim in grade.claims:
            remark = f" {text(claim.remark)}" if claim.remark else ""
            yield f"- {words.CLAIM[claim.agrees]}: {text(claim.claim)}; {text(claim.found)}.{remark}"
    if grade.notes:
        yield "\n## Notes\n"
        yield from (f"- {f'cell {n.cell}: ' if n.cell else ''}{text(n.message)}" for n in grade.notes)
    p = grade.provenance
    yield f"\n---\n\nSubmission SHA-256 {text(p.submission_digest[:16]) or 'unread'},"
    yield f"rubric {text(p.rubric_digest[:16])},"
    yield f"seeds {', '.join(map(str, p.seeds))}, grader {text(p.grader_version)}."
