"""How well a fitted curve is predicted from the other fitted curves: what intervals at new rates are to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from celltwin.core import Array

from .posterior_discrepancy import (
    PRIOR_FREEDOM,
    Discrepancy,
    ParameterPrior,
    block_shares,
    block_slices,
    robust_deviation,
)
from .posterior_perturbed import FitResponse
from .posterior_refit import CostWeights, Departures, Linearisation, RefitTask, linearise, refit_many

STEPS = 15  # of each refit

__all__ = ["LeftOutCurve", "learn_inflation", "leave_out_curves"]


@dataclass(frozen=True, eq=False)
class LeftOutCurve:
    """One quantity of a fitted curve, predicted by a refit to the others.

    Attributes
    ----------
    curve : str
        Name of the curve.
    quantity : {"voltage", "temperature"}
        What was predicted.
    error : ndarray of shape (n,)
        Predicted less measured [V] or [K].
    deviation : ndarray of shape (n,)
        Its expected standard deviation [V] or [K].
    shares : ndarray of shape (n,)
        Share of the curve that each row stands for.
    independent : float
        Independent values that the curve stands for.
    """

    curve: str
    quantity: str
    error: Array
    deviation: Array
    shares: Array
    independent: float

    @property
    def excess(self) -> float:
        """Square of the error over its expected deviation, from its 90 % quantile: 1 where intervals fit."""
        return robust_deviation(self.error / self.deviation, self.shares) ** 2


def leave_out_curves(
    departures: Departures, discrepancy: Mapping[str, Discrepancy], prior: ParameterPrior, linear: Linearisation
) -> tuple[LeftOutCurve, ...]:
    """Fit without each curve in turn and predict it; curves of the same name belong together."""
    weights = CostWeights(departures.problem)
    names = tuple(dict.fromkeys(block.curve.name for block in departures.blocks))
    held = np.zeros(linear.position.size, dtype=bool)
    tasks = [RefitTask(linear.position, held, without=name) for name in names]
    refits = refit_many(departures, weights, prior, linear.jacobian, tasks, steps=STEPS)
    found = []
    for name, refit in zip(names, refits, strict=True):
        if departures.stopped:
            break
        about_refit = linearise(departures, refit.position)
        response = FitResponse.of(departures, prior, about_refit, name)
        covariance = response.covariance(departures, discrepancy)
        for block, rows in zip(departures.blocks, block_slices(departures.blocks), strict=True):
            if block.curve.name != name:
                continue
            about, slopes = discrepancy[block.quantity], response.slopes[rows]
            parameters = np.einsum("ij,jk,ik->i", slopes, covariance, slopes)
            variance = parameters * block.deviation**2 + about.variance(block)
            found.append(
                LeftOutCurve(
                    name,
                    block.quantity,
                    departures.plain(refit.departures)[rows] * block.deviation,
                    np.sqrt(variance),
                    block_shares(block),
                    about.independent(block),
                )
            )
    return tuple(found)


def learn_inflation(
    discrepancy: Mapping[str, Discrepancy], left_out: Sequence[LeftOutCurve]
) -> Mapping[str, Discrepancy]:
    """Return discrepancies whose inflation is what left-out curves have shown, pooled with 1, and not below 1.

    The excess of each curve counts for its independent values, the 1 for four. An excess below 1 narrows nothing: a
    fit to fewer curves is less certain than the one whose intervals are wanted.
    """
    learnt = {}
    for name, about in discrepancy.items():
        curves = [one for one in left_out if one.quantity == name]
        weight = PRIOR_FREEDOM + sum(one.independent for one in curves)
        total = PRIOR_FREEDOM + sum(one.independent * one.excess for one in curves)
        learnt[name] = replace(about, inflation=max(total / weight, 1.0))
    return MappingProxyType(learnt)
