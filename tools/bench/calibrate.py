"""Bench of the calibration: measured discharges of three cells, fitted and held out, against the targets of the issue.

Figures are taken from PyBaMM's default meshes, over every scored row. Nothing is fitted on a row that is scored as
held out. The data is found through CELLTWIN_DATA.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.physics.calibration.base_sets import BaseSet
from celltwin.physics.calibration.calibrate import CalibrationOptions, CalibrationResult, calibrate
from celltwin.physics.calibration.calibration_figures import CurveFigures, compare_curve, score_curve
from celltwin.physics.calibration.cell_simulation import CellModel, ModelOptions
from celltwin.physics.calibration.optimisers import Progress
from celltwin.physics.calibration.refit_cell import RefitOptions, refit_cell
from celltwin.physics.measurements import CellDescription, MeasuredCurve, MeasuredSet, read_measured_set
from tools.bench.figures import bench_parser, describe_machine
from tools.bench.measured_cells import LGM50, RATES, SAMSUNG, XJTU
from tools.bench.places import measured_data

__all__ = ["SETS", "main", "run"]

Target = tuple[float | None, float | None]

PAPER: dict[str, Target] = {"1C": (0.92, 0.07), "2C": (1.06, 0.18), "3C": (1.57, 0.39)}
"""Zhu et al.: mean absolute errors of voltage and temperature [%]."""


@dataclass
class Row:
    """One line of the table."""

    data: str
    figures: CurveFigures
    target: Target = (None, None)
    rmse_target: float | None = None

    @property
    def met(self) -> str:
        """Whether the targets are kept: yes, no, or nothing without one."""
        pairs = [(self.figures.voltage_mape, self.target[0]), (self.figures.temperature_mape, self.target[1])]
        if self.rmse_target is not None:
            pairs.append((1e3 * self.figures.voltage_rmse, self.rmse_target))
        judged = [value <= bound for value, bound in pairs if bound is not None]
        return "" if not judged else "yes" if all(judged) and self.figures.missing == 0 else "no"


@dataclass
class Bench:
    """What was measured so far, and how the fits went."""

    folder: Path
    quick: bool
    compiled: bool
    threads: int
    rows: list[Row] = field(default_factory=list)
    fits: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, CalibrationResult] = field(default_factory=dict)

    def fit(
        self,
        name: str,
        cell: CellDescription,
        measured: MeasuredSet,
        curves: Sequence[str],
        base: BaseSet | None = None,
        **changes: Any,
    ) -> CalibrationResult:
        """Calibrate a cell on some of its curves and keep the result under a name."""
        budget: dict[str, Any] = {"budget": 150, "seconds": 120.0} if self.quick else {}
        given: dict[str, Any] = {"curves": tuple(curves), "threads": self.threads, "compiled": self.compiled}
        options = CalibrationOptions(**(given | changes | budget))
        begun = time.monotonic()
        result = calibrate(cell, measured, options, base=base, progress=self._report(name))
        self.results[name] = result
        self.fits[name] = {
            "evaluations": result.evaluations,
            "seconds": round(time.monotonic() - begun, 1),
            "free parameters": result.space.size,
            "base set": result.base.name,
            "at bounds": list(result.at_bounds),
            "stages": [(stage, item.evaluations, round(item.seconds, 1), item.cost) for stage, item in result.stages],
        }
        return result

    def _report(self, name: str) -> Callable[[Progress], None]:
        """Return what prints a line now and then."""
        last = [-math.inf]

        def report(step: Progress) -> None:
            if step.seconds - last[0] > 10.0:
                last[0] = step.seconds
                print(
                    f"{name}: {step.stage}, {step.evaluations} evaluations, {step.seconds:.0f} s, cost {step.best:.1f}",
                    file=sys.stderr,
                    flush=True,
                )

        return report

    def add(self, data: str, figures: CurveFigures, target: Target = (None, None), rmse: float | None = None) -> None:
        """Add a line to the table."""
        self.rows.append(Row(data, figures, target, rmse))

    def score(self, data: str, result: CalibrationResult, sister: MeasuredSet, name: str, target: Target) -> None:
        """Score a curve of another cell with a calibrated cell's parameters, and add its line."""
        base = result.base.for_sister(sister.curve("1C"))
        fine = CellModel(base, ModelOptions(model=result.options.model, mesh="default"), result.shapes)
        self.add(data, score_curve(fine, sister.curve(name), result.values, held_out=True), target)

    def read(self, folder: str, pattern: str = "*.csv") -> MeasuredSet:
        """Read a measured set."""
        return read_measured_set(sorted((self.folder / folder).glob(pattern)))


def _samsung_minute(bench: Bench) -> None:
    measured = bench.read("samsung_30q/S001")
    result = bench.fit("S001 in a minute", SAMSUNG, measured.select(*RATES), RATES, budget=600, seconds=45.0)
    for figures in result.figures:
        bench.add("S001 in a minute, 24 parameters; the paper's", figures, PAPER[figures.name])


def _samsung(bench: Bench) -> None:
    measured = bench.read("samsung_30q/S001")
    result = bench.fit("S001, 24 parameters", SAMSUNG, measured.select(*RATES, "4C"), RATES, seconds=300.0)
    targets: dict[str, Target] = {"1C": (0.35, 0.030), "2C": (0.30, 0.08), "3C": (0.30, 0.18)}
    for figures in result.figures:
        bench.add("S001, 24 parameters", figures, targets.get(figures.name, (0.30, 0.20)))


def _samsung_shapes(bench: Bench) -> None:
    measured = bench.read("samsung_30q/S001")
    result = bench.fit(
        "S001, shapes", SAMSUNG, measured.select(*RATES, "4C"), RATES, shapes=True, budget=4000, seconds=270.0
    )
    targets: dict[str, Target] = {"1C": (0.15, 0.018), "2C": (0.15, 0.04), "3C": (0.15, 0.08)}
    for figures in result.figures:
        bench.add("S001, shapes", figures, targets.get(figures.name, (0.30, 0.20)))
    sister = bench.read("samsung_30q/S002")
    unfitted: dict[str, Target] = {"1C": (0.6, 0.07), "2C": (1.0, 0.13), "3C": (1.5, 0.38)}
    for name in RATES:
        bench.score("S002, parameters of S001", result, sister, name, unfitted[name])
        bench.add("S002, as S001 was measured", _compare_measured(measured.curve(name), sister.curve(name)))
    begun = time.monotonic()
    refit = refit_cell(result, sister, RefitOptions(curves=("1C",), score=RATES, threads=bench.threads))
    bench.fits["S002, refitted from 1C"] = {
        "evaluations": refit.evaluations,
        "seconds": round(time.monotonic() - begun, 1),
        "free parameters": len(refit.prior.names),
        "base set": "S001",
        "at bounds": list(refit.at_bounds),
        "moved": {
            name: [float(amount), float(deviation)]
            for name, amount, deviation in zip(refit.prior.names, refit.amounts, refit.deviations, strict=True)
        },
    }
    refitted: dict[str, Target] = {"2C": (0.5, 0.10), "3C": (0.6, 0.25)}
    for figures in refit.figures:
        bench.add("S002, refitted from 1C", figures, refitted.get(figures.name, (None, None)))


def _compare_measured(first: MeasuredCurve, second: MeasuredCurve) -> CurveFigures:
    """Return how far one cell's measured curve lies from another's: the error of a perfect model of the first."""
    assert first.temperature is not None
    time = np.asarray(second.time)
    voltage = np.interp(time, first.time, first.voltage, right=np.nan)
    return compare_curve(second, voltage, np.interp(time, first.time, first.temperature), held_out=True)


def _xjtu(bench: Bench) -> None:
    measured = bench.read("xjtu_discharge")
    plain = bench.fit("XJTU (digitised), 25 parameters", XJTU, measured, RATES)
    for figures in plain.figures:
        bench.add("XJTU (digitised), 25 parameters", figures, PAPER.get(figures.name, (None, None)))
    result = bench.fit("XJTU (digitised), shapes", XJTU, measured, RATES, shapes=True, budget=4000, seconds=270.0)
    targets: dict[str, Target] = {"1C": (0.18, 0.020), "2C": (0.25, 0.03), "3C": (0.50, 0.05)}
    for figures in result.figures:
        bench.add("XJTU (digitised), shapes", figures, targets.get(figures.name, (None, None)))


def _lgm50(bench: Bench) -> None:
    measured = read_measured_set(bench.folder / "lgm50" / "LGM50_5Ah_RateTest.mat")
    warm = tuple(f"{rate} at 25 degC" for rate in ("0.5C", "1C", "2C"))
    cold = tuple(f"{rate} at {degrees} degC" for degrees in (10, 0) for rate in ("0.5C", "1C", "2C"))
    result = bench.fit("LG M50", LGM50, measured.select(*warm, *cold), warm, shapes=True, budget=4000, seconds=600.0)
    for figures in result.figures:
        bench.add("LG M50, fitted at 25 degC", figures, rmse=None if figures.held_out else 12.0)


SETS: Mapping[str, Callable[[Bench], None]] = {
    "samsung-minute": _samsung_minute,
    "samsung": _samsung,
    "samsung-shapes": _samsung_shapes,
    "xjtu": _xjtu,
    "lgm50": _lgm50,
}
"""What can be measured, by name."""


def run(names: Sequence[str], *, folder: Path, quick: bool = False, compiled: bool = True, threads: int = 2) -> Bench:
    """Fit and score the sets of some names."""
    bench = Bench(folder, quick, compiled, threads)
    for name in names:
        SETS[name](bench)
    return bench


def show(bench: Bench) -> None:
    """Print the table, and below it how each fit went."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=130)
    table = Table(title="bench calibrate", caption=describe_machine(), title_justify="left")
    for heading in ("data", "curve", "V MAPE %", "target", "RMSE mV", "T MAPE %", "target", "RMSE K", "rows", "met"):
        table.add_column(heading, justify="left" if heading in ("data", "curve") else "right")
    for row in bench.rows:
        item = row.figures
        rows = f"{item.rows}" if item.missing == 0 else f"{item.rows} (-{item.missing})"
        table.add_row(
            row.data,
            f"{item.name}{', held out' if item.held_out else ''}",
            f"{item.voltage_mape:.3f}",
            _bound(row.target[0]),
            f"{1e3 * item.voltage_rmse:.1f}" + (f" / {row.rmse_target:g}" if row.rmse_target is not None else ""),
            f"{item.temperature_mape:.4f}",
            _bound(row.target[1]),
            f"{item.temperature_rmse:.3f}",
            rows,
            row.met,
        )
    console.print(table)
    for name, fit in bench.fits.items():
        console.print(
            f"{name}: {fit['free parameters']} free on {fit['base set']}, {fit['evaluations']} evaluations of all "
            f"fitted curves, {fit['seconds']} s; at bounds: {', '.join(fit['at bounds']) or 'none'}"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__)
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=list(SETS), help="what is measured")
    parser.add_argument("--quick", action="store_true", help="150 evaluations a fit")
    parser.add_argument("--interpreted", action="store_true", help="do not compile the equations")
    parser.add_argument("--threads", type=int, default=2, help="candidates solved at one time")
    options = parser.parse_args(arguments)
    bench = run(
        options.sets,
        folder=measured_data(),
        quick=options.quick,
        compiled=not options.interpreted,
        threads=options.threads,
    )
    show(bench)
    if options.json is not None:
        content = {
            "bench": "calibrate",
            "machine": describe_machine(),
            "rows": [{"data": row.data, **asdict(row.figures), "met": row.met} for row in bench.rows],
            "fits": bench.fits,
        }
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


def _bound(value: float | None) -> str:
    return "" if value is None else f"≤ {value:g}"


if __name__ == "__main__":
    raise SystemExit(main())
