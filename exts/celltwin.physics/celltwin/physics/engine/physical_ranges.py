"""Ranges that the numbers of a model must lie in."""

from __future__ import annotations

import numpy as np

from celltwin.core import ModelError

__all__ = ["require_ranges"]


def require_ranges(
    model: object,
    owner: str,
    *,
    finite: tuple[str, ...] = (),
    above_zero: tuple[str, ...] = (),
    at_least_zero: tuple[str, ...] = (),
    fraction: tuple[str, ...] = (),
    remedy: str = "Correct the parameters",
) -> None:
    """Check numbers of a model.

    Parameters
    ----------
    model : object
        Has the numbers as attributes.
    owner : str
        What the model is called in a message.
    finite, above_zero, at_least_zero, fraction : tuple of str
        Attributes that must be finite, and above 0, at least 0 or in [0, 1].
    remedy : str
        What to do about one that is not.

    Raises
    ------
    ModelError
        Naming the first that is not.
    """
    for names, low, high, words in (
        (finite, -np.inf, np.inf, "finite"),
        (above_zero, np.nextafter(0.0, 1.0), np.inf, "finite and greater than 0"),
        (at_least_zero, 0.0, np.inf, "finite and at least 0"),
        (fraction, 0.0, 1.0, "in [0, 1]"),
    ):
        for name in names:
            value = getattr(model, name)
            if not (np.isfinite(value) and low <= value <= high):
                raise ModelError(f"{owner}.{name} = {value:g} is not physical: it must be {words}", remedy=remedy)
