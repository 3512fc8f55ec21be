"""Bench of many cells: a population recovered, a running pack's groups recalibrated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from celltwin.core import load_pack
from celltwin.physics.calibration.cell_population import CellEvidence, fit_population
from celltwin.physics.calibration.online_recalibration import recalibrate_pack
from celltwin.physics.calibration.online_recalibration_window import window_of_curves
from celltwin.physics.measurements import capacity_spread, list_cells, read_capacities, read_measured_set
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.places import PACKS, measured_data

__all__ = ["recalibrate_leaf", "recover_population", "run"]

CELLS, POPULATIONS = 200, 20
PACK = PACKS / "leaf_3_modules.toml"


def recover_population(figures: Figures, data: Path) -> None:
    """Recover widths and correlation of made-up cells through their noise, and the spread of fresh XJTU cells."""
    widths, noise = np.array([0.012, 0.05, 0.12]), np.array([0.01, 0.03, 0.15])
    correlation = np.array([[1.0, -0.7, 0.0], [-0.7, 1.0, 0.2], [0.0, 0.2, 1.0]])
    names = ("capacity", "resistance", "diffusivity")
    found, raw, departures, seconds = [], [], [], []
    for seed in range(POPULATIONS):
        random = np.random.default_rng(seed)
        truth = random.multivariate_normal(np.zeros(3), correlation * widths * widths[:, np.newaxis], CELLS)
        seen = truth + noise * random.standard_normal(truth.shape)
        evidence = [CellEvidence.of(f"C{at}", names, row, np.diag(noise**2)) for at, row in enumerate(seen)]
        begun = time.perf_counter()
        population = fit_population(evidence)
        seconds.append(time.perf_counter() - begun)
        found.append(population.deviations)
        raw.append(np.std(seen, axis=0, ddof=1))
        departures.append((population.deviations - widths) / population.deviation_uncertainties)
    figures.add(f"a population of {CELLS} cells", float(np.median(seconds)), "s")
    for at, name in enumerate(names):
        figures.add(f"spread of {name}: true", widths[at], "")
        figures.add(f"spread of {name}: found, mean of {POPULATIONS} populations", np.mean(found, axis=0)[at], "")
        figures.add(f"spread of {name}: of the cells' own estimates", np.mean(raw, axis=0)[at], "")
        root = np.sqrt(np.mean(np.square(departures), axis=0))[at]
        figures.add(f"spread of {name}: error over stated uncertainty, root mean square", root, "")
    cells = read_capacities(data / "xjtu_cycles")
    for group in sorted({cell.group for cell in cells}):
        spread = capacity_spread([cell for cell in cells if cell.group == group])
        figures.add(f"capacity of fresh XJTU cells, {group}", spread.deviation, f"± {spread.deviation_uncertainty:.2g}")


def recalibrate_leaf(figures: Figures, data: Path) -> None:
    """Recalibrate the six groups of the Leaf modules from 0.3C, then from 1C, warm-started."""
    folder = data / "leaf_modules"
    cells = list_cells(folder)
    recalibration = recalibrate_pack(load_pack(PACK))
    recalibration.lanes.open_circuit(298.15)  # compiles what is the same for every window
    for name in ("0.3C", "1C"):
        curves = [read_measured_set(folder, cell=cell).curve(name) for cell in cells]
        result = recalibration.update(window_of_curves(curves, recalibration.state.group_ids))
        weak = result.weak_groups()
        for group, cell in enumerate(cells):
            doubt = result.candidate_deviations[group]
            figures.add(f"Leaf {name} {cell}: capacity", float(np.exp(result.candidate[group, 0])), f"± {doubt[0]:.2g}")
            figures.add(
                f"Leaf {name} {cell}: resistance", float(np.exp(result.candidate[group, 1])), f"± {doubt[1]:.2g}"
            )
            figures.add(f"Leaf {name} {cell}: left by the fit", 1e3 * result.misfit[group], "mV")
            figures.add(f"Leaf {name} {cell}: held back, before", 1e3 * result.error_before[group], "mV")
            figures.add(f"Leaf {name} {cell}: held back, after", 1e3 * result.error_after[group], "mV")
            figures.add(f"Leaf {name} {cell}: promoted", float(result.promoted[group]), "")
            figures.add(f"Leaf {name} {cell}: named weak", float(result.state.group_ids[group] in weak), "")
        figures.add(f"Leaf {name}: six groups", result.seconds, "s")
        figures.add(f"Leaf {name}: speed", result.cell_steps / result.seconds, "cell-steps/s")


PARTS = {"population": recover_population, "leaf": recalibrate_leaf}


def run(data: Path, parts: Sequence[str] = tuple(PARTS)) -> Figures:
    """Take the figures of some parts.

    Parameters
    ----------
    data : Path
        Folder of the measured sets.
    parts : sequence of str
        Which of ``PARTS``.
    """
    figures = Figures("calibrate-cells")
    for name in parts:
        PARTS[name](figures, data)
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command: print its table, and write its JSON where ``--json FILE`` asks for it."""
    parser = bench_parser(__doc__)
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=list(PARTS), help="what is measured")
    options = parser.parse_args(arguments)
    return hand_over(run(measured_data(), options.parts), options.json)


if __name__ == "__main__":
    raise SystemExit(main())
