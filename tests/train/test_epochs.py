"""Whole runs of every engine: the same epochs as with Keras's `fit`, and how runs end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from run_engine import Done, run

from grader import records as r
from grader.data import datasets
from grader.train.epochs import Trainer
from grader.train.native.learner import Learner

Build = Callable[..., r.ModelDescription]
BATCH = 32
IMAGES = 300
LAYERS: tuple[r.Layer, ...] = (
    r.Conv2D(name="a", filters=6, kernel_size=(3, 3), strides=(2, 2), activation="relu"),
    r.BatchNormalization(name="b", momentum=0.8),
    r.MaxPooling2D(name="c"),
    r.Conv2D(name="d", filters=10, kernel_size=(6, 6), kernel_regularizer=r.L1L2(l2=1e-3)),
    r.Flatten(name="e"),
    r.ActivationLayer(name="f", activation="softmax"),
)


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    return _arrays()


@cache
def _arrays() -> dict[str, Any]:
    data = datasets.load(datasets.MNIST)
    return {
        "x_train": data.x_train[:IMAGES],
        "y_train": data.y_train[:IMAGES],
        "x_test": data.x_test[:200],
        "y_test": data.y_test[:200],
    }


@pytest.fixture
def job(network: Build) -> Callable[..., r.TrainJob]:
    """A job with one recipe of three epochs, with changes to it; or with several recipes."""

    def build(*recipes: dict[str, Any], dropout: bool = False, **changes: Any) -> r.TrainJob:
        usual = {
            "optimizer": r.Adam(), "learning_rates": (0.003,), "epochs": 3, "batch_size": BATCH,
            "shuffle": False,
        }  # fmt: skip
        made = tuple(r.TrainingRecipe(**(usual | own)) for own in (recipes or ({},)))
        layers = changes.pop("layers", LAYERS)
        fields = {"seed": 5, "max_epochs": 20} | changes
        if dropout:
            layers = (*LAYERS[:3], r.Dropout(name="g", rate=0.2), *LAYERS[3:])
        return r.TrainJob(network=network(*layers), training=made, dataset=datasets.MNIST, **fields)

    return build


@pytest.fixture(scope="module")
def on_jax() -> Iterator[Callable[..., Done]]:
    """A process in which Keras runs on JAX; in this one it runs on TensorFlow."""
    pytest.importorskip("jax")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield lambda *arguments: pool.submit(run, "jax", *arguments).result()


@pytest.fixture(params=["native", "jax"])
def engine(request: pytest.FixtureRequest) -> Callable[..., Done]:
    """Runs a job with given weights, or its seed's, by one of the engines."""
    if request.param == "native":
        return partial(run, "native")
    return request.getfixturevalue("on_jax")


STEPS = math.ceil(IMAGES / BATCH)
PLATEAU = {"monitor": "val_accuracy", "min_delta": 0.5}
RUNS: dict[str, tuple[dict[str, Any], ...]] = {
    "adam": ({},),
    "nesterov, rates by epoch": (
        {"optimizer": r.SGD(momentum=0.9, nesterov=True), "learning_rates": (0.05, 0.02, 0.01)},
    ),
    "rates by step": ({"learning_rates": tuple(0.01 / n for n in range(1, 3 * STEPS)), "rates_per": "step"},),
    "rmsprop, sparse": ({"optimizer": r.RMSprop(), "loss": r.Loss(name="sparse_categorical_crossentropy")},),
    "other scaling, other batch": (
        {"scaling": r.InputScaling(scale=2 / 255, offset=-1.0), "batch_size": 100},
    ),
    "early stopping": ({"callbacks": (r.EarlyStopping(patience=1, **PLATEAU),), "epochs": 6},),
    "early stopping at a baseline": (
        {"callbacks": (r.EarlyStopping(monitor="loss", baseline=0.1, patience=2),), "epochs": 6},
    ),
    "early stopping from an epoch on": (
        {"callbacks": (r.EarlyStopping(start_from_epoch=2, **PLATEAU),), "epochs": 6},
    ),
    "plateau": (
        {"callbacks": (r.ReduceLROnPlateau(factor=0.5, patience=1, cooldown=1, **PLATEAU),), "epochs": 6},
    ),
    "plateau to a least rate": (
        {"callbacks": (r.ReduceLROnPlateau(patience=1, min_lr=0.001, **PLATEAU),), "epochs": 5},
    ),
    "a part of the split": ({"rows": ((0, 50), (100, 250)), "batch_size": 40},),
    "callbacks on what was held out": (
        {
            "rows": ((0, 250),),
            "held_out": ((250, 300),),
            "epochs": 6,
            "callbacks": (r.EarlyStopping(patience=1, **PLATEAU),),
        },
    ),
    "epochs of few steps": ({"steps_per_epoch": 4, "epochs": 5},),
    "epochs of many steps": ({"steps_per_epoch": 13, "epochs": 2},),
    "stopping at a value": (
        {"callbacks": (r.StopAt(monitor="accuracy", value=0.2, side="above"),), "epochs": 6},
    ),
    "stopping below a value": (
        {"callbacks": (r.StopAt(monitor="loss", value=2.0, side="below"),), "epochs": 6},
    ),
    "the best weights": (
        {"keeps": r.Kept(monitor="loss", mode="min"), "learning_rates": (0.003, 0.0, 0.0), "epochs": 3},
    ),
    "the weights of an epoch": ({"keeps": r.Kept(epoch=2)}, {"continues": True, "epochs": 1}),
    "in a new order": ({"shuffle": True},),
    "each fit in orders of its own": (
        {"shuffle": True, "epochs": 2},
        {"continues": True, "shuffle": True, "epochs": 2, "batch_size": 50},
    ),
    "going on": ({}, {"continues": True, "epochs": 2}),
    "compiled again": ({}, {"epochs": 2, "batch_size": 50, "optimizer": r.Adagrad()}),
}


# What the native engine leaves to others.
MORE: dict[str, tuple[dict[str, Any], ...]] = {
    "class weights": ({"class_weights": (1.0, 5.0, 0.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0)},),
    "sample weights": ({"rows": ((20, 220),), "sample_weights": tuple(n / 100 for n in range(200))},),
    "frozen, then not": ({"frozen": ("a", "b"), "epochs": 2}, {"epochs": 1}),
    "pixels each scaled": (
        {"scaling": r.InputScaling(pixel_scale=(0.004,) * 784, pixel_offset=(0.5,) * 392 + (0.0,) * 392)},
    ),
    "binary cross-entropy": ({"loss": r.Loss(name="binary_crossentropy")},),
    "squares": ({"loss": r.Loss(name="mean_squared_error")},),
    "two losses": ({}, {"loss": r.Loss(name="mean_squared_error"), "epochs": 2}),
    "old Nadam, clipped": ({"optimizer": r.Nadam(schedule_decay=0.004, clipnorm=0.5)},),
    "decay of weights": ({"optimizer": r.Adam(weight_decay=0.01, amsgrad=True)},),
}  # fmt: skip


BLIND = (
    r.Flatten(name="a"), r.BatchNormalization(name="n"),
    r.Dense(name="b", units=10, kernel_initializer=r.ZEROS, bias_initializer=r.ZEROS, activation="softmax"),
)  # fmt: skip
KNOWING = (
    r.Flatten(name="a"),
    r.Dense(name="b", units=10, bias_initializer=r.RandomNormal(stddev=1.0), activation="softmax"),
)


@pytest.fixture(params=["native", "jax", "keras"])
def train(request: pytest.FixtureRequest) -> Callable[..., Done]:
    """Runs a job by one of the engines."""
    if request.param == "jax":
        return request.getfixturevalue("on_jax")
    return partial(run, request.param)


def test_what_a_network_gets_right_without_learning(
    train: Callable[..., Done], job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """Zeros predict the first class, before and after averages moved; without averages nothing can move."""

    def untrained(layers: tuple[r.Layer, ...]) -> r.Untrained:
        return train(job({"epochs": 1}, layers=layers), arrays).untrained

    zeros = int((arrays["y_test"] == 0).sum())
    assert untrained(BLIND) == r.Untrained(initial=zeros, settled=zeros, images=200)
    assert untrained(KNOWING).settled is None
    moved = untrained(LAYERS)
    assert moved.settled not in (None, moved.initial)


def _beside(*ends: r.Layer) -> tuple[r.Layer, ...]:
    """A 1×1 convolution with BatchNormalization and Dropout beside another one, and what becomes of them."""
    return (
        r.Conv2D(name="main", filters=3, kernel_size=(5, 5), strides=(2, 2), activation="relu"),
        r.Conv2D(name="one", filters=3, kernel_size=(1, 1)), r.BatchNormalization(name="norm"),
        r.Dropout(name="drop", rate=0.2), *ends, r.Flatten(name="flat"),
        r.Dense(name="scores", units=10, activation="softmax"),
    )  # fmt: skip


TAKEN_AWAY = _beside(
    r.Merge(name="sum", type="Add", inbound=("main", "drop")),
    r.Merge(name="same", type="Subtract", inbound=("sum", "drop")),
)
ADDED = _beside(r.Merge(name="sum", type="Add", inbound=("main", "drop")))
WITHOUT_DROPOUT = (
    *ADDED[:3], r.Merge(name="sum", type="Add", inbound=("main", "norm")), *ADDED[-2:],
)  # fmt: skip


def test_layers_that_do_nothing_are_found_by_experiment(
    train: Callable[..., Done], job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """A branch that is added and taken away again changes no answer, whatever its weights and masks."""

    def effects(layers: tuple[r.Layer, ...], epochs: int = 8) -> r.Effects | None:
        return train(job({"epochs": epochs, "learning_rates": (0.01,)}, layers=layers), arrays).effects

    assert effects(TAKEN_AWAY) == r.Effects(idle=(2, 3), random=False, images=IMAGES)
    assert effects(ADDED) == r.Effects(idle=(), random=True, images=IMAGES)
    assert effects(WITHOUT_DROPOUT) == r.Effects(idle=(), random=False, images=IMAGES)
    assert effects((r.Rescaling(name="none", scale=0.0), *ADDED[-2:]), 1) is None


@pytest.mark.parametrize("name", RUNS)
def test_every_epoch_is_that_of_keras(
    name: str, engine: Callable[..., Done], job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """From the same weights, without shuffling: losses to 1 %, rates, counts to 2 images, and the end."""
    _same_as_keras(job(*RUNS[name]), engine, arrays)


@pytest.mark.parametrize("name", MORE)
def test_jax_trains_what_the_native_engine_does_not(
    name: str, on_jax: Callable[..., Done], job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """The same comparison, for recipes that only Keras's own layers and losses know."""
    _same_as_keras(job(*MORE[name]), on_jax, arrays)


OTHER_LAYERS: tuple[r.Layer, ...] = (
    r.ZeroPadding2D(name="a", padding=((1, 1), (1, 1))),
    r.Conv2D(name="b", filters=6, kernel_size=(3, 3), strides=(2, 2), padding="same", use_bias=False),
    r.BatchNormalization(name="c"),
    r.LeakyReLU(name="d"),
    r.DepthwiseConv2D(name="e", kernel_size=(3, 3), padding="same", activation="elu"),
    r.Merge(name="f", type="Add", inbound=("d", "e")),
    r.SeparableConv2D(name="g", filters=8, kernel_size=(3, 3), inbound=("f",), activation="silu"),
    r.AveragePooling2D(name="h", pool_size=(3, 3), strides=(2, 2), padding="same"),
    r.Conv2D(name="i", filters=10, kernel_size=(1, 1), dilation_rate=(1, 1)),
    r.GlobalAveragePooling2D(name="j"),
    r.LayerNormalization(name="k"),
    r.Dense(name="l", units=10, activation="sigmoid"),
)


def test_jax_trains_other_layers_as_tensorflow_does(
    on_jax: Callable[..., Done], job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """A network of the layers that the other comparisons lack, under a binary cross-entropy."""
    recipe = {"loss": r.Loss(name="binary_crossentropy"), "optimizer": r.SGD(momentum=0.9)}
    _same_as_keras(job(recipe, layers=OTHER_LAYERS), on_jax, arrays)


RANDOM_LAYERS: tuple[r.Layer, ...] = (
    r.Resizing(name="a", height=20, width=22),
    r.RandomFlip(name="b", mode="horizontal"),
    r.RandomRotation(name="c", factor=(-0.1, 0.1)),
    r.RandomTranslation(name="d", height_factor=(-0.1, 0.1), width_factor=(-0.1, 0.1)),
    r.RandomZoom(name="e", height_factor=(-0.1, 0.1)),
    r.RandomContrast(name="f", factor=(0.1, 0.1)),
    r.RandomBrightness(name="g", factor=(-0.1, 0.1), value_range=(0.0, 1.0)),
    r.CenterCrop(name="h", height=16, width=16),
    r.Normalization(name="i", mean=(0.1,), variance=(0.1,)),
    r.GaussianNoise(name="j", stddev=0.1),
    r.Conv2DTranspose(name="k", filters=4, kernel_size=(3, 3), strides=(2, 2)),
    r.PReLU(name="l"),
    r.SpatialDropout2D(name="m", rate=0.1),
    r.Cropping2D(name="n", cropping=((3, 3), (2, 3))),
    r.UpSampling2D(name="o"),
    r.MaxPooling2D(name="p", pool_size=(4, 4)),
    r.GaussianDropout(name="q", rate=0.1),
    r.AlphaDropout(name="r", rate=0.1),
    r.Flatten(name="s"),
    r.Dense(name="t", units=10, activation="softmax"),
)


def test_jax_trains_every_kind_of_layer(
    on_jax: Callable[..., Done], job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """What draws random numbers, and what the other comparisons lack: by itself, and two seeds at once."""
    made = job({"epochs": 4}, layers=RANDOM_LAYERS)
    alone = on_jax(made, arrays)
    both = on_jax(made.model_copy(update={"beside": (6,)}), arrays)
    losses = [e.train_loss for e in alone.epochs]
    assert losses[-1] < losses[0]
    assert losses == pytest.approx([e.train_loss for e in both.epochs], rel=0.02)
    assert losses != pytest.approx([e.train_loss for e in both.beside[0].epochs], rel=0.001)


def _same_as_keras(job: r.TrainJob, engine: Callable[..., Done], arrays: dict[str, Any]) -> None:
    weights, wanted = _by_keras(job.model_dump_json())
    done = engine(job, arrays, weights)
    assert (done.ended, done.kept) == (wanted.ended, wanted.kept)
    assert [e.epoch for e in done.epochs] == [e.epoch for e in wanted.epochs]
    assert [e.learning_rate for e in done.epochs] == pytest.approx([e.learning_rate for e in wanted.epochs])
    for mine, other in zip(done.epochs, wanted.epochs, strict=True):
        assert mine.train_loss == pytest.approx(other.train_loss, rel=0.01)
        assert mine.validation_loss == pytest.approx(other.validation_loss, rel=0.01)
        assert mine.train_accuracy == pytest.approx(other.train_accuracy, abs=2.1 / IMAGES)
        assert abs(mine.correct - other.correct) <= 2
    for a, b in zip(done.weights, wanted.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=0.02, atol=0.01)


@cache
def _by_keras(job: str) -> tuple[list[Any], Done]:
    """The weights that Keras began with, and what came of them."""
    done = run("keras", r.TrainJob.model_validate_json(job), _arrays())
    return done.start, done


def test_the_same_seed_gives_the_same_run(
    engine: Callable[..., Done], job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """Every count and loss again, bit by bit; another seed shuffles and starts otherwise."""
    first, again, other = (_numbers(engine(job({"shuffle": True}, seed=s), arrays).epochs) for s in (5, 5, 6))
    assert first == again
    assert first != other


def _numbers(epochs: Any) -> list[tuple[Any, ...]]:
    return [(e.correct, e.train_loss, e.validation_loss) for e in epochs]


SHUFFLED = {"shuffle": True, "epochs": 4, "batch_size": 64}
TOGETHER: dict[str, tuple[tuple[dict[str, Any], ...], dict[str, Any]]] = {
    "plain": ((SHUFFLED,), {}),
    "each ends at its time": (
        (SHUFFLED | {"callbacks": (r.StopAt(monitor="loss", value=1.5, side="below"),)}, {"continues": True}),
        {},
    ),
    "each stops at the threshold": ((SHUFFLED,), {"stop_at": 60}),
    "each keeps its best": ((SHUFFLED | {"keeps": r.Kept()}, {"epochs": 1, "continues": True}), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", TOGETHER)
def test_seeds_in_one_program_come_out_as_each_alone(
    name: str, on_jax: Callable[..., Done], job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """Three seeds with Dropout, on JAX: losses, counts, ends and kept epochs to rounding, seed by seed."""
    recipes, changes = TOGETHER[name]
    seeds = (5, 6, 7)
    made = job(*recipes, dropout=True, seed=5, **changes)
    alone = [on_jax(made.model_copy(update={"seed": seed}), arrays) for seed in seeds]
    first = on_jax(made.model_copy(update={"beside": (6, 7)}), arrays)
    assert [beside.seed for beside in first.beside] == [6, 7]
    for one, together in zip(alone, (first, *first.beside), strict=True):
        assert (one.ended, one.kept) == (together.ended, together.kept)
        assert [e.train_loss for e in one.epochs] == pytest.approx(
            [e.train_loss for e in together.epochs], rel=1e-2
        )
        assert all(abs(a.correct - b.correct) <= 2 for a, b in zip(one.epochs, together.epochs, strict=True))


def test_every_epoch_trains_on_every_image_in_a_new_order(
    job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """300 images in ten steps, the last one of 12; two epochs differ in their order."""
    made = job({"shuffle": True, "epochs": 2})
    learner = Learner(made, arrays)
    seen: list[Any] = []
    step = learner.network.step

    def watched(images: Any, labels: Any, chosen: Any, optimizer: Any) -> Any:
        seen.append(chosen)
        return step(images, labels, chosen, optimizer)

    learner.network.step = watched  # type: ignore[method-assign]
    Trainer(made, arrays, lambda event: None, learner).run()
    # The first pass moves moving averages alone, and what follows the epochs are experiments.
    assert [len(chosen) for chosen in seen[:30]] == [*[32] * 9, 12] * 3
    one, two = np.concatenate(seen[10:20]), np.concatenate(seen[20:30])
    assert sorted(one) == sorted(two) == list(range(IMAGES))
    assert (one != two).any()


def test_a_loss_that_is_no_number_ends_the_run(
    engine: Callable[..., Done], job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """A learning rate of 10^30 diverges; the run says so and stops within the epoch."""
    done = engine(job({"optimizer": r.SGD(), "learning_rates": (1e30,)}), arrays)
    assert done.ended == "diverged"
    assert len(done.epochs) == 1
    assert done.epochs[0].train_loss is None


def test_a_run_stops_at_the_threshold(
    engine: Callable[..., Done], job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """As soon as enough images are correct, nothing more is trained."""
    done = engine(job(stop_at=1), arrays)
    assert done.ended == "threshold_reached"
    assert len(done.epochs) == 1


def test_epochs_are_cut_at_the_limit(
    engine: Callable[..., Done], job: Callable[..., r.TrainJob], arrays: dict[str, Any]
) -> None:
    """A longer recipe ends after the rubric's epochs, across fits."""
    done = engine(job({}, {}, max_epochs=4), arrays)
    assert [e.epoch for e in done.epochs] == [1, 2, 3, 4]
    assert done.ended == "finished"
