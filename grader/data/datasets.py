"""Data sets: `mnist`, which ships with the package, and any npz that a rubric names.

An npz holds `x_train`, `y_train`, `x_test`, `y_test`: uint8 images (n, rows, columns) or
(n, rows, columns, channels), and integer labels (n,). The file's SHA-256 is checked before its
arrays are read. Only the parent and the trusted trainer ever see `y_test`.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.errors import BrokenError, InstructorError
from grader.records import DatasetSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MNIST = DatasetSpec(
    name="mnist",
    path=str(Path(__file__).parent / "files" / "mnist.npz"),
    sha256="8e083283c91432a55ec214b424b750f347064b1c21bf79cd5a9a425e1c6c2048",
    served_as=("mnist",),
)
BUILT_IN = {"mnist": MNIST}

_NAMES = ("x_train", "y_train", "x_test", "y_test")
_MAX_BYTES = 4_000_000_000
CHANGED, NOISE = 1_000, 8  # changed test images that a replay gets as well; grey levels up or down at most


@dataclass(frozen=True)
class Sizes:
    """Number of images in both splits, (rows, columns, channels) of an image, and number of classes."""

    train: int
    test: int
    image: tuple[int, int, int]
    classes: int


OURS = Sizes(60_000, 10_000, (28, 28, 1), 10)


@dataclass(frozen=True)
class Dataset:
    """Verified arrays, each unpacked on first use.

    Images have shape (n, rows, columns, channels), labels (n,).
    """

    spec: DatasetSpec
    raw: bytes

    @cached_property
    def x_train(self) -> npt.NDArray[np.uint8]:
        """Training images (n, rows, columns, channels)."""
        return self._images("x_train")

    @cached_property
    def y_train(self) -> npt.NDArray[np.int64]:
        """Training labels (n,)."""
        return self._array("y_train")

    @cached_property
    def x_test(self) -> npt.NDArray[np.uint8]:
        """Test images (n, rows, columns, channels)."""
        return self._images("x_test")

    @cached_property
    def y_test(self) -> npt.NDArray[np.int64]:
        """Test labels (n,): never for a process that runs a student's code."""
        return self._array("y_test")

    @cached_property
    def sizes(self) -> Sizes:
        """The sizes; those of the data set that ships with grader are constants, so nothing is unpacked."""
        if _is_ours(self.spec):
            return OURS
        classes = int(max(self.y_train.max(), self.y_test.max())) + 1
        rows, columns, channels = self.x_test.shape[1:]
        return Sizes(len(self.y_train), len(self.y_test), (rows, columns, channels), classes)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(rows, columns, channels) of an image."""
        return self.sizes.image

    @property
    def classes(self) -> int:
        """The number of classes: the largest label of both splits plus one."""
        return self.sizes.classes

    def _images(self, name: str) -> npt.NDArray[np.uint8]:
        images = self._array(name)
        return images[..., None] if images.ndim == 3 else images

    def _array(self, name: str) -> npt.NDArray[Any]:
        from grader.safe import npy  # with NumPy, which structural answers about a saved model do without

        with zipfile.ZipFile(io.BytesIO(self.raw)) as archive:
            return npy.read(archive.read(f"{name}.npy"))


def load(spec: DatasetSpec) -> Dataset:
    """Read an npz and verify its digest.

    Raises `InstructorError` for a rubric's file, `BrokenError` for our own.
    """
    path = Path(spec.path)
    fault = BrokenError if spec.path == MNIST.path or _is_ours(spec) else InstructorError
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise fault(
            f"the data set {spec.name!r} cannot be read: {error}", "Check the path in the rubric's [dataset]."
        ) from None
    if (digest := hashlib.sha256(raw).hexdigest()) != spec.sha256:
        raise fault(
            f"the data set {spec.name!r} in {path} has SHA-256 {digest}, not {spec.sha256}",
            "If this is the file you mean, put that digest into the rubric's [dataset].",
        )
    dataset = Dataset(spec, raw)
    if not _is_ours(spec):  # for our own file the digest is proof enough
        _check(dataset)
    return dataset


def _is_ours(spec: DatasetSpec) -> bool:
    return spec.sha256 == MNIST.sha256


def _check(dataset: Dataset) -> None:
    """Raise `InstructorError` for an npz that is no data set."""
    name = dataset.spec.name
    try:
        with zipfile.ZipFile(io.BytesIO(dataset.raw)) as archive:
            size = sum(archive.getinfo(f"{array}.npy").file_size for array in _NAMES)
        if size > _MAX_BYTES:
            raise ValueError(f"it would take {size:,} bytes of memory")
        arrays = {array: dataset._array(array) for array in _NAMES}
    except (
        ValueError,
        KeyError,
        OSError,
        EOFError,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        zipfile.BadZipFile,
    ) as error:
        raise InstructorError(
            f"the data set {name!r} is not an npz of {', '.join(_NAMES)}: {error}",
            "Write it with numpy.savez_compressed.",
        ) from None
    for split in ("train", "test"):
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if x.dtype != "uint8" or x.ndim not in (3, 4) or not len(x):
            raise InstructorError(
                f"the data set {name!r}: x_{split} must be uint8 images "
                f"(n, rows, columns[, channels]), not {x.dtype} {x.shape}"
            )
        if y.dtype.kind not in "iu" or y.shape != (len(x),) or int(y.min()) < 0:
            raise InstructorError(
                f"the data set {name!r}: y_{split} must be {len(x)} class numbers, not {y.dtype} {y.shape}"
            )
    if arrays["x_train"].shape[1:] != arrays["x_test"].shape[1:]:
        raise InstructorError(f"the data set {name!r}: training and test images differ in shape")


def write_blinded(
    dataset: Dataset, path: Path, x_test: npt.NDArray[np.uint8] | None = None, **more: Any
) -> None:
    """Write the npz that a student's code may see: all images, training labels, and permuted test labels.

    ``x_test`` replaces the test images by the same images in another order; ``more`` are further arrays of
    images.

    The permutation is drawn anew each time from the system's entropy, so nobody can undo it; each class stays
    as frequent as it is.
    """
    import numpy as np

    permuted = np.random.default_rng().permutation(dataset.y_test)
    squeeze = dataset.image_shape[2] == 1
    x_train, x_test = dataset.x_train, dataset.x_test if x_test is None else x_test
    if squeeze:  # keras.datasets.mnist has no axis for channels
        x_train, x_test = x_train[..., 0], x_test[..., 0]
        more = {name: images[..., 0] for name, images in more.items()}
    y_train = dataset.y_train.astype(np.uint8 if dataset.classes <= 256 else np.int64)
    np.savez(
        path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=permuted.astype(y_train.dtype), **more
    )


def write_shuffled(dataset: Dataset, path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Write the npz of a replay: blinded, with the test images in a secret order, and some of them changed.

    Returns two index arrays, for the caller only: entry i is the place in the test split of the i-th test
    image written, and of the i-th changed one.
    """
    import numpy as np

    random = np.random.default_rng()
    order, again = (random.permutation(len(dataset.x_test)) for _ in range(2))
    again = again[:CHANGED]
    write_blinded(dataset, path, dataset.x_test[order], x_changed=changed(dataset.x_test[again], random))
    return order, again


def changed(images: npt.NDArray[np.uint8], random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return images (n, rows, columns, channels), each shifted by a pixel along both axes, with faint noise.

    The noise leaves the background alone. Code that can read the images reads the changed ones too; code that
    has memorised the images does not know the changed ones.
    """
    import numpy as np

    shifts = random.choice([-1, 1], (len(images), 2))
    moved = np.stack([np.roll(image, shift, (0, 1)) for image, shift in zip(images, shifts, strict=True)])
    noise = random.integers(-NOISE, NOISE + 1, moved.shape)
    return np.where(moved > 0, np.clip(moved.astype(np.int16) + noise, 1, 255), 0).astype(np.uint8)
