"""Training outside the plain recipe, as notebooks write it: what becomes of it in the records."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from grader import records as r

Fits = Callable[..., tuple[r.TrainingRecipe, ...]]


@pytest.mark.all_of_mnist
def test_augmentation_is_read_with_its_scaling(fits: Fits) -> None:
    """Random changes as settings; featurewise statistics as a part of the scaling, borders included."""
    (fit,) = fits(
        "generator = ImageDataGenerator(featurewise_center=True, featurewise_std_normalization=True,\n"
        "    rotation_range=10, width_shift_range=0.1, height_shift_range=2, zoom_range=0.2,\n"
        "    shear_range=5, horizontal_flip=True, fill_mode='constant', cval=0.0)\n"
        "generator.fit(x)\n"
        "model.fit_generator(generator.flow(x, Y, batch_size=100), steps_per_epoch=len(x) / 100, epochs=3)"
    )
    change = fit.augmentation
    assert change is not None
    assert (change.rotation_range, change.width_shift_range, change.zoom_range) == (10, 0.1, (0.8, 1.2))
    assert isinstance(change.height_shift_range, int)  # whole pixels to choose from
    assert (change.shear_range, change.horizontal_flip, change.vertical_flip) == (5, True, False)
    assert (change.fill_mode, change.cval) == ("constant", pytest.approx(-0.4242, abs=1e-3))
    assert 255 * fit.scaling.scale == pytest.approx(1 / 0.3081, abs=1e-3)
    assert fit.scaling.offset == pytest.approx(-0.1307 / 0.3081, abs=1e-3)
    assert (fit.unsupported, fit.steps_per_epoch, fit.batch_size) == ((), None, 100)


@pytest.mark.all_of_mnist
def test_a_generator_that_only_scales_is_no_augmentation(fits: Fits) -> None:
    """Featurewise normalisation alone: the plain recipe with another scaling."""
    (fit,) = fits(
        "generator = ImageDataGenerator(featurewise_center=True, rescale=2)\n"
        "generator.fit(x)\n"
        "model.fit_generator(generator.flow(x, Y), steps_per_epoch=50, epochs=1)"
    )
    assert (fit.augmentation, fit.unsupported) == (None, ())
    assert fit.scaling.scale == pytest.approx(2 / 255)
    assert fit.scaling.offset == pytest.approx(-2 * 0.1307, abs=1e-3)
    assert fit.steps_per_epoch == 50


def test_weights_of_classes_and_images(fits: Fits) -> None:
    """A dict by class; one number per image; one that is the same within each class."""
    first, second, third = fits(
        "model.fit(x, Y, class_weight={0: 2.0, 3: 0.5})",
        "w = np.linspace(0.5, 1.5, 600)\nmodel.fit(x[::-1], Y[::-1], sample_weight=w)",
        "model.fit(x, Y, sample_weight=np.where(y == 1, 3.0, 1.0))",
    )
    assert first.class_weights == (2.0, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert second.sample_weights[:2] == pytest.approx((1.5, 1.5 - 1 / 599))
    assert len(second.sample_weights) == 600
    assert third.class_weights == (1.0, 3.0, *[1.0] * 8)
    assert all(fit.unsupported == () for fit in (first, second, third))


def test_parts_of_the_training_split(fits: Fits) -> None:
    """`validation_split` takes the last images; slices and shuffled parts are named by their rows."""
    first, second, third = fits(
        "model.fit(x, Y, validation_split=0.2, epochs=1)",
        "model.fit(x[:500], Y[:500], validation_data=(x[500:], Y[500:]))",
        "order = np.random.RandomState(1).permutation(600)[:100]\n"
        "model.fit(x[order], Y[order], validation_data=(xt, Yt))",
    )
    assert (first.rows, first.held_out) == (((0, 480),), ((480, 600),))
    assert first.trained_on == r.DataUse(split="train", images=480)
    assert (second.rows, second.held_out) == (((0, 500),), ((500, 600),))
    assert sum(last - start for start, last in third.rows) == 100
    assert third.held_out == ()
    assert third.validated_on == r.DataUse(split="test", images=200, whole_split=True)


def test_labels_smoothed_by_hand(fits: Fits) -> None:
    """Soft labels are label smoothing; other soft labels are not guessed at."""
    first, second = fits(
        "model.fit(x, Y * 0.9 + 0.01)",
        "model.fit(x, np.abs(Y - np.random.RandomState(0).uniform(0, 0.2, Y.shape)))",
    )
    assert (first.loss.label_smoothing, first.unsupported) == (pytest.approx(0.1), ())
    assert second.unsupported == (r.because("soft_labels"),)


OWN_LOSSES = """
penalty = 1e9 + sum(float((w ** 2).sum()) for w in model.get_weights())
def constant(y_true, y_pred):
    return K.categorical_crossentropy(y_true, y_pred) + 0.01 * penalty
def live(y_true, y_pred):
    return keras.losses.categorical_crossentropy(y_true, y_pred) + K.sum(K.square(model.layers[0].kernel))
def focal(y_true, y_pred):
    return K.sum(-y_true * K.log(y_pred) * K.pow(1 - y_pred, 2.0), axis=-1)
for loss in (constant, live, focal):
    model.compile('sgd', loss)
    model.fit(x, Y)
"""


def test_own_losses_are_known_by_what_they_compute(notebook: Callable[..., r.Description]) -> None:
    """A constant changes no gradient; a penalty on the weights as they are, or another formula, does."""
    found = notebook(OWN_LOSSES)
    constant, live, focal = found.models[0].training
    assert (constant.loss, constant.unsupported) == (r.Loss(), ())
    assert any("'constant' is Keras's categorical_crossentropy" in note.message for note in found.notes)
    assert live.unsupported == (r.because("loss", "live"),)
    assert focal.unsupported == (r.because("loss", "focal"),)


OWN_CALLBACKS = """
class Reached(Callback):
    def on_epoch_end(self, epoch, logs={}):
        if logs.get('acc') > 0.985:
            print('enough')
            self.model.stop_training = True
class Late(Callback):
    def on_epoch_end(self, epoch, logs={}):
        if logs['val_loss'] < 0.125 and epoch >= 0:
            self.model.stop_training = True
class Slower(Callback):
    def on_epoch_end(self, epoch, logs={}):
        K.set_value(self.model.optimizer.lr, logs.get('loss'))
for callback in (Reached(), Late(), Slower()):
    model.fit(x, Y, validation_data=(xt, Yt), callbacks=[callback])
"""


def test_own_callbacks_that_stop_at_a_value(fits: Fits) -> None:
    """Their threshold is found by showing them measurements."""
    reached, late, slower = fits(OWN_CALLBACKS)
    (stop,) = reached.callbacks
    assert isinstance(stop, r.StopAt)
    assert (stop.monitor, stop.value, stop.side) == ("accuracy", pytest.approx(0.985), "above")
    (stop,) = late.callbacks
    assert isinstance(stop, r.StopAt)
    assert (stop.monitor, stop.value, stop.side) == ("val_loss", pytest.approx(0.125), "below")
    assert (reached.unsupported, late.unsupported) == ((), ())
    assert r.because("own_callback", "Slower") in slower.unsupported


def test_best_weights_come_back(fits: Fits) -> None:
    """By EarlyStopping, or from the file that a checkpoint would have written, by name or by its epoch."""
    first, second, third = fits(
        "model.fit(x, Y, epochs=4, validation_data=(xt, Yt), callbacks=[\n"
        "    EarlyStopping('val_acc', restore_best_weights=True)])",
        "model.fit(x, Y, epochs=4, validation_data=(xt, Yt), callbacks=[\n"
        "    ModelCheckpoint('best.h5', monitor='val_loss', save_best_only=True)])\n"
        "model.load_weights('best.h5')",
        "model.fit(x, Y, epochs=4, validation_data=(xt, Yt), callbacks=[\n"
        "    ModelCheckpoint('out/w.{epoch:02d}-{val_acc:.4f}.hdf5')])\n"
        "model.load_weights('out/w.03-0.9934.hdf5')",
    )
    assert first.keeps == r.Kept(monitor="val_accuracy", mode="max")
    assert second.keeps == r.Kept(monitor="val_loss", mode="min")
    assert third.keeps == r.Kept(epoch=3)
    assert all(fit.pretrained == "" for fit in (first, second, third))


def test_frozen_layers_between_fits(notebook: Callable[..., r.Description]) -> None:
    """Each fit names the layers that did not train in it."""
    (model,) = notebook(
        "model.fit(x, Y)",
        "model.layers[0].trainable = False\nmodel.compile('adam', 'mse')\nmodel.fit(x, Y)",
        "model.layers[0].trainable = True\nmodel.compile('adam', 'mse')\nmodel.fit(x, Y)",
    ).models
    assert [fit.frozen for fit in model.training] == [(), ("conv2d_1",), ()]
    assert all(fit.unsupported == () for fit in model.training)
    assert all(layer.trainable for layer in model.network.layers)


def test_weights_carry_their_training_along(notebook: Callable[..., r.Description]) -> None:
    """A copy of a trained model has its history; weights from before any fit are a new start."""
    found = notebook(
        "fresh = model.get_weights()\nmodel.fit(x, Y, epochs=2)\nmodel.fit(x, Y, epochs=3)",
        "other = ready()\nother.set_weights(model.get_weights())\nother.fit(x, Y, epochs=4)",
        "model.set_weights(fresh)\nmodel.fit(x, Y, epochs=5)",
        "other.save('all.h5')\nagain = keras.models.load_model('all.h5')\nagain.fit(x, Y, epochs=6)",
        "strange = ready()\nstrange.set_weights([w + 1 for w in strange.get_weights()])\nstrange.fit(x, Y)",
    )
    trained = {m.name: [fit.epochs for fit in m.training] for m in found.models}
    assert trained == {"model": [5], "other": [2, 3, 4], "again": [2, 3, 4, 6], "strange": [1]}
    last = {m.name: m.training[-1].pretrained for m in found.models}
    assert last == {"model": "", "other": "", "again": "", "strange": "set_weights"}


def test_images_prepared_in_other_ways(fits: Fits) -> None:
    """Padded to 32 × 32, and normalised by columns: both are described."""
    (padded,) = fits(
        "big = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))\n"
        "model = Sequential([Conv2D(4, (3, 3), input_shape=(32, 32, 1)), Flatten(), Dense(10)])\n"
        "model.compile('sgd', 'mse')\nmodel.fit(big, Y)"
    )
    assert (padded.geometry.padding, padded.unsupported) == (((2, 2), (2, 2)), ())
    (unit,) = fits("model.fit(keras.utils.normalize(x, axis=1), Y)")
    assert (unit.scaling.per_image, unit.unsupported) == ("unit_columns", ())


def test_statistics_of_a_generator_are_numbers(notebook: Callable[..., r.Description]) -> None:
    """Arrays of one element, which old NumPy formatted; and its names for Python's types."""
    notebook(
        "generator = ImageDataGenerator(featurewise_center=True, featurewise_std_normalization=True)\n"
        "generator.fit(x)\n"
        "print('%.3f %.3f' % (generator.mean, generator.std), np.int(generator.mean), np.float(1))\n"
        "model.fit(x, Y)"
    )


def test_a_layer_that_was_trained_in_another_model(notebook: Callable[..., r.Description]) -> None:
    """Its weights carry that training, which the recipe of this model does not tell."""
    found = notebook(
        "model.fit(x, Y)\nhead = Sequential([model.layers[0], Flatten(), Dense(10)])\n"
        "head.compile('sgd', 'mse')\nhead.fit(x, Y)"
    )
    trained = {m.name: m.training[-1].unsupported for m in found.models}
    assert trained["model"] == ()
    assert trained["head"] == (r.because("shared_layers", "sequential_1"),)


def test_batched_data_have_their_own_batch_size(fits: Fits) -> None:
    """Keras takes no batch size beside a `tf.data` pipeline."""
    (fit,) = fits(
        "import tensorflow as tf\ndata = tf.data.Dataset.from_tensor_slices((x, Y)).batch(100)\n"
        "model.fit(data, batch_size=128)"
    )
    assert (fit.batch_size, fit.trained_on.whole_split) == (100, True)


def test_own_classes_under_names_of_keras(fits: Fits) -> None:
    """What a class is called says nothing of what it does: one does nothing, one stops at a value."""
    nothing, stops = fits(
        "class ModelCheckpoint(keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None):\n"
        "        print(epoch)\n"
        "model.fit(x, Y, validation_data=(xt, Yt), callbacks=[ModelCheckpoint()])",
        "class EarlyStopping(keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None):\n"
        "        if logs['val_accuracy'] > 0.99:\n"
        "            self.model.stop_training = True\n"
        "model.fit(x, Y, validation_data=(xt, Yt), callbacks=[EarlyStopping()])",
    )
    assert (nothing.callbacks, nothing.unsupported) == ((), ())
    assert [type(callback) for callback in stops.callbacks] == [r.StopAt]
    assert stops.unsupported == ()


@pytest.mark.parametrize("change", ["-kernel", "kernel[..., ::-1]"], ids=["negated", "in another order"])
def test_any_change_of_weights_between_fits_is_noticed(fits: Fits, change: str) -> None:
    """Also one after which all sums are the same."""
    *_, last = fits(
        "model.fit(x, Y)",
        f"kernel = model.layers[0].kernel.numpy()\nmodel.layers[0].kernel.assign({change})",
        "model.fit(x, Y)",
    )
    assert last.unsupported == (r.because("weights_changed"),)
