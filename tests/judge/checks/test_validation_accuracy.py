"""The accuracy by retraining: exact counts, the rubric's metric, and outcomes that stay settled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import records as r
from grader.judge.checks.interface import Subject
from grader.judge.checks.validation_accuracy import ValidationAccuracy, check, reached, settled

Build = Callable[..., Subject]
Run = Callable[..., r.TrainingRun]
FLAT = r.Flatten(name="flat")  # it sees the whole image


def accuracy(threshold: float = 0.994, **settings: Any) -> ValidationAccuracy:
    return ValidationAccuracy(id="acc", threshold=threshold, **settings)


# --- the threshold ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threshold", "images", "needed"),
    [
        (0.994, 10_000, 9_940),
        (0.9941, 10_000, 9_941),
        (0.99401, 10_000, 9_941),
        (0.07, 100, 7),
        (0.29, 100, 29),
        (1.0, 7, 7),
        (1e-5, 10_000, 1),
        (0.994, 0, 0),
    ],
)
def test_needed(threshold: float, images: int, needed: int) -> None:
    """The smallest count that is not below the threshold, free of binary fractions."""
    assert accuracy(threshold).needed(images) == needed


@given(
    st.integers(1, 10**6).map(lambda n: Decimal(n) / 10**6),
    st.integers(1, 100_000),
)
def test_needed_is_exact(threshold: Decimal, images: int) -> None:
    """Whatever decimal an instructor writes, the count agrees with decimal arithmetic."""
    exact = (threshold * images).to_integral_value(ROUND_CEILING)
    assert accuracy(float(threshold)).needed(images) == exact


@pytest.mark.parametrize(("correct", "result"), [(9_939, "fail"), (9_940, "pass"), (9_941, "pass")])
def test_border(subject: Build, run: Run, correct: int, result: str) -> None:
    """A single image decides."""
    policy = r.TrainingPolicy(attempts=1)
    finding = check(accuracy(), subject(runs=(run([9_000, correct, 9_100]),), policy=policy))
    assert finding.result == result
    assert finding.message == (
        f"{int(result == 'pass')} of 1 attempt reached 9,940 of 10,000; best {correct:,}"
    )


# --- the metric ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "count"),
    [
        (r.TrainingPolicy(), 9_942),
        (r.TrainingPolicy(metric="final"), 9_919),
        (r.TrainingPolicy(metric="mean_last_k", last_k=1), 9_919),
        (r.TrainingPolicy(metric="mean_last_k", last_k=3), Fraction(9_942 + 9_930 + 9_919, 3)),
        (r.TrainingPolicy(metric="mean_last_k", last_k=99), Fraction(9_800 + 9_942 + 9_930 + 9_919, 4)),
    ],
)
def test_metrics(run: Run, policy: r.TrainingPolicy, count: int | Fraction) -> None:
    """The best epoch, the last one, or the exact mean of the last few that there are."""
    assert reached(run([9_800, 9_942, 9_930, 9_919]), policy) == count


def test_mean_is_not_rounded(run: Run) -> None:
    """9,939.67 on average is below 9,940."""
    policy = r.TrainingPolicy(attempts=1, metric="mean_last_k", last_k=3)
    assert settled(accuracy(), [run([9_940, 9_940, 9_939])], policy) == "fail"
    assert settled(accuracy(), [run([9_940, 9_941, 9_939])], policy) == "pass"


@pytest.mark.parametrize(("metric", "count"), [("best_epoch", 9_942), ("final", 0), ("mean_last_k", 0)])
def test_diverged(run: Run, metric: str, count: int) -> None:
    """A run that ended in NaN has no final accuracy; an epoch before that still counts as the best."""
    policy = r.TrainingPolicy.model_validate({"metric": metric})
    assert reached(run([9_942, 980], ended="diverged"), policy) == count
    assert reached(run([], ended="diverged"), policy) == 0


# --- settled ------------------------------------------------------------------------------------

KINDS: dict[str, tuple[list[int], str]] = {
    "reached": ([9_940], "finished"),
    "missed": ([9_935], "finished"),
    "far off": ([9_000], "finished"),
    "diverged": ([], "diverged"),
}


def outcomes(run: Run, kinds: Sequence[str], policy: r.TrainingPolicy) -> list[str | None]:
    """What is settled after the first, the second, … of these attempts."""
    runs = [run(KINDS[kind][0], ended=KINDS[kind][1], seed=n) for n, kind in enumerate(kinds)]
    return [settled(accuracy(), runs[: n + 1], policy) for n in range(len(runs))]


@pytest.mark.parametrize("decide", ["majority", "any", "all"])
@pytest.mark.parametrize(
    ("attempts", "words"),
    [
        (1, tuple(KINDS)),
        (2, tuple(KINDS)),
        (3, tuple(KINDS)),
        (4, ("reached", "missed")),
        (5, ("reached", "missed", "far off")),
    ],
)
def test_settled_is_never_contradicted(run: Run, attempts: int, words: tuple[str, ...], decide: str) -> None:
    """Over every sequence of attempts: once settled, no continuation changes the outcome."""
    policy = r.TrainingPolicy.model_validate({"attempts": attempts, "decide": decide})
    for kinds in product(words, repeat=attempts):
        seen = outcomes(run, kinds, policy)
        assert seen[-1] is not None, kinds
        first = next(outcome for outcome in seen if outcome is not None)
        assert [x for x in seen if x is not None] == [first] * (attempts - seen.index(first)), (kinds, seen)


@pytest.mark.parametrize("decide", ["majority", "any", "all"])
@pytest.mark.parametrize("attempts", [1, 2, 3, 4, 5])
def test_final_outcome(run: Run, attempts: int, decide: str) -> None:
    """All attempts made, none of them far off: the number that reached it decides, not their order."""
    policy = r.TrainingPolicy.model_validate({"attempts": attempts, "decide": decide})
    for kinds in product(("reached", "missed"), repeat=attempts):
        passes = kinds.count("reached")
        enough = {"majority": passes > attempts / 2, "any": passes > 0, "all": passes == attempts}[decide]
        expected = "pass" if enough else "borderline" if passes else "fail"
        assert outcomes(run, kinds, policy)[-1] == expected, kinds


@pytest.mark.parametrize("decide", ["majority", "any", "all"])
def test_settled_as_early_as_possible(run: Run, decide: str) -> None:
    """None is answered only while two continuations would end differently."""
    policy = r.TrainingPolicy.model_validate({"attempts": 3, "decide": decide})
    words = ("reached", "missed")
    for length in (1, 2):
        for kinds in product(words, repeat=length):
            ends = {outcomes(run, (*kinds, *rest), policy)[-1] for rest in product(words, repeat=3 - length)}
            assert (outcomes(run, kinds, policy)[-1] is None) is (len(ends) > 1), kinds


@pytest.mark.parametrize(
    ("kinds", "seen"),
    [
        (["reached", "reached"], [None, "pass"]),
        (["reached", "missed", "reached"], [None, None, "pass"]),
        (["reached", "missed", "missed"], [None, None, "borderline"]),
        (["missed", "missed", "missed"], [None, None, "fail"]),
        (["missed", "missed", "reached"], [None, None, "borderline"]),
        (["far off", "far off"], [None, "fail"]),
        (["diverged", "far off"], [None, "fail"]),
        (["missed", "far off"], [None, None]),
        (["far off", "reached", "reached"], [None, None, "pass"]),
        (["reached", "far off", "far off"], [None, None, "borderline"]),
        (["reached", "reached", "far off"], [None, "pass", "pass"]),
    ],
)
def test_majority_of_three(run: Run, kinds: list[str], seen: list[str | None]) -> None:
    """The default policy, spelled out."""
    assert outcomes(run, kinds, r.TrainingPolicy()) == seen


def test_nothing_is_settled_before_a_run(run: Run) -> None:
    """No attempt, no outcome."""
    assert settled(accuracy(), [], r.TrainingPolicy()) is None


@pytest.mark.parametrize(("correct", "outcome"), [(9_910, None), (9_909, "fail")])
def test_clear_miss_is_exact(run: Run, correct: int, outcome: str | None) -> None:
    """Thirty images below the threshold may be bad luck, thirty-one are not."""
    assert settled(accuracy(clear_miss=0.003), [run([correct])] * 2, r.TrainingPolicy()) == outcome


def test_clear_miss_by_the_metric(run: Run) -> None:
    """The metric of the rubric tells how far off a run is."""
    runs = [run([9_939, 9_800])] * 2
    assert settled(accuracy(), runs, r.TrainingPolicy()) is None
    assert settled(accuracy(), runs, r.TrainingPolicy(metric="final")) == "fail"


# --- the finding --------------------------------------------------------------------------------


def test_attempts_are_evidence(subject: Build, run: Run) -> None:
    """Every attempt is shown with its seed, its best and its last epoch."""
    runs = (run([9_930, 9_945, 9_919], seed=7), run([9_935, 9_936, 9_937], seed=8), run([9_931], seed=9))
    finding = check(accuracy(borderline_points=0.25), subject(FLAT, runs=runs))
    assert (finding.result, finding.fraction) == ("borderline", 0.25)
    assert finding.message == "1 of 3 attempts reached 9,940 of 10,000; best 9,945"
    assert finding.hint == "It passes with some seeds only: it needs a margin above the threshold."
    assert [(e.epoch, e.text) for e in finding.evidence] == [
        (2, "seed 7: best 9,945 of 10,000 in epoch 2, last 9,919 in epoch 3"),
        (3, "seed 8: best 9,937 of 10,000 in epoch 3, last 9,937 in epoch 3"),
        (1, "seed 9: best 9,931 of 10,000 in epoch 1, last 9,931 in epoch 1"),
    ]


def test_pass_has_no_hint(subject: Build, run: Run) -> None:
    """A pass earns everything and needs no advice."""
    finding = check(accuracy(), subject(runs=(run([9_940]), run([9_941]))))
    assert (finding.result, finding.hint, finding.fraction) == ("pass", "", 0.0)


def test_not_settled(subject: Build, run: Run) -> None:
    """Attempts that were cut off leave the question open, for a person."""
    runs = (run([9_940]), run([9_941], ended="interrupted"))
    finding = check(accuracy(), subject(runs=runs))
    assert finding.result == "unknown"
    assert finding.message.endswith(
        "1 of 1 attempt reached 9,940 of 10,000; best 9,940; the outcome is not settled yet"
    )
    assert len(finding.evidence) == 1


@pytest.mark.parametrize("why", [(), (r.because("layers", detail="mystery"),)])
def test_not_retrained(subject: Build, run: Run, why: tuple[r.Reason, ...]) -> None:
    """Without a finished run the obstacle is told."""
    for runs in ((), (run([9_999], ended="interrupted"),)):
        finding = check(accuracy(), subject(runs=runs, obstacles=why))
        assert (finding.result, finding.message) == ("unknown", r.sentences(why) or "not retrained")


def test_diverged_at_once(subject: Build, run: Run) -> None:
    """A loss that is no number from the start fails with the reason."""
    finding = check(accuracy(), subject(runs=(run([], ended="diverged", seed=5),) * 2))
    assert (finding.result, finding.message) == ("fail", "no attempt got through its first epoch")
    assert finding.hint.startswith(
        "The loss became infinite or no number in epoch 1, at a learning rate of 0.003: "
    )
    assert "learning rate is too high" in finding.hint
    assert finding.evidence[0].text == "seed 5: the loss was no number within the first epoch"


def test_diverged_later(subject: Build, run: Run) -> None:
    """Diverging after some epochs is told as such, not as overfitting."""
    diverged = run([9_500, 980], ended="diverged")
    last = diverged.epochs[-1].model_copy(update={"train_loss": None, "learning_rate": 0.5})
    diverged = diverged.model_copy(update={"epochs": (diverged.epochs[0], last)})
    finding = check(accuracy(), subject(runs=(diverged,) * 2))
    assert finding.result == "fail"
    assert "in epoch 2, at a learning rate of 0.5: the learning rate is too high" in finding.hint


@pytest.mark.parametrize(
    ("counts", "train_accuracy", "hint"),
    [
        (
            [9_700, 9_800],
            0.979,
            "140 images short at its best, in epoch 2 of 2, and still improving: it learns too slowly.",
        ),
        (
            [9_800, 9_700],
            0.9990,
            "140 images short at its best, in epoch 1 of 2; it overfits: "
            "99.90% of the training images are right, 98.00% of the test images.",
        ),
        ([9_800, 9_700], 0.9790, "140 images short at its best, in epoch 1 of 2."),
        ([9_700, 9_800], None, "140 images short at its best, in epoch 2 of 2."),
    ],
)
def test_hints(subject: Build, run: Run, counts: list[int], train_accuracy: float | None, hint: str) -> None:
    """Too slow, overfitting, or simply short: by how many images."""
    finding = check(accuracy(), subject(FLAT, runs=(run(counts, train_accuracy=train_accuracy),) * 2))
    assert (finding.result, finding.hint) == ("fail", hint)


def test_hint_looks_at_the_best_run(subject: Build, run: Run) -> None:
    """Whether it was still improving is asked of the best run, not of another one's length."""
    runs = (run([9_911, 9_912], train_accuracy=0.98), run([9_913, 9_938, 9_915], train_accuracy=0.98),
            run([9_914], train_accuracy=0.98))  # fmt: skip
    assert check(accuracy(), subject(FLAT, runs=runs)).hint == "2 images short at its best, in epoch 2 of 3."


def test_a_network_that_guesses(subject: Build, run: Run) -> None:
    """Ten classes, a tenth right: it learned nothing, and the learning rate is named."""
    layers = (FLAT, r.Dense(name="scores", units=10, activation="softmax"))
    finding = check(accuracy(), subject(*layers, runs=(run([980, 1_135, 980]),) * 2))
    assert finding.hint == (
        "It never got beyond guessing: 1,135 of 10,000 with 10 classes, "
        "at a learning rate of 0.003; try a tenth of it."
    )


def test_hints_on_the_structure(subject: Build, run: Run) -> None:
    """A miss says what the network could have; a pass does not."""
    layers = (
        r.Conv2D(name="a", filters=8, kernel_size=(3, 3)),
        r.Conv2D(name="b", filters=8, kernel_size=(3, 3)),
    )
    missed = check(accuracy(), subject(*layers, FLAT, runs=(run([9_800, 9_700]),) * 2))
    assert "There is no BatchNormalization behind a; with it the network has 696 parameters" in missed.hint
    passed = check(accuracy(), subject(*layers, FLAT, runs=(run([9_950]),) * 2))
    assert passed.hint == ""
