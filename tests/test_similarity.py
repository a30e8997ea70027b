"""What resembles what: copies under other names are found, what a course gives to all is not."""

from __future__ import annotations

from grader.records import Cell
from grader.similarity import Code, alike, fingerprint

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
    return Code(fingerprint([Cell(kind="code", source=s) for s in sources]), network)


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
    assert fingerprint([Cell(kind="code", source=f"!pip install keras\n%matplotlib inline\n{broken}")])
    assert fingerprint([Cell(kind="markdown", source=OWN)]) == frozenset()
    assert fingerprint([]) == frozenset()
