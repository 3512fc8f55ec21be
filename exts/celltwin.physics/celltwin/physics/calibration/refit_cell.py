"""Refit a sister cell: from a calibrated one, a few coordinates under a prior, with what the data say of each."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from celltwin.core import Array, ModelError, freeze

from ..measurements.curve import MeasuredCurve, MeasuredSet
from .base_sets import BaseSet
from .base_sets_laws import ShapeCorrections
from .calibrate import CalibrationResult
from .calibration_figures import CurveFigures, score_curves, simulate_curve
from .calibration_problem import CalibrationProblem, CostOptions
from .cell_population import CellEvidence
from .cell_simulation import LEAD_RESISTANCE, CellModel, ModelOptions
from .optimisers import minimise
from .parameter_space import ParameterSpace
from .parameter_space_cell import cell_parameter_space
from .refit_coordinates import CellPrior, cell_prior

__all__ = ["CellRefit", "RefitOptions", "SharedCell", "refit_cell"]

_REACH = 6.0  # standard deviations of the prior that a coordinate may go


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedCell:
    """A calibrated cell that others are refitted from.

    Attributes
    ----------
    base : BaseSet
        Published set that it began with.
    values : mapping of str to float
        Inputs of its cell model.
    shapes : ShapeCorrections
        Corrections of its laws.
    model : str
        ``"SPM"``, ``"SPMe"`` or ``"DFN"``.
    cost : CostOptions
        What counts how much.
    curves : tuple of MeasuredCurve
        What it was fitted to. Where a sister cell has a curve of the same name, what the model leaves of the shared
        cell's is taken for the model's own error and not fitted by the sister's coordinates.
    fine_mesh : bool
        Whether figures and fits are of the default mesh; else all is done on the coarse one.
    """

    base: BaseSet
    values: Mapping[str, float]
    shapes: ShapeCorrections = field(default_factory=ShapeCorrections)
    model: str = "DFN"
    cost: CostOptions = field(default_factory=CostOptions)
    curves: tuple[MeasuredCurve, ...] = ()
    fine_mesh: bool = True

    @classmethod
    def of(cls, result: CalibrationResult) -> SharedCell:
        """Return the shared cell of a calibration."""
        return cls(
            base=result.base,
            values=dict(result.values),
            shapes=result.shapes,
            model=result.options.model,
            cost=result.options.cost,
            curves=result.problem.curves,
        )

    def for_sister(self, curves: Sequence[MeasuredCurve]) -> SharedCell:
        """Return the shared cell for a sister that begins the slowest of some curves as full as this cell began."""
        slowest = min(curves, key=lambda curve: abs(curve.mean_current))
        cost = replace(
            self.cost,
            at_rest=max(self.cost.at_rest, _AT_REST),
            independent=min(self.cost.independent, _INDEPENDENT),
        )
        return replace(self, base=self.base.for_sister(slowest), cost=cost, curves=())

    def cell_model(self, mesh: str, threads: int = 1) -> CellModel:
        """Return the cell model on a mesh, ``"coarse"`` or ``"default"``."""
        options = ModelOptions(model=self.model, mesh=mesh, threads=threads)  # type: ignore[arg-type]
        return CellModel(self.base, options, self.shapes)


@dataclass(frozen=True, kw_only=True)
class RefitOptions:
    """How a sister cell is refitted.

    Attributes
    ----------
    curves : tuple of str
        Names of the curves that are fitted; all discharges where empty.
    prior : CellPrior, optional
        What is known beforehand, such as a fitted population's; the usual widths where absent.
    budget : int
        Evaluations allowed.
    seconds : float
        Time allowed.
    threads : int
        Candidates solved at one time.
    score : tuple of str, optional
        Curves that figures are given of; all discharges where None.
    """

    curves: tuple[str, ...] = ()
    prior: CellPrior | None = None
    budget: int = 400
    seconds: float = 120.0
    threads: int = 1
    score: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class CellRefit:
    """A refitted cell.

    Attributes
    ----------
    cell : str
        Its name.
    prior : CellPrior
        What was known before.
    amounts, deviations : ndarray of shape (n,)
        Coordinates about the shared values, and their standard deviations (Laplace's approximation).
    covariance : ndarray of shape (n, n)
        Of the coordinates, after the fit.
    evidence : CellEvidence
        What the data alone say, for a population.
    values : mapping of str to float
        All inputs of the cell model.
    before, figures : tuple of CurveFigures
        Of the shared values, and of the refit.
    fitted : tuple of str
        Names of the fitted curves.
    undetermined : tuple of str
        Coordinates that the data hardly narrow: the prior's word on them.
    surprising : tuple of str
        Coordinates further than three of the prior's standard deviations from its mean.
    at_bounds : tuple of str
        Coordinates that went as far as allowed.
    evaluations : int
        Candidates simulated.
    seconds : float
        Time taken.
    """

    cell: str
    prior: CellPrior
    amounts: Array
    deviations: Array
    covariance: Array
    evidence: CellEvidence
    values: Mapping[str, float]
    before: tuple[CurveFigures, ...]
    figures: tuple[CurveFigures, ...]
    fitted: tuple[str, ...]
    undetermined: tuple[str, ...]
    surprising: tuple[str, ...]
    at_bounds: tuple[str, ...]
    evaluations: int
    seconds: float

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for name in ("amounts", "deviations", "covariance"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def amount(self, name: str) -> float:
        """Return one coordinate."""
        return float(self.amounts[self.prior.names.index(name)])


def refit_cell(
    shared: SharedCell | CalibrationResult, measured: MeasuredSet, options: RefitOptions | None = None
) -> CellRefit:
    r"""Refit a cell of the type of a calibrated one: the most likely coordinates under the prior.

    .. math:: \hat x = \arg\min_x \tfrac12 \lVert r(x) \rVert^2 + \tfrac12 (x - \mu)^T \Sigma^{-1} (x - \mu)

    with weighted departures r of the fitted curves. The fit runs on the coarse mesh, corrected by what the default
    mesh adds at the shared values and again at the result. What the model leaves of the shared cell's own curve of
    the same name, at the same share of the duration, counts as the model's error, so that coordinates follow the
    difference between the two cells.

    Parameters
    ----------
    shared : SharedCell or CalibrationResult
        The calibrated cell.
    measured : MeasuredSet
        Of the sister cell.
    options : RefitOptions, optional
        Curves, prior and budget.

    Raises
    ------
    ModelError
        If there is nothing to fit, or the shared cell cannot reach the end of a curve.

    References
    ----------
    .. [1] D. J. C. MacKay, Information Theory, Inference, and Learning Algorithms, Cambridge, 2003, ch. 27.
    """
    options = options or RefitOptions()
    shared = SharedCell.of(shared) if isinstance(shared, CalibrationResult) else shared
    begun = time.monotonic()
    curves = [curve for curve in measured.curves if curve.kind == "discharge"]
    if options.curves:
        curves = [measured.curve(name) for name in options.curves]
    if not curves:
        raise ModelError(f"cell {measured.cell} has no discharge to refit to", remedy="Name the curves to fit")
    thermal = any(curve.temperature is not None for curve in curves)
    supposed = not any(isinstance(curve.ambient_temperature, np.ndarray) for curve in curves)
    capacity = max(abs(curve.charge) for curve in curves)
    prior = options.prior or cell_prior(capacity=capacity, thermal=thermal, surroundings=supposed)
    own = shared.cell_model("default" if shared.fine_mesh else "coarse")
    sought = [_without_model_error(curve, shared, own) for curve in curves]
    sister = shared.for_sister(curves)
    coarse = sister.cell_model("coarse", options.threads)
    fine = sister.cell_model("default") if shared.fine_mesh else coarse
    problem = RefitProblem(sought, coarse, sister, prior)
    finer = RefitProblem(sought, fine, sister, prior) if shared.fine_mesh else None
    position = problem.space.start
    for turn in range(2 if finer else 1):
        if finer and not problem.correct_towards(finer, position):
            raise ModelError(
                f"the calibrated cell does not reach the end of a curve of {measured.cell}",
                remedy="Check that both are cells of one type, charged to one voltage",
            )
        left = max(options.seconds - (time.monotonic() - begun), 1.0)
        budget = max((options.budget - problem.evaluations) // (2 - turn), 1)
        position = minimise(problem, start=position, budget=budget, seconds=left).x
    return _refit(measured, curves, problem, fine, position, options, begun)


class RefitProblem:
    """Curves of a sister cell as residuals over its coordinates.

    The unit cube spans six standard deviations of the prior to each side, less where physics ends before.

    Parameters
    ----------
    curves : sequence of MeasuredCurve
        What is fitted.
    model : CellModel
        Simulates them.
    shared : SharedCell
        The calibrated cell.
    prior : CellPrior
        Over the coordinates.
    """

    def __init__(self, curves: Sequence[MeasuredCurve], model: CellModel, shared: SharedCell, prior: CellPrior) -> None:
        self.prior = prior
        self.shared = {LEAD_RESISTANCE: 0.0, **model.numbers(shared.values)}
        rooms = np.array([item.room(self.shared) for item in prior.coordinates])
        reach = _REACH * prior.widths
        self.low = np.maximum(prior.mean - reach, rooms[:, 0])
        self.high = np.minimum(prior.mean + reach, rooms[:, 1])
        if not np.all(self.high > self.low):
            stuck = prior.names[int(np.argmax(~(self.high > self.low)))]
            raise ModelError(
                f"{stuck} has no room: the shared value lies at the end of its physical range",
                remedy="Leave the coordinate out, or calibrate the shared cell anew",
            )
        start = np.clip((np.clip(prior.mean, self.low, self.high) - self.low) / (self.high - self.low), 0.0, 1.0)
        self.space = _Start(start)
        names = tuple(name for item in prior.coordinates for name in item.inputs)
        # Inputs are carried by value: no bounds of their own, no prior of their own.
        free = ParameterSpace(
            tuple(
                replace(
                    item,
                    start=value,
                    low=min(item.low, value - 1.0) if item.scale == "linear" else min(item.low, 1e-3 * value),
                    high=max(item.high, value + 1.0) if item.scale == "linear" else max(item.high, 1e3 * value),
                    spread=None,
                )
                for item in cell_parameter_space(shared.base, names=names).parameters
                for value in (self.shared[item.name],)
            )
        )
        fixed = {name: value for name, value in self.shared.items() if name not in free.names}
        self.inner = CalibrationProblem(curves, model, free, fixed, shared.cost)

    @property
    def evaluations(self) -> int:
        """Candidates simulated so far."""
        return self.inner.evaluations

    def amounts(self, positions: Array) -> Array:
        """Return coordinates, shape (…, n), of positions in the unit cube."""
        return np.asarray(self.low + positions * (self.high - self.low))

    def values(self, amounts: Array) -> dict[str, float]:
        """Return all inputs of the cell model for coordinates of shape (n,)."""
        moved = dict(self.shared)
        for item, amount in zip(self.prior.coordinates, amounts, strict=True):
            moved |= item.moved(moved, float(amount))
        return moved

    def departures(self, amounts: Array) -> Array:
        """Return the residuals of the curves alone, shape (n_candidates, n_residuals)."""
        positions = np.stack([self._inner(row) for row in np.atleast_2d(amounts)])
        return self.inner.residuals_many(positions)[:, : sum(block.rows.size for block in self.inner.blocks)]

    def residuals_many(self, positions: Array) -> Array:
        """Return the residuals of curves and prior, shape (n_candidates, n_residuals)."""
        amounts = self.amounts(np.atleast_2d(positions))
        return np.concatenate([self.departures(amounts), self.prior.whiten(amounts)], axis=1)

    def correct_towards(self, finer: RefitProblem, position: Array) -> bool:
        """Add what a finer model gives beyond this one at a position; whether both reached every row."""
        return self.inner.correct_towards(finer.inner, self._inner(self.amounts(position)))

    def evidence(self, amounts: Array, cell: str) -> CellEvidence:
        """Return what the curves alone say near coordinates, by central differences of a tenth of the prior."""
        steps = np.diag(0.1 * self.prior.widths)
        above = np.minimum(amounts + steps, self.high)
        below = np.maximum(amounts - steps, self.low)
        both = self.departures(np.concatenate([above, below]))
        count = amounts.size
        jacobian = ((both[:count] - both[count:]) / np.diag(above - below)[:, np.newaxis]).T
        here = self.departures(amounts)[0]
        precision = jacobian.T @ jacobian
        return CellEvidence(
            cell=cell,
            names=self.prior.names,
            precision=precision,
            pull=precision @ amounts - jacobian.T @ here,
        )

    def _inner(self, amounts: Array) -> Array:
        return np.asarray(self.inner.space.position(self.values(amounts)))


_AT_REST = 1e-2
"""How far voltages at rest of two equal cells may lie apart [V]: full ones relax by 10 to 40 mV over hours."""

_INDEPENDENT = 3.0
"""How many values a curve is worth: what coordinates cannot say of two cells' difference is smooth, correlated over a
fifth of the curve as a model's errors are: 1 / (2 l (1 - l (1 - exp(-1 / l)))) with l = 0.2."""


@dataclass(frozen=True, eq=False)
class _Start:
    start: Array


def _refit(
    measured: MeasuredSet,
    curves: Sequence[MeasuredCurve],
    problem: RefitProblem,
    fine: CellModel,
    position: Array,
    options: RefitOptions,
    begun: float,
) -> CellRefit:
    prior = problem.prior
    amounts = problem.amounts(position)
    evidence = problem.evidence(amounts, measured.cell)
    covariance = np.linalg.inv(evidence.precision + np.linalg.inv(prior.covariance))
    deviations = np.sqrt(np.diag(covariance))
    values = problem.values(amounts)
    named = [curve.name for curve in curves]
    scored = [
        curve
        for curve in measured.curves
        if curve.kind == "discharge" and (options.score is None or curve.name in options.score)
    ]
    far = np.abs(amounts - prior.mean) > 3.0 * prior.widths
    edge = (position < 0.01) | (position > 0.99)
    return CellRefit(
        cell=measured.cell,
        prior=prior,
        amounts=amounts,
        deviations=deviations,
        covariance=covariance,
        evidence=evidence,
        values=values,
        before=score_curves(fine, scored, problem.shared),
        figures=score_curves(fine, scored, values, fitted=named),
        fitted=tuple(named),
        undetermined=_named(prior, deviations > 0.8 * prior.widths),
        surprising=_named(prior, far),
        at_bounds=_named(prior, edge),
        evaluations=problem.evaluations,
        seconds=time.monotonic() - begun,
    )


def _without_model_error(curve: MeasuredCurve, shared: SharedCell, model: CellModel) -> MeasuredCurve:
    """Return a curve less what the model leaves of the shared cell's curve of the same name."""
    own = next((item for item in shared.curves if item.name == curve.name), None)
    if own is None:
        return curve
    found = simulate_curve(model, own, shared.values)
    known = np.asarray(own.scored) & np.isfinite(found.voltage)
    if np.count_nonzero(known) < 2:
        return curve

    def left(measured: Array, simulated: Array) -> Array:
        share = (own.time[known] - own.time[0]) / (own.time[-1] - own.time[0])
        at = (curve.time - curve.time[0]) / (curve.time[-1] - curve.time[0])
        return np.asarray(np.interp(at, share, (measured - simulated)[known]))

    temperature = curve.temperature
    if temperature is not None and own.temperature is not None:
        temperature = temperature - left(own.temperature, found.temperature)
    return replace(curve, voltage=curve.voltage - left(own.voltage, found.voltage), temperature=temperature)


def _named(prior: CellPrior, marked: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[str, ...]:
    return tuple(name for name, mark in zip(prior.names, marked, strict=True) if mark)
