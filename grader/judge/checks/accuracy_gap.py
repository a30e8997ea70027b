"""Checks how much better the network is on the images that it was trained on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grader import records as r
from grader.judge.checks.interface import BaseCriterion, Finding, Subject


class AccuracyGap(BaseCriterion):
    """Training accuracy minus validation accuracy, in each attempt's best epoch, on average.

    Keras measures training accuracy while it trains, with dropout on.
    """

    kind: Literal["accuracy_gap"] = "accuracy_gap"
    at_most: Annotated[float, Field(ge=0, le=1)]


def check(criterion: AccuracyGap, subject: Subject) -> Finding:
    """Compare the mean gap of the attempts with the limit; unknown without a measured training accuracy."""
    bests = [run.best for run in subject.runs if run.best and run.best.train_accuracy is not None]
    if not bests:
        return Finding("unknown", subject.obstacle or "not retrained")
    gaps = [(best.train_accuracy or 0.0) - best.correct / best.images for best in bests]
    gap = sum(gaps) / len(gaps)
    message = f"training accuracy is {gap:+.4f} from validation accuracy; at most {criterion.at_most:+g}"
    evidence = tuple(
        r.Evidence(
            text=f"epoch {b.epoch}: training {b.train_accuracy:.4f}, validation {b.correct / b.images:.4f}",
            epoch=b.epoch,
        )
        for b in bests
    )
    if gap <= criterion.at_most:
        return Finding("pass", message, evidence=evidence)
    hint = f"Regularise more ({_dropout(subject.network)}): dropout, fewer parameters, augmentation."
    return Finding("fail", message, hint, evidence)


def _dropout(network: r.ModelDescription) -> str:
    rates = [x.rate for x in network.layers if isinstance(x, r.Dropout | r.SpatialDropout2D)]
    if not rates:
        return "there is no Dropout"
    span = f"{min(rates):g}" if min(rates) == max(rates) else f"{min(rates):g} to {max(rates):g}"
    return f"{len(rates)} × Dropout of {span}"
