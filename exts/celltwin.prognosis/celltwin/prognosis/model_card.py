"""The model card: data, protocol, figures and limits, written from what was measured."""

from __future__ import annotations

from statistics import fmean

from .cycles import CycleSet
from .evaluation import ProtocolFigures
from .model_folder import SohModel
from .soh_training import SohEnsemble
from .splits import Split

__all__ = ["write_card"]

# What is true of one data set only, by its digest: its source, how the settings were chosen on it, its cells.
XJTU_DIGEST = "247c7f24dcac670487c79356fe7df3f535c1a2e0c239018f0fc7f30f7ae1b37f"
SOURCES = {
    XJTU_DIGEST: """ F. Wang, Z. Zhai, Z. Zhao, Y. Di, X. Chen,
"Physics-informed neural network for lithium-ion battery degradation stable modeling and prognosis", Nature
Communications 15, 4332 (2024), repository wang-fujin/PINN4SOH. No content of the data set is in this folder."""
}
CHOICES = {
    XJTU_DIGEST: """\
* The default inputs and settings were chosen by this cross-validation over training cells, with single networks of
  the same shape in plain torch: 8 sets of inputs at one setting, then 9 settings (seed, input noise, dropout, width,
  epochs, weight decay, monotone residual) and 3 smaller sets of inputs. Differences below 0.03 % are within the
  scatter of seeds; the smallest set within that scatter was taken. The entropies are left out because they depend on
  the logger's clock; slopes, skewness and kurtosis because they gained nothing.
* Monotone residual (SOH must not rise with the time the tail takes, by automatic differentiation): 1.266 % against
  1.265 % without, five folds, 12 inputs. It neither helped nor hurt, so it is off; `--monotonic-weight` turns it on.
"""
}
CELLS = {XJTU_DIGEST: " 18650, charged at 1C to 3C at room temperature,"}


def write_card(
    model: SohModel,
    ensemble: SohEnsemble,
    cycles: CycleSet,
    split: Split,
    figures: dict[int, dict[str, ProtocolFigures]],
    *,
    data_name: str,
    versions: dict[str, str],
) -> str:
    """Return the card of a model as Markdown."""
    settings, network = ensemble.settings, ensemble.settings.network
    by_protocol = figures[ensemble.seed]
    rows = [
        f"| {protocol} | {value.cells} | {value.cycles} | {ensemble.validation_error.get(protocol, float('nan')):.2f} "
        f"| {value.mape:.2f} | {100 * value.rmse:.2f} | {100 * value.coverage:.0f} % | {100 * value.width:.1f} "
        f"| {100 * value.flagged:.1f} % |"
        for protocol, value in by_protocol.items()
    ]
    mean_row = (
        f"| mean of protocols | {sum(v.cells for v in by_protocol.values())} "
        f"| {sum(v.cycles for v in by_protocol.values())} | {fmean(ensemble.validation_error.values()):.2f} "
        f"| {fmean(v.mape for v in by_protocol.values()):.2f} "
        f"| {100 * fmean(v.rmse for v in by_protocol.values()):.2f} "
        f"| {100 * fmean(v.coverage for v in by_protocol.values()):.0f} % "
        f"| {100 * fmean(v.width for v in by_protocol.values()):.1f} "
        f"| {100 * fmean(v.flagged for v in by_protocol.values()):.1f} % |"
    )
    seeds = ", ".join(
        f"seed {seed}: {fmean(value.mape for value in of_seed.values()):.2f} %" for seed, of_seed in figures.items()
    )
    physics = (
        f"with the monotone residual at weight {network.monotonic_weight:g}"
        if network.monotonic_weight
        else "without a physics residual"
    )
    return f"""# {model.name}

State of health (capacity over nominal {model.nominal_capacity:g} A.h) of a lithium-ion cell from **one** charge:
{len(model.inputs)} features of its constant-current window (4.000 to 4.195 V) and of its constant-voltage tail
(0.5 to 0.1 A). Neither cycle number, nor earlier charges, nor the cell's first capacity are needed, since a running
pack does not know them. An ensemble of {len(ensemble.networks)} `physicsnemo.models.mlp.FullyConnected` networks
({network.layers} x {network.width}, SiLU), {physics}, exported to ONNX with the scaling inside.

Network SHA-256 `{model.network_digest}`

## Data

{data_name}: {len(cycles.cells)} cells, {sum(cell.soh.size for cell in cycles.cells)} cycles, protocols
{", ".join(cycles.protocols)}; chemistry {model.chemistry}.{SOURCES.get(cycles.digest, "")}
SHA-256 of the files `{cycles.digest}`

## Protocol

* Split by cell, as published: test cells have a 4 or an 8 in their number ({len(split.test)} cells). Nothing is
  fitted to them: no scale, no threshold, no choice. Their outliers stay. They were scored once this configuration
  was chosen.
* Scaling, stand-ins for values that are not finite, out-of-distribution statistics and intervals come from training
  cells only; scales from all of them, validated folds included. One model serves all protocols. A prediction uses
  one cycle, so no future can leak into it.
* The training cells are dealt into {settings.folds} folds; {settings.members} networks for each fold are trained on
  the other folds, for a fixed {network.epochs} epochs. The fold's cells, unseen by these networks, give the
  validation figures and calibrate the intervals: conformal quantiles in which every cell weighs the same.
{CHOICES.get(cycles.digest, "")}* Seed {ensemble.seed}; inputs: {", ".join(model.inputs)}.

## Figures

SOH in percent; MAPE is of SOH. Validation: cells that a network has not seen, same seed. Test: the held-out cells.

| Protocol | cells | cycles | validation MAPE | **test MAPE** | test RMSE | in 90 % interval | its width | flagged |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}
{mean_row}

Mean test MAPE by seed: {seeds}.

These are not comparable with figures that scale a test cell over its whole life or drop its outliers (the published
protocol), nor with models that see the past cycles of the cell; those do better where a past is known.

## Uncertainty and trust

Scale = sqrt({model.floor:.4f}^2 + spread^2); one standard uncertainty = {model.standard_quantile:.3f} x scale, 90 %
interval = +- {model.wide_quantile:.3f} x scale. The distance to the training data is the Mahalanobis distance to the
nearest protocol; past {model.threshold:.2f} (95 % of the cycles of an unseen cell stay below) the prediction is marked
suspect and its scale grows in proportion to the distance. That growth is a rule, not calibrated.

## Limits

* Cells of {model.chemistry}, {model.nominal_capacity:g} A.h,{CELLS.get(cycles.digest, "")} SOH between
  {model.lowest:.2f} and {model.highest:.2f}. Other chemistries get no prediction; other capacities are scaled
  and marked suspect.
* Between-cell variation is the limit: cells of one protocol at equal health differ in their charge curves.
* In a parallel group the cells share the tail current by their resistance and charge, and in a series string only
  the fullest group is held at the charge voltage; single cells of the training data know neither. Features of such
  charges are marked where the voltage was not held, but a shift within the training range goes unseen.
* The intervals are those of charges logged every second. A pack that samples every ten seconds with noise adds
  error that they do not contain: `./repo.sh bench inference` measures it on rebuilt charges of training cells.
* In a simulated pack the features inherit the errors of the cell model: a distance past the threshold says so.

Made with {", ".join(f"{name} {number}" for name, number in versions.items())}.
"""
