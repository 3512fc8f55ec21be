"""From a pack's declaration to an engine that simulates it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from celltwin.core import PackSpec, SettingsError

from ..varied_pack import FIDELITIES
from .cell_model import CellModel, EquivalentCircuitModel
from .cell_model_builder import build_cell_model
from .engine_options import CellPopulation, EngineOptions
from .equivalent_circuit import build_equivalent_circuit
from .heat_paths import thermal_model
from .network_builder import build_network
from .pack_engine import PackEngine

__all__ = ["build_pack_engine", "model_cell"]


def model_cell(
    spec: PackSpec, fidelity: str = "SPMe", *, contact_resistance: float | None = None
) -> CellModel | EquivalentCircuitModel:
    """Return the model of a pack's cell, with the heat of the pack's declaration.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    fidelity : {"SPMe", "ECM"}
        Single-particle model with electrolyte, or an equivalent circuit fitted to pulses of it.
    contact_resistance : float, optional
        Ohmic resistance beside electrodes and electrolyte [ohm]; that of the parameter set where absent.

    Raises
    ------
    SettingsError
        If the fidelity is unknown.
    ModelError
        If the cell's parameters are unknown or not physical.
    """
    if fidelity not in FIDELITIES:
        raise SettingsError(f"fidelity = {fidelity!r} is unknown", remedy=f"Use {' or '.join(FIDELITIES)}")
    model = replace(build_cell_model(spec.cell.parameter_set), thermal=thermal_model(spec))
    if contact_resistance is not None:
        model = replace(model, contact_resistance=contact_resistance)
    return model if fidelity == "SPMe" else build_equivalent_circuit(model)


def build_pack_engine(
    spec: PackSpec,
    *,
    cells: CellPopulation | None = None,
    options: EngineOptions | None = None,
    fidelity: str = "SPMe",
    copies: int = 1,
    device: str | None = None,
) -> PackEngine:
    """Return an engine for a declared pack.

    Parameters
    ----------
    spec : PackSpec
        The pack; its cell's mass, heat capacity and conductivity replace those of the parameter set.
    cells : CellPopulation, optional
        How the cells differ; arrays are of one pack and repeated for each copy.
    options : EngineOptions, optional
        Numerics and further physics.
    fidelity : {"SPMe", "ECM"}
        Model of the cells; the second is an equivalent circuit fitted to pulses of the first.
    copies : int
        Such packs side by side, each by itself.
    device : str, optional
        Warp's name of the device.

    Raises
    ------
    SettingsError
        If the fidelity is unknown.
    ModelError
        If the cell's parameters are unknown or not physical.
    """
    model = model_cell(spec, fidelity)
    population = cells or CellPopulation()
    if copies > 1:
        repeated = {
            name: np.tile(value, copies) if isinstance(value, np.ndarray) and value.ndim else value
            for name, value in vars(population).items()
        }
        population = CellPopulation(**repeated)
    return PackEngine(model, build_network(spec, copies=copies), cells=population, options=options, device=device)
