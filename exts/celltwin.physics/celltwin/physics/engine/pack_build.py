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

__all__ = ["build_pack_engine", "model_cell", "resolve_electrodes"]

_VOLUMES = (4, 2, 4)  # of negative electrode, separator and positive electrode, where options give none


def model_cell(
    spec: PackSpec, fidelity: str = "SPMe", *, contact_resistance: float | None = None
) -> CellModel | EquivalentCircuitModel:
    """Return the model of a pack's cell, with the heat of the pack's declaration.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    fidelity : {"SPMe", "DFN", "ECM"}
        Single-particle model with electrolyte or porous electrodes, which take the same model; or an equivalent
        circuit fitted to pulses of the first.
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
    return build_equivalent_circuit(model) if fidelity == "ECM" else model


def resolve_electrodes(options: EngineOptions | None, fidelity: str) -> EngineOptions:
    """Return options with the volumes that a DFN resolves its electrodes in, where they give none.

    Parameters
    ----------
    options : EngineOptions or None
        Numerics and further physics.
    fidelity : {"SPMe", "DFN", "ECM"}
        Model of the cells.

    Raises
    ------
    SettingsError
        If the options have volumes and the fidelity is another.
    """
    options = options or EngineOptions()
    if fidelity == "DFN":
        return options if options.volumes else replace(options, volumes=_VOLUMES)
    if options.volumes:
        raise SettingsError(
            f"volumes = {options.volumes} resolve porous electrodes, but fidelity = {fidelity!r} has none",
            remedy='Ask for fidelity="DFN", or leave volumes out',
        )
    return options


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
    fidelity : {"SPMe", "DFN", "ECM"}
        Model of the cells: one particle an electrode with electrolyte; porous electrodes, resolved in
        ``options.volumes``; or an equivalent circuit fitted to pulses of the first.
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
    options = resolve_electrodes(options, fidelity)
    return PackEngine(model, build_network(spec, copies=copies), cells=population, options=options, device=device)
