"""Temperature of every cell from whatever sensors there are, with an uncertainty that grows with distance.

A cell with a sensor of its own has that sensor's temperature. All others get a weighted sum of their nearest sensors
by ordinary kriging. A step is a sum over precomputed weights; they are solved again only for cells whose sensors
come or go.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, Flags, Kind, Level, ModuleSpec, PackSpec, PackState, Quality, Reading, lay_out

from .kriging import solve_weights

__all__ = ["FieldSettings", "TemperatureField", "TemperatureSensors", "locate_sensors"]

_LEVELS = (Level.CELL, Level.GROUP, Level.MODULE, Level.PACK)
_CHUNK = 256  # cells whose distances to all sensors are held at once
_UNKNOWN = 10.0  # standard uncertainty without any sensor [K]


@dataclass(frozen=True, kw_only=True)
class FieldSettings:
    """What is assumed of the temperatures in a pack.

    Attributes
    ----------
    spread : float
        Standard deviation of temperatures that are far apart [K].
    length : float
        Distance over which temperatures forget each other [m].
    neighbours : int
        Largest number of sensors in the estimate of one cell.
    drift : float
        Rate at which a value that is no longer renewed becomes uncertain [K/s].
    """

    spread: float = 3.0
    length: float = 0.15
    neighbours: int = 12
    drift: float = 0.005


@dataclass(frozen=True, kw_only=True, eq=False)
class TemperatureSensors:
    """Temperature sensors of a pack, those on cells first, then on groups, modules and the pack.

    Attributes
    ----------
    elements : dict of Level to ndarray of int
        Elements of each level that carry a sensor.
    positions : ndarray of shape (n_sensors, 3)
        Place of each sensor in the pack's frame [m].
    uncertainty : ndarray of shape (n_sensors,)
        Standard uncertainty of a reading [K].
    """

    elements: dict[Level, NDArray[np.int64]]
    positions: Array
    uncertainty: Array


def locate_sensors(spec: PackSpec) -> TemperatureSensors:
    """Return where the temperature sensors of a pack stand.

    A sensor on a cell stands for that cell, whatever its place on the can. One on a group counts from the middle of
    the group's cells, one on a module from the module's frame, one on the pack from the pack's frame.
    """
    cells = lay_out(spec).cell_positions
    found: dict[Level, dict[int, tuple[Array, float]]] = {level: {} for level in _LEVELS}
    for sensor in spec.sensors:
        if sensor.quantity != "temperature":
            continue
        size = spec.size(sensor.level)
        for element in sensor.elements or range(size):
            module = spec.modules[element * spec.n_modules // size]
            if sensor.level is Level.CELL:
                place = cells[element]
            elif sensor.level is Level.GROUP:
                middle = cells[element * spec.parallel : (element + 1) * spec.parallel].mean(axis=0)
                place = middle + _turn(module, sensor.position)
            elif sensor.level is Level.MODULE:
                place = np.asarray(module.position) + _turn(module, sensor.position)
            else:
                place = np.asarray(sensor.position)
            found[sensor.level][element] = (place, sensor.standard_uncertainty)
    every = [found[level][element] for level in _LEVELS for element in sorted(found[level])]
    return TemperatureSensors(
        elements={level: np.array(sorted(found[level]), dtype=np.int64) for level in _LEVELS},
        positions=np.array([place for place, _ in every]).reshape(-1, 3),
        uncertainty=np.array([uncertainty for _, uncertainty in every]),
    )


class TemperatureField:
    """Estimate of all cells' temperatures, with its weights kept from step to step.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    settings : FieldSettings, optional
        What is assumed of its temperatures.
    """

    def __init__(self, spec: PackSpec, settings: FieldSettings | None = None) -> None:
        self._spec = spec
        self._settings = settings or FieldSettings()
        self._sensors = locate_sensors(spec)
        self._cells = lay_out(spec).cell_positions
        n_cells, n_sensors = spec.n_cells, self._sensors.uncertainty.size
        used = min(self._settings.neighbours, n_sensors)
        self._own = np.full(n_cells, -1, dtype=np.int64)  # index of the sensor on the cell itself
        self._own[self._sensors.elements[Level.CELL]] = np.arange(self._sensors.elements[Level.CELL].size)
        self._index = np.zeros((n_cells, used), dtype=np.int64)
        self._weight = np.zeros((n_cells, used))
        self._variance = np.zeros(n_cells)
        self._reach = np.full(n_cells, np.inf)  # distance to the farthest sensor in use [m]
        self._solved = np.zeros(n_cells, dtype=np.bool_)
        self._available = np.zeros(n_sensors, dtype=np.bool_)

    def estimate(self, state: PackState) -> Reading:
        """Return the estimated temperature of every cell [K].

        Sensors whose value is missing, suspect or bad take no part. Stale ones do, with an uncertainty that grows
        with their age, and what rests on them is stale. Without any sensor the temperature is the coolant's, suspect.
        """
        values, age, stale = self._collect(state)
        available = np.isfinite(values)
        n_cells = self._spec.n_cells
        if not available.any():
            return self._reading(
                state,
                np.full(n_cells, self._spec.cooling.inlet_temperature),
                np.full(n_cells, _UNKNOWN),
                np.full(n_cells, Quality.SUSPECT, dtype=np.uint8),
            )
        safe = np.where(available, values, 0.0)
        late = self._settings.drift * np.where(available, age, 0.0)
        own = np.where(self._own >= 0, available[self._own], False)
        interpolated = np.nonzero(~own)[0]
        self._refresh(available, interpolated)
        temperature, uncertainty = np.empty(n_cells), np.empty(n_cells)
        quality = np.full(n_cells, Quality.GOOD, dtype=np.uint8)
        sensor = self._own[own]
        temperature[own] = safe[sensor]
        uncertainty[own] = np.hypot(self._sensors.uncertainty[sensor], late[sensor])
        quality[own] = np.where(stale[sensor], Quality.STALE, Quality.GOOD)
        if interpolated.size:
            index, weight = self._index[interpolated], self._weight[interpolated]
            temperature[interpolated] = np.einsum("nk,nk->n", weight, safe[index])
            drifted = np.einsum("nk,nk->n", np.abs(weight), late[index])
            uncertainty[interpolated] = np.sqrt(self._variance[interpolated] + drifted**2)
            old = np.einsum("nk,nk->n", np.abs(weight), stale[index].astype(np.float64))
            quality[interpolated] = np.where(old > 0.5, Quality.STALE, Quality.GOOD)
        return self._reading(state, temperature, uncertainty, quality)

    def _reading(self, state: PackState, temperature: Array, uncertainty: Array, quality: Flags) -> Reading:
        return Reading(
            kind=Kind.ESTIMATED,
            quantity="temperature",
            level=Level.CELL,
            values=temperature,
            time=np.full(temperature.shape, state.time),
            quality=quality,
            standard_uncertainty=uncertainty,
            provenance="sensors, ordinary kriging between them",
        )

    def _collect(self, state: PackState) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Return value [K], age [s] and staleness of each sensor; NaN where not to be used."""
        values, age, stale = [], [], []
        for level in _LEVELS:
            elements = self._sensors.elements[level]
            reading = state.get(Kind.MEASURED, "temperature", level)
            if reading is None or reading.values.size != self._spec.size(level):
                values.append(np.full(elements.size, np.nan))
                age.append(np.zeros(elements.size))
                stale.append(np.zeros(elements.size, dtype=np.bool_))
                continue
            quality = reading.quality[elements]
            values.append(np.where(quality <= Quality.STALE, reading.values[elements], np.nan))
            age.append(np.fmax(state.time - reading.time[elements], 0.0))
            stale.append(quality == Quality.STALE)
        return np.concatenate(values), np.concatenate(age), np.concatenate(stale)

    def _refresh(self, available: NDArray[np.bool_], interpolated: NDArray[np.int64]) -> None:
        """Solve the weights of cells whose sensors have come or gone."""
        lost = self._available & ~available
        regained = np.nonzero(available & ~self._available)[0]
        self._available = available
        if lost.any():
            self._solved &= ~lost[self._index].any(axis=1)
        if regained.size:
            for rows in _chunks(np.nonzero(self._solved)[0]):
                closest = _distances(self._cells[rows], self._sensors.positions[regained]).min(axis=1)
                self._solved[rows[closest < self._reach[rows]]] = False
        todo = interpolated[~self._solved[interpolated]]
        usable = np.nonzero(available)[0]
        used = min(self._index.shape[1], usable.size)
        for rows in _chunks(todo):
            distance = _distances(self._cells[rows], self._sensors.positions[usable])
            nearest = np.argsort(distance, axis=1, kind="stable")[:, :used]
            chosen = usable[nearest]
            weight, variance = solve_weights(
                self._cells[rows],
                self._sensors.positions[chosen],
                self._sensors.uncertainty[chosen],
                self._settings.spread,
                self._settings.length,
            )
            # A place left over repeats the first sensor with no weight.
            self._index[rows] = chosen[:, :1]
            self._index[rows, :used] = chosen
            self._weight[rows] = 0.0
            self._weight[rows, :used] = weight
            self._variance[rows] = variance
            far = np.take_along_axis(distance, nearest[:, -1:], axis=1)[:, 0]
            self._reach[rows] = far if used == self._index.shape[1] else np.inf
            self._solved[rows] = True


def _turn(module: ModuleSpec, position: tuple[float, float, float]) -> Array:
    angle = np.deg2rad(module.heading)
    x, y, z = position
    return np.array([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y, z])


def _distances(first: Array, second: Array) -> Array:
    distance: Array = np.linalg.norm(first[:, np.newaxis] - second[np.newaxis], axis=2)
    return distance


def _chunks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[start : start + _CHUNK] for start in range(0, rows.size, _CHUNK)]
