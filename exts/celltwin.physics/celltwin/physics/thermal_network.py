"""Where the heat of each cell goes: coolant that warms along its way, air, and the neighbouring cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, PackSpec, lay_out

__all__ = ["Surroundings", "ThermalNetwork"]

AIR_CONDUCTIVITY = 0.026  # [W/(m.K)] at 25 degrees Celsius
_FILM_EXPONENT = 0.8  # of the flow, in turbulent and developing channel flow (Dittus and Boelter)
_LEAST_FLOW = 0.05  # share of the design film that is left without flow
_LEAST_GAP = 1e-4  # [m]


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """What each cell exchanges heat with.

    Attributes
    ----------
    temperature : ndarray of shape (n_cells,)
        Temperature of the one body that stands for coolant and neighbours [K].
    conductance : ndarray of shape (n_cells,)
        Thermal conductance to it [W/K].
    coolant_outlet : ndarray of shape (n_modules,)
        Temperature of the coolant leaving each module; the inlet's for air [K].
    """

    temperature: Array
    conductance: Array
    coolant_outlet: Array


class ThermalNetwork:
    r"""Coolant and conduction between neighbours of a pack.

    The coolant of a module passes its columns of cells one after the other along x, and leaves each column as

    .. math:: T' = \bar T + (T - \bar T)\, e^{-G / (\dot m c)}

    with the column's mean temperature and conductance. The film conductance follows the flow to the power 0.8.
    Neighbours conduct through the air of their gap.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    surface : float
        Outer surface of one cell [m^2].

    References
    ----------
    .. [1] T. L. Bergman et al., Fundamentals of Heat and Mass Transfer, Wiley, 2011, ch. 4 (shape factor of two
       cylinders) and 11 (effectiveness).
    """

    def __init__(self, spec: PackSpec, surface: float) -> None:
        self._spec = spec
        self._surface = surface
        layout = lay_out(spec)
        per_module = spec.series * spec.parallel
        x = np.round(layout.cells_in_module[:, 0], 9)
        _, column = np.unique(x, return_inverse=True)
        self._columns: list[NDArray[np.int64]] = [np.flatnonzero(column == k) for k in range(column.max() + 1)]
        self._shape = (spec.n_modules, per_module)
        self._pairs = layout.neighbours
        self._pair_conductance = pair_conductance(spec)

    def surroundings(self, temperature: Array, flow: Array) -> Surroundings:
        """Return what the cells exchange heat with.

        Parameters
        ----------
        temperature : ndarray of shape (n_cells,)
            Cell temperatures [K].
        flow : ndarray of shape (n_modules,)
            Coolant mass flow of each module [kg/s]; without meaning for air.
        """
        coolant, film, outlet = self._coolant(temperature, flow)
        first, second = self._pairs[:, 0], self._pairs[:, 1]
        count = temperature.size
        between = self._pair_conductance * np.bincount(self._pairs.reshape(-1), minlength=count)
        warm = self._pair_conductance * (
            np.bincount(first, temperature[second], count) + np.bincount(second, temperature[first], count)
        )
        conductance = film + between
        return Surroundings(
            temperature=(film * coolant + warm) / conductance, conductance=conductance, coolant_outlet=outlet
        )

    def coolant_outlet(self, temperature: Array, flow: Array) -> Array:
        """Return the coolant's temperature at the outlet of each module [K], shape (n_modules,)."""
        return self._coolant(temperature, flow)[2]

    def _coolant(self, temperature: Array, flow: Array) -> tuple[Array, Array, Array]:
        cooling = self._spec.cooling
        inlet = np.full(self._spec.n_modules, cooling.inlet_temperature)
        design = cooling.heat_transfer * self._surface
        if cooling.method == "air":
            film = np.full(temperature.size, design)
            return np.full(temperature.size, cooling.inlet_temperature), film, inlet
        share = np.maximum((np.maximum(flow, 0.0) / cooling.flow) ** _FILM_EXPONENT, _LEAST_FLOW)
        film = design * share
        capacity = np.maximum(flow * cooling.coolant_heat_capacity, 1e-9)
        cells = temperature.reshape(self._shape)
        coolant = np.empty(self._shape)
        now = inlet
        for column in self._columns:
            mean = cells[:, column].mean(axis=1)
            after = mean + (now - mean) * np.exp(-column.size * film / capacity)
            coolant[:, column] = (0.5 * (now + after))[:, np.newaxis]
            now = after
        return coolant.reshape(-1), np.repeat(film, self._shape[1]), now


def pair_conductance(spec: PackSpec) -> float:
    """Return the thermal conductance between two neighbouring cells through the air of their gap [W/K]."""
    cell, gap = spec.cell, max(spec.layout.cell_gap, _LEAST_GAP)
    if spec.layout.pattern == "stack":
        size_x, size_y = cell.footprint
        return AIR_CONDUCTIVITY * size_x * size_y / gap
    if cell.format == "cylindrical":
        pitch = cell.diameter + gap
        ratio = (4.0 * pitch**2 - 2.0 * cell.diameter**2) / (2.0 * cell.diameter**2)
        return float(AIR_CONDUCTIVITY * 2.0 * np.pi * cell.height / np.arccosh(ratio))
    return AIR_CONDUCTIVITY * max(cell.footprint) * cell.height / gap
