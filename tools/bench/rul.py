"""Bench of remaining life: XJTU's published test cells to SOH 0.85, from features alone and with measured SOH.

Needs the measured cycles (CELLTWIN_DATA). With --networks the networks are trained and scored as well; they resume from
out/bench_rul. With --mit the same code scores the 125 LFP cells of MIT to 0.86 of nominal, below which few of their
records go, beside the figures of BatteryLife's CPMLP, which were taken on another pool of cells and to 0.8.
"""

from __future__ import annotations

import time
from argparse import Namespace

import numpy as np

from celltwin.prognosis.cycles import CycleSet
from celltwin.prognosis.known_sets import load_known_cycles
from celltwin.prognosis.remaining_life import (
    BASELINES,
    LifeFigures,
    LifeInputs,
    LifeNetworkSettings,
    LifePredictor,
    LifeRun,
    LifeSettings,
    describe_cells,
    run_lives,
    score_lives,
)
from celltwin.prognosis.remaining_life.life_scores import line_up
from celltwin.prognosis.splits import Split, published_split
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.places import REPOSITORY, measured_data
from tools.bench.rul_pictures import draw_lives

__all__ = ["main", "run"]

CHECKPOINTS = REPOSITORY / "out" / "bench_rul"
TARGETS = {False: 22.0, True: 19.0}  # [cycles]
NAMES = {False: "from features", True: "with measured SOH"}
# Configurations tried by cross-validation over training cells: before the regression (by hand), of the regression, and
# after it (by hand).
TRIED = 90 + 260 + 480
TEST_PERIOD = 10  # cycles between capacity tests at most, from R3 on
MIT_END = 0.86
CPMLP = {"MAPE": 0.179, "within 15 %": 0.62}


def run(options: Namespace) -> Figures:
    """Fit, score, and measure the inference of the exported model."""
    figures = Figures("rul")
    cycles = load_known_cycles(str(measured_data() / "xjtu_cycles"))
    split = published_split(cycles)
    seeds = (1,) if options.quick else (1, 2, 3, 4, 5)
    figures.add("configurations tried by cross-validation over training cells", TRIED, "")
    runs = {}
    for history in (False, True):
        runs[history] = run_lives(cycles, split, LifeSettings(history=history), seeds=seeds)
        _add_run(figures, NAMES[history], runs[history], TARGETS[history])
        if options.networks:
            network = LifeNetworkSettings(steps=100) if options.quick else LifeNetworkSettings()
            settings = LifeSettings(kind="network", history=history, network=network)
            trained = run_lives(cycles, split, settings, seeds=seeds, checkpoints=CHECKPOINTS)
            _add_run(figures, f"networks, {NAMES[history]}", trained, None)
    _add_baselines(figures, cycles, split, 0.85)
    if not options.quick:
        late = LifeSettings(history=True, history_delay=TEST_PERIOD)
        delayed = run_lives(cycles, split, late, seeds=seeds[:1])
        figures.add(f"with measured SOH, {TEST_PERIOD} cycles late: MAE, seed 1", delayed.mean, "cycles")
        draw_lives(options.plots, cycles.select(split.test), runs[True].ensembles[seeds[0]])
    if options.mit:
        _add_mit(figures, seeds[:1])
    _add_inference(figures)
    return figures


def _add_run(figures: Figures, name: str, run: LifeRun, target: float | None) -> None:
    values = list(run.figures.values())
    first = values[0]
    figures.add(f"{name}: test cells that reach the end of life", first.cells, "cells")
    figures.add(f"{name}: test cells that do not, in no error", first.censored_cells, "cells")
    figures.add(f"{name}: MAE over every cycle before it, mean of {len(values)} seeds", run.mean, "cycles", target)
    figures.add(f"{name}: MAE, between seeds", float(np.std([value.mae for value in values])), "cycles")
    figures.add(f"{name}: MAE of all seeds together", run.together.mae, "cycles", target)
    figures.add(f"{name}: the same, 5 % over cells drawn anew", run.together.mae_low, "cycles")
    figures.add(f"{name}: the same, 95 % over cells drawn anew", run.together.mae_high, "cycles")
    figures.add(f"{name}: the same, mean of the cells' MAE", run.together.mae_cells, "cycles")
    for duty, error in run.together.by_duty.items():
        figures.add(f"{name}: MAE of {duty}", error, "cycles")
    for fifth, error in enumerate(run.together.by_share):
        figures.add(f"{name}: MAE from {20 * fifth} to {20 * fifth + 20} % of life", error, "cycles")
    figures.add(f"{name}: in 90 % interval, share of cycles", float(np.mean([v.coverage for v in values])), "")
    figures.add(f"{name}: in 90 % interval, mean of cells", float(np.mean([v.coverage_cells for v in values])), "")
    figures.add(f"{name}: in 90 % interval, mean gap over batches", float(np.mean([v.gap for v in values])), "")
    figures.add(f"{name}: width of 90 % interval", float(np.mean([v.width for v in values])), "cycles")
    figures.add(f"{name}: flagged", float(np.mean([v.flagged for v in values])), "")
    figures.add(f"{name}: censored cell inside its interval", first.censored_consistent, "")
    figures.add(f"{name}: MAPE, with 15 cycles or more left", run.together.mape, "")
    figures.add(f"{name}: within 15 %, with 15 cycles or more left", run.together.within_15, "")
    figures.add(f"{name}: MAE on training cells left out, cross-validated", run.cross_validation.mae, "cycles")


def _add_baselines(figures: Figures, cycles: CycleSet, split: Split, end_of_life: float) -> None:
    training, cells = cycles.select(split.training), cycles.select(split.test)
    for name, method in BASELINES.items():
        value: LifeFigures = score_lives(line_up(cells, end_of_life, method(training, cells, end_of_life)))
        figures.add(f"{name}: MAE", value.mae, "cycles")
        figures.add(f"{name}: mean of the cells' MAE", value.mae_cells, "cycles")


def _add_mit(figures: Figures, seeds: tuple[int, ...]) -> None:
    cycles = load_known_cycles(str(measured_data() / "mit_cycles"))
    split = published_split(cycles)
    for history in (False, True):
        settings = LifeSettings(end_of_life=MIT_END, history=history, every=10)
        _add_run(figures, f"MIT {NAMES[history]}", run_lives(cycles, split, settings, seeds=seeds), None)
    _add_baselines(figures, cycles, split, MIT_END)
    for name, value in CPMLP.items():
        figures.add(f"BatteryLife's CPMLP, another pool of cells: {name}", value, "")


def _add_inference(figures: Figures, n_cells: int = 2800) -> None:
    predictor = LifePredictor()
    predictor.load()
    cycles = load_known_cycles(str(measured_data() / "xjtu_cycles"))
    for history in (False, True):
        some = describe_cells(cycles.cells[:8], history=history)
        rows = np.arange(n_cells) % some.cycle.size
        inputs = LifeInputs(
            values=some.values[rows],
            cycle=some.cycle[rows],
            cell=some.cell[rows],
            duty=some.duty[rows],
            history=history,
        )
        taken = []
        for _ in range(20):
            begun = time.perf_counter()
            predictor.assess(inputs)
            taken.append(time.perf_counter() - begun)
        figures.add(f"{NAMES[history]}: {n_cells} cells, median", 1e3 * float(np.median(taken)), "ms", target=10.0)


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__, pictures=True)
    parser.add_argument("--quick", action="store_true", help="one seed, networks of a hundred steps")
    parser.add_argument("--networks", action="store_true", help="train and score the networks as well")
    parser.add_argument("--mit", action="store_true", help="score the cells of MIT as well")
    options = parser.parse_args(arguments)
    return hand_over(run(options), options.json)


if __name__ == "__main__":
    raise SystemExit(main())
