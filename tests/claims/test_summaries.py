"""Summaries of every Keras, as they lie in saved outputs: counts and rows."""

from __future__ import annotations

import pytest

from grader import records as r
from grader.claims import summaries

RULE = "_" * 65
KERAS_2 = f"""
{RULE}
Layer (type)                 Output Shape              Param #
{"=" * 65}
conv2d_1 (Conv2D)            (None, 26, 26, 8)         80
{RULE}
batch_normalization_1 (Batch (None, 26, 26, 8)         32
{RULE}
max_pooling2d_1 (MaxPooling2 (None, 13, 13, 8)         0
{"=" * 65}
Total params: 112
Trainable params: 96
Non-trainable params: 16
{RULE}
"""
KERAS_1 = """
____________________________________________________________________________________________________
Layer (type)                     Output Shape          Param #     Connected to
====================================================================================================
convolution2d_1 (Convolution2D)  (None, 26, 26, 8)     80          convolution2d_input_1[0][0]
____________________________________________________________________________________________________
batchnormalization_1 (BatchNorma (None, 26, 26, 8)     32          convolution2d_1[0][0]
____________________________________________________________________________________________________
maxpooling2d_1 (MaxPooling2D)    (None, 13, 13, 8)     0           batchnormalization_1[0][0]
====================================================================================================
Total params: 112
Trainable params: 96
"""
TF_KERAS = """Model: "sequential"
_________________________________________________________________
 Layer (type)                Output Shape              Param #
=================================================================
 conv2d (Conv2D)             (None, 26, 26, 8)         80

 batch_normalization (BatchN  (None, 26, 26, 8)        32
 ormalization)

 max_pooling2d (MaxPooling2D  (None, 13, 13, 8)        0
 )

=================================================================
Total params: 112 (448.00 Byte)
Trainable params: 96 (384.00 Byte)
"""
KERAS_3 = """
┏━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━┓
┃ Layer (type)         ┃ Output Shape     ┃   Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━┩
│ conv2d (Conv2D)      │ (None, 26, 26,   │        80 │
│                      │ 8)               │           │
├──────────────────────┼──────────────────┼───────────┤
│ batch_normalization  │ (None, 26, 26,   │        32 │
│ (BatchNormalization) │ 8)               │           │
├──────────────────────┼──────────────────┼───────────┤
│ max_pooling2d        │ (None, 13, 13,   │         0 │
│ (MaxPooling2D)       │ 8)               │           │
└──────────────────────┴──────────────────┴───────────┘
 Total params: 112 (448.00 B)
 Trainable params: 96 (384.00 B)
 Non-trainable params: 16 (64.00 B)
"""


def read(text: str) -> tuple[r.SavedSummary, ...]:
    return summaries.read(text.split("\n"), 3)


@pytest.mark.parametrize("text", [KERAS_1, KERAS_2, TF_KERAS, KERAS_3])
def test_a_table_of_any_keras(text: str) -> None:
    """Total, trainable part, and every row with its shape and count."""
    (summary,) = read(text)

    assert (summary.cell, summary.total, summary.trainable, summary.complete) == (3, 112, 96, True)
    assert [row.parameters for row in summary.rows] == [80, 32, 0]
    assert [row.shape for row in summary.rows] == [(26, 26, 8), (26, 26, 8), (13, 13, 8)]
    conv, norm, pool = (row.kind for row in summary.rows)
    assert conv in ("Conv2D", "Convolution2D")
    assert "BatchNormalization".startswith(norm)
    assert "MaxPooling2D".startswith(pool)


@pytest.mark.parametrize(
    ("text", "total"),
    [("Total params: 1,000,010", 1_000_010), ("Total params: 42.", 42), ("Total params: 12_345", 12_345),
     (" Total params: 13,880 (54.22 KB)", 13_880), ("Total params: 13880\r", 13_880)],
)  # fmt: skip
def test_totals(text: str, total: int) -> None:
    """In every way of writing numbers, and never the size in memory."""
    assert [s.total for s in read(text)] == [total]


@pytest.mark.parametrize("text", ["Total params: ", "Total params: .", "Total params: " + "9" * 5_000, "x"])
def test_no_total(text: str) -> None:
    """What is no number claims nothing."""
    assert read(text) == ()


def test_variables_of_the_optimizer_are_not_the_networks() -> None:
    """Keras 3 adds them to the total once a model is trained."""
    (summary,) = read(" Total params: 41,066 (1 KB)\n Trainable params: 13,688\n Optimizer params: 27,378")
    assert (summary.total, summary.trainable) == (13_688, 13_688)


def test_several_summaries_in_one_output() -> None:
    """Each has its own rows."""
    first, second = read(KERAS_2 + KERAS_3)
    assert first.rows[0].name == "conv2d_1"
    assert second.rows[0].name == "conv2d"
    assert len(second.rows) == 3


def test_a_table_that_was_cut_is_not_complete() -> None:
    """Its rows hold less than its total."""
    head, _, tail = KERAS_2.partition("batch_normalization")
    (summary,) = read(head + tail[tail.index("\n") :])
    assert (summary.total, summary.complete) == (112, False)


def test_shapes_that_say_nothing() -> None:
    """`multiple`, and sizes that are None."""
    (summary,) = read(
        "a (Dense)      multiple    10\nb (Conv2D)   (None, None, None, 3)    5\n"
        "c (InputLayer)   [(None, 4)]   0\n"
        "Total params: 15\n"
    )
    assert [row.shape for row in summary.rows] == [None, (None, None, 3), (4,)]
