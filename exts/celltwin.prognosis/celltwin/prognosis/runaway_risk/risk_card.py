"""The model card of the runaway risk, written from what was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from celltwin.core import Array, ModelError

from ..exported_models import CARD_FILE
from .library_cases import FAMILIES
from .library_runs import LibraryRun
from .risk_calibration import LibrarySplit
from .risk_evaluation import THRESHOLD, Evaluation
from .risk_folder import StoredRisk
from .rollout_campaign import HORIZONS

__all__ = ["write_card"]


def write_card(
    folder: Path,
    model: StoredRisk,
    surrogate: dict[str, float],
    runs: tuple[LibraryRun, ...],
    split: LibrarySplit,
    evaluation: Evaluation,
    versions: dict[str, str],
) -> None:
    """Write the card of a model as Markdown into its folder.

    Raises
    ------
    ModelError
        If it cannot be written.
    """
    families = {name: sum(run.case.family == name for run in runs) for name in FAMILIES}
    burnt = {
        name: sum(bool(np.isfinite(run.onset).any()) for run in runs if run.case.family == name) for name in FAMILIES
    }
    table = "\n".join(f"| {name} | {count} | {burnt[name]} |" for name, count in families.items())
    rows = "\n".join(
        f"| {horizon / 60:.0f} min | {f.predictions} | {f.events} | **{f.brier:.5f}** ({f.brier_range[0]:.5f} to "
        f"{f.brier_range[1]:.5f}) | {f.brier_base:.5f} | **{f.log:.4f}** | {f.log_base:.4f} | **{f.area:.4f}** "
        f"({f.area_range[0]:.4f} to {f.area_range[1]:.4f}) | {f.area_temperature:.4f} |"
        for horizon, f in zip(HORIZONS, evaluation.horizons, strict=True)
    )
    figures = "\n".join(f"| {name} | {value:.4f} |" for name, value in surrogate.items())
    lines = ", ".join(
        f"{horizon / 60:.0f} min: {a:+.2f}, {b:.2f}"
        for horizon, a, b in zip(HORIZONS, model.recalibration.offset, model.recalibration.slope, strict=True)
    )
    alarm, thermometer = evaluation.alarm, evaluation.thermometer
    lead = _median(alarm.lead)
    text = f"""# {model.name}: risk of thermal runaway of a cell

Probability that a cell runs away within 10 min, 30 min and 2 h: its reactions warm it by 1 K/s, or its vent opens
(226 °C). For cells of {model.chemistry}, {model.constants.capacity:g} A.h, abuse model `{model.constants.name}`.
`docs/prognosis.md` says how it works.

**Every number is conditional.** Reactions and shorts are those of a simulated library, never compared with a cell that
burnt; how often cells fail before anything is known is in `priors.toml`, which is meant to be edited.

## Made of

* A surrogate (PhysicsNeMo, fully connected, ensemble) of the local abuse model, exported as `risk.onnx`. It learned
  from seeded roll-outs alone; it has seen no run of the library.
* Bayes' rule with the priors of `priors.toml`.
* Straight lines through log-odds (offset, slope), fitted to {len(split.calibration)} calibration runs: {lines}.

The surrogate on roll-outs that it has not seen; these are drawn where the outcome is in doubt:

| | |
|---|---|
{figures}

## Library

{len(runs)} runs of one module of 35 cells in the pack engine, in the order drawn: the first
{len(split.calibration)} calibrate and were looked at while the model was built, the other {len(split.test)} only
score. Shares and ranges are suppositions (`library_cases.py`).

| Family | runs | with a runaway |
|---|---|---|
{table}

## Figures on the {evaluation.runs} test runs, {evaluation.runs_with_event} of them with a runaway

With the priors of the library, as counted over the calibration runs. Every run weighs the same; brackets: 90 %, runs
drawn anew. Base: the base rate of the calibration runs, said of every cell. Temperature: the cell's own, as a score.

| Horizon | predictions | with event | Brier | base | log score | base | ROC area | of the temperature |
|---|---|---|---|---|---|---|---|---|
{rows}

An alarm at a risk of {100 * THRESHOLD:.0f} % of any cell within 30 min: {100 * alarm.caught:.0f} % of the runs with a
runaway had it before, by {lead:.1f} min in the median; {alarm.false_alarms:.3f} false alarms an hour in
{alarm.hours:.0f} h of runs in which no cell is shorted; it rang in {100 * alarm.fault_alarms:.0f} % of the runs with a
short that did not run away. A thermometer that rings no more often (limit {thermometer.threshold - 273.15:.0f} °C):
{100 * thermometer.caught:.0f} %, {_median(thermometer.lead):.1f} min.

## Limits

* Shorts grow in proportion to time and then stay, as in the library; real ones jump, heal and burn away. A hard short
  that begins within seconds has a lead of minutes at most: its risk before is the prior's.
* One cell of one temperature among a shell of its neighbours. Pouch cells and other chemistries are outside; the
  predictor refuses other chemistries.
* A burnt neighbour counts as 377 °C. Flames, ejecta and gas are not modelled, here or in the engine.
* The heat balance is struck against the median of the module: a fault of all its cells alike shows in their
  temperatures and as heat from outside, not as shorts.
* Currents are those through the cells, as the simulated plant sends them; a sensor at the tab of a real cell sees the
  short's current missing. Both are read as a leak; only the first has been tried.

Made with {", ".join(f"{name} {number}" for name, number in versions.items())}.
"""
    try:
        (folder / CARD_FILE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"the card cannot be written ({error})", where=str(folder), remedy="Check the folder"
        ) from None


def _median(lead: Array) -> float:
    usable = lead[np.isfinite(lead)]
    return float(np.median(usable) / 60.0) if usable.size else float("nan")
