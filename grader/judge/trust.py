"""Judges whether the accuracy of the attempts was learned in them.

Both questions are answered by measurement: what the network gets right before it has learned anything, and
whether it learns renumbered classes as well (`grader.judge.symmetry`). A doubt is a reason for a person to
look; a doubt never counts against the student.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from grader.records import AS_HANDED_IN, TrainingRun

# Parts of the images; 0.35 for ten classes. Untrained networks reach 0.1 on average. How far above chance
# luck carries them was measured (docs/security.md); for two classes luck carries them to any accuracy.
UNTRAINED_AT_MOST = 0.1
TIMES_CHANCE = 2.5
# Part of the images, in the best epoch, beyond the deviations that chance explains for their number;
# seeds of one network differ by 0.0005.
FAR_BELOW = 0.02
DEVIATIONS = 3
# Part of the images that a replay may lose when they are shifted by a pixel, with faint noise.
BY_HEART = 0.2


def doubt(runs: Sequence[TrainingRun], classes: int, needed: int | None) -> str:
    """Return why the attempts prove no learning; empty where they do.

    ``needed`` is the number of correct images that the rubric asks for.
    """
    limit = UNTRAINED_AT_MOST + TIMES_CHANCE / max(1, classes)
    for run in runs:
        if run.untrained is not None and run.untrained.accuracy > limit:
            return (
                f"before it has learned anything, the network gets {run.untrained.accuracy:.1%} of the test "
                f"images right, where an untrained network gets about {1 / classes:.0%}: it brings along "
                "what training should teach"
            )
    return _by_heart(runs) or _far_below(runs, needed or 0)


def _by_heart(runs: Sequence[TrainingRun]) -> str:
    """Return a doubt where a replay recognises the test images, but not the same images changed a little."""
    for run in runs:
        best = run.best
        if best is not None and best.changed is not None:
            reached, again = best.correct / best.images, best.changed.correct / best.changed.images
            if reached - again > BY_HEART:
                return (
                    f"the replay gets {reached:.1%} of the test images right, and {again:.1%} of the same "
                    "images shifted by a pixel, with faint noise: its code may know the images by heart"
                )
    return ""


def _far_below(runs: Sequence[TrainingRun], needed: int) -> str:
    """Return a doubt where the first attempt suffices and one with renumbered classes falls far behind."""
    first = runs[0].best if runs else None
    if first is None or first.correct < needed or runs[0].symmetry != AS_HANDED_IN:
        return ""
    reached = first.correct / first.images
    chance = DEVIATIONS * math.sqrt(reached * (1 - reached) / first.images)
    for run in runs[1:]:
        other = run.best.correct / run.best.images if run.best else 0.0
        renumbered = run.symmetry.classes and run.ended != "interrupted"
        if renumbered and reached - other > FAR_BELOW + chance:
            return (
                f"with the original class numbers the network reaches {reached:.2%}, with the classes "
                f"renumbered {other:.2%} (seed {run.seed}), and learning does not depend on these numbers"
            )
    return ""
