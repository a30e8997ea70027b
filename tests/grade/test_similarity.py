"""What resembles what: copies under other names are found, what a course gives to all is not."""

from __future__ import annotations

import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor

from grader.ask.fingerprints import BATCH, MAX_CODE, Batches, prints, source
from grader.box import isolation
from grader.box.isolation import Places, Task
from grader.box.sandbox import Child, Spawned
from grader.describe.child.fingerprints import fingerprint
from grader.grade.similarity import Code, Comparison, alike
from grader.records import MAX_PRINTS, Cell

STARTER = """
import numpy as np
from keras.datasets import mnist
(X_train, y_train), (X_test, y_test) = mnist.load_data()
X_train = X_train.reshape(X_train.shape[0], 28, 28, 1).astype("float32") / 255
X_test = X_test.reshape(X_test.shape[0], 28, 28, 1).astype("float32") / 255
"""

OWN = """
def block(x, filters, dropout=0.1):
    # a block
    x = Conv2D(filters, (3, 3), use_bias=False)(x)
    x = BatchNormalization()(x)
    return Dropout(dropout)(Activation("relu")(x))
inputs = Input((28, 28, 1))
features = block(block(inputs, 8), 16, dropout=0.05)
outputs = Activation("softmax")(Flatten()(Conv2D(10, (24, 24))(features)))
network = Model(inputs, outputs)
network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
"""

COPIED = '''
def my_layer(tensor, n, d=0.1):
    """My own idea."""

    tensor = Conv2D(n, (3,3), use_bias = False)(tensor)
    tensor = BatchNormalization()(tensor)
    return Dropout(d)(
        Activation("relu")(tensor))

image = Input((28, 28, 1))   # the picture
deep = my_layer(my_layer(image, 8), 16, d=0.05)
result = Activation("softmax")(Flatten()(Conv2D(10, (24, 24))(deep)))
cnn = Model(image, result)
cnn.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
'''

OTHER = """
model = Sequential()
for width in (10, 20, 30):
    model.add(SeparableConv2D(width, 5, padding="same", activation="elu"))
    model.add(MaxPooling2D(2))
model.add(GlobalAveragePooling2D())
model.add(Dense(10, activation="softmax"))
model.compile(optimizer=SGD(0.1, momentum=0.9), loss="sparse_categorical_crossentropy")
history = model.fit(X_train, y_train, batch_size=32, epochs=7, validation_split=0.1)
"""


def _code(*sources: str, network: str = "") -> Code:
    return Code(fingerprint(sources), network)


def test_a_copy_under_other_names_is_found() -> None:
    """Formatting, comments, docstrings and names of one's own make no difference; other code does."""
    found = alike({"ann": _code(STARTER, OWN), "ben": _code(STARTER, COPIED), "cy": _code(STARTER, OTHER)})
    assert [(s.students, s.kind) for s in found] == [(("ann", "ben"), "nearly the same code")]
    assert found[0].likeness > 0.9


def test_what_the_class_has_in_common_is_left_out() -> None:
    """Six who handed in the course's own starter code and little else resemble nobody."""
    codes = {f"s{n}": _code(STARTER, f"model.add(Dense({n}))") for n in range(4)}
    codes |= {"ann": _code(STARTER, OWN), "ben": _code(STARTER, COPIED)}
    assert [s.students for s in alike(codes)] == [("ann", "ben")]


def test_the_same_network_is_told_with_how_like_the_code_is() -> None:
    """Different code for one network; and a network that most of a class has says nothing."""
    codes = {
        "ann": _code(OWN, network="a"),
        "ben": _code(OTHER, network="a"),
        "cy": _code(OTHER, network="b"),
    }
    found = {s.students: s for s in alike(codes)}
    assert found["ann", "ben"].kind == "same network and recipe"
    assert found["ann", "ben"].likeness < 0.2
    assert found["ben", "cy"].kind == "nearly the same code"
    assert ("ann", "cy") not in found
    assert alike({f"s{n}": Code(network="usual") for n in range(6)}) == []


def test_what_is_no_python_is_compared_as_words() -> None:
    """Shell lines, magics, unclosed brackets and no code at all."""
    broken = "model.add(Conv2D(8, (3, 3)\n" * 20
    assert fingerprint([f"!pip install keras\n%matplotlib inline\n{broken}"])
    assert fingerprint([]) == []


def test_pairs_are_those_of_comparing_each_with_each() -> None:
    """Of random classes: the likeness that the sets of all two students have, and no pair is missed."""
    chance = random.Random(5)
    for students in (2, 4, 5, 30):
        pool = [chance.getrandbits(64) for _ in range(60)]
        own = {f"s{n}": sorted(chance.sample(pool, chance.randrange(5, 55))) for n in range(students)}
        own |= {"copy": own["s0"], "none": []}
        common = {
            x for x in pool if students + 2 >= 5 and 2 * sum(x in o for o in own.values()) > students + 2
        }
        left = {name: set(prints) - common for name, prints in own.items()}
        wanted = {
            (one, other): round(len(left[one] & left[other]) / len(left[one] | left[other]), 3)
            for one in left
            for other in left
            if one < other and min(len(left[one]), len(left[other])) >= 10
        }
        found = {s.students: s.likeness for s in alike({name: Code(x) for name, x in own.items()})}
        assert found == {pair: like for pair, like in wanted.items() if like >= 0.8}
    assert alike({}) == []


# --- read in a child ------------------------------------------------------------------------------


def _cells(*sources: str) -> list[Cell]:
    return [Cell(kind="markdown", source=OWN), *(Cell(kind="code", source=s) for s in sources)]


def test_code_is_read_in_a_box_and_within_bounds() -> None:
    """What makes a parser weary is read, or told; of an endless script so many characters; and the rest
    of the class is compared as ever.
    """
    endless = "".join(f"x{n} = f({n})\n" for n in range(800_000))
    sources = {
        "ann": _cells(STARTER, OWN),
        "bad": _cells("(" * 199_000, "-" * 999 + "1", "\0", "lambda:" * 9_000 + "1", "\ud800"),
        "ben": _cells(STARTER, COPIED),
        "big": _cells(endless, OWN),
        "dot": [],
    }
    assert len(endless) > 11_000_000
    told: list[tuple[int, int]] = []
    with ThreadPoolExecutor() as pool:
        comparison = Comparison(pool, isolation.choose("preferred"))
        for student, cells in sources.items():
            comparison.add(source(student, cells), "")
        found, remarks = comparison.result(lambda *counts: told.append(counts))
    assert [s.students for s in found] == [("ann", "ben")]
    assert "big: only the first 200,000 characters of its code were compared" in remarks
    assert {remark.split(":")[0] for remark in remarks} <= {"bad", "big"}
    assert told == [(5, 5)]


def test_code_is_cut_at_its_bound() -> None:
    """Counted over all cells, and not over prose; what is cut is told."""
    for sizes, kept, cut in (
        ((MAX_CODE,), (MAX_CODE,), False),
        ((MAX_CODE - 1, 1, 0), (MAX_CODE - 1, 1), False),
        ((MAX_CODE - 1, 2, 5), (MAX_CODE - 1, 1), True),
    ):
        made = source("ann", _cells(*("x" * size for size in sizes)))
        assert (tuple(map(len, made.code)), made.cut) == (kept, cut)
    many = fingerprint([" ".join(str(n) for n in range(100_000))])
    assert len(many) == MAX_PRINTS


class Crashing:
    """Starts a child that ends by a signal at the word CRASH and says nonsense at the word LIE."""

    kind, name, closed, contained, absent = "none", "", False, False, ""
    script = """if True:
        import base64, json, os, sys
        for code in json.loads(sys.stdin.read()):
            if "CRASH" in code[0]:
                os.kill(os.getpid(), 11)
            lie = "LIE" in code[0]
            print("[1, 2" if lie else base64.b64encode(bytes(range(8))).decode(), flush=True)
    """

    def __init__(self) -> None:
        self.started = 0

    def places(self, task: Task) -> Places:
        raise NotImplementedError

    def start(self, task: Task) -> Child:
        self.started += 1
        return Spawned([sys.executable, "-c", self.script], dict(os.environ))


def test_who_ends_the_child_loses_no_one_elses_comparison() -> None:
    """Two crash it, one makes it say what is no fingerprint: those three are told, the rest are compared."""
    texts = {"a": "x", "b": "CRASH", "c": "x", "d": "LIE", "e": "CRASH", "f": "x"}
    box = Crashing()
    made = prints([source(name, _cells(text)) for name, text in texts.items()], box)
    assert [one.student for one in made] == list(texts)
    assert {one.student: len(one.hashes) for one in made} == {"a": 1, "b": 0, "c": 1, "d": 0, "e": 0, "f": 1}
    assert {one.student: one.remark for one in made if one.remark} == {
        "b": "its code was not compared: the process that read it ended with -11",
        "d": "its code was not compared: it cannot be read",
        "e": "its code was not compared: the process that read it ended with -11",
    }
    assert box.started == 3


def test_a_child_gets_many_submissions() -> None:
    """A class does not pay a process each; long ones are fewer to a child."""
    batches, sizes = Batches(), []
    for number in range(2 * BATCH + 10):
        if batch := batches.add(source(str(number), _cells("x"))):
            sizes.append(len(batch))
    assert [*sizes, len(batches.rest())] == [BATCH, BATCH, 10]
    long = [batches.add(source(str(n), _cells("x" * MAX_CODE))) for n in range(10)]
    assert [len(batch) for batch in long] == [0] * 9 + [10]
