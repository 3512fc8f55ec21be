"""Array types and the small checks that every contract on arrays needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .errors import ShapeError

__all__ = ["Array", "Flags", "freeze", "require_shape"]

Array = NDArray[np.float64]
Flags = NDArray[np.uint8]


def freeze[T: np.generic](values: NDArray[T]) -> NDArray[T]:
    """Return the array as read-only; copied first if somebody could still write to it."""
    if not values.flags.writeable:
        return values
    frozen = values.copy()
    frozen.flags.writeable = False
    return frozen


def require_shape(name: str, values: NDArray[np.generic], shape: tuple[int, ...]) -> None:
    """Raise ShapeError unless ``values`` has the given shape."""
    if values.shape != shape:
        raise ShapeError(f"{name} has shape {values.shape}, expected {shape}")
