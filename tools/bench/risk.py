"""Bench of the risk of thermal runaway: scores, lead times and false alarms on held-out runs; time; picture.

The runs are those of `celltwin train risk`, in --work; replays are kept there, and an interrupted bench goes on.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.core import Array, Kind, Level, PackSpec, PackState, Reading
from celltwin.prognosis import RiskPriors, RunawayRiskPredictor
from celltwin.prognosis.exported_models import MODEL_FILE
from celltwin.prognosis.runaway_risk import HORIZONS
from celltwin.prognosis.runaway_risk.kept_replays import replay_kept
from celltwin.prognosis.runaway_risk.library_replay import ReplayedRun
from celltwin.prognosis.runaway_risk.library_runs import run_library
from celltwin.prognosis.runaway_risk.risk_evaluation import evaluate_runs
from celltwin.prognosis.runaway_risk.risk_folder import REMEDY, default_risk_folder, read_risk
from celltwin.prognosis.served_models import open_network
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.places import reference_pack
from tools.bench.risk_picture import draw_risk

__all__ = ["run"]

QUICK_RUNS, FIELD_RUNS = 12, 24
PERIOD = 10.0  # [s]


def run(work: Path, *, quick: bool = False, plots: Path | None = None) -> Figures:
    """Replay the library with the shipped model, score the test runs, and time it on the reference pack."""
    figures = Figures("risk")
    spec = reference_pack()
    _time(figures, spec)
    folder = default_risk_folder()
    model, network = read_risk(folder)
    training: dict[str, Any] = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))["training"]
    session = open_network(network, str(folder), REMEDY)

    def surrogate(inputs: Array) -> Array:
        return np.asarray(session.run(None, {"inputs": inputs})[0])

    settings = training["settings"]
    files = run_library(work / "library", spec, int(settings["runs"]), seed=int(settings["seed"]), on_run=_show("runs"))
    by_name = {path.stem.rsplit("_", 1)[0]: path for path in files}
    library = RiskPriors(**training["library_priors"])

    def replay(names: list[str], priors: RiskPriors, what: str) -> tuple[ReplayedRun, ...]:
        chosen = names[:QUICK_RUNS] if quick else names
        show, found = _show(what), []
        for number, name in enumerate(chosen):
            found.append(
                replay_kept(
                    work / "replays",
                    by_name[name],
                    spec,
                    model.constants,
                    surrogate,
                    model.network_digest,
                    priors,
                    model.recalibration,
                )
            )
            show(number + 1, len(chosen))
        return tuple(found)

    calibration = tuple(training["calibration_runs"])
    rates = tuple(float(rate) for rate in training["base_rates"])
    test = replay(list(training["test_runs"]), library, "test runs")
    figures.add("calibration runs", len(calibration), "runs")
    evaluation = evaluate_runs(test, rates)
    figures.add("test runs", evaluation.runs, "runs")
    figures.add("test runs with a runaway", evaluation.runs_with_event, "runs")
    for horizon, found in zip(HORIZONS, evaluation.horizons, strict=True):
        within = f"{horizon / 60.0:.0f} min"
        figures.add(f"{within}: Brier score", found.brier, "", target=found.brier_base)
        figures.add(f"{within}: Brier score, 5 % of runs drawn anew", found.brier_range[0], "")
        figures.add(f"{within}: Brier score, 95 %", found.brier_range[1], "")
        figures.add(f"{within}: log score", found.log, "nat", target=found.log_base)
        figures.add(f"{within}: log score, 95 %", found.log_range[1], "nat")
        figures.add(f"{within}: ROC area", found.area, "", target=found.area_temperature, at_least=True)
        figures.add(f"{within}: ROC area, 5 %", found.area_range[0], "")
        figures.add(f"{within}: events among predictions", found.events / max(found.predictions, 1), "")
    for name, alarm in (("risk", evaluation.alarm), ("thermometer", evaluation.thermometer)):
        lead = alarm.lead[np.isfinite(alarm.lead)] / 60.0
        figures.add(f"{name}: runaways with an alarm before", 100.0 * alarm.caught, "%")
        if lead.size:
            figures.add(f"{name}: lead time, median", float(np.median(lead)), "min")
            figures.add(f"{name}: lead time, lowest tenth", float(np.quantile(lead, 0.1)), "min")
        figures.add(f"{name}: false alarms in {alarm.hours:.0f} h without a short", alarm.false_alarms, "1/h")
        figures.add(f"{name}: rings on shorts that do not run away", 100.0 * alarm.fault_alarms, "%")
    figures.add("thermometer: its limit", evaluation.thermometer.threshold - 273.15, "°C")
    if not quick:
        field = replay(list(training["test_runs"])[:FIELD_RUNS], model.priors, "test runs with field priors")
        with_field = evaluate_runs(field, rates, draws=2)
        lead = with_field.alarm.lead[np.isfinite(with_field.alarm.lead)] / 60.0
        figures.add("field priors: runs, the first of the test runs", len(field), "runs")
        figures.add("field priors: runaways with an alarm before", 100.0 * with_field.alarm.caught, "%")
        if lead.size:
            figures.add("field priors: lead time, median", float(np.median(lead)), "min")
        figures.add("field priors: false alarms", with_field.alarm.false_alarms, "1/h")
        quiet = [np.nanmedian(item.probability[:, :, 1]) for item in field if item.family == "healthy"]
        figures.add("field priors: risk of a sound cell in 30 min, median", float(np.median(quiet)), "", target=1e-6)
    if plots is not None:
        draw_risk(plots / "runaway_risk.png", test)
    return figures


def _time(figures: Figures, spec: PackSpec) -> None:
    """Time looks and predictions on the quiet reference pack, and with a shorted cell in it."""
    predictor = RunawayRiskPredictor(spec)
    begun = time.perf_counter()
    predictor.load()
    figures.add("load the model", time.perf_counter() - begun, "s", target=2.0)
    random = np.random.default_rng(1)
    temperature = np.full(spec.n_cells, 298.15)
    for name, power in (("quiet", 0.0), ("one cell shorted, 8 W", 8.0)):
        looks, taken = [], []
        for step in range(12 if power == 0.0 else 24):
            offset = 0 if power == 0.0 else 12
            temperature[1234] += power * PERIOD / (spec.cell.mass * spec.cell.heat_capacity)
            state = _image(spec, (step + offset) * PERIOD, temperature + 0.1 * random.standard_normal(spec.n_cells))
            begun = time.perf_counter()
            predictor.observe(state)
            looks.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            predictor.predict(state)
            taken.append(time.perf_counter() - begun)
        figures.add(f"a look at 2,800 cells, {name}, median", 1e3 * float(np.median(looks[4:])), "ms")
        figures.add(f"risk of 2,800 cells, {name}, median", 1e3 * float(np.median(taken[4:])), "ms", target=25.0)


def _image(spec: PackSpec, now: float, temperature: Array) -> PackState:
    def measured(quantity: str, level: Level, values: Array, doubt: float) -> Reading:
        return Reading.at(Kind.MEASURED, quantity, level, values, now, standard_uncertainty=doubt, provenance="bench")

    return PackState(time=now, step=int(now)).updated(
        measured("temperature", Level.CELL, temperature, 0.1),
        measured("current", Level.CELL, np.zeros(spec.n_cells), 5e-3),
        measured("current", Level.PACK, np.zeros(1), 0.1),
        measured("voltage", Level.GROUP, np.full(spec.n_groups, 3.9), 1e-3),
        measured("coolant_flow", Level.MODULE, np.full(spec.n_modules, spec.cooling.flow), 1e-3),
        measured("coolant_temperature", Level.MODULE, np.full(spec.n_modules, 298.15), 0.2),
        measured("soc", Level.CELL, np.full(spec.n_cells, 0.8), 0.02),
    )


def _show(what: str) -> Callable[[int, int], None]:
    def show(done: int, asked: int) -> None:
        if done == asked or done % 10 == 0:
            print(f"{what}: {done} of {asked}", file=sys.stderr, flush=True)

    return show


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__, pictures=True)
    parser.add_argument("--quick", action="store_true", help=f"replay {QUICK_RUNS} test runs only")
    parser.add_argument("--work", type=Path, default=Path("out/train_risk"), help="folder of library and replays")
    options = parser.parse_args(arguments)
    return hand_over(run(options.work, quick=options.quick, plots=options.plots), options.json)


if __name__ == "__main__":
    raise SystemExit(main())
