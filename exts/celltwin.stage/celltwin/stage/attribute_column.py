"""One attribute on many prims of a layer, written fast."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AttributeColumn"]

# Calling the property's setter by map saves the interpreter's attribute look-up, a tenth of each write.
_put_default = Sdf.PropertySpec.default.fset


class AttributeColumn:
    """Handles on one attribute of many prims; each is created with its first value.

    Parameters
    ----------
    layer : Sdf.Layer
        Layer that takes the values.
    paths : sequence of Sdf.Path
        Prims, in the order that indices count.
    name : str
        Name of the attribute.
    type_name : Sdf.ValueTypeName
        Type of the attribute.

    Notes
    -----
    Nothing here opens an ``Sdf.ChangeBlock``: the caller joins the writes of many columns in one.
    """

    def __init__(self, layer: Sdf.Layer, paths: Sequence[Sdf.Path], name: str, type_name: Sdf.ValueTypeName) -> None:
        self._layer = layer
        self._paths = paths
        self._name = name
        self._type_name = type_name
        self._handles: list[Any] = [None] * len(paths)
        self.held = np.zeros(len(paths), dtype=np.bool_)

    def write(self, indices: NDArray[np.int64], values: Sequence[object]) -> None:
        """Write one value for each index.

        Parameters
        ----------
        indices : ndarray of int, shape (n,)
            Prims, each once.
        values : sequence
            Values, of Python or Vt types that suit the attribute; None clears the attribute's value.
        """
        lacking = indices[~self.held[indices]]
        if lacking.size:
            self._create(lacking)
        if indices.size == len(self._handles):
            handles = self._handles
        else:
            handles = [self._handles[index] for index in indices.tolist()]
        deque(map(_put_default, handles, values), maxlen=0)

    def _create(self, indices: NDArray[np.int64]) -> None:
        for index in indices.tolist():
            path = self._paths[index]
            prim = self._layer.GetPrimAtPath(path) or Sdf.CreatePrimInLayer(self._layer, path)
            handle = prim.attributes.get(self._name) or Sdf.AttributeSpec(prim, self._name, self._type_name)
            self._handles[index] = handle
        self.held[indices] = True
