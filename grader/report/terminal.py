"""The rubric report as people read it in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from tabulate import tabulate

from grader import records as r
from grader.report import words
from grader.report.interface import Screen, View, inert, line, plain

_COLOUR = {"pass": "32", "fail": "31", "borderline": "33", "not_reached": "33", "broken": "35"}
_STATUS_COLOUR = {"passed": "1;32", "not_passed": "1;31", "structure_only": "1;32"}


def render(view: View, screen: Screen) -> str:
    """Return the report, its parts divided by empty lines."""
    seen = view.grade
    parts = [
        _head(view, screen),
        _problem(seen, screen),
        _criteria(seen, screen),
        _hints(seen, screen),
        _runs(seen),
        _claims(seen, screen),
        _model(seen),
        _notes(seen, screen),
        _provenance(seen, screen),
    ]
    return inert("\n\n".join(part for part in parts if part))


def paint(text: str, code: str, screen: Screen) -> str:
    """Return the text in a colour, where the screen has colours."""
    return f"\x1b[{code}m{text}\x1b[0m" if screen.colour and code else text


def wrap(text: str, screen: Screen, indent: str = "  ") -> str:
    """Return the text in lines that fit the screen, each behind ``indent``."""
    return "\n".join(
        textwrap.fill(part, max(40, screen.width), initial_indent=indent, subsequent_indent=indent + "  ")
        for part in plain(text).split("\n")
    )


def _head(view: View, screen: Screen) -> str:
    grade = view.grade
    colour = "1;33" if view.partial else _STATUS_COLOUR.get(grade.status, "1;33")
    status = paint(_loud(view.headline), colour, screen)
    points = f"{words.points(grade.points)} of {words.points(grade.max_points)} points"
    review = "  — a person should look at this one" if grade.needs_review else ""
    head = f"{line(grade.submission)}\n{line(grade.rubric)}\n{status}, {points}{review}"
    if not grade.provenance.isolated:
        head += "\n" + paint(words.UNISOLATED, "33", screen)
    return head


def _loud(headline: str) -> str:
    """The verdict in capitals, what is in brackets not."""
    verdict, bracket, rest = headline.partition(" (")
    return verdict.upper() + bracket + rest


def _problem(grade: r.Grade, screen: Screen) -> str:
    if grade.problem is None:
        return ""
    lines = [f"{words.PROBLEM[grade.problem.kind]}:", wrap(grade.problem.message, screen)]
    if grade.problem.excerpt:
        quoted = plain(grade.problem.excerpt).split("\n")
        lines += [f"    > {text[: max(40, screen.width)]}" for text in quoted]
    if grade.problem.hint:
        lines.append(wrap(grade.problem.hint, screen))
    return "\n".join(lines)


def _criteria(grade: r.Grade, screen: Screen) -> str:
    width = max(24, screen.width - 62)
    rows = [
        (
            line(v.title) + ("" if v.required else " (optional)"),
            paint(_mark(v.outcome), _COLOUR[v.outcome], screen),
            f"{words.points(v.points)}/{words.points(v.max_points)}",
            plain(v.message),
        )
        for v in grade.verdicts
    ]
    return tabulate(
        rows,
        headers=("criterion", "verdict", "points", "evidence"),
        tablefmt="simple",
        maxcolwidths=[34, None, None, width],
        disable_numparse=True,
        colalign=("left", "left", "right", "left"),
    )


def _mark(outcome: str) -> str:
    return words.OUTCOME[outcome].upper() if outcome == "fail" else words.OUTCOME[outcome]


def _hints(grade: r.Grade, screen: Screen) -> str:
    lines = []
    for v in grade.verdicts:
        if v.outcome == "pass":
            continue
        if v.hint:
            lines.append(wrap(f"{v.title}: {v.hint}", screen))
        spots = [e.text for e in v.evidence if e.layer] if v.kind == "parameter_limit" else []
        lines += [wrap(text, screen, "    ") for text in spots]
    return "\n".join(["What would help:", *lines]) if lines else ""


def _runs(grade: r.Grade) -> str:
    if not grade.runs:
        return ""
    rows = [
        (
            number,
            run.seed,
            f"{run.best.epoch}" if run.best else "–",
            f"{run.best.correct:,}/{run.best.images:,}" if run.best else "–",
            f"{run.epochs[-1].correct:,}" if run.epochs else "–",
            f"{len(run.epochs)}",
            words.ENDED[run.ended],
            words.duration(sum(e.seconds for e in run.epochs)),
        )
        for number, run in enumerate(grade.runs, 1)
    ]
    headers = ("attempt", "seed", "best epoch", "correct", "last", "epochs", "ended by", "time")
    where = f"{line(words.retraining(grade), 400)}:"
    table = tabulate(
        rows,
        headers=headers,
        tablefmt="simple",
        disable_numparse=True,
        colalign=("right",) * 6 + ("left", "right"),
    )
    told = words.learning(grade)
    return f"{where}\n{table}" + (f"\n{told}" if told else "")


def _claims(grade: r.Grade, screen: Screen) -> str:
    if not grade.claims:
        return ""
    lines = ["What the saved outputs claim (costs no points):"]
    for claim in grade.claims:
        told = words.CLAIM[claim.agrees]
        mark = paint(told.upper(), "33", screen) if claim.agrees is False else told
        lines.append(wrap(f"{claim.claim}; {claim.found}: ", screen).rstrip() + f" {mark}")
        if claim.remark:
            lines.append(wrap(claim.remark, screen, "    "))
    return "\n".join(lines)


def _model(grade: r.Grade) -> str:
    model = grade.model
    if model is None or model.total_parameters is None:
        return ""
    return (
        f"Model {line(model.name)!r}: {model.total_parameters:,} parameters, "
        f"{model.trainable_parameters:,} of them trainable, {len(model.layers)} layers\n"
        f"Recipe ({words.RECIPE[model.recipe_source]}): {words.recipe(model)}"
    )


def _notes(grade: r.Grade, screen: Screen, most: int = 12) -> str:
    lines: Iterator[str] = (
        wrap((f"cell {n.cell}: " if n.cell else "") + n.message, screen) for n in grade.notes[:most]
    )
    shown = list(lines)
    if len(grade.notes) > most:
        shown.append(f"  and {len(grade.notes) - most} more (see --json)")
    return "\n".join(["Notes:", *shown]) if shown else ""


def _provenance(grade: r.Grade, screen: Screen) -> str:
    p = grade.provenance
    versions = grade.runs[0].environment.versions if grade.runs else {"grader": p.grader_version}
    tools = ", ".join(f"{name} {version}" for name, version in versions.items())
    digests = (
        f"submission {p.submission_digest[:12] or 'unread'}, rubric {p.rubric_digest[:12]}, "
        f"{line(p.dataset)} {p.dataset_digest[:12]}"
    )
    seeds = ", ".join(str(seed) for seed in p.seeds)
    return "\n".join(
        [
            "Provenance:",
            wrap(f"SHA-256 {digests}", screen),
            wrap(f"seeds {seeds}; {tools}; isolation: {p.isolation}", screen),
        ]
    )
