"""The picture of the risk bench: said against seen, and one run's risk over time for each cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from celltwin.prognosis.runaway_risk.library_replay import ReplayedRun
from celltwin.prognosis.runaway_risk.risk_evaluation import ALARM_HORIZON, THRESHOLD, risk_score
from celltwin.prognosis.runaway_risk.risk_scores import reliability
from celltwin.prognosis.runaway_risk.rollout_campaign import HORIZONS

__all__ = ["draw_risk"]

COLOURS = ("#4477aa", "#228833", "#aa3377")
SMALLEST = 1e-6


def draw_risk(path: Path, runs: tuple[ReplayedRun, ...]) -> None:
    """Draw both panels from replayed test runs."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11.0, 4.2), layout="constrained")
    left.plot([SMALLEST, 1.0], [SMALLEST, 1.0], color="0.6", linewidth=0.8)
    for column, (horizon, colour) in enumerate(zip(HORIZONS, COLOURS, strict=True)):
        found = reliability(runs, column, risk_score(column))
        full = found.count > 0
        said, seen = np.maximum(found.said[full], SMALLEST), np.maximum(found.seen[full], SMALLEST)
        left.plot(said, seen, color=colour, linewidth=0.8, alpha=0.6)
        left.scatter(
            said, seen, s=10.0 + 6.0 * found.runs[full], color=colour, alpha=0.8, label=f"{horizon / 60.0:.0f} min"
        )
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_xlabel("risk that was said [1]")
    left.set_ylabel("share that ran away [1]")
    left.set_title(f"{len(runs)} test runs; area of a dot: runs in it; at the bottom: none ran away", fontsize=9)
    left.legend(frameon=False)
    run = _choose(runs)
    minutes = run.time / 60.0
    risk = np.maximum(run.probability[:, :, ALARM_HORIZON], SMALLEST * 1e-2)
    order = np.argsort(np.nanmax(risk, axis=0))
    for cell in order:
        chosen = np.isfinite(run.onset[cell])
        right.plot(minutes, risk[:, cell], color="#aa3377" if chosen else "0.75", linewidth=1.8 if chosen else 0.7)
    right.plot([], [], color="#aa3377", label="cells that run away")
    right.plot([], [], color="0.75", label="all others of the 35")
    right.axhline(THRESHOLD, color="#ccbb44", linestyle="--", linewidth=1.0, label=f"alarm, {100 * THRESHOLD:.0f} %")
    right.axvline(run.begins / 60.0, color="#4477aa", linewidth=1.0, label="the fault begins")
    right.axvline(np.nanmin(run.onset) / 60.0, color="#ee6677", linewidth=1.0, label="the first cell runs away")
    right.set_yscale("log")
    right.set_xlabel("time [min]")
    right.set_ylabel("risk of each cell within 30 min [1]")
    right.set_title(f"{run.name}: {run.kind}", fontsize=9)
    right.legend(frameon=False, fontsize=8, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _choose(runs: tuple[ReplayedRun, ...]) -> ReplayedRun:
    """Return the shorted run whose runaway takes longest: the one that shows most."""
    shorted = [run for run in runs if run.faulty >= 0 and np.isfinite(run.onset).any()]
    burnt = shorted or [run for run in runs if np.isfinite(run.onset).any()]
    return max(burnt or list(runs), key=lambda run: np.nan_to_num(np.nanmin(run.onset) - run.begins))
