"""One layer's Keras configuration -> one of our own layer records.

Configurations come from live layers (`get_config`) and from saved models of every era; both
are read as data. A layer without a record becomes an `UnsupportedLayer` with the reason.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from grader import records as r
from grader.layers import kinds, old_names
from grader.layers.base import Config
from grader.layers.settings import Unrepresentable


def layer_record(class_name: str, config: Config, name: str, inbound: tuple[str, ...]) -> r.Layer:
    """Return the record of a layer; raises only where names or inbound layers are too many for any record."""
    base = {"name": name or "layer", "inbound": inbound}
    try:
        return _read(old_names.modern_class(class_name), config, base)
    except (Unrepresentable, ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        return r.UnsupportedLayer(**base, class_name=class_name[:200] or "Layer", reason=_reason(error))


def _read(class_name: str, config: Config, base: Config) -> r.Layer:
    kind = kinds.CLASSES.get(class_name)
    if kind is None:
        raise Unrepresentable(r.because("no_record"))
    if lost := old_names.lost(class_name, config):
        raise Unrepresentable(r.because("gone_argument", lost))
    base = base | {"trainable": bool(config.get("trainable", True))}
    fields = kind.read(kind, class_name, old_names.modern_arguments(class_name, config))
    layer: Any = kind.record(**base | fields)
    return layer


def _reason(error: Exception) -> r.Reason:
    if isinstance(error, Unrepresentable) and isinstance(error.args[0], r.Reason):
        return error.args[0]
    return r.because("unrepresentable", detail=_why(error)[:500])


def _why(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "type")
    return f"its configuration lacks {where!r}" if first["type"] == "missing" else f"{where}: {first['msg']}"
