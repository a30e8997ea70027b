"""Why one `fit` cannot be retrained: the reasons, as they are found."""

from __future__ import annotations

from grader.records import Code, Reason, because


class Refusals(list[Reason]):
    """Reasons in the order in which they were found."""

    def add(self, code: Code, what: object = "", detail: object = "") -> None:
        """Append a reason: ``what`` it is about, and ``detail``, as in `grader.reasons.Reason`."""
        self.append(because(code, what, detail))
