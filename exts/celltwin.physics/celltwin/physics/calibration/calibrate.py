"""From measured discharges and a five-line description to a parameter set of the cell."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from celltwin.core import Array, ModelError

from ..measurements.cell_description import CellDescription
from ..measurements.curve import CurveSource, MeasuredCurve, MeasuredSet
from .base_sets import BaseSet, choose_base_set
from .base_sets_laws import ShapeCorrections
from .calibration_figures import CurveFigures, score_curves
from .calibration_problem import CalibrationProblem, CostOptions
from .cell_simulation import LEAD_RESISTANCE, MEASURING_INPUTS, SURFACE_GAP, SURFACE_LAG, CellModel, ModelOptions
from .optimisers import OptimisationResult, Progress, minimise
from .parameter_space import ParameterSpace
from .parameter_space_cell import cell_parameter_space, cell_shapes, shape_parameter_space

__all__ = ["CalibrationOptions", "CalibrationProgress", "CalibrationResult", "calibrate", "fitted_discharges"]

_LOG = logging.getLogger(__name__)
SLOWEST = 0.25  # of the capacity an hour: slower discharges follow the open-circuit curve
COMPILES_FROM = 150.0  # [s]: in less, what compiling takes is better spent searching
TURNS = {"SPMe": (0.4, 0.4), "coarse mesh": (0.5, 0.6)}  # shares of what is left, each turn corrected anew


@dataclass(frozen=True, kw_only=True)
class CalibrationOptions:
    """How a cell is calibrated.

    Attributes
    ----------
    model : {"SPM", "SPMe", "DFN"}
        Which equations.
    curves : tuple of str
        Names of the curves that are fitted; where empty, all discharges of C/4 and faster, and with ``shapes`` slower
        ones too.
    shapes : bool
        Whether open-circuit curves, entropic changes and diffusivities may be corrected over stoichiometry.
    names : tuple of str
        Which parameters are free, in place of the standard 24.
    base_set : str, optional
        A PyBaMM set or a BPX file, in place of the chemistry's.
    method : str
        Optimiser of each stage, one of ``METHODS``.
    budget : int
        Evaluations of all curves allowed, in all stages together.
    seconds : float
        Time allowed.
    seed : int
        Of the random numbers.
    threads : int
        Candidates solved at one time.
    compiled : bool
        Whether the equations are compiled first: a minute once for every chemistry, then three times faster. A
        calibration of less than :data:`COMPILES_FROM` seconds compiles nothing.
    cost : CostOptions
        What counts how much.
    start : mapping of str to float
        Values to begin with, such as those of a sister cell; the priors' middles.
    spread_share : float
        Share of the priors' spreads: cells of one make differ less than cells of one chemistry.
    """

    model: Literal["SPM", "SPMe", "DFN"] = "DFN"
    curves: tuple[str, ...] = ()
    shapes: bool = False
    names: tuple[str, ...] = ()
    base_set: str | None = None
    method: str = "least_squares"
    budget: int = 4000
    seconds: float = 300.0
    seed: int = 0
    threads: int = 2
    compiled: bool = False
    cost: CostOptions = field(default_factory=CostOptions)
    start: Mapping[str, float] = field(default_factory=dict)
    spread_share: float = 1.0


@dataclass(frozen=True)
class CalibrationProgress(Progress):
    """What a calibration reports: errors of the best candidate as well, mean over the fitted curves [%]."""

    voltage_error: float = float("nan")
    temperature_error: float = float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibrationResult:
    """A calibrated cell.

    Attributes
    ----------
    description : CellDescription
        The cell.
    base : BaseSet
        Published set that it began with.
    options : CalibrationOptions
        As given.
    shapes : ShapeCorrections
        Corrections that the laws have; none where ``options.shapes`` is False.
    space : ParameterSpace
        What was free.
    position : ndarray of shape (n,)
        Best position in the unit cube.
    values : mapping of str to float
        All inputs of the cell model, free and fixed.
    figures : tuple of CurveFigures
        Of every discharge of the set, fitted and held out, from the default mesh.
    fitted : tuple of str
        Names of the fitted curves.
    history : ndarray of shape (n, 3)
        Evaluations, seconds and best cost; the cost begins anew in every stage.
    stages : tuple of (str, OptimisationResult)
        What each stage did.
    evaluations : int
        Candidates evaluated, each on all fitted curves.
    seconds : float
        Time taken.
    failures : mapping of str to int
        Simulations that ended early, by reason.
    at_bounds : tuple of str
        Free parameters that ended at a bound: the data push them further than physics allows.
    sources : tuple of CurveSource
        Of the fitted curves, with rows used and left out.
    software : mapping of str to str
        Versions.
    problem : CalibrationProblem
        The last stage's, for posteriors: its least cost lies at ``position``.
    """

    description: CellDescription
    base: BaseSet
    options: CalibrationOptions
    shapes: ShapeCorrections
    space: ParameterSpace
    position: Array
    values: Mapping[str, float]
    figures: tuple[CurveFigures, ...]
    fitted: tuple[str, ...]
    history: Array
    stages: tuple[tuple[str, OptimisationResult], ...]
    evaluations: int
    seconds: float
    failures: Mapping[str, int]
    at_bounds: tuple[str, ...]
    sources: tuple[CurveSource, ...]
    software: Mapping[str, str]
    problem: CalibrationProblem


def calibrate(
    description: CellDescription,
    measured: MeasuredSet,
    options: CalibrationOptions | None = None,
    *,
    base: BaseSet | None = None,
    progress: Callable[[Progress], bool | None] | None = None,
    checkpoint: str | Path | None = None,
) -> CalibrationResult:
    """Find the parameters with which a cell model reproduces measured discharges.

    The slowest curve gives capacity and stoichiometries against the published set's open-circuit potentials. All
    parameters are then fitted together: for a DFN, first in an SPMe, which is ten times faster, to whose curves is
    added what the DFN gives beyond it at the best position so far; then in the DFN on a coarse mesh, with what the
    default mesh adds; and last, where there is time, on the default mesh itself, since steep gradients near the end of
    a discharge lead a coarse mesh astray.

    Parameters
    ----------
    description : CellDescription
        The cell, as its data sheet describes it.
    measured : MeasuredSet
        Its curves.
    options : CalibrationOptions, optional
        What is fitted, and how long.
    base : BaseSet, optional
        A sister cell's, in place of choosing one: its balance is then the prior.
    progress : callable, optional
        Called with :class:`Progress` after every batch; returns False to stop with the best so far.
    checkpoint : path, optional
        Folder in which stages are kept; the same calibration called again goes on from there.

    Raises
    ------
    ModelError
        If there is nothing to fit, no set is known for the chemistry, or the checkpoint is of another calibration.
    """
    options = options or CalibrationOptions()
    begun = time.monotonic()
    curves = _fitted_curves(measured, options, description)
    slowest = min(curves, key=lambda curve: abs(curve.mean_current))
    if base is None:
        base = choose_base_set(description, base_set=options.base_set, curve=slowest)
    shapes = cell_shapes(base) if options.shapes else ShapeCorrections()
    lasting = options.seconds >= COMPILES_FROM
    coarse, fine = (
        CellModel(
            base,
            ModelOptions(
                model=options.model,
                mesh=mesh,
                threads=options.threads,
                compiled=options.compiled and lasting and mesh == "coarse",
            ),
            shapes,
        )
        for mesh in ("coarse", "default")
    )
    quick = CellModel(base, ModelOptions(model="SPMe", threads=options.threads, compiled=lasting), shapes)
    space = _free_parameters(base, options, curves).with_starts(options.start).tightened(options.spread_share)
    wide = ParameterSpace((*space.parameters, *shape_parameter_space(shapes))) if options.shapes else space
    fixed = {name: value for name, value in options.start.items() if name in (*coarse.input_names, *MEASURING_INPUTS)}
    stages = _Stages(options, begun, progress, checkpoint, _fingerprint(options, curves, wide, base))
    finer = CalibrationProblem(curves, fine, wide, fixed, options.cost)
    warm = bool(options.start)  # a sister's values: nothing is gained by leaving them for another model's best
    if warm and options.shapes:
        wide = wide.with_starts(options.start)
    position = wide.start if warm else space.start
    models = {"SPMe": quick, "coarse mesh": coarse} if options.model == "DFN" else {"coarse mesh": coarse}
    for name, model in models.items():
        first = name == next(iter(models)) and not warm
        problem = CalibrationProblem(curves, model, space if first else wide, fixed, options.cost)
        if first:
            position = stages.run(name, problem, position, share=0.15)
            if options.shapes:
                problem = CalibrationProblem(curves, model, wide, fixed, options.cost)
                position = wide.position({**wide.values(wide.start), **space.values(position)})
                position = stages.run(f"{name}, shapes", problem, position, share=0.25)
        for turn, share in enumerate(TURNS[name] if lasting or name == "SPMe" else (0.6, 1.0), start=1):
            if not problem.correct_towards(finer, position) and name == "SPMe":
                break
            found = stages.run(f"{name} towards default mesh, turn {turn}", problem, position, share=share)
            position = found if name == "SPMe" else _nearest_best(finer, position, found)
    if lasting:
        position = stages.run("default mesh", finer, position, share=1.0)
        problem.correct_towards(finer, position)
    space = problem.space
    values = coarse.numbers(problem.values(position))
    scored = [curve for curve in measured.curves if curve.kind == "discharge"]
    figures = score_curves(fine, scored, values, fitted=[curve.name for curve in curves])
    return CalibrationResult(
        description=description,
        base=base,
        options=options,
        shapes=shapes,
        space=space,
        position=position,
        values=values,
        figures=figures,
        fitted=tuple(curve.name for curve in curves),
        history=stages.history,
        stages=tuple(stages.done),
        evaluations=stages.evaluations,
        seconds=time.monotonic() - begun,
        failures=dict(problem.failures),
        at_bounds=space.near_bounds(position),
        sources=tuple(curve.source for curve in curves),
        software={name: importlib.metadata.version(name) for name in ("pybamm", "pybammsolvers", "scipy", "numpy")},
        problem=problem,
    )


def _nearest_best(finer: CalibrationProblem, before: Array, found: Array) -> Array:
    """Return, of positions between two, that which the default mesh likes best.

    A coarse mesh agrees with it near the last position only: at the next, a discharge may end a row too early.
    """
    if np.array_equal(before, found):
        return found
    tried = before + np.linspace(0.0, 1.0, 6)[::-1, np.newaxis] * (found - before)
    return np.asarray(tried[int(np.argmin(finer.costs(tried)))])


class _Stages:
    """Runs optimisers one after the other on what is left of budget and time, and keeps what they found."""

    def __init__(
        self,
        options: CalibrationOptions,
        begun: float,
        progress: Callable[[Progress], bool | None] | None,
        folder: str | Path | None,
        fingerprint: str,
    ) -> None:
        self.options = options
        self.begun = begun
        self.progress = progress
        self.folder = None if folder is None else Path(folder)
        self.done: list[tuple[str, OptimisationResult]] = []
        self.stopped = False
        if self.folder is not None:
            self._claim(fingerprint)

    @property
    def evaluations(self) -> int:
        """Candidates evaluated so far."""
        return sum(result.evaluations for _, result in self.done)

    @property
    def history(self) -> Array:
        """Evaluations, seconds and best cost of all stages, shape (n, 3)."""
        rows, evaluations, seconds = [np.empty((0, 3))], 0.0, 0.0
        for _, result in self.done:
            rows.append(result.history + np.array([evaluations, seconds, 0.0]))
            evaluations += result.evaluations
            seconds += result.seconds
        return np.concatenate(rows)

    def run(self, name: str, problem: CalibrationProblem, start: Array, *, share: float) -> Array:
        """Run one stage with a share of the budget and the time that are left; return the best position."""
        left = int(share * (self.options.budget - self.evaluations))
        seconds = share * (self.options.seconds - (time.monotonic() - self.begun))
        if (left < 1 or seconds <= 0.0 or self.stopped) and self.done:
            return start
        result = minimise(
            problem,
            method=self.options.method,
            budget=max(left, 1),
            seed=self.options.seed,
            progress=self._report(name, self.evaluations, problem),
            checkpoint=None
            if self.folder is None
            else self.folder / f"{name.replace(', ', '_').replace(' ', '_')}.json",
            start=np.clip(start, 0.0, 1.0),
            seconds=max(seconds, 1.0),
        )
        self.done.append((name, result))
        _LOG.info("%s: cost %.4g in %d evaluations (%s)", name, result.cost, result.evaluations, result.reason)
        return result.x

    def _report(self, name: str, before: int, problem: CalibrationProblem) -> Callable[[Progress], bool | None] | None:
        if self.progress is None:
            return None
        progress = self.progress

        def report(step: Progress) -> bool | None:
            seconds = time.monotonic() - self.begun
            step = CalibrationProgress(before + step.evaluations, seconds, step.best, name, *problem.best_errors)
            answer = progress(step)
            self.stopped = self.stopped or answer is False
            return answer

        return report

    def _claim(self, fingerprint: str) -> None:
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        card = self.folder / "calibration.json"
        if card.is_file():
            found = json.loads(card.read_text(encoding="utf-8")).get("fingerprint")
            if found != fingerprint:
                raise ModelError(
                    "the checkpoint is of another calibration: cell, curves or options differ",
                    where=str(card),
                    remedy="Delete the folder, or name another",
                )
        card.write_text(json.dumps({"fingerprint": fingerprint}), encoding="utf-8")


def fitted_discharges(
    measured: MeasuredSet, description: CellDescription, *, shapes: bool = False
) -> list[MeasuredCurve]:
    """Return the discharges that are fitted where none are named.

    Those slower than C/4 follow the open-circuit curve, which a published set has as it is: they are fitted where it
    may be corrected, and held out where it may not.

    Parameters
    ----------
    measured : MeasuredSet
        Curves of the cell.
    description : CellDescription
        The cell.
    shapes : bool
        Whether open-circuit curves may be corrected.
    """
    slowest = 0.0 if shapes else SLOWEST * description.capacity
    return [curve for curve in measured.curves if curve.kind == "discharge" and curve.mean_current >= slowest]


def _fitted_curves(
    measured: MeasuredSet, options: CalibrationOptions, description: CellDescription
) -> list[MeasuredCurve]:
    if options.curves:
        return [measured.curve(name) for name in options.curves]
    found = fitted_discharges(measured, description, shapes=options.shapes)
    if not found:
        raise ModelError(
            f"cell {measured.cell} has no discharge of C/4 or faster to fit",
            remedy="Measure a discharge at C/2 or more, or name the curves to fit",
        )
    return found


def _free_parameters(base: BaseSet, options: CalibrationOptions, curves: Sequence[MeasuredCurve]) -> ParameterSpace:
    space = cell_parameter_space(base, model=options.model, names=options.names or None)
    if options.names:
        return space
    supposed = all(not isinstance(curve.ambient_temperature, np.ndarray) for curve in curves)
    if supposed and any(curve.temperature is not None for curve in curves):
        offset = cell_parameter_space(base, model=options.model, names=("Surroundings offset [K]",))
        space = ParameterSpace((*space.parameters, *offset.parameters))
    if all(curve.temperature is None for curve in curves):
        space = space.without(_THERMAL)
    return space


_THERMAL = (
    "Total heat transfer coefficient [W.m-2.K-1]",
    "Heat transfer growth [K-1]",
    LEAD_RESISTANCE,  # told from the contacts' by its heat alone
    "Cell heat capacity [J.K-1.m-3]",
    SURFACE_GAP,
    SURFACE_LAG,
    "Negative electrode entropic change factor",
    "Positive electrode entropic change factor",
    "Positive electrode entropic change offset [V.K-1]",
)


def _fingerprint(
    options: CalibrationOptions, curves: Sequence[MeasuredCurve], space: ParameterSpace, base: BaseSet
) -> str:
    content = json.dumps(
        [
            [(curve.name, curve.source.sha256, int(np.count_nonzero(curve.scored))) for curve in curves],
            [(item.name, item.low, item.high, item.start, item.spread) for item in space.parameters],
            base.name,
            options.model,
            options.method,
            options.seed,
            vars(options.cost),
        ]
    )
    return hashlib.sha256(content.encode()).hexdigest()[:16]
