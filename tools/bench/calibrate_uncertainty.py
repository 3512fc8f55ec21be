"""Bench of a calibration's uncertainty: intervals of curves that were not fitted, and known parameters found again.

Measured (CELLTWIN_DATA), for development: of Samsung 30Q S001 and XJTU's cell, each of 1C to 3C predicted from a fit
to the other two. Held out, each curve by itself and all of them together: S001 fitted at 1C to 3C and predicted at
4C; S002 refitted from 1C alone, from S001's values and with S001's discrepancy, and predicted at 2C and 3C; XJTU's
cell fitted at 1C to 3C and predicted at 0.5C and 5C; LG M50 fitted at 25 degC and predicted at 10 and 0 degC. Made:
cells whose parameters are drawn from half their priors' spread and simulated with SPMe on the coarse mesh, every
other one with an error that is correlated along its curves beside the sensor's noise: there, the search begins at the
truth, since intervals are judged and not optimisers. And cells made by a DFN on another published set, fitted by an
SPMe at C/2 to 1.5C and predicted at 2C.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array, ModelError
from celltwin.physics.measurements import CellDescription, CurveSource, MeasuredCurve, MeasuredSet, read_measured_set
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.measured_cells import LGM50, RATES, SAMSUNG, XJTU

if TYPE_CHECKING:
    from celltwin.physics.calibration.calibrate import CalibrationResult
    from celltwin.physics.calibration.cell_simulation import CellModel
    from celltwin.physics.calibration.optimisers import Progress
    from celltwin.physics.calibration.posterior import ParameterPosterior, PosteriorOptions
    from celltwin.physics.calibration.predictive import PredictiveCurve

__all__ = ["count_recovered", "main", "measure_coverage", "measure_left_out", "measure_other_models"]

MADE = CellDescription(name="made", chemistry="NMC-graphite-SiOx", format="21700", capacity=5.0)
SISTER = (
    "Electrode width [m]",
    "Negative electrode initial stoichiometry",
    "Positive electrode initial stoichiometry",
    "Negative particle diffusivity [m2.s-1]",
    "Positive particle diffusivity [m2.s-1]",
    "Negative electrode exchange-current density [A.m-2]",
    "Positive electrode exchange-current density [A.m-2]",
    "Contact resistance [Ohm]",
    "Total heat transfer coefficient [W.m-2.K-1]",
    "Lead resistance [Ohm]",
    "Surface temperature gap",
    "Surface temperature lag [s]",
)
"""What differs between cells of one make, and the place in the chamber with its leads and sensor."""
MADE_FREE = (
    "Electrode width [m]",
    "Negative particle diffusivity [m2.s-1]",
    "Positive particle diffusivity [m2.s-1]",
    "Negative electrode exchange-current density [A.m-2]",
    "Positive electrode exchange-current density [A.m-2]",
    "Electrolyte diffusivity factor",
    "Contact resistance [Ohm]",
    "Total heat transfer coefficient [W.m-2.K-1]",
)
LEVEL = 0.90
VOLTAGE_ERROR, TEMPERATURE_ERROR = 4e-3, 0.2  # of made cells at 1C, growing with the rate [V], [K]
LENGTH = 0.15  # correlation length of that error, as a share of the duration
VOLTAGE_NOISE, TEMPERATURE_NOISE = 1e-3, 0.05  # [V], [K]
OTHER_SET = "ORegan2022"
CUT_OFF = 2.8  # where made discharges end [V]


def measure_coverage(
    figures: Figures, folder: Path, *, budget: int, seconds: float, method: PosteriorOptions, checkpoint: Path | None
) -> None:
    """Add the coverage of intervals on held-out curves: of the Samsung cells, of XJTU's, and of LG M50 in the cold."""
    from celltwin.physics.calibration.calibrate import CalibrationOptions, calibrate
    from celltwin.physics.calibration.posterior import posterior_of

    found: list[PredictiveCurve] = []

    def known_from(
        cell: str, description: CellDescription, measured: MeasuredSet, fitted: Sequence[str]
    ) -> tuple[CalibrationResult, ParameterPosterior]:
        options = CalibrationOptions(curves=tuple(fitted), budget=budget, seconds=seconds, threads=1, compiled=True)
        kept = None if checkpoint is None else checkpoint / cell
        result = calibrate(description, measured, options, progress=_Report(cell), checkpoint=kept)
        _show_errors(cell, result)
        known = posterior_of(result, method, progress=_Report(cell))
        found.extend(_add_coverage(figures, cell, known, measured.curves))
        return result, known

    first = read_measured_set(sorted((folder / "samsung_30q" / "S001").glob("*.csv")))
    result, known = known_from("S001", SAMSUNG, first.select(*RATES, "4C"), RATES)
    second = read_measured_set(sorted((folder / "samsung_30q" / "S002").glob("*.csv"))).select("1C", "2C", "3C")
    options = replace(
        result.options,
        curves=("1C",),
        names=SISTER,
        start=result.values,
        spread_share=0.25,
        budget=max(budget // 3, 60),
    )
    kept = None if checkpoint is None else checkpoint / "S002"
    refit = calibrate(SAMSUNG, second, options, base=result.base, progress=_Report("S002"), checkpoint=kept)
    _show_errors("S002", refit)
    borrowed = replace(method, discrepancy=known.discrepancy)
    sister = posterior_of(refit, borrowed, progress=_Report("S002"))
    found.extend(_add_coverage(figures, "S002 from 1C", sister, [second.curve(name) for name in RATES]))
    digitised = read_measured_set(sorted((folder / "xjtu_discharge").glob("*.csv")))
    known_from("XJTU", XJTU, digitised.select("0.5C", *RATES, "5C"), RATES)
    lgm50 = read_measured_set(folder / "lgm50" / "LGM50_5Ah_RateTest.mat")
    named = {degrees: tuple(f"{rate} at {degrees} degC" for rate in ("0.5C", "1C", "2C")) for degrees in (25, 10, 0)}
    known_from("LG M50", LGM50, lgm50.select(*(name for names in named.values() for name in names)), named[25])
    _add_together(figures, found)


def _add_together(figures: Figures, curves: Sequence[PredictiveCurve]) -> None:
    """Add the share of all held-out points that lie in their intervals, and of curves weighed alike."""
    for quantity in ("voltage", "temperature"):
        held_out = [getattr(curve, quantity) for curve in curves if curve.held_out]
        sizes = np.array([np.count_nonzero(np.isfinite(one.measured) & np.isfinite(one.middle)) for one in held_out])
        shares = np.array([one.coverage for one in held_out])
        words = f"{quantity}, {len(held_out)} held-out curves"
        figures.add(f"{words}: points in 90 % interval", 100.0 * float(sizes @ shares / sizes.sum()), "%")
        figures.add(f"{words}, each counting alike: in 90 % interval", 100.0 * float(np.mean(shares)), "%")


def measure_left_out(
    figures: Figures, folder: Path, *, budget: int, seconds: float, method: PosteriorOptions, checkpoint: Path | None
) -> None:
    """Add the coverage of each of three curves as predicted from the other two, of two cells."""
    from celltwin.physics.calibration.calibrate import CalibrationOptions, calibrate
    from celltwin.physics.calibration.posterior import posterior_of

    sets = (("S001", SAMSUNG, "samsung_30q/S001"), ("XJTU", XJTU, "xjtu_discharge"))
    shares: dict[str, list[float]] = {"V": [], "T": []}
    for cell, description, where in sets:
        measured = read_measured_set(sorted((folder / where).glob("*.csv")))
        for left_out in RATES:
            curves = tuple(name for name in RATES if name != left_out)
            options = CalibrationOptions(curves=curves, budget=budget, seconds=seconds, threads=1, compiled=True)
            kept = None if checkpoint is None else checkpoint / f"{cell}-without-{left_out}"
            report = _Report(f"{cell} without {left_out}")
            result = calibrate(description, measured.select(*RATES), options, progress=report, checkpoint=kept)
            posterior = posterior_of(result, method, progress=report)
            (found,) = _add_coverage(figures, f"{cell} without {left_out}", posterior, [measured.curve(left_out)])
            shares["V"].append(found.voltage.coverage)
            shares["T"].append(found.temperature.coverage)
    for quantity, found_shares in shares.items():
        share = 100.0 * float(np.mean(found_shares))
        figures.add(f"{quantity} of {len(found_shares)} curves left out: in 90 % interval", share, "%")


def measure_other_models(figures: Figures, cells: int, method: PosteriorOptions, seed: int = 0) -> None:
    """Add the coverage at 2C of cells made by a DFN on another published set, fitted by an SPMe up to 1.5C."""
    from celltwin.physics.calibration.base_sets import choose_base_set
    from celltwin.physics.calibration.calibrate import CalibrationOptions, calibrate
    from celltwin.physics.calibration.cell_simulation import CellModel, ModelOptions
    from celltwin.physics.calibration.parameter_space_cell import cell_parameter_space
    from celltwin.physics.calibration.posterior import posterior_of

    truth = CellModel(choose_base_set(MADE, base_set=OTHER_SET), ModelOptions(model="DFN", compiled=True))
    space = cell_parameter_space(truth.base, model="DFN", names=MADE_FREE)
    shares: dict[str, list[float]] = {"V": [], "T": []}
    for cell in range(cells):
        random = np.random.default_rng([seed, cell, 1])
        values = space.values(
            np.clip(space.start + 0.5 * space.spreads * random.standard_normal(space.size), 0.03, 0.97)
        )
        curves = [make_curve(truth, values, rate, random, correlated=False) for rate in (0.5, 1.0, 1.5, 2.0)]
        measured = MeasuredSet(cell=f"made {cell}", curves=tuple(curves))
        fitted = tuple(curve.name for curve in curves[:-1])
        options = CalibrationOptions(model="SPMe", curves=fitted, base_set="Chen2020", threads=1, budget=400)
        result = calibrate(MADE, measured, options, progress=_Report(f"other model {cell}"))
        try:
            posterior = posterior_of(result, method, progress=_Report(f"other model {cell}"))
        except ModelError as error:
            print(f"other model {cell}: {error}", file=sys.stderr, flush=True)
            continue
        (predicted,) = _add_coverage(figures, f"other model {cell}", posterior, curves[-1:])
        shares["V"].append(predicted.voltage.coverage)
        shares["T"].append(predicted.temperature.coverage)
    for quantity, found in shares.items():
        share = 100.0 * float(np.mean(found))
        figures.add(
            f"{quantity} at 2C of {len(found)} of {cells} cells made by another model: in 90 % interval", share, "%"
        )


def count_recovered(figures: Figures, cells: int, method: PosteriorOptions, seed: int = 0) -> None:
    """Add the share of known parameters that lie in their 95 % intervals, over made cells."""
    from celltwin.physics.calibration.base_sets import choose_base_set
    from celltwin.physics.calibration.calibration_problem import CalibrationProblem
    from celltwin.physics.calibration.cell_simulation import CellModel, ModelOptions
    from celltwin.physics.calibration.optimisers import minimise
    from celltwin.physics.calibration.parameter_space_cell import cell_parameter_space
    from celltwin.physics.calibration.posterior import posterior_at

    model = CellModel(choose_base_set(MADE), ModelOptions(model="SPMe", threads=1, compiled=True))
    space = cell_parameter_space(model.base, model="SPMe", names=MADE_FREE)
    found: dict[bool, list[bool]] = {False: [], True: []}
    sizes = []
    for cell in range(cells):
        random = np.random.default_rng([seed, cell])
        truth = np.clip(space.start + 0.5 * space.spreads * random.standard_normal(space.size), 0.03, 0.97)
        correlated = cell % 2 == 1
        values = space.values(truth)
        curves = [make_curve(model, values, rate, random, correlated=correlated) for rate in (0.5, 1.0, 2.0)]
        problem = CalibrationProblem(curves, model, space)
        best = minimise(problem, budget=60, start=truth, seed=seed)
        posterior = posterior_at(problem, best.x, replace(method, leave_out=False, seed=cell))
        inside = [
            low <= values[name] <= high for name, (low, high) in zip(space.names, posterior.intervals, strict=True)
        ]
        found[correlated] += inside
        sizes.append(float(np.median(list(posterior.determined.values()))))
        words = "correlated error" if correlated else "noise alone"
        print(f"made cell {cell}: {sum(inside)} of {len(inside)}, {words}", file=sys.stderr, flush=True)
    for correlated, words in ((False, "noise alone"), (True, "correlated error")):
        if found[correlated]:
            share = 100.0 * float(np.mean(found[correlated]))
            figures.add(f"made cells, {words}: in 95 % interval", share, "%", 90.0, at_least=True)
    share = 100.0 * float(np.mean(found[False] + found[True]))
    figures.add(f"{cells} made cells: in 95 % interval", share, "%", 90.0, at_least=True)
    figures.add("made cells: median posterior over prior width", float(np.median(sizes)), "-")


def make_curve(
    model: CellModel, values: dict[str, float], rate: float, random: np.random.Generator, *, correlated: bool
) -> MeasuredCurve:
    """Return a simulated discharge with noise and, where asked for, an error that is correlated along it."""
    from celltwin.physics.calibration.cell_simulation import CellSimulation

    time = np.linspace(0.0, 1.1 * 3600.0 / rate, 400)
    curve = _blank(f"{rate:g}C", time, rate * MADE.capacity)
    found = CellSimulation(model, curve, np.arange(time.size)).solve(values)
    kept = int(np.argmax(~(found.voltage > CUT_OFF))) if not bool(np.all(found.voltage > CUT_OFF)) else time.size
    curve = _blank(curve.name, time[:kept], rate * MADE.capacity)
    voltage = found.voltage[:kept] + VOLTAGE_NOISE * random.standard_normal(kept)
    temperature = found.temperature[:kept] + TEMPERATURE_NOISE * random.standard_normal(kept)
    if correlated:
        voltage += VOLTAGE_ERROR * rate * _walk(curve.time, random)
        begun = 1.0 - np.exp(-curve.time / (LENGTH * curve.time[-1]))  # a model's error needs time to warm a cell
        temperature += TEMPERATURE_ERROR * rate * begun * _walk(curve.time, random)
    temperature[0] = found.temperature[0]
    return replace(curve, voltage=voltage, temperature=temperature)


def _blank(name: str, time: Array, current: float) -> MeasuredCurve:
    return MeasuredCurve(
        name=name,
        time=time,
        current=np.where(time > 0.0, current, 0.0),
        voltage=np.full(time.size, 3.7),
        temperature=np.full(time.size, 298.15),
        ambient_temperature=np.full(time.size, 298.15),
        scored=np.ones(time.size, dtype=bool),
        voltage_noise=VOLTAGE_NOISE,
        temperature_noise=TEMPERATURE_NOISE,
        source=CurveSource(path=f"made {name}", sha256=name, rows=time.size),
    )


def _walk(time: Array, random: np.random.Generator) -> Array:
    """Return a sample of unit variance that is exponentially correlated, shape (n,)."""
    share = time / time[-1]
    keep = np.exp(-np.diff(share) / LENGTH)
    draws = random.standard_normal(time.size)
    walk = np.empty(time.size)
    walk[0] = draws[0]
    for row, kept in enumerate(keep):
        walk[row + 1] = kept * walk[row] + np.sqrt(1.0 - kept**2) * draws[row + 1]
    return walk


def _show_errors(cell: str, result: CalibrationResult) -> None:
    """Say on the standard error how good the fit is that intervals are put about."""
    for one in result.figures:
        words = f"V {one.voltage_mape:.3f} % ({1e3 * one.voltage_rmse:.1f} mV), T {one.temperature_mape:.3f} %"
        print(f"{cell} {one.name}, {'held out' if one.held_out else 'fitted'}: {words}", file=sys.stderr, flush=True)


def _add_coverage(
    figures: Figures, cell: str, posterior: ParameterPosterior, curves: Sequence[MeasuredCurve]
) -> tuple[PredictiveCurve, ...]:
    """Add coverage, width and error of predicted curves, and return them."""
    from celltwin.physics.calibration.identifiability import describe_identifiability
    from celltwin.physics.calibration.predictive import predict_curves

    figures.add(f"{cell}: simulations for the posterior", posterior.evaluations, "")
    figures.add(f"{cell}: seconds", posterior.seconds, "s")
    figures.add(f"{cell}: draws that reach the end of the fitted curves", 100.0 * posterior.acceptance, "%")
    share = float(np.mean([value < 0.8 for value in posterior.determined.values()]))
    figures.add(f"{cell}: parameters that data narrow", 100.0 * share, "%")
    predicted = predict_curves(posterior, curves, level=LEVEL)
    for curve in predicted:
        for quantity, one, unit in (("V", curve.voltage, 1e3), ("T", curve.temperature, 1.0)):
            words = "held out" if curve.held_out else "fitted"
            figures.add(f"{cell}, {curve.name} {quantity}, {words}: in 90 % interval", 100.0 * one.coverage, "%")
            width = unit * float(np.median(0.5 * (one.high - one.low)))
            error = unit * float(np.sqrt(np.nanmean((one.measured - one.middle) ** 2)))
            early = f"{curve.ended_early} of {curve.samples} end early"
            print(f"{cell}, {curve.name} {quantity}: {one.coverage:.3f} ({early})", file=sys.stderr, flush=True)
            figures.add(f"{cell}, {curve.name} {quantity}: median half width", width, "mV" if unit > 1.0 else "K")
            figures.add(f"{cell}, {curve.name} {quantity}: root mean square error", error, "mV" if unit > 1.0 else "K")
    for sentence in (*describe_identifiability(posterior), *posterior.warnings):
        print(f"{cell}: {sentence}", file=sys.stderr, flush=True)
    return predicted


class _Report:
    """Prints a line now and then."""

    def __init__(self, name: str) -> None:
        self.name, self.last = name, float("-inf")

    def __call__(self, step: Progress) -> None:
        if time.monotonic() - self.last > 15.0:
            self.last = time.monotonic()
            print(f"{self.name}: {step.stage}, {step.evaluations} evaluations", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__)
    parser.add_argument("--cells", type=int, default=20, help="made cells with known parameters; 0 leaves them out")
    parser.add_argument("--others", type=int, default=6, help="cells made by another model; 0 leaves them out")
    parser.add_argument("--no-left-out", action="store_true", help="leave out curves predicted from the other two")
    parser.add_argument("--no-held-out", action="store_true", help="leave out curves that take no part in any fit")
    parser.add_argument("--budget", type=int, default=700, help="evaluations of a calibration of three curves")
    parser.add_argument("--seconds", type=float, default=600.0, help="time for each calibration")
    parser.add_argument(
        "--method", choices=("refits", "laplace", "emulator"), default="refits", help="of the posterior"
    )
    parser.add_argument("--checkpoint", type=Path, metavar="FOLDER", help="keep calibrations, and go on from them")
    options = parser.parse_args(arguments)
    from celltwin.physics.calibration.posterior import PosteriorOptions

    figures = Figures("calibrate-uncertainty")
    method = PosteriorOptions(method=options.method)
    how = {name: getattr(options, name) for name in ("budget", "seconds", "checkpoint")} | {"method": method}
    data = os.environ.get("CELLTWIN_DATA")
    if data and (Path(data) / "samsung_30q").is_dir():
        if not options.no_left_out:
            measure_left_out(figures, Path(data), **how)
        if not options.no_held_out:
            measure_coverage(figures, Path(data), **how)
    if options.others:
        measure_other_models(figures, options.others, method)
    if options.cells:
        count_recovered(figures, options.cells, method)
    return hand_over(figures, options.json)


if __name__ == "__main__":
    sys.exit(main())
