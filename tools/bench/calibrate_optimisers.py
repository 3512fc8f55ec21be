"""Bench of optimisers: one calibration of two cells by each at equal budget; the picture in the docs.

DFN on the coarse mesh, its equations compiled; the standard 24 parameters; discharges of 1C, 2C and 3C of Samsung 30Q
S001 and of the digitised XJTU cell; every search begins from the same published set. PyBOP runs in an environment of
its own that is made when first needed (``--no-pybop`` leaves it out) and proposes candidates for the same simulations:
its optimisers are tried at a small budget, and the best takes part.

Searches are kept in ``--runs FOLDER``; those that are there are not repeated, and after ``--minutes`` no more begin.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from celltwin.core import Array
from celltwin.physics.calibration.base_sets import choose_base_set
from celltwin.physics.calibration.calibration_figures import score_curve
from celltwin.physics.calibration.calibration_problem import CalibrationProblem
from celltwin.physics.calibration.cell_simulation import CellModel, ModelOptions
from celltwin.physics.calibration.optimisers import minimise
from celltwin.physics.calibration.parameter_space import ParameterSpace
from celltwin.physics.calibration.parameter_space_cell import cell_parameter_space
from celltwin.physics.measurements import read_measured_set
from tools.bench.calibrate_optimisers_plots import plot_optimisers
from tools.bench.calibration_pybop import register_pybop
from tools.bench.environment import BenchEnvironmentError, prepare_environment
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.measured_cells import RATES, SAMSUNG, XJTU
from tools.bench.places import REPOSITORY, measured_data

__all__ = ["Search", "best_pybop", "collect", "run"]

_LOG = logging.getLogger(__name__)

METHODS = ("least_squares", "multi_start", "hybrid", "cma", "trust_region", "bayesian")
DETERMINISTIC = ("least_squares", "PyBOP IRPropMin", "PyBOP AdamW", "PyBOP SciPyMinimize", "PyBOP NelderMead")
TRIAL = 150  # evaluations that each of PyBOP's optimisers is tried with
CELLS = {"S001": ("samsung_30q/S001", SAMSUNG), "XJTU": ("xjtu_discharge", XJTU)}


@dataclass(frozen=True, kw_only=True)
class Search:
    """One search of one cell.

    Attributes
    ----------
    cell, method : str
        Which.
    budget, seed : int
        As asked for; no more evaluations than the budget count.
    cost : float
        Half the sum of squared residuals at the best position.
    best : list of float
        Least cost after each evaluation.
    voltage, temperature : dict of str to float
        Mean absolute errors of each discharge over all scored rows [%], of kelvin for the temperature.
    seconds, processor : float
        Time by the clock, and of the processor, optimiser and simulations together.
    reason : str
        Why it ended.
    failures : int
        Discharges that were not simulated to their ends.
    """

    cell: str
    method: str
    budget: int
    seed: int
    cost: float
    best: list[float]
    voltage: dict[str, float]
    temperature: dict[str, float]
    seconds: float
    processor: float
    reason: str
    failures: int


@dataclass
class _Watched:
    """A problem that remembers the best position within the budget."""

    problem: CalibrationProblem
    budget: int
    costs: list[float] = field(default_factory=list)
    position: Array | None = None

    @property
    def space(self) -> ParameterSpace:
        """What is free."""
        return self.problem.space

    def residuals_many(self, positions: Array) -> Array:
        """Return the residuals of candidates, and take note of the best of those that the budget allows."""
        found = self.problem.residuals_many(positions)
        for position, cost in zip(positions, 0.5 * np.sum(found**2, axis=1), strict=True):
            if len(self.costs) >= self.budget:
                break
            if not self.costs or cost < min(self.costs):
                self.position = np.array(position)
            self.costs.append(float(cost))
        return found


class _Cell:
    """One cell's curves and model, compiled when first needed and shared by all searches."""

    def __init__(self, name: str, data: Path, *, compiled: bool = True) -> None:
        folder, description = CELLS[name]
        measured = read_measured_set(data / folder)
        self.name = name
        self.curves = [measured.curve(rate) for rate in RATES]
        self.base = choose_base_set(description, curve=self.curves[0])
        self.model = CellModel(self.base, ModelOptions(compiled=compiled))
        self._problem: CalibrationProblem | None = None

    @property
    def problem(self) -> CalibrationProblem:
        """The problem that every search gets."""
        if self._problem is None:
            self._problem = CalibrationProblem(self.curves, self.model, cell_parameter_space(self.base))
            self._problem.cost(self._problem.space.start)  # compiles
        return self._problem

    def search(self, method: str, budget: int, seed: int) -> Search:
        """Search by one method."""
        watched = _Watched(self.problem, budget)
        self.problem.failures.clear()
        begun, processor = time.monotonic(), _processor_time()
        found = minimise(watched, method=method, budget=budget, seed=seed)
        seconds, processor = time.monotonic() - begun, _processor_time() - processor
        assert watched.position is not None
        values = self.problem.values(watched.position)
        figures = [score_curve(self.model, curve, values) for curve in self.curves]
        return Search(
            cell=self.name,
            method=method,
            budget=budget,
            seed=seed,
            cost=min(watched.costs),
            best=np.minimum.accumulate(watched.costs).tolist(),
            voltage={each.name: each.voltage_mape for each in figures},
            temperature={each.name: each.temperature_mape for each in figures},
            seconds=seconds,
            processor=processor,
            reason=found.reason,
            failures=sum(self.problem.failures.values()),
        )


def run(
    folder: Path,
    data: Path,
    *,
    cells: Sequence[str] = tuple(CELLS),
    budgets: Sequence[int] = (300, 1000),
    seeds: Sequence[int] = (0, 1),
    pybop: bool = True,
    minutes: float = float("inf"),
    compiled: bool = True,
) -> None:
    """Make the searches that are not in the folder yet.

    Parameters
    ----------
    folder : Path
        Where searches are kept, one file each.
    data : Path
        Folder of the measured data.
    cells : sequence of str
        Of ``CELLS``.
    budgets, seeds : sequence of int
        Each method searches with each budget and seed; without chance, with one seed.
    pybop : bool
        Whether PyBOP takes part.
    minutes : float
        After these, no more searches begin.
    compiled : bool
        Whether equations are compiled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60.0 * minutes
    tried = register_pybop(prepare_environment("pybop")) if pybop else ()
    for name in cells:
        cell = _Cell(name, data, compiled=compiled)
        trials = [(method, TRIAL, 0) for method in tried] if name == "S001" else []
        for method, budget, seed in (*_plan(METHODS, budgets[:1], seeds[:1]), *trials):
            _search_once(folder, cell, method, budget, seed, deadline)
        best = best_pybop(collect(folder)) if pybop else None
        methods = METHODS if best is None else (*METHODS, best)
        for method, budget, seed in _plan(methods, budgets, seeds):
            _search_once(folder, cell, method, budget, seed, deadline)


def best_pybop(searches: Iterable[Search]) -> str | None:
    """Return the best of PyBOP's optimisers in the trials, or None where none was tried."""
    trials = [each for each in searches if each.method.startswith("PyBOP") and each.budget == TRIAL]
    return min(trials, key=lambda each: each.cost).method if trials else None


def collect(folder: Path) -> list[Search]:
    """Return the searches that are kept in a folder."""
    return [Search(**json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json"))]


def _plan(methods: Sequence[str], budgets: Sequence[int], seeds: Sequence[int]) -> list[tuple[str, int, int]]:
    return [
        (method, budget, seed)
        for budget in budgets
        for seed in seeds
        for method in methods
        if seed == seeds[0] or method not in DETERMINISTIC
    ]


def _search_once(folder: Path, cell: _Cell, method: str, budget: int, seed: int, deadline: float) -> None:
    path = folder / f"{cell.name}_{method.replace(' ', '_')}_{budget}_{seed}.json"
    if path.exists() or time.monotonic() > deadline:
        return
    try:
        found = cell.search(method, budget, seed)
    except BenchEnvironmentError as error:
        _LOG.warning("%s left out: %s", method, error)
        return
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(found)), encoding="utf-8")
    part.replace(path)
    _LOG.warning(
        "%s %s %d evaluations, seed %d: cost %.4g, V %s %%, T %s %%, %.0f s (processor %.0f s): %s",
        cell.name,
        method,
        len(found.best),
        seed,
        found.cost,
        " ".join(f"{value:.3f}" for value in found.voltage.values()),
        " ".join(f"{value:.3f}" for value in found.temperature.values()),
        found.seconds,
        found.processor,
        found.reason,
    )


def _figures(searches: Sequence[Search]) -> Figures:
    """Return the middle of the seeds for each cell, budget and method."""
    figures = Figures("calibrate-optimisers")
    trials = [each for each in searches if each.method.startswith("PyBOP") and each.budget == TRIAL]
    for each in sorted(trials, key=lambda each: each.cost):
        figures.add(f"{each.cell}, trial of {TRIAL}, {each.method}: cost", each.cost, "1")
    chosen = {(each.cell, each.budget, each.method) for each in searches if each.budget != TRIAL}
    for cell, budget, method in sorted(chosen):
        found = [each for each in searches if (each.cell, each.budget, each.method) == (cell, budget, method)]
        head = f"{cell}, {budget}, {method}"
        figures.add(f"{head}: cost, middle of {len(found)}", float(np.median([each.cost for each in found])), "1")
        if len(found) > 1:
            figures.add(f"{head}: cost, worst", max(each.cost for each in found), "1")
        for quantity, name in (("voltage", "V"), ("temperature", "T")):
            errors = np.median([list(getattr(each, quantity).values()) for each in found], axis=0)
            for rate, error in zip(RATES, errors, strict=True):
                figures.add(f"{head}: {name} MAPE at {rate}", float(error), "%")
        figures.add(f"{head}: processor", float(np.median([each.processor for each in found])), "s")
    return figures


def _processor_time() -> float:
    """Return the processor's seconds of this process and of those it waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__, pictures=True)
    parser.add_argument("--no-plots", action="store_true", help="draw nothing")
    parser.add_argument("--no-pybop", action="store_true", help="leave out PyBOP")
    parser.add_argument("--quick", action="store_true", help="one cell, one seed, 60 evaluations, no pictures")
    parser.add_argument("--cells", nargs="+", choices=tuple(CELLS), default=list(CELLS))
    parser.add_argument("--budgets", nargs="+", type=int, default=[300, 1000], help="evaluations")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no more searches after these")
    parser.add_argument("--runs", type=Path, metavar="FOLDER", default=REPOSITORY / "out" / "calibrate_optimisers")
    options = parser.parse_args(arguments)
    if options.quick:
        options.cells, options.budgets, options.seeds, options.no_plots = options.cells[:1], [60], [0], True
        options.runs = options.runs.with_name(f"{options.runs.name}_quick")
    run(
        options.runs,
        measured_data(),
        cells=options.cells,
        budgets=options.budgets,
        seeds=options.seeds,
        pybop=not (options.no_pybop or options.quick),
        minutes=options.minutes,
        compiled=not options.quick,
    )
    searches = [each for each in collect(options.runs) if each.cell in options.cells]
    status = hand_over(_figures(searches), options.json)
    if not options.no_plots and searches:
        plot_optimisers(options.plots / "calibration_optimisers.png", searches, trial=TRIAL)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
