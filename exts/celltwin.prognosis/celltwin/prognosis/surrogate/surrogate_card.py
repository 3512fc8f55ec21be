"""The model card of a surrogate."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev

from celltwin.core import ZERO_CELSIUS

from ..exported_models import CARD_FILE
from .campaign import CampaignSettings
from .dfn_reference import MESH
from .profiles import HELD_OUT_KINDS, TRAINING_KINDS
from .surrogate_evaluation import QUANTITIES, RunErrors
from .surrogate_folder import SurrogateModel
from .surrogate_network import SurrogateSettings

__all__ = ["DISPLAY", "write_card"]

# Factor and unit in which people read errors.
DISPLAY = {
    "voltage": (1e3, "mV"),
    "temperature": (1.0, "K"),
    "anode_potential": (1e3, "mV"),
    "negative_surface": (1e3, "1e-3"),
    "positive_surface": (1e3, "1e-3"),
}


def write_card(
    folder: Path,
    model: SurrogateModel,
    simulated: CampaignSettings,
    settings: SurrogateSettings,
    validation: dict[int, RunErrors],
    held_out: dict[int, RunErrors],
    chosen: int,
) -> None:
    """Write the card into the model's folder.

    Parameters
    ----------
    folder : Path
        The model's.
    model : SurrogateModel
        What was written.
    simulated, settings : CampaignSettings, SurrogateSettings
        How it was made.
    validation, held_out : dict of int to RunErrors
        Errors by seed.
    chosen : int
        Seed that was exported.
    """
    from importlib.metadata import version

    errors = held_out[chosen]
    rows = [_row("validation", validation[chosen], ""), *(_row(kind, errors, kind) for kind in HELD_OUT_KINDS)]
    rows.append(_row("**all held out**", errors, ""))
    seeds = "; ".join(
        f"seed {seed}: {1e3 * value.rmse('voltage'):.2f} mV, {value.rmse('temperature'):.3f} K"
        for seed, value in held_out.items()
    )
    spread = [1e3 * value.rmse("voltage") for value in held_out.values()]
    scatter = f" (mean {fmean(spread):.2f}, standard deviation {stdev(spread):.2f} mV)" if len(spread) > 1 else ""
    ranges = "\n".join(
        f"| {name.replace('_', ' ')} | {_range(name, low)} | {_range(name, high)} |"
        for name, (low, high) in model.ranges.items()
    )
    residual = (
        f"weight {settings.diffusion_weight:g}" if settings.diffusion_weight else "not used: it did not help validation"
    )
    names = ("nvidia-physicsnemo", "torch", "pybamm", "numpy")
    text = f"""# {model.name}

A surrogate of the DFN with one temperature (PyBaMM) for the cell `{model.cell}` (parameters `{model.parameters_hash}`):
voltage, temperature, surface stoichiometries of both electrodes, lowest anode potential and heat, for any current. It
steps any number of cells at once and is differentiable (torch).

SHA-256 of its numbers `{model.numbers_digest}`

## How it works

Exact: charge counted into both mean stoichiometries; electrode area, series resistance, cooling and the lumped heat
balance; open-circuit potentials, Butler-Volmer overpotentials and entropic heat of the set. Linear and exact in time:
4 modes and a last pole of the negative particle, 2 and a pole of the positive, 1 of the electrolyte, with the
diffusivity of the mean stoichiometry at the cell's temperature. Learned: corrections of the first three modes of the
negative particle, of the positive surface, of voltage and anode potential by one
`physicsnemo.models.mlp.FullyConnected` ({settings.layers} x {settings.width}, SiLU), multiplied by the current and
by the departures from rest, so that a cell at rest is at its open-circuit voltage exactly. Residual of nonlinear
diffusion by automatic differentiation: {residual}.

## Data

{simulated.training} simulations to train, {simulated.validation} to choose by ({", ".join(TRAINING_KINDS)}), and
{simulated.held_out} held out of other kinds ({", ".join(HELD_OUT_KINDS)}), seed {simulated.seed}, at 10 s; PyBaMM's
IDAKLU, mesh {", ".join(f"{name} {count}" for name, count in MESH.items())}. States are stepped under the DFN's
temperatures in training and under the surrogate's own in every score. Held-out profiles were scored once the
configuration was chosen on validation profiles.

| Input | from | to |
|---|---|---|
{ranges}
| state of charge at the start | 0.03 | 1 |
| rate | 2.5C charge | 3C discharge, less in the cold |

## Figures

Root mean square errors over the rows between the voltage limits, whole courses, 95 % intervals over profiles.

| Profiles | runs | voltage [mV] | temperature [K] | anode [mV] | neg. surface [1e-3] | pos. [1e-3] | flagged |
|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

By seed, held out: {seeds}{scatter}. Exported: seed {chosen}, the best on validation profiles.

## Limits

* It is as right as the DFN and the parameter set behind it, whose own limits stand in `data/parameters`. No ageing,
  no plating reaction, no hysteresis; the anode potential is a criterion, not an amount of plated lithium.
* Errors are largest in the last percent of a discharge and in the cold, where the negative surface empties.
* Steps up to 10 s. Within a step the current is its mean: pulses shorter than 10 s are smoothed.
* Outside the box of its training inputs, or of the table above, it says so and gives no number. The box is of single
  inputs: a combination within it that the training never saw goes unnoticed.
* Lithium inventory and loss of active material are no inputs; a capacity factor scales both electrodes.

Made with {", ".join(f"{name} {version(name)}" for name in names)}.
"""
    (folder / CARD_FILE).write_text(text, encoding="utf-8")


def _row(label: str, errors: RunErrors, kind: str) -> str:
    chosen = errors.of_kind(kind)
    cells = []
    for name in QUANTITIES:
        factor = DISPLAY[name][0]
        low, high = errors.interval(name, kind)
        cells.append(f"{factor * errors.rmse(name, kind):.3g} ({factor * low:.3g} to {factor * high:.3g})")
    flagged = 100.0 * float((errors.flagged[chosen] * errors.rows[chosen]).sum() / errors.rows[chosen].sum())
    return f"| {label.replace('_', ' ')} | {chosen.size} | {' | '.join(cells)} | {flagged:.1f} % |"


def _range(name: str, value: float) -> str:
    if name == "ambient":
        return f"{value - ZERO_CELSIUS:.0f} °C"
    return f"{value:g} W/K" if name == "conductance" else f"{value:g}"
