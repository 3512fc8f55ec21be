"""The engine of a pack whose cells differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import PackSpec

from .pack_variation import PackVariation

if TYPE_CHECKING:
    from .engine import EngineOptions, PackEngine

__all__ = ["FIDELITIES", "build_varied_engine"]

FIDELITIES = ("SPMe", "DFN", "ECM")


def build_varied_engine(
    spec: PackSpec,
    variation: PackVariation,
    *,
    fidelity: str = "SPMe",
    temperature: float | None = None,
    options: EngineOptions | None = None,
    device: str | None = None,
) -> PackEngine:
    """Return an engine of a pack with the differences of its cells, at rest.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    variation : PackVariation
        Capacity, whole series resistance and state of charge of the cells.
    fidelity : {"SPMe", "DFN", "ECM"}
        Model of a cell.
    temperature : float, optional
        Of every cell at the start [K]; that of the coolant's inlet, or of the air, where absent.
    options : EngineOptions, optional
        Numerics and further physics.
    device : str, optional
        Warp's name of the device.

    Raises
    ------
    ModelError, SettingsError, SpecError
        If the cell's parameters, the fidelity or the busbar's material are unknown.
    """
    from .engine import CellPopulation, PackEngine, build_network
    from .engine.pack_build import model_cell, resolve_electrodes

    cells = CellPopulation(
        capacity_scale=variation.capacity_scale,
        resistance=variation.resistance,
        diffusivity_scale=1.0 if variation.diffusivity_scale is None else variation.diffusivity_scale,
        soc=np.repeat(variation.initial_soc, spec.parallel),
        temperature=spec.cooling.inlet_temperature if temperature is None else temperature,
    )
    # The variation holds all of a cell's series resistance, the model's own among it.
    bare = model_cell(spec, fidelity, contact_resistance=0.0)
    return PackEngine(
        bare, build_network(spec), cells=cells, options=resolve_electrodes(options, fidelity), device=device
    )
