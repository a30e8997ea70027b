"""Checks the validation accuracy that retraining reaches, under the rubric's policy for randomness.

Counts of correct images are compared, never rounded percentages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from grader import records as r
from grader.judge.checks import advice
from grader.judge.checks.interface import BaseCriterion, Finding, Subject

Settled = Literal["pass", "fail", "borderline"]


class ValidationAccuracy(BaseCriterion):
    """``threshold`` is a fraction of the test images.

    Where some attempts reach the threshold, but not enough of them, the result is borderline and earns
    ``borderline_points`` of the points. An attempt that stays more than ``clear_miss`` below is a clear miss:
    runs of one network differ by about 0.0005.
    """

    kind: Literal["validation_accuracy"] = "validation_accuracy"
    threshold: Annotated[float, Field(gt=0, le=1)]
    borderline_points: Annotated[float, Field(ge=0, le=1)] = 0.5
    clear_miss: Annotated[float, Field(ge=0, le=1)] = 0.003

    def needed(self, images: int) -> int:
        """Return the smallest count that is not below the threshold: 9,940 of 10,000 for 0.994."""
        return math.ceil(Fraction(str(self.threshold)) * images)


def reached(run: r.TrainingRun, policy: r.TrainingPolicy) -> Fraction:
    """Return the correct images that one attempt counts for, by the rubric's metric."""
    metric, last_k = policy.metric, policy.last_k
    counts = [epoch.correct for epoch in run.epochs]
    if not counts or (run.ended == "diverged" and metric != "best_epoch"):
        return Fraction(0)
    if metric == "best_epoch":
        return Fraction(max(counts))
    if metric == "final":
        kept = [epoch.correct for epoch in run.epochs if epoch.epoch == run.kept]
        return Fraction(kept[0] if kept else counts[-1])
    return Fraction(sum(counts[-last_k:]), len(counts[-last_k:]))


def settled(
    criterion: ValidationAccuracy, runs: Sequence[r.TrainingRun], policy: r.TrainingPolicy
) -> Settled | None:
    """Return the outcome as soon as the attempts, in their order, settle it; None while they do not.

    A further attempt changes nothing, whether or not the rubric stops there.
    """
    firsts = (_outcome(criterion, runs[: n + 1], policy) for n in range(len(runs)))
    return next((outcome for outcome in firsts if outcome is not None), None)


def _outcome(
    criterion: ValidationAccuracy, runs: Sequence[r.TrainingRun], policy: r.TrainingPolicy
) -> Settled | None:
    attempts, passes = policy.attempts, _passes(criterion, runs, policy)
    left = attempts - len(runs)
    enough = {"majority": attempts // 2 + 1, "any": 1, "all": attempts}[policy.decide]
    misses = sum(_clear_miss(criterion, run, policy) for run in runs)
    if misses > attempts - enough:
        return "borderline" if passes else "fail"
    if passes >= enough:
        return "pass"
    if passes + left >= enough:
        return None
    if passes:
        return "borderline"
    return None if left else "fail"  # one more attempt may still make the outcome borderline


def _passes(criterion: ValidationAccuracy, runs: Sequence[r.TrainingRun], policy: r.TrainingPolicy) -> int:
    return sum(reached(x, policy) >= criterion.needed(_images(x)) for x in runs if x.epochs)


def _images(run: r.TrainingRun) -> int:
    return run.epochs[0].images


def _clear_miss(criterion: ValidationAccuracy, run: r.TrainingRun, policy: r.TrainingPolicy) -> bool:
    if run.ended == "interrupted":
        return False
    if not run.epochs:
        return True  # diverged within its first epoch
    images = _images(run)
    gap = criterion.needed(images) - reached(run, policy)
    return gap > Fraction(str(criterion.clear_miss)) * images


def check(criterion: ValidationAccuracy, subject: Subject) -> Finding:
    """Settle the attempts that were not interrupted; unknown where there are none or too few."""
    finished = [run for run in subject.runs if run.ended != "interrupted"]
    if not finished:
        return Finding("unknown", subject.obstacle or "not retrained")
    evidence = tuple(_evidence(run) for run in finished)
    outcome = settled(criterion, finished, subject.policy)
    images = next((_images(run) for run in finished if run.epochs), 0)
    passes = _passes(criterion, finished, subject.policy)
    message = (
        f"{passes} of {len(finished)} attempt{'s' * (len(finished) > 1)} reached "
        f"{criterion.needed(images):,} of {images:,}; best {_best(finished)}"
        if images
        else "no attempt got through its first epoch"
    )
    if outcome is None:
        return Finding("unknown", f"{message}; the outcome is not settled yet", evidence=evidence)
    hint = "" if outcome == "pass" else _hint(criterion, subject, finished)
    fraction = criterion.borderline_points if outcome == "borderline" else 0.0
    return Finding(outcome, message, hint, evidence, fraction)


def _best(runs: Sequence[r.TrainingRun]) -> str:
    best = max((run.best.correct for run in runs if run.best), default=0)
    return f"{best:,}"


def _evidence(run: r.TrainingRun) -> r.Evidence:
    if run.best is None:
        return r.Evidence(text=f"seed {run.seed}: the loss was no number within the first epoch")
    return r.Evidence(
        text=f"seed {run.seed}: best {run.best.correct:,} of {run.best.images:,} in epoch "
        f"{run.best.epoch}, last {run.epochs[-1].correct:,} in epoch {run.epochs[-1].epoch}",
        epoch=run.best.epoch,
    )


def _hint(criterion: ValidationAccuracy, subject: Subject, runs: Sequence[r.TrainingRun]) -> str:
    return " ".join([_of_runs(criterion, subject, runs), *advice.on_structure(subject)])


def _of_runs(criterion: ValidationAccuracy, subject: Subject, runs: Sequence[r.TrainingRun]) -> str:
    """Return a hint from what the runs show, a diverged run first, then the best one."""
    diverged = next((run for run in runs if run.ended == "diverged"), None)
    if diverged is not None:
        return _diverged(diverged, subject)
    run = max((run for run in runs if run.best), key=lambda run: run.best.correct if run.best else 0)
    best = run.best
    assert best is not None  # a run without an epoch has diverged
    missing = criterion.needed(best.images) - best.correct
    if missing <= 0:
        return "It passes with some seeds only: it needs a margin above the threshold."
    classes = (subject.analysis.of(subject.network.outputs[0]).output or (0,))[-1]
    if classes > 1 and best.correct * classes < 1.5 * best.images:
        rate = best.learning_rate  # None where a replay does not report it
        advice = f", at a learning rate of {rate:g}; try a tenth of it." if rate is not None else "."
        found = f"{best.correct:,} of {best.images:,} with {classes} classes"
        return f"It never got beyond guessing: {found}{advice}"
    short = f"{missing:,} images short at its best, in epoch {best.epoch} of {len(run.epochs)}"
    gap = (best.train_accuracy or 0) - best.correct / best.images
    if best is run.epochs[-1] and best.train_accuracy and gap < 0.002:
        return f"{short}, and still improving: it learns too slowly."
    if gap > 0.005:
        return (
            f"{short}; it overfits: {best.train_accuracy:.2%} of the training images are right, "
            f"{best.correct / best.images:.2%} of the test images."
        )
    return f"{short}."


def _diverged(run: r.TrainingRun, subject: Subject) -> str:
    """Name the epoch in which the loss was no number, and its learning rate."""
    epoch = next((e for e in run.epochs if e.train_loss is None), None)
    number, rate = (epoch.epoch, epoch.learning_rate) if epoch else (len(run.epochs) + 1, None)
    if rate is None and number == 1 and subject.recipe:
        rate = subject.recipe[0].learning_rates[0]
    at = f", at a learning rate of {rate:g}" if rate is not None else ""
    return f"The loss became infinite or no number in epoch {number}{at}: the learning rate is too high."
