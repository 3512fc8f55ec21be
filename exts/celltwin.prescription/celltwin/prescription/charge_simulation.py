"""Charging of single cells, simulated: what a candidate leads to."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array, PlantError

if TYPE_CHECKING:
    from celltwin.physics import CellParameters
    from celltwin.physics.group_solver import CellConditions

__all__ = ["ChargeRows", "ChargeSimulator", "ChargeTraces"]

_logger = logging.getLogger(__name__)

_POINTS = 31
_FULLEST = 0.995  # beyond it the cell model has no solution


@dataclass(frozen=True, kw_only=True, eq=False)
class ChargeRows:
    """Cells to be charged; arrays of shape (n,).

    Attributes
    ----------
    soc, temperature : ndarray
        State of charge [-] and temperature [K] at the start, at rest.
    capacity_scale : ndarray
        Capacity over that of the parameters [-].
    resistance : ndarray
        Series resistance beside the electrodes [ohm].
    current : ndarray
        Charge current of the cell, as a magnitude [A].
    surroundings_temperature, conductance : ndarray
        Temperature that the cell gives its heat to [K], and the conductance to it [W/K].
    """

    soc: Array
    temperature: Array
    capacity_scale: Array
    resistance: Array
    current: Array
    surroundings_temperature: Array
    conductance: Array

    def row(self, index: int) -> ChargeRows:
        """Return one of the cells."""
        return ChargeRows(**{item.name: getattr(self, item.name)[index : index + 1] for item in fields(self)})


@dataclass(frozen=True, kw_only=True, eq=False)
class ChargeTraces:
    """What a charge leads to; NaN where the model has no solution.

    Attributes
    ----------
    time : ndarray of shape (n_times,)
        Time [s].
    voltage, temperature, anode_potential, soc : ndarray of shape (n, n_times)
        Of each cell [V, K, V against lithium, -].
    """

    time: Array
    voltage: Array
    temperature: Array
    anode_potential: Array
    soc: Array


class ChargeSimulator:
    """Simulate charges with an electrochemical cell model and a lumped temperature.

    Parameters
    ----------
    parameters : CellParameters
        The cell.
    fidelity : {"SPMe", "DFN"}
        The model.
    """

    def __init__(self, parameters: CellParameters, fidelity: str = "SPMe") -> None:
        from celltwin.physics.cell_equations import Mesh
        from celltwin.physics.equation_cache import prepare_equations
        from celltwin.physics.group_solver import GroupSolver

        self.parameters = parameters
        self.provenance = f"{fidelity} with lumped temperature, {parameters.name} {parameters.hash}"
        self._solver = GroupSolver(parameters, prepare_equations(parameters, fidelity, 1, Mesh()))

    def charge(self, rows: ChargeRows, duration: float) -> ChargeTraces:
        """Charge all cells with constant current.

        Parameters
        ----------
        rows : ChargeRows
            The cells.
        duration : float
            Length of the charge [s].
        """
        traces, _ = self._solve(rows, np.linspace(0.0, duration, _POINTS))
        return traces

    def minutes_to(self, target: float, rows: ChargeRows, voltage: float, longest: float) -> tuple[float, float]:
        """Charge one cell with constant current, then constant voltage.

        Parameters
        ----------
        target : float
            State of charge to reach [-].
        rows : ChargeRows
            The one cell.
        voltage : float
            Voltage to hold once it is reached [V].
        longest : float
            Longest time to look ahead [s].

        Returns
        -------
        minutes, peak : float
            Time to the target [min], infinite if it is not reached, and highest temperature on the way [K].
        """
        from celltwin.physics.group_solver import Demand

        if rows.soc[0] >= target:
            return 0.0, float(rows.temperature[0])
        if rows.current[0] <= 0.0:
            return float("inf"), float(rows.temperature[0])
        duration = min(longest, float(self.seconds_to(target, rows)[0]))
        times = np.linspace(0.0, duration, 2 * _POINTS)
        traces, states = self._solve(rows, times)
        over = np.nonzero(traces.voltage[0] > voltage)[0]
        peak = float(traces.temperature[0, : over[0] if over.size else None].max(initial=rows.temperature[0]))
        if not over.size:
            return (duration / 60.0 if duration < longest else float("inf")), peak
        at = max(int(over[0]) - 1, 0)
        rest = longest - times[at]
        if states is None or rest <= 0.0:
            return float("inf"), peak
        try:
            held = self._solver.solve(
                states[:, at],
                self._conditions(rows),
                Demand.of_voltage(np.array([voltage])),
                np.linspace(0.0, rest, 4 * _POINTS),
            )
        except PlantError as error:
            _logger.debug("no solution while the voltage is held: %s", error)
            return float("inf"), peak
        charged = held.soc[0, :, 0]
        peak = max(peak, float(held.temperature.max()))
        if charged[-1] < target:
            return float("inf"), peak
        return float(times[at] + np.interp(target, charged, held.time)) / 60.0, peak

    def seconds_to(self, target: float, rows: ChargeRows) -> Array:
        """Return the time in which constant current charges each cell to a state of charge [s], shape (n,)."""
        charge = np.maximum(target - rows.soc, 0.0) * rows.capacity_scale * self.parameters.capacity
        seconds: Array = SECONDS_PER_HOUR * charge / np.maximum(rows.current, 1e-9)
        return seconds

    def _solve(self, rows: ChargeRows, times: Array) -> tuple[ChargeTraces, Array | None]:
        from celltwin.physics.group_solver import Demand

        conditions = self._conditions(rows)
        try:
            states = self._solver.rest(
                np.clip(rows.soc, 0.005, _FULLEST)[:, np.newaxis], rows.temperature[:, np.newaxis], conditions
            )
            history = self._solver.solve(states, conditions, Demand.of_current(-rows.current), times)
        except PlantError as error:
            if rows.soc.size == 1:
                _logger.debug("no solution for a candidate: %s", error)
                nothing = np.full((1, times.size), np.nan)
                return ChargeTraces(
                    time=times, voltage=nothing, temperature=nothing, anode_potential=nothing, soc=nothing
                ), None
            each = [self._solve(rows.row(index), times)[0] for index in range(rows.soc.size)]
            return ChargeTraces(
                time=times,
                **{
                    name: np.concatenate([getattr(traces, name) for traces in each])
                    for name in ("voltage", "temperature", "anode_potential", "soc")
                },
            ), None
        return ChargeTraces(
            time=times,
            voltage=history.voltage,
            temperature=history.temperature[:, :, 0],
            anode_potential=self._solver.anode_potential(history, conditions)[:, :, 0],
            soc=history.soc[:, :, 0],
        ), history.states

    def _conditions(self, rows: ChargeRows) -> CellConditions:
        from celltwin.physics.group_solver import CellConditions

        column = {item.name: getattr(rows, item.name)[:, np.newaxis] for item in fields(ChargeRows)}
        return CellConditions(
            capacity_scale=column["capacity_scale"],
            resistance=column["resistance"],
            surroundings_temperature=column["surroundings_temperature"],
            surroundings_conductance=column["conductance"],
            heat_capacity=np.full((rows.soc.size, 1), self.parameters.heat_capacity),
        )
