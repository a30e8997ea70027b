"""JUnit XML: a suite per student, a test case per criterion; GitLab, Jenkins and CodeGrade read it.

Valid against the schema of Jenkins's xunit plugin. Names are unique within a suite, for GitLab drops
duplicates; the text stands in the body of a failure as well as in its message.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from grader import records as r
from grader.report import words
from grader.report.interface import CleanResults, Context, View, clean, line, plain, whole
from grader.report.view import Seen

_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(view: View, context: Context) -> str:
    """Hidden criteria are left out: the artifacts of a student's pipeline are the student's to read."""
    return _document([_suite(line(view.grade.submission, 100), view)])


def render_class(results: CleanResults, context: Context) -> str:
    """Return a document with a suite for each student, hidden criteria too."""
    graded = [entry for entry in results.entries if entry.grade is not None]
    return _document([_suite(line(e.student.id, 100), whole(clean(e.grade))) for e in graded if e.grade])


def _document(suites: list[ET.Element]) -> str:
    root = ET.Element("testsuites", name="grader")
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, 0)) for suite in suites)))
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(name: str, seen: Seen) -> ET.Element:
    grade = seen.grade
    cases = [_case(name, number, v) for number, v in enumerate(grade.verdicts, 1)]
    if grade.problem is not None:
        cases.insert(0, _problem(name, grade.problem))
    suite = ET.Element("testsuite", name=_clean(name), tests=str(len(cases)), timestamp=_stamp(grade))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(case.find(tag) is not None for case in cases)))
    seconds = sum(epoch.seconds for run in grade.runs for epoch in run.epochs)
    suite.set("time", f"{min(seconds, 999_999):.3f}")
    facts = {
        "points": f"{words.points(grade.points)} of {words.points(grade.max_points)}",
        "status": seen.headline,
        "rubric": line(grade.rubric),
        "submission SHA-256": grade.provenance.submission_digest or "unread",
    }
    properties = ET.SubElement(suite, "properties")
    for key, value in facts.items():
        ET.SubElement(properties, "property", name=key, value=_clean(value))
    suite.extend(cases)
    return suite


def _stamp(grade: r.Grade) -> str:
    return _clean(grade.provenance.created[:19])


def _case(suite: str, number: int, verdict: r.Verdict) -> ET.Element:
    """A required criterion that is missed is a failure; what is open or optional is skipped."""
    case = ET.Element("testcase", classname=_clean(suite), name=_clean(_name(number, verdict)), time="0.000")
    told = "\n".join(
        [
            f"{words.points(verdict.points)} of {words.points(verdict.max_points)} points: {verdict.message}",
            *([verdict.hint] if verdict.hint else []),
            *(evidence.text for evidence in verdict.evidence),
        ]
    )
    tag = _tag(verdict)
    if tag is None:
        ET.SubElement(case, "system-out").text = _clean(told)
    else:
        part = ET.SubElement(case, tag, type=verdict.outcome, message=_clean(line(verdict.message, 1_000)))
        part.text = _clean(told)
    return case


def _name(number: int, verdict: r.Verdict) -> str:
    return f"{number:02d} {line(verdict.title, 150)}"


def _tag(verdict: r.Verdict) -> str | None:
    if verdict.outcome == "pass":
        return None
    if verdict.outcome == "broken":
        return "error"
    missed = verdict.outcome == "fail" or (verdict.outcome == "borderline" and _short(verdict))
    return "failure" if missed and verdict.required else "skipped"


def _short(verdict: r.Verdict) -> bool:
    return verdict.points < verdict.max_points


def _problem(suite: str, problem: r.Problem) -> ET.Element:
    case = ET.Element("testcase", classname=_clean(suite), name="00 the submission as a whole", time="0.000")
    tag = "failure" if problem.kind == "student" else "error"
    part = ET.SubElement(case, tag, type=problem.kind, message=_clean(line(problem.message, 1_000)))
    part.text = _clean("\n".join(x for x in (problem.message, problem.excerpt, problem.hint) if x))
    return case


def _clean(text: str) -> str:
    """Text that XML 1.0 can hold."""
    return _XML.sub("�", plain(text))
