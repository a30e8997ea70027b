"""Saved models -> their configuration, read as data and never through Keras.

`.keras` (zip with config.json), HDF5 of Keras 1 and 2, architecture JSON and YAML, and SavedModel
folders written by Keras 2. A weights-only file or an exported serving function says so.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from grader.describe.networks import yamls
from grader.errors import StudentError, Unsupported
from grader.safe.zips import open_zip

MAX_CONFIG = 8_000_000  # bytes; a network of 1,000 layers needs about 1.5 MB
# Of a SavedModel: bytes, fields and texts that look like JSON. Real ones have some 10,000 fields.
MAX_PROTOCOL_BUFFER, MAX_FIELDS, MAX_TEXTS = 64_000_000, 500_000, 20_000


def read_config(path: Path) -> dict[str, Any]:
    """Return the model configuration in a file or folder. Raises `StudentError`, `Unsupported`."""
    if path.is_dir():
        return _saved_model(path)
    readers = {
        ".keras": _keras, ".json": _json, ".h5": _hdf5, ".hdf5": _hdf5, ".yaml": _yaml, ".yml": _yaml,
    }  # fmt: skip
    return readers[path.suffix.lower()](path)


def read_compiled(path: Path, config: dict[str, Any]) -> Any:
    """Return how the model was compiled, from its file or the ``config`` read from it; None if unknown."""
    if path.suffix.lower() in (".h5", ".hdf5"):
        text = _hdf5_attribute(path, "training_config")
        return None if text is None else _parse(text, path)
    return config.get("compile_config") or config.get("training_config")


def _parse(text: str | bytes, path: Path) -> Any:
    if len(text) > MAX_CONFIG:
        raise _too_large(path, "its configuration", len(text))
    try:
        return _untagged(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise StudentError(
            f"{path.name}: its configuration is not valid JSON: {error}"[:500],
            "Save the model again with model.save().",
        ) from None


def _too_large(path: Path, what: str, size: int) -> Unsupported:
    """Return the error for a file beyond a limit of grader's, which is no mistake of a student's."""
    return Unsupported(
        f"{path.name}: {what} has {size:,} bytes; at most {MAX_CONFIG:,} are read",
        "A person should look at the submission.",
    )


def _untagged(value: Any) -> Any:
    """Replace tuples and shapes that tf.keras tags, as JSON does not know them, by lists."""
    if isinstance(value, dict):
        if value.get("class_name") in ("__tuple__", "TensorShape") and "items" in value:
            return _untagged(value["items"])
        return {key: _untagged(item) for key, item in value.items()}
    return [_untagged(item) for item in value] if isinstance(value, list) else value


def _keras(path: Path) -> dict[str, Any]:
    hint = "Save the model again with model.save('model.keras')."
    try:
        with open_zip(path) as archive:
            info = archive.getinfo("config.json")
            if info.file_size > MAX_CONFIG:
                raise _too_large(path, "its config.json", info.file_size)
            with archive.open(info) as member:
                text = member.read(MAX_CONFIG + 1)
    except KeyError:
        raise StudentError(f"{path.name} holds no config.json: it is no Keras model", hint) from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise StudentError(f"{path.name} is not a readable .keras file: {error}", hint) from None
    return _object(_parse(text, path), path)


def _object(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StudentError(
            f"{path.name}: its configuration is not a JSON object",
            "Save the architecture with model.to_json().",
        )
    return value


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_CONFIG:
        raise _too_large(path, "it", path.stat().st_size)
    value = _parse(path.read_bytes(), path)
    if isinstance(value, str):  # json.dump(model.to_json(), file) quotes it twice
        value = _parse(value, path)
    return _object(value, path)


def _yaml(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_CONFIG:
        raise _too_large(path, "it", path.stat().st_size)
    try:
        value = yamls.parse(path.read_bytes().decode("utf-8-sig", "replace"))
    except ValueError as error:
        raise StudentError(
            f"{path.name}: its configuration is not YAML as Keras wrote it: {error}"[:500],
            "Save the architecture with model.to_json() or the model with model.save().",
        ) from None
    return _object(_untagged(value), path)


def _hdf5(path: Path) -> dict[str, Any]:
    text = _hdf5_attribute(path, "model_config")
    if text is None:
        raise StudentError(
            f"{path.name} holds weights only, no architecture",
            "Hand in model.save('model.h5'), or the code that builds the network.",
        )
    return _object(_parse(text, path), path)


def _hdf5_attribute(path: Path, name: str) -> str | None:
    import h5py  # costs 0.2 s, and only this format needs it

    try:
        with h5py.File(path, "r") as file:
            value = _text_attribute(file.attrs, name)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise StudentError(
            f"{path.name} is not a readable HDF5 file: {error}"[:500],
            "Save the model again with model.save('model.h5').",
        ) from None
    if value is not None and not isinstance(value, bytes | str):
        raise StudentError(f"{path.name}: its {name} is not text", "Save the model again with model.save().")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _text_attribute(attributes: Any, name: str) -> Any:
    """Return one text, None if there is no such attribute, or its type if it is something else.

    The type comes before the value: 3,000 references to one text of a megabyte are three gigabytes.
    """
    import h5py

    if name not in attributes:
        return None
    stored = attributes.get_id(name)
    if (
        stored.shape != ()
        or h5py.check_string_dtype(stored.dtype) is None
        or stored.dtype.itemsize > MAX_CONFIG
    ):
        return stored.dtype
    return attributes[name]


# --- SavedModel ---------------------------------------------------------------------------------


def _saved_model(folder: Path) -> dict[str, Any]:
    """Return the configuration that Keras 2 stores as JSON in a protocol buffer beside the graph.

    `keras_metadata.pb` since TensorFlow 2.5, `saved_model.pb` itself before.
    """
    for name in ("keras_metadata.pb", "saved_model.pb"):
        file = folder / name
        if file.is_file() and file.stat().st_size <= MAX_PROTOCOL_BUFFER:
            for text in islice(_json_strings(file.read_bytes(), [MAX_FIELDS]), MAX_TEXTS):
                if (config := _model_in(text)) is not None:
                    return config
    raise Unsupported(
        f"{folder.name}: this SavedModel holds a computation, not a Keras architecture",
        "Hand in model.save('model.keras') instead of model.export(…).",
    )


def _model_in(text: bytes) -> dict[str, Any] | None:
    if len(text) > MAX_CONFIG:
        return None
    try:
        value = _untagged(json.loads(text))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    config = value.get("model_config") or value
    compiled = value.get("training_config")
    is_model = isinstance(config, dict) and config.get("class_name") in (
        "Sequential", "Functional", "Model",
    )  # fmt: skip
    if not is_model or not isinstance(config.get("config"), dict):
        return None
    return {**config, "training_config": compiled} if isinstance(compiled, dict) else config


def _json_strings(data: bytes, left: list[int], depth: int = 0) -> Iterator[bytes]:
    """Yield length-delimited fields that look like JSON objects, at any depth, among ``left`` fields.

    The wire format of https://protobuf.dev/programming-guides/encoding/, without a schema.
    """
    position = 0
    while position < len(data) and left[0] > 0:
        left[0] -= 1
        key, position = _varint(data, position)
        match key & 7:
            case 0:
                _, position = _varint(data, position)
            case 1:
                position += 8
            case 5:
                position += 4
            case 2:
                size, position = _varint(data, position)
                field = data[position : position + size]
                position += size
                if field[:1] == b"{" and field[-1:] == b"}":
                    yield field
                elif depth < 8 and len(field) > 16:
                    yield from _json_strings(field, left, depth + 1)
            case _:
                return  # not a message after all


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            return value, position
    return 0, len(data)
