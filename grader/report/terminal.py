"""The rubric report as people read it in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from tabulate import tabulate

from grader import records as r
from grader.report.interface import Screen, line, plain

_MARK = {
    "pass": "pass",
    "fail": "FAIL",
    "borderline": "borderline",
    "not_reached": "not reached",
    "broken": "broken",
}
_COLOUR = {"pass": "32", "fail": "31", "borderline": "33", "not_reached": "33", "broken": "35"}
_STATUS = {
    "passed": "PASSED",
    "not_passed": "NOT PASSED",
    "structure_only": "STRUCTURE PASSES (not retrained)",
    "needs_person": "NEEDS A PERSON",
    "interrupted": "INTERRUPTED",
}
_STATUS_COLOUR = {"passed": "1;32", "not_passed": "1;31", "structure_only": "1;32"}


def render(grade: r.Grade, screen: Screen) -> str:
    parts = [
        _head(grade, screen),
        _problem(grade, screen),
        _criteria(grade, screen),
        _hints(grade, screen),
        _runs(grade),
        _claims(grade, screen),
        _model(grade),
        _notes(grade, screen),
        _provenance(grade, screen),
    ]
    return "\n\n".join(part for part in parts if part)


def paint(text: str, code: str, screen: Screen) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if screen.colour and code else text


def wrap(text: str, screen: Screen, indent: str = "  ") -> str:
    return "\n".join(
        textwrap.fill(part, max(40, screen.width), initial_indent=indent, subsequent_indent=indent + "  ")
        for part in plain(text).split("\n")
    )


def _head(grade: r.Grade, screen: Screen) -> str:
    status = paint(_STATUS[grade.status], _STATUS_COLOUR.get(grade.status, "1;33"), screen)
    points = f"{grade.points:g} of {grade.max_points:g} points"
    review = "  — a person should look at this one" if grade.needs_review else ""
    head = f"{line(grade.submission)}\n{line(grade.rubric)}\n{status}, {points}{review}"
    if not grade.provenance.isolated:
        head += "\n" + paint(
            "made without isolation: for the author's own eyes, not for a gradebook", "33", screen
        )
    return head


def _problem(grade: r.Grade, screen: Screen) -> str:
    if grade.problem is None:
        return ""
    whose = {
        "student": "The submission cannot be graded",
        "unsupported": "grader cannot judge this",
        "broken": "grader failed; this costs the student nothing",
        "interrupted": "Interrupted",
    }[grade.problem.kind]
    lines = [f"{whose}:", wrap(grade.problem.message, screen)]
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
            paint(_MARK[v.outcome], _COLOUR[v.outcome], screen),
            f"{v.points:g}/{v.max_points:g}",
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


_ENDED = {
    "finished": "all epochs",
    "threshold_reached": "threshold reached",
    "early_stopping": "early stopping",
    "diverged": "the loss was no number",
    "interrupted": "interrupted",
}


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
            _ENDED[run.ended],
            _duration(sum(e.seconds for e in run.epochs)),
        )
        for number, run in enumerate(grade.runs, 1)
    ]
    headers = ("attempt", "seed", "best epoch", "correct", "last", "epochs", "ended by", "time")
    environment = grade.runs[0].environment
    how = "Replayed, a lower assurance than retraining," if grade.runs[0].replayed else "Retrained"
    engine = environment.engine + (f": {line(environment.engine_note)}" if environment.engine_note else "")
    where = f"{how} on {line(environment.device)}, {environment.threads} threads ({engine}):"
    table = tabulate(
        rows,
        headers=headers,
        tablefmt="simple",
        disable_numparse=True,
        colalign=("right",) * 6 + ("left", "right"),
    )
    return f"{where}\n{table}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _claims(grade: r.Grade, screen: Screen) -> str:
    if not grade.claims:
        return ""
    marks = {True: "agrees", False: "CONTRADICTED", None: "not compared"}
    lines = ["What the saved outputs claim (costs no points):"]
    for claim in grade.claims:
        mark = paint(marks[claim.agrees], "" if claim.agrees is not False else "33", screen)
        lines.append(wrap(f"{claim.claim}; {claim.found}: ", screen).rstrip() + f" {mark}")
        if claim.remark:
            lines.append(wrap(claim.remark, screen, "    "))
    return "\n".join(lines)


def _model(grade: r.Grade) -> str:
    model = grade.model
    if model is None or model.total_parameters is None:
        return ""
    fit = model.recipe[0]
    source = {
        "submission": "as handed in",
        "compile": "compiled as handed in",
        "rubric": "the rubric's default",
    }[model.recipe_source]
    epochs = sum(x.epochs for x in model.recipe)
    rates = [rate for x in model.recipe for rate in x.learning_rates]
    rate = f"{rates[0]:g}" if len(set(rates)) == 1 else f"{rates[0]:g} to {rates[-1]:g}"
    fits = f", {len(model.recipe)} fits" if len(model.recipe) > 1 else ""
    return (
        f"Model {plain(model.name)!r}: {model.total_parameters:,} parameters, "
        f"{model.trainable_parameters:,} of them trainable, {len(model.layers)} layers\n"
        f"Recipe ({source}): {fit.optimizer.type}, learning rate {rate}, batch size "
        f"{fit.batch_size}, {epochs} epochs{fits}, {fit.loss.name}"
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
