"""Attempts at a better grade than the network earns. What counts is what is retrained, whatever is said."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest
from attacks import Attack, Grade, notebook

from grader import records as r
from grader.ask.asker import Asker
from grader.errors import StudentError, Unsupported
from grader.grade import examine
from grader.layers import shapes

# 28 · 28 · 100 + 100 and 100 · 10 + 10 parameters: far above the limit of the course.
LARGE = """
import keras, numpy as np
from keras import layers
from keras.datasets import mnist
(x, y), (xt, yt) = mnist.load_data()
x, xt = x.reshape(-1, 784) / 255.0, xt.reshape(-1, 784) / 255.0
model = keras.Sequential([keras.Input((784,)), layers.Dense(100, activation="relu"),
                          layers.Dense(10, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
"""
FIT = "\nmodel.fit(x, y, epochs=2, batch_size=128, validation_data=(xt, yt))\n"
TOTAL = 785 * 100 + 101 * 10

LIES = {
    "count_params of the model": "type(model).count_params = model.count_params = lambda *a: 10",
    "count_params of layers": "layers.Dense.count_params = lambda self: 1",
    "summary and output": "model.summary = lambda *a, **k: print('Total params: 10')\nmodel.summary()",
    "get_config of the model": "type(model).get_config = lambda self: {'name': 'tiny', 'layers': []}",
    "get_config of layers": "layers.Dense.get_config = lambda self: {'name': self.name, 'units': 1}",
    "units changed afterwards": "model.layers[0].units = 1",
    "weights emptied": "type(model).weights = property(lambda self: [])",
    "layers hidden": "type(model).layers = property(lambda self: [])",
    "history of fit": "class H: history = {'val_accuracy': [1.0] * 20, 'accuracy': [1.0] * 20}\n"
    "fit = model.fit\nmodel.fit = lambda *a, **k: (fit(*a, **k), H())[1]",
    "evaluate": "model.evaluate = lambda *a, **k: [0.0, 1.0]\nprint('val_accuracy: 1.0000')",
    "History": "import keras.callbacks\nkeras.callbacks.History.on_epoch_end = lambda *a, **k: None",
    "numpy": "np.argmax = lambda *a, **k: 0\nnp.mean = lambda *a, **k: 1.0",
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_about_the_model_change_nothing(attack: Attack, lie: str) -> None:
    """The network is read layer by layer as it was built, and counted on the other side."""
    outcome = attack(LARGE, LIES[lie], FIT)
    if outcome.description is None:
        assert isinstance(outcome.error, StudentError | Unsupported)  # worse for the liar, not better
        return
    network = examine.candidates(outcome.description, "last_fitted")[0].network
    total = shapes.analyse(network).total
    assert total in (TOTAL, None) or network.unsupported, total


@pytest.mark.parametrize(
    "layer",
    [
        "class Dense(layers.Dense):\n    def call(self, x): return x",
        "class Dense(layers.Layer):\n    def __init__(self, units, **k): super().__init__()\n"
        "    def call(self, x): return x\nDense.__module__ = 'keras.src.layers.core.dense'",
        "import keras.src.layers.core.dense as home\nclass Dense(layers.Dense):\n    def call(self, x): return x\n"
        "Dense.__module__, home.Dense = home.__name__, Dense",
    ],
    ids=["subclass", "same name and module", "in Keras's own place"],
)
def test_a_class_posing_as_a_layer_is_not_taken_for_it(attack: Attack, layer: str) -> None:
    """What the student wrote is not described as what Keras wrote: it goes to a person."""
    outcome = attack(
        f"import keras\nfrom keras import layers\n{layer}\n"
        "model = keras.Sequential([keras.Input((10,)), Dense(10), layers.Activation('softmax')])"
    )
    assert outcome.description is not None
    assert [u.class_name for u in outcome.description.models[0].network.unsupported] == ["Dense"]


def test_a_model_posing_as_a_sequential_is_not_read_layer_by_layer(attack: Attack) -> None:
    """Its own call says what it computes, whatever layers it lists."""
    outcome = attack(
        "import keras\nfrom keras import layers\n"
        "class Sequential(keras.Model):\n    def __init__(self):\n        super().__init__()\n"
        "        self.first, self.last = layers.Flatten(), layers.Dense(10)\n"
        "    def call(self, x): return self.last(self.first(x)) * 0\nmodel = Sequential()"
    )
    assert outcome.description is not None
    (whole,) = outcome.description.models[0].network.unsupported
    assert (whole.class_name, whole.reason) == ("Sequential", r.because("subclassed"))


def _write_answer(text: str) -> str:
    """A cell that writes to every descriptor it can find, as the grader's own answer does, and goes."""
    return (
        "import os\nfor fd in range(3, 40):\n    try:\n"
        f"        os.write(fd, {text!r}.encode() + b'\\n')\n    except OSError: pass\nos._exit(0)"
    )


TINY = r.ModelDescription(
    inputs=("i",),
    layers=(
        r.InputLayer(name="i", shape=(28, 28, 1)),
        r.Flatten(name="f", inbound=("i",)),
        r.Dense(name="d", inbound=("f",), units=10),
        r.ActivationLayer(name="a", inbound=("d",), activation="softmax"),
    ),
    outputs=("a",),
)


def _answer(**changes: object) -> dict[str, object]:
    model = r.DescribedModel(name="forged", network=TINY, fit_order=1)
    answer = r.DescribeAnswer(description=r.Description(models=(model,))).model_dump(mode="json")
    return answer | changes


def test_a_forged_description_is_just_another_submission(attack: Attack) -> None:
    """Writing the answer by hand hands in the network that is in it: that one is counted and retrained."""
    outcome = attack(LARGE, _write_answer(json.dumps(_answer())))
    assert outcome.description is not None
    (model,) = outcome.description.models
    assert (model.name, model.training) == ("forged", ())
    assert shapes.analyse(model.network).total == 7_850


def _twice(key: str) -> str:
    text = json.dumps(_answer())
    return text.replace(f'"{key}":', f'"{key}": null, "{key}":', 1)


def _with_units(units: object) -> str:
    return json.dumps(_answer()).replace('"units": 10', f'"units": {json.dumps(units)}')


FORGED = {
    "a score": (json.dumps(_answer(score=100)), "Extra inputs"),
    "a grade": (json.dumps({"status": "passed", "points": 100}), "Extra inputs"),
    "not an object": ("[1, 2, 3]", "an object"),
    "nonsense": ("{{{{", "key must be a string"),
    "a key twice": (_twice("units"), "there twice"),
    "the description twice": (_twice("description"), "there twice"),
    "nested too deeply": ('{"description":' * 100_000, "recursion"),
    "an infinite number": (_with_units(1).replace('"units": 1', '"units": Infinity'), ""),
    "a number of 10,000 digits": (_with_units(1).replace('"units": 1', '"units": ' + "9" * 10_000), ""),
    "negative units": (_with_units(-3), "greater than"),
    "units of a matrix": (_with_units([[1.0]]), "valid integer"),
    "too many units": (_with_units(10**12), "less than"),
    "a layer of its own": (json.dumps(_answer()).replace('"type": "Dense"', '"type": "os.system"'), ""),
    "half a character": (json.dumps(_answer()).replace("forged", "\\ud800"), ""),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_answer_that_is_not_one_goes_to_a_person(attack: Attack, kind: str) -> None:
    """Strictly parsed, of limited size, every field ranged: it is refused, and nothing else happens."""
    text, message = FORGED[kind]
    outcome = attack(LARGE, _write_answer(text))
    if kind == "half a character":  # text that UTF-8 cannot write is replaced, and is a name like any other
        assert outcome.description is None or outcome.description.models[0].name in ("?", "�")
        return
    assert isinstance(outcome.error, Unsupported), outcome
    assert message in outcome.error.message


def test_a_whole_matrix_in_an_initializer_is_not_taken(attack: Attack) -> None:
    """Trained weights, handed in as the constants that training begins with."""
    outcome = attack(
        "import keras, numpy as np\nfrom keras import layers\n"
        "model = keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(),\n"
        "    layers.Dense(10, kernel_initializer=keras.initializers.Constant(np.ones((784, 10)).tolist()))])"
    )
    assert outcome.description is not None
    (model,) = outcome.description.models
    assert [u.class_name for u in model.network.unsupported] == ["Dense"]
    assert "1.0, 1.0" not in outcome.description.model_dump_json()


def test_set_weights_hands_in_no_weights(attack: Attack) -> None:
    """Weights loaded before a fit are a warm start: nothing is retrained from them without a person."""
    outcome = attack(LARGE, "model.set_weights([w + 1 for w in model.get_weights()])", FIT)
    assert outcome.description is not None
    (fit,) = outcome.description.models[0].training
    assert fit.pretrained == "set_weights"


def test_training_on_test_images_is_recognised(attack: Attack) -> None:
    """Their labels are wrong there, retraining uses the training split, and a person sees it."""
    outcome = attack(LARGE, FIT.replace("fit(x, y,", "fit(xt, yt,"))
    assert outcome.description is not None
    (fit,) = outcome.description.models[0].training
    assert fit.trained_on.split == "test"


def test_training_on_test_images_among_others_is_recognised(attack: Attack) -> None:
    """Mixed in with the training split, shuffled."""
    outcome = attack(
        LARGE,
        "order = np.random.permutation(len(x) + len(xt))\n"
        "x, y = np.concatenate([x, xt])[order], np.concatenate([y, yt])[order]",
        FIT,
    )
    assert outcome.description is not None
    (fit,) = outcome.description.models[0].training
    assert fit.trained_on.split not in ("train",)


def test_labels_looked_up_by_image_end_with_a_person(attack: Attack) -> None:
    """A layer that knows the answers is a layer of the student's own: not retrained, and not believed."""
    outcome = attack(
        "import keras\nfrom keras import layers\ntable = {'hash of an image': 7}\n"
        "model = keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(),\n"
        "    layers.Lambda(lambda x: x[:, :10]), layers.Activation('softmax')])"
    )
    assert outcome.description is not None
    assert [u.class_name for u in outcome.description.models[0].network.unsupported] == ["Lambda"]


def test_test_labels_cannot_be_told_from_the_data(attack: Attack, warm: Asker) -> None:
    """The labels that `load_data` gives for the test images are right for a tenth of them, as chance is."""
    outcome = attack(
        "from keras.datasets import mnist\n(_, _), (_, given) = mnist.load_data()\n"
        "import base64, zlib\nsay(zlib.crc32(given.tobytes()))"
    )
    real = warm.dataset.y_test.astype("uint8")
    assert outcome.said != str(zlib.crc32(real.tobytes()))


def test_a_million_epochs_are_cut(attack: Attack) -> None:
    """Describing takes no longer, and the rubric's limit counts when it is retrained."""
    outcome = attack(LARGE, FIT.replace("epochs=2", "epochs=10**6"))
    assert outcome.description is not None
    (fit,) = outcome.description.models[0].training
    assert (fit.epochs, len(fit.learning_rates)) == (10**6, 10_000)


def test_behaving_differently_when_graded_hands_in_something_else(attack: Attack) -> None:
    """A submission that knows it is being described decides what is retrained and graded: no more."""
    outcome = attack(
        "import sys\n" + LARGE,
        "if any(name.startswith('grader') for name in sys.modules):\n"
        "    model = keras.Sequential([keras.Input((784,)), layers.Dense(10, activation='softmax')])\n"
        "    model.compile('adam', 'sparse_categorical_crossentropy')",
        FIT,
    )
    assert outcome.description is not None
    network = examine.candidates(outcome.description, "last_fitted")[0].network
    assert shapes.analyse(network).total == 7_850


INSIDE = {
    "the recorder": "from grader.describe.keras import recorder\nrecorder.Recorder.describe = lambda *a: None",
    "the records": "import grader.records as r\nr.Dense.model_dump = lambda *a: {}\nr.Description.models = ()",
    "all modules": "import sys\nfor name in list(sys.modules):\n    if 'grader' in name: del sys.modules[name]",
    "the answer": (
        "import gc\nfor o in gc.get_objects():\n    if type(o).__name__ == 'TextIOWrapper':\n"
        "        try: o.close()\n        except Exception: pass"
    ),
    "os._exit": "import os\nos._exit = lambda code: None",
    "json": (
        "import json, pydantic_core\njson.dumps = lambda *a, **k: '{}'\n"
        "pydantic_core.to_json = lambda *a, **k: b'{}'"
    ),
    "the converter": (
        "from grader.describe.networks import convert, graph, live\nfor m in (convert, graph, live):\n    for name in dir(m):\n"
        "        if callable(getattr(m, name)) and not name.startswith('__'):\n"
        "            setattr(m, name, lambda *a, **k: None)"
    ),
}


@pytest.mark.parametrize("what", INSIDE)
def test_tampering_with_the_describing_process_gains_nothing(attack: Attack, what: str) -> None:
    """All of it is the student's to break: an error, or a network that is counted and retrained."""
    outcome = attack(INSIDE[what], LARGE, FIT)
    if outcome.description is None:
        return
    for model in outcome.description.models:
        total = shapes.analyse(model.network).total
        assert total in (TOTAL, None) or model.network.unsupported


def test_forged_outputs_are_claims_and_no_points(tmp_path: Path, grade: Grade) -> None:
    """A log that says 99.9 % and a summary that says 10 parameters are shown as contradicted."""
    path = notebook(tmp_path, LARGE, FIT)
    content = json.loads(path.read_text())
    content["cells"][1]["outputs"] = [
        {"output_type": "stream", "name": "stdout",
         "text": "Total params: 10\nEpoch 2/2\n - loss: 0.0 - val_loss: 0.0 - val_accuracy: 0.9990\n"}
    ]  # fmt: skip
    plain = grade(path)
    path.write_text(json.dumps(content))
    forged = grade(path)
    assert [v.outcome for v in forged.verdicts] == [v.outcome for v in plain.verdicts]
    assert forged.points == plain.points
    assert next(v for v in forged.verdicts if v.kind == "parameter_limit").outcome == "fail"
    assert [c.agrees for c in forged.claims][:1] == [False]
