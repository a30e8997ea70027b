"""Points, dependencies, status and exit codes, for every outcome there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import records as r
from grader.judge import score
from grader.judge.checks import CHECKS, MEASURED
from grader.judge.checks.interface import BaseCriterion, Finding, Subject
from grader.judge.rubric import Rubric

Build = Callable[..., Subject]
Run = Callable[..., r.TrainingRun]

CONV = r.Conv2D(name="conv", filters=8, kernel_size=(3, 3))  # 80 parameters
CODES = {"passed": 0, "structure_only": 0, "not_passed": 1, "needs_person": 3, "interrupted": 130}


def rubric(*criteria: dict[str, Any], **settings: Any) -> Rubric:
    return Rubric.model_validate({"title": "T", "criterion": list(criteria), **settings})


def limit(name: str = "small", n: int = 100, **settings: Any) -> dict[str, Any]:
    return {"id": name, "kind": "parameter_limit", "limit": n, "points": 20, **settings}


def accuracy(**settings: Any) -> dict[str, Any]:
    return {"id": "acc", "kind": "validation_accuracy", "threshold": 0.994, "points": 40, **settings}


def field(**settings: Any) -> dict[str, Any]:
    return {"id": "field", "kind": "receptive_field", "at_least": 3, "points": 10, **settings}


def verdict(outcome: str = "pass", **changes: Any) -> r.Verdict:
    """A verdict of 10 points with what such an outcome usually brings."""
    points = {"pass": 10.0, "borderline": 5.0}.get(outcome, 0.0)
    review = outcome in ("borderline", "broken")
    given = {
        "criterion": "x", "title": "x", "kind": "required_layer", "outcome": outcome, "points": points,
        "max_points": 10.0, "required": True, "message": "", "needs_review": review,
    }  # fmt: skip
    return r.Verdict(**(given | changes))


def summary(verdicts: Sequence[r.Verdict]) -> list[tuple[str, str, float, bool]]:
    return [(v.criterion, v.outcome, v.points, v.needs_review) for v in verdicts]


# --- points -------------------------------------------------------------------------------------


@given(
    points=st.floats(0, 1e6, allow_nan=False),
    fraction=st.floats(0, 1),
    result=st.sampled_from(["pass", "fail", "borderline", "unknown", "manual"]),
)
def test_points_stay_within_bounds(points: float, fraction: float, result: Any) -> None:
    """No verdict earns less than nothing or more than its criterion is worth; a pass earns it all."""
    criterion = BaseCriterion(id="x", points=points)
    given_verdict = score._verdict(criterion, Finding(result, "", fraction=fraction))
    assert 0 <= given_verdict.points <= given_verdict.max_points == points
    if result == "pass":
        assert given_verdict.points == points
    if result in ("fail", "unknown", "manual"):
        assert given_verdict.points == 0


def test_part_of_the_points_is_rounded_within_bounds() -> None:
    """Cents are rounded, but never to more than the criterion is worth."""
    for points, fraction, earned in ((10, 1 / 3, 3.33), (0.126, 0.9999, 0.126)):
        found = Finding("borderline", "", fraction=fraction)
        assert score._verdict(BaseCriterion(id="x", points=points), found).points == earned


@given(
    counts=st.lists(st.lists(st.integers(0, 10_000), max_size=3), max_size=3),
    filters=st.integers(1, 40),
    worth=st.lists(st.floats(0, 100), min_size=4, max_size=4),
    borderline=st.floats(0, 1),
    hidden=st.booleans(),
    retrained=st.booleans(),
)
def test_grades_of_random_submissions(
    subject: Build, run: Run, counts: list[list[int]], filters: int, worth: list[float],
    borderline: float, hidden: bool, retrained: bool,
) -> None:  # fmt: skip
    """Whatever was handed in, each criterion has one verdict in order, and points add up within bounds."""
    chosen = rubric(
        limit(points=worth[0], n=200),
        field(points=worth[1], at_least=4, required=False),
        accuracy(points=worth[2], needs=["small"], borderline_points=borderline),
        {"id": "look", "kind": "manual", "question": "?", "points": worth[3]},
    )
    layers = [r.Conv2D(name="c", filters=filters, kernel_size=(3, 3))]
    layers += [r.UnsupportedLayer(name="u", class_name="X")] if hidden else []
    runs = tuple(run(c, ended="finished" if c else "diverged", seed=n) for n, c in enumerate(counts))
    verdicts = score.judge(chosen, subject(*layers, runs=runs), retrained)
    assert [v.criterion for v in verdicts] == [c.id for c in chosen.criterion]
    assert all(0 <= v.points <= v.max_points for v in verdicts)
    assert 0 <= sum(v.points for v in verdicts) <= chosen.max_points
    status = score.status(chosen, verdicts, None, retrained)
    if status == "passed":
        assert all(v.outcome in ("pass", "borderline") for v in verdicts if v.required)
    if status == "not_passed":
        assert any(v.outcome in ("fail", "borderline", "not_reached") for v in verdicts)
    if hidden:
        assert status in ("needs_person", "structure_only")


def test_every_kind_has_a_check() -> None:
    """What the rubric may name and what can be judged are the same; the measured kinds are among them."""
    kinds = Rubric.model_json_schema()["$defs"]
    named = {d["properties"]["kind"]["const"] for d in kinds.values() if "kind" in d.get("properties", {})}
    assert named == set(CHECKS)
    assert set(CHECKS) >= MEASURED


# --- needs --------------------------------------------------------------------------------------


def test_needs(subject: Build) -> None:
    """A criterion whose need failed is not reached, and so is what needs that one."""
    chosen = rubric(limit(n=10), field(needs=["small"]), limit("again", needs=["field"]), limit("free"))
    verdicts = score.judge(chosen, subject(CONV), True)
    assert summary(verdicts) == [
        ("small", "fail", 0, False),
        ("field", "not_reached", 0, False),
        ("again", "not_reached", 0, False),
        ("free", "pass", 20, False),
    ]
    assert verdicts[1].message == "needs 'small', which did not pass"
    assert verdicts[2].message == "needs 'field', which did not pass"


def test_need_that_is_met(subject: Build) -> None:
    """Met needs change nothing."""
    chosen = rubric(limit(), field(needs=["small"]))
    assert [v.outcome for v in score.judge(chosen, subject(CONV), True)] == ["pass", "pass"]


@pytest.mark.parametrize("required", [True, False])
def test_need_that_nobody_can_judge(subject: Build, unsupported: r.UnsupportedLayer, required: bool) -> None:
    """What hangs on an unknown answer is not reached for the same person to decide, never failed."""
    chosen = rubric(field(required=required), limit("x", needs=["field"]), limit("y", needs=["x"]))
    verdicts = score.judge(chosen, subject(CONV, unsupported), True)
    assert [(v.outcome, v.needs_review) for v in verdicts] == [("not_reached", True)] * 3
    assert score.status(chosen, verdicts, None, True) == "needs_person"


def test_need_that_a_person_answers(subject: Build) -> None:
    """A criterion behind a manual one waits for the answer."""
    chosen = rubric({"id": "look", "kind": "manual", "question": "?"}, limit(needs=["look"]))
    verdicts = score.judge(chosen, subject(CONV), True)
    assert score.status(chosen, verdicts, None, True) == "needs_person"


# --- retraining or not --------------------------------------------------------------------------


def test_without_retraining(subject: Build) -> None:
    """The structure alone: what is measured is not reached, without asking for a person."""
    chosen = rubric(limit(), accuracy(), {"id": "gap", "kind": "accuracy_gap", "at_most": 0.01})
    verdicts = score.judge(chosen, subject(CONV, obstacles=(r.because("no_retrain"),)), False)
    assert [(v.outcome, v.needs_review) for v in verdicts[1:]] == [("not_reached", False)] * 2
    assert verdicts[1].message == "not retrained: --no-retrain"
    assert score.status(chosen, verdicts, None, False) == "structure_only"
    assert score.status(chosen, verdicts, None, True) == "not_passed"


def test_structure_that_fails_without_retraining(subject: Build) -> None:
    """A structural failure is known without retraining."""
    chosen = rubric(limit(n=10), accuracy())
    assert score.status(chosen, score.judge(chosen, subject(CONV), False), None, False) == "not_passed"


def test_structural_rubric_needs_no_retraining(subject: Build) -> None:
    """A rubric that measures nothing passes without retraining."""
    chosen = rubric(limit())
    assert score.status(chosen, score.judge(chosen, subject(CONV), False), None, False) == "passed"


def test_obstacle(subject: Build) -> None:
    """What cannot be retrained goes to a person with the reason."""
    chosen = rubric(limit(), accuracy())
    verdicts = score.judge(
        chosen, subject(CONV, obstacles=(r.because("recipe", "a hint", "custom loss"),)), True
    )
    assert summary(verdicts)[1] == ("acc", "not_reached", 0, True)
    assert verdicts[1].message == "cannot be retrained as handed in: custom loss"
    assert verdicts[1].hint == "a hint"
    assert score.status(chosen, verdicts, None, True) == "needs_person"


@pytest.mark.parametrize(
    ("part", "points", "status"), [(0.0, 0, "not_passed"), (0.5, 20, "not_passed"), (1.0, 40, "passed")]
)
def test_borderline(subject: Build, run: Run, part: float, points: float, status: str) -> None:
    """None, half or all of the points, as the rubric says; only with all of them does it pass."""
    chosen = rubric(limit(), accuracy(borderline_points=part))
    runs = (run([9_940]), run([9_939]), run([9_939]))
    verdicts = score.judge(chosen, subject(CONV, runs=runs), True)
    assert summary(verdicts)[1] == ("acc", "borderline", points, True)
    assert score.status(chosen, verdicts, None, True) == status
    assert score.needs_review(verdicts, None)


def test_borderline_with_odd_points(subject: Build, run: Run) -> None:
    """All of the points pass, however many digits they have."""
    chosen = rubric(accuracy(borderline_points=1.0, points=0.125))
    verdicts = score.judge(chosen, subject(CONV, runs=(run([9_940]), run([9_939]), run([9_939]))), True)
    assert verdicts[0].points == 0.125
    assert score.status(chosen, verdicts, None, True) == "passed"


def test_manual(subject: Build) -> None:
    """A criterion for a person asks for review and fails nobody."""
    chosen = rubric(limit(), {"id": "look", "kind": "manual", "question": "Clear?", "points": 5})
    verdicts = score.judge(chosen, subject(CONV), True)
    assert summary(verdicts)[1] == ("look", "not_reached", 0, True)
    assert verdicts[1].message == "Clear?"
    assert score.status(chosen, verdicts, None, True) == "passed"
    assert score.needs_review(verdicts, None)


def test_required_manual(subject: Build) -> None:
    """A required one leaves the whole to the person."""
    chosen = rubric(limit(), {"id": "look", "kind": "manual", "question": "Clear?", "required": True})
    assert score.status(chosen, score.judge(chosen, subject(CONV), True), None, True) == "needs_person"


# --- status and exit code -----------------------------------------------------------------------

ANY = rubric(limit())


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([verdict()], "passed"),
        ([verdict("fail")], "not_passed"),
        ([verdict("fail", required=False)], "passed"),
        ([verdict("fail", required=False), verdict("fail")], "not_passed"),
        ([verdict("borderline")], "not_passed"),
        ([verdict("borderline", points=10.0)], "passed"),
        ([verdict("borderline", required=False)], "passed"),
        ([verdict("not_reached")], "not_passed"),
        ([verdict("not_reached", required=False)], "passed"),
        ([verdict("not_reached", needs_review=True)], "needs_person"),
        ([verdict("not_reached", needs_review=True, required=False)], "passed"),
        ([verdict("not_reached", needs_review=True), verdict("not_reached")], "needs_person"),
        ([verdict("not_reached", needs_review=True), verdict("fail")], "not_passed"),
        ([verdict("broken")], "needs_person"),
        ([verdict("broken", required=False)], "passed"),
        ([verdict("broken"), verdict("fail")], "not_passed"),
        ([], "passed"),
    ],
)
def test_status_of_outcomes(verdicts: list[r.Verdict], status: str) -> None:
    """A certain failure decides; else what is open goes to a person; optional ones decide nothing."""
    assert score.status(ANY, verdicts, None, True) == status


@given(
    st.lists(
        st.builds(
            verdict,
            st.sampled_from(["pass", "broken", "not_reached"]),
            needs_review=st.just(True),
            required=st.booleans(),
            kind=st.sampled_from(["required_layer", "validation_accuracy"]),
        ),
        max_size=6,
    ),
    st.sampled_from([None, "unsupported", "broken"]),
    st.booleans(),
)
def test_our_fault_is_never_a_failure(verdicts: list[r.Verdict], kind: Any, retrain: bool) -> None:
    """Without a failed criterion, nothing broken or unsupported is ever "not passed"."""
    problem = r.Problem(kind=kind, message="") if kind else None
    status = score.status(ANY, verdicts, problem, retrain)
    assert status != "not_passed"
    if kind:
        assert status == "needs_person"
        assert score.needs_review(verdicts, problem)


@pytest.mark.parametrize(
    ("kind", "status", "outcome", "review"),
    [
        ("student", "not_passed", "not_reached", False),
        ("unsupported", "needs_person", "not_reached", True),
        ("broken", "needs_person", "broken", True),
        ("interrupted", "interrupted", "not_reached", False),
    ],
)
@pytest.mark.parametrize("retrain", [True, False])
def test_without_a_model(kind: Any, status: str, outcome: str, review: bool, retrain: bool) -> None:
    """A submission without a model: whose fault it is tells what becomes of it."""
    chosen = rubric(limit(), accuracy(), {"id": "look", "kind": "manual", "question": "?"})
    problem = r.Problem(kind=kind, message="")
    verdicts = score.without_model(chosen, problem)
    assert [(v.outcome, v.needs_review, v.points) for v in verdicts] == [(outcome, review, 0)] * 3
    assert score.status(chosen, verdicts, problem, retrain) == status
    assert score.needs_review(verdicts, problem) is review


@pytest.mark.parametrize(("pass_points", "status"), [(None, "passed"), (20, "passed"), (20.01, "not_passed")])
def test_pass_points(subject: Build, pass_points: float | None, status: str) -> None:
    """A rubric may ask for points beside the required criteria."""
    chosen = rubric(limit(), field(at_least=99, required=False), pass_points=pass_points)
    assert score.status(chosen, score.judge(chosen, subject(CONV), True), None, True) == status


def test_pass_points_do_not_excuse(subject: Build) -> None:
    """Points do not make up for a required criterion."""
    chosen = rubric(limit(n=1), field(points=100), pass_points=50)
    assert score.status(chosen, score.judge(chosen, subject(CONV), True), None, True) == "not_passed"


def test_pass_points_add_up() -> None:
    """0.7 and 0.1 are 0.8, whatever binary fractions make of it."""
    verdicts = [verdict(points=0.7, max_points=0.7), verdict(points=0.1, max_points=0.1)]
    assert score.status(rubric(limit(), pass_points=0.8), verdicts, None, True) == "passed"


@pytest.mark.parametrize(("status", "code"), CODES.items())
def test_exit_codes(status: Any, code: int) -> None:
    """Every status has the exit code that the documentation promises."""
    provenance = r.Provenance(
        grader_version="", submission_digest="", rubric_digest="", dataset="", dataset_digest="",
        seeds=(), isolation="", isolated=True, created="",
    )  # fmt: skip
    grade = r.Grade(
        submission="", rubric="", status=status, points=0, max_points=0, needs_review=False, verdicts=(),
        provenance=provenance,
    )  # fmt: skip
    assert score.exit_code(grade) == code


def test_every_status_has_a_code() -> None:
    """No status is left out of the table above."""
    assert set(r.Grade.model_fields["status"].annotation.__args__) == set(CODES)


def test_hidden_criteria_are_marked(subject: Build) -> None:
    """A verdict is hidden where its criterion is; its points count all the same."""
    verdicts = score.judge(rubric(limit(hidden=True), limit("other")), subject(), False)
    assert [v.hidden for v in verdicts] == [True, False]
    assert verdicts[0].points == verdicts[1].points
