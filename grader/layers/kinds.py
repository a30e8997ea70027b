"""The kind of every layer, found by its record or by the name of a Keras class."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import get_args

from grader.layers.base import BaseLayer, Kind
from grader.layers.network import Layer, UnsupportedLayer

_RECORDS: tuple[type[BaseLayer], ...] = get_args(get_args(Layer)[0])

# In the order of the union; each from the file that its record is in.
KINDS: Mapping[type[BaseLayer], Kind] = {
    record: next(kind for kind in sys.modules[record.__module__].KINDS if kind.record is record)
    for record in _RECORDS
    if record is not UnsupportedLayer
}

# The values of a record's ``type``, and the classes of Keras 3 that are read.
RECORDS: Mapping[str, type[BaseLayer]] = {
    name: record for record in _RECORDS for name in get_args(record.model_fields["type"].annotation)
}
CLASSES: Mapping[str, Kind] = {name: kind for kind in KINDS.values() for name in (*kind.types, *kind.also)}

_OUTSIDE = Kind(record=UnsupportedLayer)


def of(layer: BaseLayer) -> Kind:
    """Return the kind of a layer; all defaults for one outside the vocabulary."""
    return KINDS.get(type(layer), _OUTSIDE)
