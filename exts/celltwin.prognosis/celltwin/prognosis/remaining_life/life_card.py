"""The model card of a remaining-life model: data, protocol, figures and limits, from what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..cycles import CycleSet
from ..model_card import SOURCES
from ..splits import Split
from .end_of_life import MEDIAN_WINDOW
from .life_runs import cross_validated
from .life_scores import LifeFigures, score_lives

if TYPE_CHECKING:
    from .life_folder import LifeModel
    from .life_training import LifeEnsemble, LifeSettings

__all__ = ["write_life_card"]

VARIANT_NAMES = {False: "from charging features", True: "with measured SOH"}


def write_life_card(
    model: LifeModel,
    ensembles: dict[bool, LifeEnsemble],
    cycles: CycleSet,
    split: Split,
    figures: dict[bool, dict[int, LifeFigures]],
    *,
    data_name: str,
) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    model : LifeModel
        The model.
    ensembles : dict of bool to LifeEnsemble
        Its ensembles, by whether the measured SOH is an input.
    cycles, split : CycleSet, Split
        What they were trained on.
    figures : dict of bool to dict of int to LifeFigures
        Figures on the test cells, by variant and seed; that of the ensemble comes first.
    data_name : str
        Name of the data set.
    """
    first = ensembles[False]
    settings = first.settings
    rows = []
    for history, by_seed in figures.items():
        own = by_seed[ensembles[history].seed]
        errors = [value.mae for value in by_seed.values()]
        rows.append(
            f"| {VARIANT_NAMES[history]} | {own.mae:.1f} ({own.mae_low:.0f} to {own.mae_high:.0f}) | "
            f"{np.mean(errors):.1f} ± {np.std(errors):.1f} over {len(errors)} seeds | {own.mae_cells:.1f} | "
            f"{100.0 * own.coverage:.0f} % | {own.width:.0f} | {100.0 * own.flagged:.0f} % |"
        )
    left_out = [
        f"{VARIANT_NAMES[history]} {score_lives(cross_validated(ensemble)).mae:.1f}"
        for history, ensemble in ensembles.items()
    ]
    some = next(iter(figures[False].values()))
    duties = ", ".join(
        f"{duty} {life:.0f}" for duty, life in zip(first.knowledge.duties, first.knowledge.lives, strict=False)
    )
    return f"""# {model.name}: remaining life of a cell from its charge curves

**What it says.** The distribution of the cycles that a cell has left until its SOH falls to {settings.end_of_life:g},
and to {settings.all_levels.size - 1} other levels from {settings.all_levels[0]:g} to {settings.all_levels[-1]:g}:
together the way that the SOH will take, with its band. Beside it, by how much the time that the current takes to decay
while the voltage is held will have grown on arrival at each level: a proxy of resistance, not a resistance.

**End of life.** The first cycle at which the running median of the newest {MEDIAN_WINDOW} SOH values is below
{settings.end_of_life:g} of nominal capacity ({model.nominal_capacity:g} A.h) after it has been at or above.

**Data.** `{data_name}` (SHA-256 `{cycles.digest[:16]}…`), {len(split.training)} training and {len(split.test)} test
cells, {model.chemistry}.{SOURCES.get(cycles.digest, "")}

**Inputs.** Of the newest 100 charges: newest value, median of ten, its change since the first 10, slopes over 20 and 60
cycles of 14 charging features; the protocol, and the age in typical lives of it ({duties} cycles). `history.onnx` also
takes the SOH that was measured so far. Nothing of a cell's future, and no scaling over a cell's life.

{_describe_fit(settings, split)}

## Figures on the test cells

{some.cells} of {some.cells + some.censored_cells} test cells reach the end of life; {some.censored_cells} not, in
no error. Error: mean over every cycle before the end of life of every such cell, from the first cycle on.

| Variant | MAE [cycles] (90 % over cells) | all seeds | mean of cells | in 90 % interval | its width | flagged |
|---|---|---|---|---|---|---|
{chr(10).join(rows)}

On the training cells, each by a fit without it: {", ".join(left_out)} cycles.

## Limits

* What a cell's first ten charges tell of its life rests on {len(split.training)} cells, few of each protocol. A cell
  that is seen from later on is judged as if the first charges that were seen had been its first.
* Trained on one cell type at room temperature. Where the protocol is not one of the training cells', pass an unknown
  name: the interval is then twice as wide, and the answer is flagged.
* From R3 on, capacities of the data set are interpolated between capacity tests, so that a "measured SOH" there knows
  a little of the next test. `./repo.sh bench rul` also gives the error with SOH that comes ten cycles late.
* No answer is given beyond the lowest level; what was not seen to happen is not extrapolated.

## Format

`model.json` (format 1): scaling, territory, typical lives, calibration, hashes. `features.onnx`, `history.onnx`: input
`inputs` (n, n_inputs) float32, output `arrival` (3, n, n_levels): median and scale of the arrival in typical lives,
resistance proxy. `LifePredictor` reads both with numpy and ONNX Runtime alone. No measured data are in this folder.
"""


def _describe_fit(settings: LifeSettings, split: Split) -> str:
    if settings.kind == "network":
        network = settings.network
        return f"""**Networks.** {len(split.folds)} folds of training cells x {settings.members} members,
{network.layers} hidden layers of {network.width}, one PhysicsNeMo module; logistic distribution, maximum likelihood
with censoring; calibrated on cells that a member has not seen (conformal, every cell weighs the same)."""
    kernel = settings.kernel
    return f"""**Regression.** The mean of a Gaussian process on {kernel.centres} centres, drawn at random: likeness of
the first ten charges ({", ".join(kernel.first_features)}) and of what has changed since, each with protocol and age.
With measured SOH a second one, of SOH, its fall, protocol and age, takes over between {kernel.late.near:g} and
{kernel.late.nearest:g} above the end of life. Arrivals that were not seen are expected from those of other cells
(Buckley and James). Calibrated on each training cell by a fit without it (conformal, every cell weighs the same)."""
