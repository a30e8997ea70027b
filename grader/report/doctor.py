"""What `grader doctor` found, as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from grader.machine.doctor import Finding
from grader.report.interface import Screen
from grader.report.terminal import paint, wrap

_COLOUR = {"used": "32", "works": "32", "missing": "33", "fails": "31"}


def as_text(findings: Sequence[Finding], screen: Screen) -> str:
    """Return a line for each finding, and its remedy below."""
    return "\n".join(_lines(findings, screen))


def _lines(findings: Sequence[Finding], screen: Screen) -> Iterator[str]:
    width = max(len(f.subject) for f in findings)
    for finding in findings:
        state = paint(f"{finding.state:8}", _COLOUR[finding.state], screen)
        indent = " " * (width + 11)
        yield f"{finding.subject:{width}}  {state} {wrap(finding.detail, screen, indent).strip()}"
        if finding.remedy:
            yield from (f"{indent}{text}" for text in finding.remedy.split("\n"))
