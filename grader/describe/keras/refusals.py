"""What cannot be retrained of one `fit`, as its readers find it."""

from __future__ import annotations

from grader.records import Code, Reason, because


class Refusals(list[Reason]):
    """Reasons in the order in which they were found."""

    def add(self, code: Code, what: object = "", detail: object = "") -> None:
        self.append(because(code, what, detail))
