"""Records of verdicts and the grade, which are stored and reported."""

from __future__ import annotations

from typing import Literal

from grader.record import Record
from grader.records.runs import TrainingRun
from grader.records.submission import Note, Problem
from grader.records.training import TrainingRecipe

Outcome = Literal["pass", "fail", "borderline", "not_reached", "broken"]


class Evidence(Record):
    """One fact behind a verdict, and the place where it was found."""

    text: str
    layer: str | None = None
    cell: int | None = None
    epoch: int | None = None


class Verdict(Record):
    """The answer to one criterion.

    A ``hidden`` verdict is for the instructor's eyes. A ``by_hand`` verdict was set by a person, whose reason
    is the message. ``to_confirm`` are the points that a replay has earned once a person confirms them.
    """

    criterion: str
    title: str
    kind: str
    outcome: Outcome
    points: float
    max_points: float
    required: bool
    message: str
    hint: str = ""
    evidence: tuple[Evidence, ...] = ()
    needs_review: bool = False
    hidden: bool = False
    by_hand: bool = False
    to_confirm: float | None = None


class ClaimCheck(Record):
    """One claim of the saved outputs, compared with what was recomputed."""

    claim: str
    found: str
    agrees: bool | None
    remark: str = ""


class LayerRow(Record):
    """A layer as reports list it; shapes without the batch axis, receptive field in pixels.

    ``detail`` is a short form of its settings (``3×3, ReLU``), ``inbound`` the names of its input layers.
    """

    name: str
    type: str
    output_shape: tuple[int, ...] | None
    trainable_parameters: int | None
    non_trainable_parameters: int | None
    receptive_field: tuple[int, int] | None
    detail: str = ""
    inbound: tuple[str, ...] = ()


class GradedModel(Record):
    """The network that was graded, as reports show it."""

    name: str
    total_parameters: int | None
    trainable_parameters: int | None
    non_trainable_parameters: int | None
    layers: tuple[LayerRow, ...]
    recipe: tuple[TrainingRecipe, ...]
    recipe_source: Literal["submission", "compile", "rubric"]


class Target(Record):
    """What retraining has to reach: ``correct`` of ``images`` within ``epochs``.

    A grade without a target was made without retraining.
    """

    correct: int | None = None
    images: int
    epochs: int


class Provenance(Record):
    """What it takes to reproduce the verdict: versions, digests, seeds, and how the submission ran."""

    grader_version: str
    submission_digest: str
    rubric_digest: str
    dataset: str
    dataset_digest: str
    seeds: tuple[int, ...]
    isolation: str
    isolated: bool  # False: made without isolation, for its author's eyes and for no gradebook
    contained: bool = False  # whether no process of the submission could outlive it or reach grader's own
    created: str


class Grade(Record):
    """The whole result for one submission; the JSON report is this record."""

    schema_version: Literal["grader/report/1"] = "grader/report/1"
    submission: str
    rubric: str
    status: Literal["passed", "not_passed", "structure_only", "needs_person", "interrupted"]
    points: float
    max_points: float
    needs_review: bool
    verdicts: tuple[Verdict, ...]
    problem: Problem | None = None
    model: GradedModel | None = None
    target: Target | None = None
    runs: tuple[TrainingRun, ...] = ()
    claims: tuple[ClaimCheck, ...] = ()
    notes: tuple[Note, ...] = ()
    provenance: Provenance
