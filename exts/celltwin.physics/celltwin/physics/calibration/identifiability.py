"""What the data do not determine, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, freeze

from .parameter_space import FreeParameter
from .posterior import ParameterPosterior

__all__ = ["DeterminedCombination", "describe_identifiability", "determined_combinations"]

DETERMINED, OPEN = 0.33, 0.80  # posterior over prior width: below, the data determine; above, they say little
CORRELATED = 0.85  # beyond which two parameters are named together
BOUND_UP = 0.6  # a pair's combination must be known this much better than its members, beside
NAMED = 0.35  # share of the largest component from which a parameter is named in a combination


@dataclass(frozen=True, kw_only=True, eq=False)
class DeterminedCombination:
    """A direction in the space of the parameters about which data say something beyond the prior.

    Attributes
    ----------
    information : float
        Fisher information of the data along it, in units of the prior's: 1 halves the prior's variance.
    weights : ndarray of shape (d,)
        Of the parameters, each in prior standard deviations; of length 1.
    words : str
        The combination in words.
    """

    information: float
    weights: Array
    words: str


def determined_combinations(posterior: ParameterPosterior) -> tuple[DeterminedCombination, ...]:
    r"""Return the directions about which the data say more than the prior, the best known first.

    They are eigenvectors of the Fisher information :math:`J^\top C^{-1} J` in coordinates in which the prior is a
    standard normal distribution.
    """
    slopes = posterior.row_weights.apply(posterior.linear.jacobian)
    spread = posterior.prior.spread
    values, vectors = np.linalg.eigh(spread[:, np.newaxis] * (slopes.T @ slopes) * spread)
    found = []
    for index in np.argsort(-values):
        if values[index] < 1.0:
            break
        weights = vectors[:, index] * np.sign(vectors[np.argmax(np.abs(vectors[:, index])), index])
        words = _combination(posterior.names, weights)
        found.append(
            DeterminedCombination(information=float(values[index]), weights=freeze(weights.copy()), words=words)
        )
    return tuple(found)


def describe_identifiability(posterior: ParameterPosterior) -> tuple[str, ...]:
    """Say in plain sentences what the data determine, what only in combination, and what not at all.

    Parameters
    ----------
    posterior : ParameterPosterior
        Of a calibrated cell.
    """
    share = posterior.determined
    at_bounds = posterior.problem.space.near_bounds(np.asarray(posterior.centre))
    known = [name for name in posterior.names if share[name] <= DETERMINED and name not in at_bounds]
    between = [name for name in posterior.names if DETERMINED < share[name] < OPEN]
    unknown = [name for name in posterior.names if share[name] >= OPEN]
    combinations = determined_combinations(posterior)
    curves = ", ".join(curve.name for curve in posterior.problem.curves)
    said = [
        f"The curves {curves} say more than the priors about {len(combinations)} of {len(posterior.names)} "
        "independent combinations of the parameters."
    ]
    if combinations:
        best = "; ".join(one.words for one in combinations[:3])
        said.append(f"Best known, in this order: {best}.")
    if known:
        said.append(f"Determined by the data: {_listed(posterior, known)}.")
    if between:
        said.append(f"Narrowed by the data, but still held by the prior: {_listed(posterior, between)}.")
    if unknown:
        said.append(
            f"Not determined: {_listed(posterior, unknown)}. Their values are the priors', and other values "
            "would fit these curves as well."
        )
    said.extend(_pairs(posterior))
    if at_bounds:
        said.append(
            f"At a bound: {', '.join(_short(name) for name in at_bounds)}. The data push further than physics allows: "
            "the model lacks something there, and these values stand for it."
        )
    return tuple(said)


def _pairs(posterior: ParameterPosterior) -> list[str]:
    """Name the pairs of which a product, ratio, sum or difference is known far better than the members."""
    positions = np.asarray(posterior.positions)
    size = len(posterior.names)
    upper = np.abs(np.triu(np.nan_to_num(posterior.correlation), 1))
    said: list[str] = []
    named: set[int] = set()
    for flat in np.argsort(-upper, axis=None):
        first, second = divmod(int(flat), size)
        if upper[first, second] < CORRELATED or len(said) == 4:
            break
        if first in named or second in named:
            continue
        named |= {first, second}
        pair = [posterior.problem.space.parameters[index] for index in (first, second)]
        together = positions[:, [first, second]]
        said.append(_pair(pair, together, negative=bool(posterior.correlation[first, second] < 0.0)))
    return said


def _pair(pair: Sequence[FreeParameter], positions: Array, *, negative: bool) -> str:
    names = [_short(item.name) for item in pair]
    if all(item.scale == "log" for item in pair):
        decades = positions * np.array([item.width for item in pair])
        slope = float(np.polyfit(decades[:, 0], decades[:, 1], 1)[0])
        rest = decades[:, 1] - slope * decades[:, 0]
        plain = 0.7 < abs(slope) < 1.4
        kind = "product" if negative else "ratio"
        what = f"{kind} of {names[0]} and {names[1]}"
        if not plain:
            power = f"{abs(slope):.1f}"
            what = f"{kind} of {names[1]} and {names[0]} to the power of {power}"
        else:
            rest = decades[:, 1] + (decades[:, 0] if negative else -decades[:, 0])
        own = " and ".join(f"{_percent(float(np.std(decades[:, index])))}" for index in (0, 1))
        return f"Only the {what} is determined (to {_percent(float(np.std(rest)))}), not each ({own})."
    kind = "sum" if negative else "difference"
    return (
        f"{names[0]} and {names[1]} can be traded for each other: only a weighted {kind} of them is determined "
        f"(correlation {float(np.asarray(np.corrcoef(positions.T))[0, 1]):+.2f})."
    )


def _combination(names: Sequence[str], weights: Array) -> str:
    """Return a direction in words: what raises and what lowers together."""
    largest = float(np.max(np.abs(weights)))
    order = [int(index) for index in np.argsort(-np.abs(weights)) if abs(weights[index]) >= NAMED * largest][:4]
    parts = []
    for turn, index in enumerate(order):
        sign = "" if turn == 0 else (" with " if weights[index] > 0.0 else " against ")
        parts.append(f"{sign}{_short(names[index])}")
    rest = 1.0 - float(np.sum(weights[order] ** 2))
    return "".join(parts) + (" and others" if rest > 0.2 else "")


def _listed(posterior: ParameterPosterior, names: Sequence[str]) -> str:
    ordered = sorted(names, key=lambda name: posterior.determined[name])
    return ", ".join(
        f"{_short(name)} ({min(100.0 * posterior.determined[name], 100.0):.0f} % of the prior's width)"
        for name in ordered
    )


def _short(name: str) -> str:
    """Return a name without its unit, in lower case."""
    plain = name.split(" [")[0]
    return plain[0].lower() + plain[1:]


def _percent(decades: float) -> str:
    share = 100.0 * (10.0**decades - 1.0)
    return f"{share:.1f} %" if share < 9.95 else f"{share:.0f} %"
