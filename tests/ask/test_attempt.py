"""When two attempts are the same work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grader import records as r
from grader.ask import attempt


def test_names_make_no_difference(network: Callable[..., r.ModelDescription]) -> None:
    """Layers called otherwise are the same network; another order or setting is another."""

    def built(first: str, second: str, units: int = 5) -> r.ModelDescription:
        return network(
            r.Flatten(name=first, inbound=()),
            r.Dense(name=second, inbound=(), units=units),
            shape=(28, 28, 1),
        )

    one = built("flatten_7", "softmax").canonical()
    assert one == built("a", "b").canonical()
    assert one != built("a", "b", units=6).canonical()
    assert [layer.name for layer in one.layers] == ["layer_0", "layer_1", "layer_2"]
    assert one.outputs == ("layer_2",)


def test_where_a_recipe_came_from_makes_no_difference(recipe: Callable[..., Any], network: Any) -> None:
    """The cell, and which images were recognised, train nothing; the batch size does."""
    whole = network(r.Flatten(name="flat"))
    told = recipe(
        cell=7, trained_on=r.DataUse(split="train", images=9), unsupported=(r.because("loss", "x"),)
    )
    assert attempt.bare(told, whole) == attempt.bare(recipe(), whole)
    assert attempt.bare(recipe(batch_size=3), whole) != attempt.bare(recipe(), whole)
    frozen = attempt.bare(recipe(frozen=("flat",)), whole)
    assert frozen.frozen == ("layer_1",)


def test_a_run_that_ended_by_itself_says_so(
    run: Callable[..., r.TrainingRun], network: Any, recipe: Any
) -> None:
    """Divergence and early stopping stay what they are, wherever the run is cut."""
    spec = r.DatasetSpec(name="mnist", path="/x", sha256="0" * 64)
    job = r.TrainJob(
        network=network(r.Flatten(name="f", inbound=())),
        training=(recipe(),),
        dataset=spec,
        seed=1,
        max_epochs=5,
    )
    stopped = attempt.Made(run=run([9_000, 9_100], ended="early_stopping"), max_epochs=20)
    assert attempt.usable(stopped, job) == stopped.run
    one = attempt.usable(stopped, job.model_copy(update={"max_epochs": 1}))
    assert one is not None
    assert (len(one.epochs), one.ended) == (1, "finished")
    short = attempt.Made(run=run([9_000, 9_100]), max_epochs=2)
    assert attempt.usable(short, job) is None
    diverged = attempt.Made(run=run([9_000, 9_100], ended="diverged"), max_epochs=20, stop_at=9_100)
    reached = attempt.usable(diverged, job.model_copy(update={"stop_at": 9_100}))
    assert reached is not None
    assert reached.ended == "diverged"


def test_a_run_that_kept_weights_is_not_cut(
    run: Callable[..., r.TrainingRun], network: Any, recipe: Any
) -> None:
    """Which epoch's weights come back at a fit's end depends on where it ends."""
    spec = r.DatasetSpec(name="mnist", path="/x", sha256="0" * 64)
    fits = (recipe(keeps=r.Kept()),)
    flat = network(r.Flatten(name="f", inbound=()))
    job = r.TrainJob(network=flat, training=fits, dataset=spec, seed=1, max_epochs=3)
    whole = run([9_000, 9_100, 9_050]).model_copy(update={"kept": 2})
    made = attempt.Made(run=whole, max_epochs=3)
    assert attempt.usable(made, job) == whole
    assert attempt.usable(made, job.model_copy(update={"max_epochs": 2})) is None
    assert attempt.usable(made.model_copy(update={"max_epochs": 20, "stop_at": 9_100}), job) is None
