"""Accuracy that was brought along, and layers and epochs that are not what they seem, as students' code.

All models are built and fitted in one submission, which is described once; then each is looked at as if it
were the graded one. What only training shows (accuracy without learning, symmetry, replays) is tested with
real training in `test_pipeline.py`, `test_replaying.py` and `train/`.
"""

from __future__ import annotations

import pytest
from attacks import notebook

from grader import records as r
from grader.ask.asker import Asker
from grader.ask.description import describe
from grader.grade import examine
from grader.intake.load import load
from grader.judge import obstacles, rubric, score
from grader.judge.checks.interface import Subject
from grader.layers import shapes

START = """
import keras, numpy as np
from keras import layers
from keras.datasets import mnist
(x, y), _ = mnist.load_data()
x = x[..., None] / 255.0  # 600 images: 47 batches
random = np.random.default_rng(1)
models = {}

def fitted(name, inputs, outputs, epochs=1, optimizer="adam", **how):
    models[name] = model = keras.Model(inputs, outputs)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=13, epochs=epochs, **how)
    return model

def head(maps):
    return layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(maps))

def image():
    return keras.Input((28, 28, 1))
"""

BROUGHT = {
    "weights as edges": """
i = image()
p = [layers.Cropping2D(((r, 27 - r), (c, 27 - c)))(i) for r in range(3, 28, 4) for c in range(3, 28, 4)]
def total():
    return layers.Add()([p[k] for k in random.choice(len(p), 20, replace=False)])
sums = [layers.Subtract()([total(), total()]) for _ in range(30)]
fitted("weights as edges", i, head(layers.Concatenate()(sums)))
""",
    "initializers without a deviation": """
i = image()
h = i
for value in random.normal(size=90):
    h = layers.Conv2D(1, 1, kernel_initializer=keras.initializers.RandomNormal(value, 0.0))(h)
fitted("initializers without a deviation", i, head(h))
""",
    "slopes, thresholds, epsilons": """
i = image()
h = i
for value in abs(random.normal(size=30)):
    h = layers.LeakyReLU(negative_slope=value)(h)
    h = layers.ReLU(threshold=value / 7)(h)
    h = layers.BatchNormalization(epsilon=value / 11)(h)
fitted("slopes, thresholds, epsilons", i, head(h))
""",
    "weights of samples": """
i = image()
fitted("weights of samples", i, head(layers.Conv2D(4, 3)(i)), sample_weight=random.random(len(x)))
""",
    "learning rates": """
i = image()
rates = keras.optimizers.schedules.PiecewiseConstantDecay(
    list(range(1, 460)), [float(v) for v in 0.001 * random.random(460)])
fitted("learning rates", i, head(layers.Conv2D(4, 3)(i)), epochs=10, optimizer=keras.optimizers.Adam(rates))
""",
}

IDLE = {
    "no rate": ("i = image()\nh = layers.Dropout(0.0)(layers.BatchNormalization()(layers.Conv2D(4, 1)(i)))",
                {"dropout": "its rate is 0"}),
    "times zero": (
        """
i = image()
main = layers.Conv2D(4, 3, padding="same")(i)
b = layers.Dropout(0.1)(layers.BatchNormalization()(layers.Conv2D(4, 1)(main)))
h = layers.Add()([main, layers.Rescaling(0.0)(b)])
""",
        {"dropout": "do not depend", "batch_normalization": "do not depend", "one_by_one": "do not depend"},
    ),
    "less itself": (
        """
i = image()
main = layers.Conv2D(4, 3, padding="same")(i)
b = layers.Dropout(0.1)(layers.BatchNormalization()(layers.Conv2D(4, 1)(main)))
h = layers.Add()([main, layers.Subtract()([b, b])])
""",
        {"dropout": "do not depend", "batch_normalization": "do not depend", "one_by_one": "do not depend"},
    ),
    "frozen from the start": (
        """
i = image()
norm = layers.BatchNormalization()
norm.trainable = False
h = layers.Dropout(0.1)(norm(layers.Conv2D(4, 1)(i)))
""",
        {"batch_normalization": "frozen in every fit"},
    ),
}  # fmt: skip

LONGER = """
i = image()
fitted("sixty passes", i, head(layers.Conv2D(4, 1)(i)), epochs=20, steps_per_epoch=3 * 47)
i = image()
m = fitted("frozen in the end", i, head(layers.Conv2D(4, 3)(i)))
m.trainable = False
m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
m.fit(x, y, batch_size=13, epochs=1)
i = image()
fitted("honest", i, head(layers.Dropout(0.1)(layers.BatchNormalization()(layers.Conv2D(4, 1)(i)))))
"""


@pytest.fixture(scope="module")
def found(
    warm: Asker, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Subject, dict[str, r.Verdict]]]:
    """What is known of each model, and the structural verdicts of the course's rubric."""
    folder = tmp_path_factory.mktemp("brought")
    idle = [f"{source}\nfitted({name!r}, i, head(h))\n" for name, (source, _) in IDLE.items()]
    path = notebook(folder, START, *BROUGHT.values(), *idle, LONGER)
    description = describe(load(path, folder), warm, 170)
    assert [failure.error for failure in description.failures] == []
    rules = rubric.load("assignment4").rubric
    known = []
    for model in description.models:
        recipe, _ = examine.recipe_of(model, rules)
        analysis = shapes.analyse(examine.trained(model.network, recipe))
        why = obstacles.obstacle(model.network, analysis, recipe, warm.dataset, rules.training)
        subject = Subject(
            model.network,
            analysis,
            recipe,
            True,
            (),
            rules.training,
            obstacles=(why,) if why is not None else (),
            images=warm.dataset.sizes.train,
        )
        known.append((subject, {v.criterion: v for v in score.judge(rules, subject, False)}))
    names = [*BROUGHT, *IDLE, "sixty passes", "frozen in the end", "honest"]
    return dict(zip(names, known, strict=True))


@pytest.mark.parametrize("name", BROUGHT)
def test_numbers_that_are_brought_along_go_to_a_person(
    name: str, found: dict[str, tuple[Subject, object]]
) -> None:
    """Whatever they are hidden in, they are counted in bits, and nothing is retrained."""
    assert [reason.code for reason in found[name][0].obstacles] == ["fixed_bits"]


@pytest.mark.parametrize("name", IDLE)
def test_required_layers_that_do_nothing_do_not_count(
    name: str, found: dict[str, tuple[Subject, dict[str, r.Verdict]]]
) -> None:
    """The criterion fails and says why; the others are as they would be."""
    verdicts, wanted = found[name][1], IDLE[name][1]
    for criterion in ("batch_normalization", "dropout", "one_by_one"):
        verdict = verdicts[criterion]
        assert verdict.outcome == ("fail" if criterion in wanted else "pass"), verdict.message
        assert wanted.get(criterion, "") in verdict.message


def test_sixty_passes_are_no_twenty_epochs(found: dict[str, tuple[Subject, dict[str, r.Verdict]]]) -> None:
    """The limit counts passes as well, and the honest model beside it keeps it."""
    assert "60 passes" in found["sixty passes"][1]["epochs"].message
    assert found["sixty passes"][1]["epochs"].outcome == "fail"
    assert found["honest"][1]["epochs"].outcome == "pass"


def test_what_any_fit_trained_is_trainable(found: dict[str, tuple[Subject, object]]) -> None:
    """Freezing everything for a last fit leaves the count as it was."""
    analysis = found["frozen in the end"][0].analysis
    assert analysis.trainable == analysis.total == 9 * 4 + 4 + 5 * 10


def test_an_honest_model_is_stopped_by_nothing(
    found: dict[str, tuple[Subject, dict[str, r.Verdict]]],
) -> None:
    """None of it touches an ordinary network."""
    subject, verdicts = found["honest"]
    assert subject.obstacles == ()
    assert all(verdicts[name].outcome == "pass" for name in ("batch_normalization", "dropout", "one_by_one"))
