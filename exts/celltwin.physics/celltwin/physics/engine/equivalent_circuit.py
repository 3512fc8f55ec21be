"""Equivalent circuits of cells that have physics: pulses simulated by the engine, and fitted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array, ModelError, PlantError

from .cell_model import CellModel, EquivalentCircuitModel
from .cell_model_builder import build_cell_model
from .equivalent_circuit_fit import filter_current, hash_circuit
from .property_fit import PropertyScale, build_cubic_table, evaluate_cubic_table, fit_temperature_factor

__all__ = ["build_equivalent_circuit", "open_circuit"]

_SOC = np.linspace(0.06, 0.92, 13)  # where the pulses start; they charge first
_TEMPERATURES = (273.15, 288.15, 308.15, 323.15)  # beside the reference [K]
_RATE = 1.0  # of the pulses [1/h]
_PULSE, _REST, _STEP = 150.0, 900.0, 1.0  # [s]
_INTERVALS = 1024
_SLOW = (60.0, 3000.0)  # where the slower time constant is searched [s]
_FAST = (3.0, 60.0)  # where the faster one is [s]


def build_equivalent_circuit(source: Any, *, name: str | None = None) -> EquivalentCircuitModel:
    """Return an equivalent circuit that answers pulses as a physical cell model does.

    A charge and a discharge pulse of 1C at thirteen states of charge, and at four more temperatures, are simulated by
    the pack engine at once, at constant temperature; resistances and time constants follow by least squares.

    Parameters
    ----------
    source : CellModel, or what :func:`build_cell_model` takes
        The cell.
    name : str, optional
        Of the circuit; that of the cell by default.

    Raises
    ------
    ModelError
        If the pulses cannot be simulated.
    """
    cell = source if isinstance(source, CellModel) else build_cell_model(source)
    time, current, places, voltage = _pulses(cell)
    constants = _time_constants(time, current, cell, places, voltage)
    resistance = _resistances(time, current, cell, places, voltage, constants)
    at_reference = resistance[: _SOC.size]
    # The sum of all three at half charge: what a pulse shows in the end.
    total = resistance.sum(axis=1)
    scale = PropertyScale(concentration=1.0, temperature=cell.reference_temperature)
    middle = float(np.interp(0.5, _SOC, at_reference.sum(axis=1)))
    factor, worst = fit_temperature_factor(scale, np.array(_TEMPERATURES), (total[_SOC.size :] / middle)[:, np.newaxis])
    simulated = places[: _SOC.size, 0]
    model = EquivalentCircuitModel(
        name=name or cell.name,
        thermal=cell.thermal,
        capacity=cell.capacity,
        potential=_potential(cell),
        resistance=np.hstack([_curve(simulated, at_reference[:, k]) for k in range(3)]),
        resistance_temperature=factor,
        time_constants=constants,
        reference_temperature=cell.reference_temperature,
        lowest_voltage=cell.lowest_voltage,
        highest_voltage=cell.highest_voltage,
    )
    left = _misfit(time, current, cell, places, voltage, constants, resistance)
    provenance = {
        **{key: value for key, value in cell.provenance.items() if key not in ("fits", "notes")},
        "fits": {"pulses [V]": left, "temperature": worst, "pulse": f"{_RATE:g}C for {_PULSE:g} s"},
        "cell": cell.hash,
    }
    model = replace(model, provenance=provenance)
    return replace(model, hash=hash_circuit(model))


def open_circuit(cell: CellModel, soc: Array, temperature: float | None = None) -> Array:
    """Return the open-circuit voltage [V] of a cell at states of charge [-] and a temperature [K]."""
    electrodes = []
    for electrode in (cell.positive, cell.negative):
        full, empty = electrode.stoichiometry_full, electrode.stoichiometry_empty
        place = empty + np.asarray(soc, dtype=np.float64) * (full - empty)
        value = evaluate_cubic_table(electrode.potential[:, :4], place)
        if temperature is not None:
            rise = temperature - cell.reference_temperature
            value = value + rise * evaluate_cubic_table(electrode.potential[:, 4:], place)
        electrodes.append(value)
    return np.asarray(electrodes[0] - electrodes[1], dtype=np.float64)


def _pulses(cell: CellModel) -> tuple[Array, Array, Array, Array]:
    """Return time, current (n_samples,), and for every case its start and temperature, and its voltages."""
    from .engine_options import CellPopulation, Drive, EngineOptions
    from .pack_engine import PackEngine

    starts = np.concatenate([_SOC, np.full(len(_TEMPERATURES), 0.5)])
    degrees = np.concatenate([np.full(_SOC.size, cell.reference_temperature), _TEMPERATURES])
    engine = PackEngine(
        cell,
        _separate_cells(cell, starts.size),
        cells=CellPopulation(soc=starts, temperature=degrees),
        options=EngineOptions(step=_STEP),
    )
    size = _RATE * cell.capacity
    parts = [np.full(round(span / _STEP), current) for current, span in _profile(size)]
    current = np.concatenate(parts)
    try:
        history = engine.advance(Drive(values=current), current.size * _STEP, sample_period=_STEP)
    except PlantError as error:
        raise ModelError(
            f"the cell cannot take the pulses that show its resistances: {error.message}",
            where=cell.name,
            remedy="Fit a circuit to gentler pulses with fit_equivalent_circuit",
        ) from None
    voltage = np.asarray(history.cell_voltage.T, dtype=np.float64)
    return np.asarray(history.time), current, np.stack([starts, degrees], axis=1), voltage


def _profile(size: float) -> tuple[tuple[float, float], ...]:
    return ((-size, _PULSE), (0.0, _REST), (size, _PULSE), (0.0, _REST))


def _separate_cells(cell: CellModel, count: int) -> Any:
    """Return packs of one cell each, side by side, whose temperature stays."""
    from .pack_network import Circuit, HeatPaths, PackNetwork

    circuit = Circuit(
        n_groups=count,
        parallel=1,
        connection_resistance=np.zeros(count),
        rail_resistance=np.zeros(count),
        opposite_feed=False,
        kind=np.zeros(2 * count, dtype=np.int8),
        child_start=np.concatenate([np.zeros(count), np.arange(count + 1)]).astype(np.int32),
        children=np.arange(count, dtype=np.int32),
        link_resistance=np.zeros(2 * count),
        roots=np.arange(count, 2 * count, dtype=np.int32),
    )
    heat = HeatPaths(
        neighbours=np.arange(count, dtype=np.int32)[np.newaxis, :],
        conductance=np.zeros((1, count)),
        ambient_conductance=np.zeros(count),
        coolant_conductance=np.zeros(count),
        segment=np.zeros(count, dtype=np.int32),
        segment_start=np.array([0, 1], dtype=np.int32),
        design_flow=np.zeros(1),
        coolant_heat_capacity=1.0,
        inlet_temperature=np.full(1, cell.reference_temperature),
        ambient_temperature=cell.reference_temperature,
    )
    held = np.full(count, 1e6 * cell.thermal.heat_capacity)  # a pulse cannot warm it
    return PackNetwork(circuit=circuit, heat=heat, heat_capacity=held)


def _drops(time: Array, current: Array, cell: CellModel, places: Array, voltage: Array) -> Array:
    """Return open-circuit voltage less terminal voltage of every case [V]."""
    passed = np.cumsum(np.diff(time, prepend=0.0) * current) / (SECONDS_PER_HOUR * cell.capacity)
    return np.stack(
        [
            open_circuit(cell, start - passed, temperature) - measured
            for (start, temperature), measured in zip(places, voltage, strict=True)
        ]
    )


def _fit_case(time: Array, current: Array, drop: Array, constants: tuple[float, float]) -> Array:
    from scipy.optimize import nnls

    through = [current, *(filter_current(time, current, constant) for constant in constants)]
    return np.asarray(nnls(np.stack(through, axis=1), drop)[0], dtype=np.float64)


def _time_constants(time: Array, current: Array, cell: CellModel, places: Array, voltage: Array) -> tuple[float, float]:
    """Return the two time constants [s] that suit all states of charge together."""
    drops = _drops(time, current, cell, places, voltage)[: _SOC.size]
    drops = drops / np.abs(drops).max(axis=1, keepdims=True)  # every state of charge counts alike

    def error(constants: tuple[float, float]) -> float:
        through = np.stack([current, *(filter_current(time, current, constant) for constant in constants)], axis=1)
        solution = np.linalg.lstsq(through, drops.T, rcond=None)[0]
        return float(np.sum((through @ solution - drops.T) ** 2))

    pairs = [(float(a), float(b)) for a in np.geomspace(*_FAST, 10) for b in np.geomspace(*_SLOW, 16) if b > 2.5 * a]
    return min(pairs, key=error)


def _resistances(
    time: Array, current: Array, cell: CellModel, places: Array, voltage: Array, constants: tuple[float, float]
) -> Array:
    """Return the three resistances of every case [ohm], of shape (n_cases, 3)."""
    drops = _drops(time, current, cell, places, voltage)
    return np.stack([np.maximum(_fit_case(time, current, drop, constants), 1e-6) for drop in drops])


def _misfit(
    time: Array,
    current: Array,
    cell: CellModel,
    places: Array,
    voltage: Array,
    constants: tuple[float, float],
    resistance: Array,
) -> float:
    """Return the root mean square error of the circuits over all cases [V]."""
    through = np.stack([current, *(filter_current(time, current, constant) for constant in constants)], axis=1)
    drops = _drops(time, current, cell, places, voltage)
    return float(np.sqrt(np.mean((resistance @ through.T - drops) ** 2)))


def _curve(soc: Array, values: Array) -> Array:
    from scipy.interpolate import PchipInterpolator

    curve = PchipInterpolator(soc, values)
    return build_cubic_table(lambda place: curve(np.clip(place, soc[0], soc[-1])), 128)


def _potential(cell: CellModel) -> Array:
    def source(soc: Array) -> Array:
        return open_circuit(cell, soc)

    def entropic(soc: Array) -> Array:
        return open_circuit(cell, soc, cell.reference_temperature + 1.0) - open_circuit(cell, soc)

    return np.hstack([build_cubic_table(source, _INTERVALS, monotone=True), build_cubic_table(entropic, _INTERVALS)])
