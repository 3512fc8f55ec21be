"""Diffusion that the stress within particles drives, folded into the diffusivity of a cell model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from celltwin.core import Array

from .ageing import AgeingModel, LossModel
from .cell_model import CellModel, ElectrodeModel
from .cell_model_cache import hash_cell_model
from .property_fit import build_cubic_table, evaluate_cubic_table

__all__ = ["couple_diffusion"]

_LEAST = 0.05  # of the diffusivity that stress may leave
_INTERVALS = 32  # of the table, where the cell's diffusivity depends on stoichiometry already


def couple_diffusion(cell: CellModel, ageing: AgeingModel) -> CellModel:
    r"""Return a cell whose particles conduct lithium as the stress of the ageing model makes them.

    .. math::
        D' = D\,\Big(1 + \frac{\Omega}{R T}\,\frac{2\,\Omega E}{9\,(1 - \nu)}\,(c - c_0)\Big)

    The factor's :math:`1/T` becomes part of the diffusivity's law of temperature, exactly at half the maximum
    concentration.

    Parameters
    ----------
    cell : CellModel
        The cell type.
    ageing : AgeingModel
        With the elastic constants of stress-driven loss; without, or with ``stress_diffusion`` off, the cell is
        returned as it is.

    References
    ----------
    .. [1] W. Ai et al., J. Electrochem. Soc. 167 (2020) 013512, equation 12.
    """
    if not ageing.stress_diffusion:
        return cell
    reference = cell.reference_temperature
    negative = _stressed(cell.negative, ageing.loss_negative, reference)
    positive = _stressed(cell.positive, ageing.loss_positive, reference)
    if negative is cell.negative and positive is cell.positive:
        return cell
    coupled = replace(
        cell,
        negative=negative,
        positive=positive,
        provenance={**cell.provenance, "stress-driven diffusion": f"elastic constants of {ageing.name}"},
    )
    return replace(coupled, hash=hash_cell_model(coupled))


def _stressed(electrode: ElectrodeModel, loss: LossModel, reference: float) -> ElectrodeModel:
    if loss.stress_rate == 0.0 or loss.diffusion_coefficient == 0.0:
        return electrode
    gain = loss.diffusion_coefficient * electrode.maximum_concentration / reference
    offset = loss.diffusion_coefficient * loss.unstressed_concentration / reference

    def diffusivity(s: Array) -> Array:
        return evaluate_cubic_table(electrode.diffusivity, s) * np.maximum(1.0 + gain * s - offset, _LEAST)

    intervals = 1 if electrode.constant_diffusivity and min(1.0 - offset, 1.0 + gain - offset) >= _LEAST else _INTERVALS
    table = build_cubic_table(diffusivity, max(intervals, electrode.diffusivity.shape[0]))
    half = 1.0 + 0.5 * gain - offset
    slope = (half - 1.0) / max(half, _LEAST) * reference / 1000.0  # of the factor with theta, times -1
    warmth = np.array(electrode.diffusivity_temperature) - np.array([slope, slope**2 / 2.0, slope**3 / 3.0])
    return replace(electrode, diffusivity=table, diffusivity_temperature=warmth, constant_diffusivity=False)
