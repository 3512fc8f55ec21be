"""What a charge current would lead to: time, heat, and margin to lithium plating, for many candidates at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .cell_simulator import CellBatch, CellSimulator

__all__ = ["ChargeOutcome", "simulate_charge"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ChargeOutcome:
    """Outcome of each candidate; arrays of shape (n_cells,).

    Attributes
    ----------
    current : ndarray
        Charge current tried, as a magnitude [A].
    time_to_target : ndarray
        Time until the target state of charge [s]; NaN where it was not reached.
    soc : ndarray
        State of charge at the end [-].
    peak_temperature : ndarray
        Highest temperature until the target [K].
    highest_voltage : ndarray
        Highest terminal voltage [V].
    plating_margin : ndarray
        Smallest anode potential against lithium until the target [V]; below 0, lithium plates.
    within_limits : ndarray of bool
        Whether voltage, temperature and plating margin kept the limits, and the model could be solved.
    provenance : str
        Model and parameter hash.
    """

    current: Array
    time_to_target: Array
    soc: Array
    peak_temperature: Array
    highest_voltage: Array
    plating_margin: Array
    within_limits: NDArray[np.bool_]
    provenance: str


def simulate_charge(
    simulator: CellSimulator,
    batch: CellBatch,
    current: Array | float,
    *,
    target_soc: float = 0.8,
    highest_voltage: float | None = None,
    highest_temperature: float = 328.15,
    smallest_plating_margin: float = -np.inf,
    longest: float = 7200.0,
    interval: float = 60.0,
    sample_period: float = 10.0,
) -> ChargeOutcome:
    """Charge each candidate with constant current, then constant voltage, up to a state of charge.

    Parameters
    ----------
    simulator : CellSimulator
        The cell model.
    batch : CellBatch
        State and surroundings of each candidate.
    current : ndarray of shape (n_cells,) or float
        Charge current as a magnitude [A].
    target_soc : float
        State of charge to reach [-].
    highest_voltage : float, optional
        Voltage that the charger holds [V]; the cell's highest where absent.
    highest_temperature : float
        Temperature limit [K].
    smallest_plating_margin : float
        Limit of the anode's potential against lithium [V]; none by default.
    longest : float
        Longest charge [s].
    interval, sample_period : float
        Time between restarts of the integrator, and between samples [s].

    Returns
    -------
    ChargeOutcome
        Of every candidate, whether it keeps the limits or not.
    """
    voltage = simulator.parameters.highest_voltage if highest_voltage is None else highest_voltage
    asked = np.array(np.broadcast_to(np.abs(np.asarray(current, dtype=np.float64)), (batch.n_cells,)))
    history = simulator.charge(
        batch,
        asked,
        voltage=voltage,
        cut_current=0.02 * simulator.parameters.capacity * batch.capacity_scale,
        longest=longest,
        interval=interval,
        sample_period=sample_period,
    )
    reached = history.soc >= target_soc
    any_reached = reached.any(axis=0)
    at = np.where(any_reached, reached.argmax(axis=0), history.time.size - 1)
    considered = np.arange(history.time.size)[:, np.newaxis] <= at
    solved = ~np.any(np.isnan(history.voltage) & considered, axis=0)

    def extreme(values: Array, largest: bool) -> Array:
        fill = -np.inf if largest else np.inf
        masked = np.where(considered & np.isfinite(values), values, fill)
        return masked.max(axis=0) if largest else masked.min(axis=0)

    peak = extreme(history.temperature, largest=True)
    top = extreme(history.voltage, largest=True)
    margin = extreme(history.anode_potential, largest=False)
    columns = np.arange(batch.n_cells)
    before = np.maximum(at - 1, 0)
    rise = history.soc[at, columns] - history.soc[before, columns]
    share = np.divide(target_soc - history.soc[before, columns], rise, out=np.ones_like(rise), where=rise > 0.0)
    time = history.time[before] + np.clip(share, 0.0, 1.0) * (history.time[at] - history.time[before])
    # The charger holds the voltage to within the integrator's tolerance.
    keeps = (top <= voltage + 1e-3) & (peak <= highest_temperature) & (margin >= smallest_plating_margin)
    return ChargeOutcome(
        current=asked,
        time_to_target=np.where(any_reached, time, np.nan),
        soc=history.soc[at, columns],
        peak_temperature=peak,
        highest_voltage=top,
        plating_margin=margin,
        within_limits=keeps & solved,
        provenance=simulator.provenance,
    )
