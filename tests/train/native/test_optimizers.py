"""Each optimizer takes Keras's steps: weights agree to 2e-6 after each of six."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grader import records as r
from grader.train.covered import NotCovered
from grader.train.native import optimizers
from grader.train.native.plan import Variable

RECORDS: list[Any] = [
    r.SGD(),
    r.SGD(momentum=0.9),
    r.SGD(momentum=0.9, nesterov=True),
    r.Adam(),
    r.Adam(beta_1=0.8, beta_2=0.9, epsilon=1e-3, amsgrad=True),
    r.Adam(weight_decay=0.1),
    r.Adamax(),
    r.Nadam(),
    r.Nadam(schedule_decay=0.004),
    r.RMSprop(),
    r.RMSprop(momentum=0.5, centered=True, rho=0.8),
    r.Adagrad(),
    r.Adadelta(),
    r.Adam(clipnorm=0.5),
    r.SGD(clipvalue=0.2),
    r.SGD(momentum=0.9, global_clipnorm=0.7),
]


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_every_step_is_kerass(record: Any) -> None:
    """Two weights, six gradients, a learning rate that changes on the way."""
    import keras

    from grader.train.keras import build

    random = np.random.default_rng(5)
    weights = random.normal(size=7).astype(np.float32)
    shapes = [(3,), (2, 2)]
    recipe = r.TrainingRecipe(optimizer=record, epochs=1, learning_rates=(0.05,))
    theirs = build.optimizer(recipe)
    variables = [keras.Variable(weights[:3]), keras.Variable(weights[3:].reshape(2, 2))]
    theirs.build(variables)
    places = [Variable(0, "w", shape, at, r.Constant()) for shape, at in zip(shapes, (0, 3), strict=True)]
    ours = optimizers.Optimizer(record, 0.05, places, 7)
    for step in range(6):
        slopes = random.normal(size=7).astype(np.float32)
        parts = [slopes[:3], slopes[3:].reshape(2, 2)]
        theirs.apply_gradients(
            [(keras.ops.convert_to_tensor(g), v) for g, v in zip(parts, variables, strict=True)]
        )
        ours.step(weights, slopes.copy())
        expected = np.concatenate([np.asarray(v).reshape(-1) for v in variables])
        np.testing.assert_allclose(weights, expected, rtol=2e-6, atol=2e-6)
        if step == 2:
            theirs.learning_rate = ours.rate = 0.01


def test_a_setting_that_records_get_later_is_refused() -> None:
    """An optimizer's field that nobody here knows is not silently left out."""

    class Adam(r.Adam):
        lookahead: int = 0

    with pytest.raises(NotCovered, match="the optimizer Adam"):
        optimizers.check(Adam(lookahead=3))
