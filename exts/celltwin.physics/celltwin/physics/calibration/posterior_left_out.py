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
    RowWeights,
    block_shares,
    robust_deviation,
)
from .posterior_refit import Departures, Linearisation, RefitTask, refit_many

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
    """Refit without each curve in turn and predict it; curves of the same name belong together."""
    weights = RowWeights(departures.blocks, discrepancy)
    names = tuple(dict.fromkeys(block.curve.name for block in departures.blocks))
    held = np.zeros(linear.position.size, dtype=bool)
    tasks = [RefitTask(linear.position, held, without=name) for name in names]
    found = []
    for name, refit in zip(names, refit_many(departures, weights, prior, linear.jacobian, tasks), strict=True):
        slopes = weights.apply(refit.jacobian, name)
        covariance = np.linalg.inv(prior.proper_precision + slopes.T @ slopes)
        at = 0
        for block in departures.blocks:
            rows = slice(at, at + block.rows.size)
            at = rows.stop
            if block.curve.name != name:
                continue
            about = discrepancy[block.quantity]
            parameters = np.einsum("ij,jk,ik->i", refit.jacobian[rows], covariance, refit.jacobian[rows])
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
    """Return discrepancies whose inflation is what left-out curves have shown, pooled with 1.

    The excess of each curve counts for its independent values, the 1 for four.
    """
    learnt = {}
    for name, about in discrepancy.items():
        curves = [one for one in left_out if one.quantity == name]
        weight = PRIOR_FREEDOM + sum(one.independent for one in curves)
        total = PRIOR_FREEDOM + sum(one.independent * one.excess for one in curves)
        learnt[name] = replace(about, inflation=total / weight)
    return MappingProxyType(learnt)
