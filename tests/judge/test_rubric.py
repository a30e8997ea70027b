"""Rubrics are read, and every mistake in one is named with the file, the key and what is allowed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader import records as r
from grader.data import datasets
from grader.errors import BrokenError, InstructorError
from grader.judge import rubric

HEAD = 'title = "T"\n'
LIMIT = '[[criterion]]\nid = "a"\nkind = "parameter_limit"\nlimit = 10\n'
LAYER = '[[criterion]]\nid = "b"\nkind = "required_layer"\nlayer = "Conv2D"\n'
ACCURACY = '[[criterion]]\nid = "acc"\nkind = "validation_accuracy"\nthreshold = 0.994\n'

Load = Callable[[str], rubric.LoadedRubric]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Writes a rubric and loads it."""

    def write_and_load(text: str) -> rubric.LoadedRubric:
        path = tmp_path / "course.toml"
        path.write_text(text, encoding="utf-8")
        return rubric.load(str(path))

    return write_and_load


# --- the shipped rubrics ------------------------------------------------------------------------


def test_shipped_rubrics() -> None:
    """What ships is listed, loads by name and by path, and has criteria worth 100 points."""
    assert [path.stem for path in rubric.shipped()] == ["assignment3", "assignment4"]
    for path in rubric.shipped():
        by_name, by_path = rubric.load(path.stem), rubric.load(str(path))
        assert by_name.rubric == by_path.rubric
        assert by_name.digest == hashlib.sha256(path.read_bytes()).hexdigest()
        assert by_name.rubric.max_points == 100
        assert by_name.dataset == datasets.MNIST


@pytest.mark.parametrize(("name", "limit"), [("assignment3", 20_000), ("assignment4", 15_000)])
def test_shipped_limits(name: str, limit: int) -> None:
    """Fewer than so many parameters in total, and at least 9,940 of 10,000 in one of 20 epochs."""
    loaded = rubric.load(name).rubric
    criteria: dict[str, Any] = {c.kind: c for c in loaded.criterion}
    counted = criteria["parameter_limit"]
    assert (counted.limit, counted.count, counted.comparison) == (limit, "total", "fewer than")
    assert criteria["validation_accuracy"].needed(10_000) == 9_940
    assert (loaded.training.epochs, loaded.training.attempts) == (20, 3)
    assert (loaded.training.metric, loaded.training.decide) == ("best_epoch", "majority")


def test_assignment_4_asks_for_its_layers() -> None:
    """BatchNormalization, Dropout and a 1×1 convolution."""
    wanted = {c.id: c for c in rubric.load("assignment4").rubric.criterion if c.kind == "required_layer"}
    assert wanted["batch_normalization"].types == ("BatchNormalization",)
    assert wanted["dropout"].types == ("Dropout", "SpatialDropout2D")
    assert wanted["one_by_one"].properties == {"kernel_size": [1, 1]}


def test_default_recipe() -> None:
    """The write-up's schedule: round(0.003 / (1 + 0.319 * epoch), 10), epochs counted from 0."""
    recipe = rubric.load("assignment4").rubric.default_recipe.recipe(20)
    assert recipe.learning_rates == tuple(round(0.003 / (1 + 0.319 * e), 10) for e in range(20))
    assert recipe.learning_rates[:2] == (0.003, 0.0022744503)
    assert (recipe.epochs, recipe.batch_size, recipe.optimizer) == (20, 128, r.Adam())
    assert (recipe.rates_per, recipe.scaling.scale) == ("epoch", 1 / 255)


def test_defaults(load: Load) -> None:
    """A rubric needs no more than a title and a criterion."""
    loaded = load(HEAD + LIMIT)
    assert loaded.rubric.training == r.TrainingPolicy()
    assert loaded.rubric.training.seeds == r.PUBLISHED_SEEDS
    assert loaded.rubric.graded_model == "last_fitted"
    assert loaded.rubric.criterion[0].label == "a"


def test_digest_is_of_the_text(load: Load) -> None:
    """A changed comment is another rubric: provenance says which text was used."""
    assert load(HEAD + LIMIT).digest != load(HEAD + "# stricter this year\n" + LIMIT).digest


# --- mistakes -----------------------------------------------------------------------------------

ALL_KINDS = (
    "'parameter_limit', 'required_layer', 'forbidden_layer', 'layer_order', 'receptive_field', "
    "'training_limits', 'accuracy_gap', 'validation_accuracy', 'explanation', 'manual'"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('tittle = "T"\n' + HEAD + LIMIT, "tittle: no such key; did you mean 'title'?"),
        (HEAD + LIMIT + "limitt = 3\n", "criterion[a].limitt: no such key; did you mean 'limit'?"),
        (
            HEAD + LIMIT + "zzz = 3\n",
            "criterion[a].zzz: no such key; allowed are "
            "comparison, count, hidden, id, kind, limit, needs, points, required, title",
        ),
        (HEAD + "[training]\nepoch = 5\n" + LIMIT, "training.epoch: no such key; did you mean 'epochs'?"),
        (
            HEAD + '[default_recipe]\noptimizer = { type = "Adam", beta1 = 0.9 }\n' + LIMIT,
            "default_recipe.optimizer.beta1: no such key; did you mean 'beta_1'?",
        ),
        (
            HEAD + '[default_recipe.loss]\nnam = "poisson"\n' + LIMIT,
            "default_recipe.loss.nam: no such key; did you mean 'name'?",
        ),
        (
            HEAD + LIMIT.replace("parameter_limit", "parameters"),
            f"criterion[a]: no such 'kind': 'parameters'; allowed are {ALL_KINDS}",
        ),
        (HEAD + LIMIT.replace("kind", "kid"), "criterion[a]: the key 'kind' is missing"),
        (
            HEAD + '[default_recipe]\noptimizer = { type = "Adm" }\n' + LIMIT,
            "default_recipe.optimizer: no such 'type': 'Adm'; allowed are "
            "'SGD', 'Adam', 'Adamax', 'Nadam', 'RMSprop', 'Adagrad', 'Adadelta'",
        ),
        (
            HEAD + LIMIT.replace("10", '"many"'),
            "criterion[a].limit: Input should be a valid integer, "
            "unable to parse string as an integer, not 'many'",
        ),
        (
            HEAD + LIMIT + 'count = "all"\n',
            "criterion[a].count: Input should be 'total' or 'trainable', not 'all'",
        ),
        (
            HEAD + LIMIT + "points = -1\n",
            "criterion[a].points: Input should be greater than or equal to 0, not -1",
        ),
        (HEAD + LIMIT + "points = inf\n", "criterion[a].points: Input should be a finite number, not inf"),
        (HEAD + LIMIT.replace("limit = 10\n", ""), "criterion[a].limit: this key is missing"),
        (LIMIT, "title: this key is missing"),
        (HEAD, "criterion: this key is missing"),
        (HEAD + "criterion = []\n", "criterion: Tuple should have at least 1 item after validation, not 0"),
        (HEAD + "criterion = 3\n", "criterion: Input should be a valid tuple, not 3"),
        (
            HEAD + LIMIT + 'needs = ["b"]\n' + LAYER,
            "rubric: criterion 'a' needs 'b', which is not listed before it",
        ),
        (HEAD + LIMIT + LIMIT, "rubric: two criteria have the id 'a'"),
        (
            HEAD + ACCURACY + ACCURACY.replace("acc", "b", 1),
            "rubric: only one criterion may be a validation_accuracy",
        ),
        (
            HEAD + "[training]\nattempts = 3\nseeds = [1, 2]\n" + LIMIT,
            "training: 3 attempts need as many seeds; 2 are listed",
        ),
        (HEAD + "[training]\nattempts = 1\nseeds = [1, 1]\n" + LIMIT, "training: a seed is listed twice"),
        (
            HEAD + '[training]\nseeds = [1, 2, "x"]\n' + LIMIT,
            "training.seeds[3]: Input should be a valid integer, "
            "unable to parse string as an integer, not 'x'",
        ),
        (HEAD + 'dataset = "cifar"\n' + LIMIT, "dataset: Input should be 'mnist', not 'cifar'"),
        (
            HEAD + '[dataset]\nname = "own"\npath = "own.npz"\nsha256 = "12"\n' + LIMIT,
            "dataset.sha256: String should match pattern '^[0-9a-f]{64}$', not '12'",
        ),
        (
            HEAD + "describe_seconds = 0.5\n" + LIMIT,
            "describe_seconds: Input should be greater than or equal to 1, not 0.5",
        ),
        (
            HEAD + LAYER + "properties = { kernel_size = 1 }\n",
            "criterion[b]: kernel_size cannot be 1: Input should be a valid tuple",
        ),
        (
            HEAD + LAYER + 'properties = { filters = "16" }\n',
            "criterion[b]: filters cannot be compared with '16'",
        ),
    ],
    ids=lambda value: value[-60:] if value.startswith(("title", "tittle", "[[")) else "",
)
def test_mistakes(load: Load, tmp_path: Path, text: str, message: str) -> None:
    """One mistake, one line: the file, the key, what is wrong, and what is allowed."""
    with pytest.raises(InstructorError) as caught:
        load(text)
    assert caught.value.message == f"{tmp_path / 'course.toml'}: {message}"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            LAYER.replace("Conv2D", "Convolution2D"),
            "'Convolution2D' is no layer type; allowed are Activation, Add,",
        ),
        (LAYER + "properties = { kernel = 3 }\n", "Conv2D has no property 'kernel'; allowed are activation,"),
        (LAYER + 'properties = { name = "x" }\n', "Conv2D has no property 'name'"),
        (
            LAYER + 'properties = { activation = "rellu" }\n',
            "activation cannot be 'rellu': Input should be 'linear',",
        ),
        (
            '[[criterion]]\nid = "b"\nkind = "forbidden_layer"\nlayers = ["Dense", "Lambda"]\n',
            "'Lambda' is no layer type",
        ),
        (
            '[[criterion]]\nid = "b"\nkind = "layer_order"\nrule = "followed_by"\nlayer = "Batch"\n',
            "'Batch' is no layer type",
        ),
        (
            LAYER.replace('"Conv2D"', '["Conv2D", "Dropout"]') + "properties = { kernel_size = [1, 1] }\n",
            "Dropout has no property 'kernel_size'; allowed are rate, trainable",
        ),
    ],
)
def test_unknown_layers_and_properties(load: Load, text: str, message: str) -> None:
    """A criterion that no layer could ever meet is refused before a class fails by it."""
    with pytest.raises(InstructorError) as caught:
        load(HEAD + text)
    assert f"criterion[b]: {message}" in caught.value.message


def test_several_mistakes(load: Load) -> None:
    """Several mistakes are told at once, one line each."""
    with pytest.raises(InstructorError) as caught:
        load(LIMIT + "limitt = 3\n" + LAYER.replace("layer =", "layers ="))
    lines = caught.value.message.splitlines()
    assert [line.split(": ", 1)[1] for line in lines] == [
        "title: this key is missing",
        "criterion[a].limitt: no such key; did you mean 'limit'?",
        "criterion[b].layer: this key is missing",
        "criterion[b].layers: no such key; did you mean 'layer'?",
    ]


@pytest.mark.parametrize("raw", [b"title = T", b"title", b"\xff\xfe", b'title = "\xe9"'])
def test_bad_toml(tmp_path: Path, raw: bytes) -> None:
    """What is no TOML, or no UTF-8, is told so with the file's name."""
    path = tmp_path / "course.toml"
    path.write_bytes(raw)
    with pytest.raises(InstructorError, match=r"course\.toml: not valid TOML: ") as caught:
        rubric.load(str(path))
    assert "toml.io" in caught.value.hint


@pytest.mark.parametrize("name", ["assignment5", "gone/course.toml", "."])
def test_missing_rubric(name: str) -> None:
    """A rubric that is not there: the hint lists those that are."""
    with pytest.raises(InstructorError, match="no such rubric") as caught:
        rubric.load(name)
    assert caught.value.message.startswith(name)
    assert "assignment3, assignment4" in caught.value.hint


# --- a data set of the course's own -------------------------------------------------------------


def own(path: Path, **changes: Any) -> str:
    """Writes a tiny data set and returns the rubric's table for it."""
    images = np.arange(5 * 4 * 4, dtype=np.uint8).reshape(5, 4, 4)
    arrays: dict[str, Any] = {
        "x_train": images, "y_train": np.arange(5), "x_test": images[:3], "y_test": np.array([0, 1, 6]),
    }  # fmt: skip
    arrays |= changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f'[dataset]\nname = "own"\npath = "{path.name}"\nsha256 = "{digest}"\n'


def test_own_dataset(load: Load, tmp_path: Path) -> None:
    """An npz beside the rubric needs no code: channels are added, classes counted."""
    spec = load(HEAD + own(tmp_path / "own.npz") + LIMIT).dataset
    assert (spec.name, spec.served_as, spec.path) == ("own", ("own",), str(tmp_path / "own.npz"))
    data = datasets.load(spec)
    assert data.x_train.shape == (5, 4, 4, 1)
    assert (data.image_shape, data.classes) == ((4, 4, 1), 7)
    assert data.y_test.tolist() == [0, 1, 6]


def test_own_dataset_with_channels(load: Load, tmp_path: Path) -> None:
    """Colour images keep their channels, and may be served under Keras's name."""
    table = own(
        tmp_path / "own.npz", x_train=np.zeros((5, 4, 4, 3), "u1"), x_test=np.zeros((3, 4, 4, 3), "u1")
    )
    spec = load(HEAD + table + 'served_as = ["cifar10"]\n' + LIMIT).dataset
    assert spec.served_as == ("cifar10",)
    assert datasets.load(spec).image_shape == (4, 4, 3)


def test_own_dataset_with_wrong_digest(load: Load, tmp_path: Path) -> None:
    """Another file than the rubric means: both digests are shown."""
    table = own(tmp_path / "own.npz")
    own(tmp_path / "own.npz", y_test=np.array([0, 1, 2]))
    found = hashlib.sha256((tmp_path / "own.npz").read_bytes()).hexdigest()
    with pytest.raises(InstructorError, match=f"has SHA-256 {found}, not ") as caught:
        datasets.load(load(HEAD + table + LIMIT).dataset)
    assert "[dataset]" in caught.value.hint


def test_own_dataset_missing(load: Load, tmp_path: Path) -> None:
    """A file that is not there."""
    table = own(tmp_path / "own.npz")
    (tmp_path / "own.npz").unlink()
    with pytest.raises(InstructorError, match=r"'own' cannot be read: .*own\.npz"):
        datasets.load(load(HEAD + table + LIMIT).dataset)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "not an npz of x_train, y_train, x_test, y_test: .*y_test"),
        ({"x_train": np.zeros((5, 4, 4))}, r"x_train must be uint8 images .* not float64 \(5, 4, 4\)"),
        ({"x_train": np.zeros((5, 16), "u1")}, r"x_train must be uint8 images .* not uint8 \(5, 16\)"),
        ({"x_test": np.zeros((0, 4, 4), "u1")}, r"x_test must be uint8 images .* not uint8 \(0, 4, 4\)"),
        ({"x_test": np.uint8(3)}, "x_test must be uint8 images"),
        ({"x_test": np.zeros((3, 5, 5), "u1")}, "training and test images differ in shape"),
        ({"y_train": np.zeros(4, int)}, r"y_train must be 5 class numbers, not int64 \(4,\)"),
        ({"y_train": np.zeros((5, 10), int)}, r"y_train must be 5 class numbers, not int64 \(5, 10\)"),
        ({"y_train": np.zeros(5)}, r"y_train must be 5 class numbers, not float64 \(5,\)"),
        ({"y_test": np.array([0, -1, 2])}, "y_test must be 3 class numbers"),
        ({"y_test": np.array([0, None, 2])}, "not an npz of .*it holds object"),
    ],
)
def test_own_dataset_with_wrong_arrays(
    load: Load, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """Arrays that could not be trained on are named, before any grading."""
    spec = load(HEAD + own(tmp_path / "own.npz", **changes) + LIMIT).dataset
    with pytest.raises(InstructorError, match=message):
        datasets.load(spec)


def test_own_dataset_that_is_no_npz(load: Load, tmp_path: Path) -> None:
    """Some other file with the right digest is told apart."""
    (tmp_path / "own.npz").write_bytes(b"not a zip")
    digest = hashlib.sha256(b"not a zip").hexdigest()
    table = f'[dataset]\nname = "own"\npath = "own.npz"\nsha256 = "{digest}"\n'
    with pytest.raises(InstructorError, match="'own' is not an npz"):
        datasets.load(load(HEAD + table + LIMIT).dataset)


def test_damaged_mnist_is_our_fault(tmp_path: Path) -> None:
    """What ships with grader is nobody else's mistake."""
    (tmp_path / "mnist.npz").write_bytes(b"damaged")
    spec = datasets.MNIST.model_copy(update={"path": str(tmp_path / "mnist.npz")})
    with pytest.raises(BrokenError, match="'mnist'"):
        datasets.load(spec)


def test_hidden_criteria(tmp_path: Path) -> None:
    """A criterion may be hidden; one that students see may not need it, for it would give it away."""
    file = tmp_path / "hidden.toml"
    hidden = '[[criterion]]\nid = "a"\nkind = "manual"\nquestion = "x"\nhidden = true\n'
    needing = '[[criterion]]\nid = "b"\nkind = "manual"\nquestion = "x"\nneeds = ["a"]\n'
    file.write_text(f'title = "T"\n{hidden}{needing}hidden = true\n')
    assert [c.hidden for c in rubric.load(str(file)).rubric.criterion] == [True, True]
    file.write_text(f'title = "T"\n{hidden}{needing}')
    with pytest.raises(InstructorError, match="'b' needs the hidden 'a': hide it as well"):
        rubric.load(str(file))
