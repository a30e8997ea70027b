"""GitHub Actions: annotations, a job summary and step outputs. Hidden criteria are left out of all three.

Annotations are workflow commands on standard output, ten of a kind at most; the summary is Markdown
of at most 1 MiB; outputs are lines `name=value`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grader import records as r
from grader.report import markdown, words
from grader.report.interface import Context, View, line, plain
from grader.report.lines import Source, source

MOST = 10  # annotations of a kind that GitHub shows of one step
SUMMARY_BYTES = 1_000_000


@dataclass(frozen=True)
class _Remark:
    level: str  # error, warning or notice
    title: str
    message: str
    lost: float  # points: the worst come first
    cell: int | None = None
    excerpt: str = ""


def render(view: View, context: Context) -> str:
    """Return one command for each annotation, the worst first."""
    root = Path(context.environment.get("GITHUB_WORKSPACE", "."))
    where = source(context.submission, root)
    shown = "".join(_shown(sorted(_remarks(view.grade), key=lambda x: -x.lost), where))
    return shown or f"{line(view.grade.submission)}: nothing to annotate\n"


def _remarks(grade: r.Grade) -> Iterator[_Remark]:
    if (p := grade.problem) is not None:
        level = "error" if p.kind == "student" else "warning"
        message = "\n".join(x for x in (p.message, p.hint) if x)
        yield _Remark(level, words.PROBLEM[p.kind], message, float("inf"), p.cell, p.excerpt)
    for v in grade.verdicts:
        if v.outcome == "pass" or (grade.problem and v.outcome in ("not_reached", "broken")):
            continue
        level = "notice" if v.outcome in ("not_reached", "broken") else "error" if v.required else "warning"
        cell = next((e.cell for e in v.evidence if e.cell), None)
        message = "\n".join(x for x in (v.message, v.hint) if x)
        yield _Remark(level, f"{v.title}: {words.OUTCOME[v.outcome]}", message, v.max_points - v.points, cell)


def _shown(remarks: list[_Remark], where: Source | None) -> Iterator[str]:
    for level in ("error", "warning", "notice"):
        found = [x for x in remarks if x.level == level]
        fit = found if len(found) <= MOST else found[: MOST - 1]
        yield from (_command(x, where) for x in fit)
        if len(found) > len(fit):
            more = f"and {len(found) - len(fit)} more; see the summary of this job"
            yield _command(_Remark(level, "more", more, 0), where)


def _command(remark: _Remark, where: Source | None) -> str:
    place = ""
    if where is not None:
        number = where.line(remark.cell, remark.excerpt)
        place = f"file={_property(where.path)},line={number},endLine={number},"
    return f"::{remark.level} {place}title={_property(line(remark.title, 150))}::{_data(remark.message)}\n"


def _data(text: str) -> str:
    return plain(text)[:4_000].replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(view: View, context: Context) -> str:
    """For `$GITHUB_STEP_SUMMARY`; what is too long ends with a sentence that says so."""
    shown = markdown.render(view, context)
    if len(shown.encode()) <= SUMMARY_BYTES:
        return shown
    return shown.encode()[:SUMMARY_BYTES].decode(errors="ignore") + "\n\n(cut: GitHub shows 1 MiB)\n"


def outputs(view: View, context: Context) -> str:
    """For `$GITHUB_OUTPUT`, `result` being a status or `partial`: none of the values holds a line feed."""
    values = {
        "result": view.state,
        "points": words.points(view.grade.points),
        "max-points": words.points(view.grade.max_points),
        "needs-review": str(view.grade.needs_review).lower(),
        "submission": line(view.grade.submission),
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())
