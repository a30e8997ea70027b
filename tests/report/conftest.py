"""Grades and classes to report on: a bare one, a full one, and one with hostile text everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from samples import ENDED, OUTCOMES, STATUSES, class_of, verdict

from grader import records as r

Run = Callable[..., r.TrainingRun]
Make = Callable[..., r.Grade]


@pytest.fixture(scope="session")
def make(recipe: Callable[..., r.TrainingRecipe]) -> Make:
    """A grade with nothing but what it must have, and changes."""

    def build(**changes: Any) -> r.Grade:
        provenance = r.Provenance(
            grader_version="0.1", submission_digest="a" * 64, rubric_digest="b" * 64, dataset="mnist",
            dataset_digest="c" * 64, seeds=(2019, 2020), isolation="separate process", isolated=True,
            created="2026-11-22",
        )  # fmt: skip
        given = {
            "submission": "alice.ipynb", "rubric": "Assignment 4", "status": "passed", "points": 97.5,
            "max_points": 100, "needs_review": False, "verdicts": (), "provenance": provenance,
        }  # fmt: skip
        return r.Grade(**(given | changes))

    return build


@pytest.fixture(scope="session")
def full(make: Make, run: Run, recipe: Callable[..., r.TrainingRecipe]) -> r.Grade:
    """A grade in which everything is present."""
    row = r.LayerRow(
        name="conv", type="Conv2D", output_shape=(26, 26, 8), trainable_parameters=80,
        non_trainable_parameters=0, receptive_field=(3, 3),
    )  # fmt: skip
    return make(
        status="needs_person",
        needs_review=True,
        verdicts=tuple(
            verdict(
                name, hint=f"hint for {name}", evidence=(r.Evidence(text="e", layer="conv", cell=2, epoch=3),)
            )
            for name in OUTCOMES
        ),
        problem=r.Problem(
            kind="broken", message="the child died", hint="try again", cell=3, excerpt="x = 1\ny = 2"
        ),
        model=r.GradedModel(
            name="model",
            total_parameters=13_880,
            trainable_parameters=13_688,
            non_trainable_parameters=192,
            layers=(row,),
            recipe=(recipe(), recipe(epochs=5, learning_rates=(0.001,))),
            recipe_source="submission",
        ),
        runs=tuple(
            run([9_000, 9_942, 9_919] if ended != "diverged" else [], ended=ended, seed=2019 + n)
            for n, ended in enumerate(ENDED)
        ),
        claims=(
            r.ClaimCheck(
                claim="the summary says 10,524", found="built 49,220", agrees=False, remark="Run it again."
            ),
            r.ClaimCheck(claim="the log reaches epoch 20", found="trains for 20", agrees=True),
            r.ClaimCheck(claim="accuracy 0.9950", found="stopped", agrees=None),
        ),
        notes=(
            r.Note(message="a shell line was skipped", cell=4),
            r.Note(message="read as rows and columns"),
        ),
    )


@pytest.fixture(scope="session")
def everywhere(make: Make, run: Run, recipe: Callable[..., r.TrainingRecipe]) -> Callable[[str], r.Grade]:
    """A grade with this text wherever a submission could have brought it in."""

    def build(text: str) -> r.Grade:
        name = text[:200]
        model = r.GradedModel(
            name=name, total_parameters=1, trainable_parameters=1, non_trainable_parameters=0,
            layers=(r.LayerRow(name=name, type=name, output_shape=None, trainable_parameters=None,
                               non_trainable_parameters=None, receptive_field=None),),
            recipe=(recipe(unsupported=(r.because("setting", text, text),)),), recipe_source="submission",
        )  # fmt: skip
        evidence = (r.Evidence(text=text, layer=name),)
        return make(
            submission=text,
            rubric=text,
            verdicts=(
                verdict(
                    "fail", title=text, message=text, hint=text, evidence=evidence, kind="parameter_limit"
                ),
            ),
            problem=r.Problem(kind="student", message=text, hint=text, excerpt=text),
            model=model,
            runs=(run([9_940]),),
            claims=(r.ClaimCheck(claim=text, found=text, agrees=False, remark=text),),
            notes=(r.Note(message=text, cell=1),),
        )

    return build


@pytest.fixture(scope="session")
def klass(make: Make, full: r.Grade) -> r.ClassResults:
    """A class with every status, a full grade, a student without one, similar work and a file left out."""
    grades = [make(status=status, verdicts=(verdict("pass"), verdict("fail"))) for status in STATUSES]
    return class_of(
        [full, *grades, None],
        similar=(r.Similar(students=("s1", "s2"), kind="nearly the same code", likeness=0.93),),
        left_out=(r.LeftOut(path="notes.docx", reason="no submission"),),
    )


@pytest.fixture(scope="session")
def hostile_class(everywhere: Callable[[str], r.Grade]) -> Callable[[str], r.ClassResults]:
    """A class of one whose student, path and grade hold this text."""

    def build(text: str) -> r.ClassResults:
        entry = r.Entry(
            student=r.Student(id=text[:200], name=text, email=text),
            handed_in=r.HandedIn(layout="plain", path=text, submitted_at=text, keys={"name": text}),
            grade=everywhere(text),
        )
        return r.ClassResults(
            rubric=text,
            max_points=100,
            entries=(entry,),
            left_out=(r.LeftOut(path=text, reason=text),),
            similar=(
                r.Similar(students=(text[:200], "b"), kind="nearly the same code", likeness=1, detail=text),
            ),
        )

    return build
