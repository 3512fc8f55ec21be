"""What a coolant flow does for a cell."""

from __future__ import annotations

import numpy as np

from celltwin.core import PackSpec

__all__ = ["cell_conductance", "coolant_at_outlet"]

_STILL = 0.05  # share of the conductance that is left without flow
_EXPONENT = 0.8  # of the heat transfer with flow in turbulent channels (Dittus-Boelter)


def cell_conductance(spec: PackSpec, flow: float) -> float:
    """Return the thermal conductance from one cell to the coolant [W/K].

    Parameters
    ----------
    spec : PackSpec
        The pack; its heat transfer coefficient holds at the design flow.
    flow : float
        Coolant mass flow of the module [kg/s].
    """
    cell, cooling = spec.cell, spec.cooling
    if cell.format == "cylindrical":
        surface = np.pi * cell.diameter * (cell.height + cell.diameter / 2.0)
    else:
        surface = 2.0 * (cell.length * cell.width + cell.length * cell.height + cell.width * cell.height)
    if cooling.method == "air" or cooling.flow <= 0.0:
        return float(cooling.heat_transfer * surface)
    share = max((max(flow, 0.0) / cooling.flow) ** _EXPONENT, _STILL)
    return float(cooling.heat_transfer * surface * share)


def coolant_at_outlet(spec: PackSpec, inlet: float, flow: float, heat: float) -> float:
    """Return the temperature of the coolant that leaves a module [K], where its cells are cooled least.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    inlet : float
        Temperature of the coolant at the inlet [K].
    flow : float
        Coolant mass flow of the module [kg/s].
    heat : float
        Heat of all cells of the module [W].
    """
    if spec.cooling.method == "air" or flow <= 0.0:
        return inlet
    return inlet + heat / (flow * spec.cooling.coolant_heat_capacity)
