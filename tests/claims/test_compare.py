"""Claims are held against the network, the recipe and the reproduced runs of their own model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import records as r
from grader.claims import SPREAD, check, read
from grader.claims.compare import _RESTORED
from grader.layers.shapes import Analysis

SUMMARY = "Total params: 112\nTrainable params: 96\n"
OTHER = "Total params: 10,524\n"
Make = Callable[..., Any]


def log(epochs: int, of: int = 20, best: float = 0.9935, head: str = "") -> str:
    lines = [
        f"Epoch {n}/{of}\n - loss: 0.1 - acc: 0.9 - val_loss: 0.1 - val_acc: 0.9800" for n in range(1, epochs)
    ]
    return head + "\n".join([*lines, f"Epoch {epochs}/{of}\n - loss: 0.1 - acc: 0.9 - val_acc: {best:.4f}"])


@pytest.fixture
def checked(program: Make, model: Make, analysis: Analysis) -> Callable[..., tuple[r.ClaimCheck, ...]]:
    """The checks of cells with these outputs; the model is built and fitted in the first."""

    def build(
        *outputs: str, graded: r.DescribedModel | None = None, others: Sequence[r.DescribedModel] = (),
        runs: Sequence[r.TrainingRun] = (), era: str = "keras2", **rest: Any,
    ) -> tuple[r.ClaimCheck, ...]:  # fmt: skip
        graded = graded or model(1)
        description = r.Description(models=(graded, *others), keras_era=era)
        return check(program(*outputs, **rest), description, graded, analysis, runs)

    return build


def test_silence(checked: Make, run: Make) -> None:
    """Where either side is silent there is no line in the report."""
    assert checked("hello", runs=[run([9_940])]) == ()
    assert checked(log(2), runs=[run([], ended="diverged")])[1:] == ()


# --- parameters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("output", "agrees"), [(SUMMARY, True), (OTHER + SUMMARY, True), (OTHER, False)])
def test_parameters(checked: Make, output: str, agrees: bool) -> None:
    """Who pastes the summary of another network is told both numbers; one that fits is enough."""
    (found,) = checked(output)
    assert found.agrees is agrees
    assert ("112" if agrees else "10,524") in found.claim
    assert "(cell 1)" in found.claim
    assert "112" in found.found
    assert bool(found.remark) is not agrees


def test_trainable_parameters(checked: Make) -> None:
    """A summary from before a layer was frozen is remarked, and contradicts nothing."""
    (found,) = checked(SUMMARY.replace("96", "16"))
    assert found.agrees is True
    assert "counts 16 of them as trainable, the code as handed in 96" in found.remark


def test_the_summary_of_another_model(checked: Make, model: Make) -> None:
    """Each model has the summaries behind its own cells; nobody is told of another's."""
    side = model(4, built=3, name="side")
    assert checked("", "", OTHER, "", others=[side]) == ()
    (found,) = checked(OTHER, "", "Total params: 7\n", "", others=[side])
    assert "10,524" in found.claim
    assert "7" not in found.claim


# --- epochs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reached", "announced", "agrees"),
    [(20, 20, True), (12, 20, True), (21, 21, False), (12, 50, False), (9, 9, False)],
)
def test_epochs(checked: Make, reached: int, announced: int, agrees: bool) -> None:
    """A log may end early, but it must be going to where the code goes."""
    (found,) = checked(log(reached, announced))
    assert found.agrees is agrees
    assert f"reaches epoch {reached}" in found.claim
    assert (f"of {announced}" in found.claim) is (announced != reached)
    assert "20" in found.found
    assert bool(found.remark) is not agrees


def test_epochs_of_several_fits(checked: Make, model: Make) -> None:
    """Every fit has its log, in one cell or in several; a continued one counts from where it began."""
    (found,) = checked(log(20), log(20), graded=model(1, 2))
    assert (found.claim, found.found) == (
        "the saved log (cells 1, 2) reaches epoch 20 and 20", "the code trains for 20 and 20",
    )  # fmt: skip
    assert found.agrees is True
    assert checked(log(20) + "\n" + log(30, 30), graded=model(1, 1))[0].agrees is False
    continued = "\n".join(f"Epoch {n}/40" for n in range(21, 41))
    assert checked(log(20) + "\n" + continued, graded=model(1, 1))[0].agrees is True


def test_the_log_of_another_fit(checked: Make, model: Make) -> None:
    """A log of another model's cell is not held against this one."""
    side = model(2, built=1, name="side")
    assert checked("", log(50, 50), others=[side]) == ()


# --- accuracy -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claimed", "ended", "agrees"),
    [
        (0.9935, "finished", True),
        (0.9942 + SPREAD - 1e-4, "finished", True),
        (0.9942 + SPREAD + 1e-4, "finished", False),
        (0.9942 + SPREAD + 1e-4, "threshold_reached", None),
        (0.9942, "threshold_reached", True),
    ],
)
def test_accuracy(checked: Make, run: Make, claimed: float, ended: str, agrees: bool | None) -> None:
    """A claim above every run and the spread of runs contradicts, unless a run was stopped early."""
    *_, found = checked(log(20, best=claimed), runs=[run([9_930, 9_931]), run([9_942, 9_910], ended=ended)])
    assert found.agrees is agrees
    assert f"{claimed:.4f} (epoch 20 of the training log, cell 1)" in found.claim
    assert "0.9931 to 0.9942 in 2 runs" in found.found
    assert ("stopped at the threshold" in found.found) is (ended == "threshold_reached")
    assert bool(found.remark) is (agrees is False)


def accuracy_claim(
    checked: Make, run: Make, model: Make, era: str = "keras2", head: str = "", **fit: Any
) -> Any:
    runs = [run([9_931]), run([9_940]), run([9_935])]
    *_, found = checked(log(20, best=0.9987, head=head), graded=model(1, **fit), runs=runs, era=era)
    return found


def test_binary_accuracy(checked: Make, run: Make, model: Make) -> None:
    """The trap of `binary_crossentropy`: standalone Keras counted every output by itself."""
    found = accuracy_claim(checked, run, model, loss=r.Loss(name="binary_crossentropy"))
    assert found.agrees is False
    assert found.claim.startswith("best validation accuracy 0.9987")
    assert found.found == "retraining reached 0.9931 to 0.9940 in 3 runs"
    assert found.remark.startswith("The claim counts binary accuracy")
    newer = accuracy_claim(checked, run, model, era="keras3", loss=r.Loss(name="binary_crossentropy"))
    assert newer.remark.startswith("The claim may count binary accuracy")


@pytest.mark.parametrize(
    ("change", "head", "reason"),
    [
        ({"validated_on": r.DataUse(split="test", images=128)}, "", "counts 128 validation images only"),
        ({}, "Train on 60000 samples, validate on 128 samples\n", "counts 128 validation images only"),
        ({"trained_on": r.DataUse(split="test", images=10_000)}, "", "was trained on test images"),
        ({"trained_on": r.DataUse(split="mixed", images=70_000)}, "", "was trained on test images"),
        ({"validated_on": r.DataUse(split="train", images=6_000)}, "", "held out of the training split"),
        ({}, "", "was not reproduced"),
    ],
)
def test_why_a_claim_is_too_high(
    checked: Make, run: Make, model: Make, change: dict[str, Any], head: str, reason: str
) -> None:
    """What explains the difference is said; where nothing does, that it was not reproduced."""
    assert reason in accuracy_claim(checked, run, model, head=head, **change).remark


def test_log_before_score_before_prose(checked: Make, run: Make) -> None:
    """The log is the best witness; a printed score comes next; the text is the last."""

    def claim(*outputs: str) -> str:
        return checked(*outputs, prose="It got 99.42%.", runs=[run([9_940])])[-1].claim

    assert "0.9823 (training log" in claim("val_acc: 0.9823\n[0.02, 0.9900]")
    assert "0.9900 (evaluate, cell 1)" in claim("[0.02, 0.9900]")
    assert "0.9910 (printed score, cell 1)" in claim("Test accuracy: 99.1%")
    assert "0.9942 (text, cell 1)" in claim("")


# --- evaluate -----------------------------------------------------------------------------------

EVALUATED = "model.fit(x)\nscore = model.evaluate(x_test, y_test)\nprint(score)"


def test_a_stale_evaluate(checked: Make) -> None:
    """`evaluate` gives what the last epoch gave; else one of the two is of another run."""
    _, found = checked(log(20) + "\n[0.02, 0.9941]", source=EVALUATED)
    assert (found.agrees, "0.9941 (cell 1)" in found.claim, "0.9935" in found.found) == (False, True, True)
    assert len(checked(log(20) + "\n[0.02, 0.9935]", source=EVALUATED)) == 1
    assert len(checked(log(20) + "\n[0.02, 0.99350001]", source=EVALUATED)) == 1


@pytest.mark.parametrize(
    ("source", "fit"),
    [
        (EVALUATED + "\nmodel.load_weights('best.h5')", {}),
        (EVALUATED.replace("x_test", "x_train"), {}),
        ("x", {}),
        (EVALUATED, {"validated_on": r.DataUse(split="train", images=6_000)}),
        (EVALUATED, {"validated_on": r.DataUse(split="test", images=128)}),
    ],
)
def test_an_evaluate_that_cannot_be_compared(checked: Make, model: Make, source: str, fit: Any) -> None:
    """Restored weights and other images: no false alarm."""
    assert len(checked(log(20) + "\n[0.02, 0.9941]", source=source, graded=model(1, **fit))) == 1


def test_an_unfinished_log_is_not_compared(checked: Make) -> None:
    """Of an interrupted log nobody knows the last epoch."""
    assert len(checked(log(12) + "\n[0.02, 0.9941]", source=EVALUATED)) == 1


@given(st.text(alphabet="Total params:val_cEpoch 0123456789.,[]%e-/()│\n", max_size=300))
def test_any_text_is_read(text: str) -> None:
    """Whatever stands in an output or in the prose, reading it gives possible claims."""
    cells = (r.Cell(kind="code", source="", output=text), r.Cell(kind="markdown", source=text))
    claims = read(r.Program(name="a", path="a", digest="", cells=cells))
    assert all(0 <= s.accuracy <= 1 for s in claims.scores)
    assert all(0 <= (e.accuracy or 0) <= 1 for log in claims.logs for e in log.epochs)


def test_names_of_averages_are_words() -> None:
    """`ema` is one; it is none within `remaining` or `schema`."""
    assert all(
        _RESTORED.search(code)
        for code in ("swa.start()", "EMA(0.99)", "apply_ema(model)", "restore_best_weights=True")
    )
    assert not any(_RESTORED.search(code) for code in ("remaining = 3", "schema = {}", "print('swap')"))
