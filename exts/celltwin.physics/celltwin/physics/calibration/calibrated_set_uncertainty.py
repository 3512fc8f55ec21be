"""The part of a posterior that a calibrated set's file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .calibrated_set import ParameterUncertainty

if TYPE_CHECKING:
    from .posterior import ParameterPosterior

__all__ = ["uncertainty_of"]

_OPEN = 0.8  # standard deviation over the prior's, beyond which data say little
_NAMES = {
    "refits": "fits to perturbed curves about perturbed priors",
    "laplace": "fits of the linear model to perturbed curves about perturbed priors",
    "emulator": "Markov chains through an emulator",
}


def uncertainty_of(posterior: ParameterPosterior) -> ParameterUncertainty:
    """Return standard deviations, 95 % intervals and correlations of a posterior."""
    return ParameterUncertainty(
        names=posterior.names,
        standard_deviation=np.asarray(posterior.standard_deviation),
        low=np.asarray(posterior.intervals[:, 0]),
        high=np.asarray(posterior.intervals[:, 1]),
        correlation=np.nan_to_num(np.asarray(posterior.correlation)),
        method=_NAMES.get(posterior.method, posterior.method),
        undetermined=tuple(name for name in posterior.names if posterior.determined[name] >= _OPEN),
    )
