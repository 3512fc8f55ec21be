"""Tier 2: from what was measured to what is so, with how sure one may be."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array, Flags, Kind, Level, PackSpec, PackState, Quality, Reading

from .cell_sharing import DISTANCE_SPREAD, correct_sharing, predict_sharing, start_sharing
from .group_filter import (
    CAPACITY_FACTOR,
    RESISTANCE,
    SOC,
    FilterSettings,
    correct_groups,
    find_loading,
    predict_groups,
    start_groups,
    widen_groups,
)
from .ocv_table import OcvTable
from .series_charge import combine_series
from .temperature_field import FieldSettings, TemperatureField

if TYPE_CHECKING:
    from celltwin.physics import CellParameters

    from .cell_sharing import SharingState
    from .group_filter import GroupState

__all__ = ["Assimilator"]

_logger = logging.getLogger(__name__)

_EXCITED = 0.6  # a parameter is published once its uncertainty is below this share of what was assumed
_REST = 0.02  # C-rate below which a pack is taken to rest [1/h]
_UNKNOWN_CURRENT = 0.1  # C-rate that may flow unseen [1/h]
_SURPRISING = 3.0  # residuals of a voltage, in standard deviations
_CONTRADICTIONS = 3  # surprises in a row after which the belief is doubted
_FAST_OVER_OHMIC = 1.5  # resistance within seconds, charge transfer included, over the ohmic one
_LEAST_SILENCE = 60.0  # s without a value after which an estimate counts as stale
_SHARING_SPREAD = 0.1  # relative spread of the currents of cells in parallel


class Assimilator:
    """Estimate state of charge, temperatures, resistance and power of a pack, step by step.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    parameters : CellParameters or OcvTable, optional
        Parameters of the cell, or their open-circuit voltage alone; loaded by ``spec.cell.parameter_set`` if not given.
    settings : FilterSettings, optional
        Settings of the filter; from the cell's data sheet if not given.
    field : FieldSettings, optional
        What is assumed of the temperatures.

    Notes
    -----
    Pure in its inputs but for the filter's own state. A step in which values are missing, stale or suspect counts
    charge only and grows the uncertainty; time that runs backwards starts the filter anew.
    """

    def __init__(
        self,
        spec: PackSpec,
        parameters: CellParameters | OcvTable | None = None,
        *,
        settings: FilterSettings | None = None,
        field: FieldSettings | None = None,
    ) -> None:
        self._spec = spec
        self._ocv, capacity = _load_cell(spec, parameters)
        self._settings = settings or FilterSettings(
            capacity=capacity, resistance=_FAST_OVER_OHMIC * spec.cell.resistance + spec.busbar.weld_resistance
        )
        self._field = TemperatureField(spec, field)
        self._silence = max(3.0 * _slowest_period(spec), _LEAST_SILENCE)
        self._provenance = f"extended Kalman filter on {self._ocv.provenance}"
        self.reset()

    def reset(self) -> None:
        """Forget everything that was measured."""
        n_groups = self._spec.n_groups
        nothing = np.full(n_groups, np.nan)
        self._groups: GroupState = start_groups(
            self._settings, self._ocv, nothing, np.zeros(n_groups), np.ones(n_groups)
        )
        self._sharing: SharingState = start_sharing(self._spec.n_cells)
        self._started = np.zeros(n_groups, dtype=np.bool_)
        self._time = np.nan
        self._voltage_time = np.full(n_groups, -np.inf)
        self._sharing_time = -np.inf
        self._current = np.zeros(n_groups)  # of one cell of each group, at the last step [A]
        self._current_known = False
        self._cell_current = np.full(self._spec.n_cells, np.nan)
        self._contradictions = np.zeros(n_groups, dtype=np.int64)  # surprising voltages in a row
        self._loading = np.ones(n_groups)
        self._excited = {
            RESISTANCE: np.zeros(n_groups, dtype=np.bool_),
            CAPACITY_FACTOR: np.zeros(n_groups, dtype=np.bool_),
        }

    def assimilate(self, state: PackState) -> tuple[Reading, ...]:
        """Return the estimated readings of one step.

        Parameters
        ----------
        state : PackState
            Process image with the measured readings of the step.

        Returns
        -------
        tuple of Reading
            State of charge of groups, cells, modules and pack; temperature of the cells; resistance and capacity of
            the groups, NaN until the load has shown them; power of the pack; voltage of the modules, and of the pack
            where it is not measured; current of the cells where it is not.
        """
        if state.time < self._time:
            _logger.info("time went from %g s back to %g s: estimation starts anew", self._time, state.time)
            self.reset()
        step = 0.0 if np.isnan(self._time) else state.time - self._time
        temperature = self._field.estimate(state)
        self._loading = find_loading(
            self._settings, temperature.values.reshape(self._spec.n_groups, self._spec.parallel).mean(axis=1)
        )
        self._advance(state, step)
        self._time = state.time
        return (
            *self._charge_readings(state),
            temperature,
            *self._parameter_readings(state),
            *self._electrical_readings(state),
        )

    def _advance(self, state: PackState, step: float) -> None:
        """Move the filters to the time of the process image."""
        current, sensed, uncertainty = self._read_current(state, step)
        mean = 0.5 * (self._current + current) if self._current_known else current
        if step > 0.0:
            # Somewhere within the step the current changed: a uniform distribution, once.
            change = np.abs(current - self._current) / np.sqrt(12.0) * np.sqrt(step / SECONDS_PER_HOUR)
            self._groups = predict_groups(
                self._groups, self._settings, self._ocv, mean, np.hypot(uncertainty, change), step, self._loading
            )
        voltage, voltage_uncertainty = self._read_voltage(state, step)
        voltage = voltage if sensed else np.full_like(voltage, np.nan)
        fresh = np.isfinite(voltage)
        load = current * self._loading
        self._groups = widen_groups(self._groups, fresh & (self._contradictions >= _CONTRADICTIONS))
        self._groups = correct_groups(self._groups, self._settings, self._ocv, voltage, load, voltage_uncertainty)
        new = fresh & ~self._started
        if new.any():
            first = start_groups(self._settings, self._ocv, voltage, load, voltage_uncertainty)
            self._groups = self._groups.replaced(new, first)
            self._started = self._started | new
        odd = self._groups.surprise > _SURPRISING
        self._contradictions = np.where(fresh, np.where(odd, self._contradictions + 1, 0), self._contradictions)
        self._share(state, mean, step)
        self._current, self._current_known = current, True

    def _read_current(self, state: PackState, step: float) -> tuple[Array, bool, Array]:
        """Return current of a cell of each group [A], whether it was measured, and its standard uncertainty [A]."""
        spec = self._spec
        reading = _measured(state, "current", Level.PACK, 1)
        cells = _measured(state, "current", Level.CELL, spec.n_cells)
        floor = _UNKNOWN_CURRENT * spec.cell.capacity
        if reading is not None and reading.usable()[0]:
            current = np.full(spec.n_groups, reading.values[0] / spec.cells_in_parallel)
            sensed, uncertainty = True, float(_doubt(reading)[0]) / spec.cells_in_parallel
            if spec.strings > 1:
                current, uncertainty = _share_strings(spec, current, cells, uncertainty)
        elif cells is not None and (found := cells.usable()).any():
            # In series every group carries the same current: take it from the cells that are measured.
            current = np.full(spec.n_groups, cells.values[found].mean())
            if spec.strings > 1:
                current, _ = _share_strings(spec, current, cells, 0.0)
            share = float(found.mean())
            sensed = True
            uncertainty = float(_SHARING_SPREAD * np.abs(current[0]) * (1.0 - share) + 0.001 * spec.cell.capacity)
        else:
            current = self._current
            sensed, uncertainty = False, max(0.5 * float(np.abs(current).max()), floor)
        if step > self._silence:  # what flowed in between nobody saw
            uncertainty = max(uncertainty, 0.5 * float(np.abs(current).max()), floor)
        bled = _measured(state, "balancing_current", Level.GROUP, spec.n_groups)
        if sensed and bled is not None:
            current = current + np.where(bled.usable(), bled.values, 0.0) / spec.parallel
        return current, sensed, np.full(spec.n_groups, uncertainty)

    def _read_voltage(self, state: PackState, step: float) -> tuple[Array, Array]:
        """Return group voltages not used before [V], NaN elsewhere, and their standard uncertainty [V]."""
        n_groups = self._spec.n_groups
        reading = _measured(state, "voltage", Level.GROUP, n_groups)
        if reading is None:
            return np.full(n_groups, np.nan), np.zeros(n_groups)
        current = _measured(state, "current", Level.PACK, 1)
        together = np.ones(n_groups, dtype=np.bool_)
        if current is not None and current.usable()[0]:
            together = np.abs(reading.time - current.time[0]) <= max(step, 1.0)
        fresh = reading.usable() & (reading.time > self._voltage_time) & together
        self._voltage_time = np.where(fresh, reading.time, self._voltage_time)
        return np.where(fresh, reading.values, np.nan), _doubt(reading)

    def _share(self, state: PackState, mean: Array, step: float) -> None:
        """Follow the cells of each group by their own currents, where these are measured."""
        spec = self._spec
        reading = _measured(state, "current", Level.CELL, spec.n_cells)
        if reading is None:
            return
        usable = reading.usable()
        newest = float(np.max(reading.time, where=usable, initial=-np.inf))
        if newest <= self._sharing_time:
            return
        values = np.where(usable, reading.values, np.nan).reshape(spec.n_groups, spec.parallel)
        count = np.isfinite(values).sum(axis=1)
        average = np.where(count > 0, np.nansum(values, axis=1) / np.maximum(count, 1), mean)
        shared = np.repeat(average, spec.parallel)
        # A group of which a cell is missing has no mean to compare with.
        current = np.where(np.repeat(count == spec.parallel, spec.parallel), values.ravel(), np.nan)
        uncertainty = float(_doubt(reading)[usable].mean())
        if step > 0.0:
            passed = np.where(np.isfinite(self._cell_current), 0.5 * (self._cell_current + current), current)
            self._sharing = predict_sharing(
                self._sharing,
                np.where(np.isfinite(passed), passed, shared),
                shared,
                self._settings.capacity,
                uncertainty,
                step,
            )
        slope = np.repeat(self._ocv.evaluate(self._groups.soc)[1], spec.parallel)
        resistance = np.repeat(self._groups.mean[:, RESISTANCE] * self._loading, spec.parallel)
        self._sharing = correct_sharing(self._sharing, current, shared, slope, resistance, uncertainty, step)
        self._cell_current, self._sharing_time = current, newest

    def _charge_readings(self, state: PackState) -> tuple[Reading, ...]:
        spec = self._spec
        soc = np.where(self._started, np.clip(self._groups.soc, 0.0, 1.05), np.nan)
        uncertainty = np.where(
            self._started,
            np.minimum(np.hypot(self._groups.deviation(SOC), self._settings.soc_uncertainty), 0.3),
            np.nan,
        )
        quality = np.full(spec.n_groups, Quality.GOOD, dtype=np.uint8)
        quality[self._contradictions >= _CONTRADICTIONS] = Quality.SUSPECT
        quality[state.time - self._voltage_time > self._silence] = Quality.STALE
        quality[~self._started] = Quality.BAD
        measured = np.isfinite(self._sharing_time)
        distance = self._sharing.distance.reshape(spec.n_groups, spec.parallel) if measured else 0.0
        if measured:
            distance = distance - np.mean(distance, axis=1, keepdims=True)
        spread = np.sqrt(self._sharing.distance_variance) if measured else DISTANCE_SPREAD
        cells = np.clip((soc[:, np.newaxis] + distance) + np.zeros(spec.parallel), 0.0, 1.05).ravel()
        capacity = self._settings.capacity * spec.parallel / self._groups.mean[:, CAPACITY_FACTOR]
        found = [
            (Level.GROUP, soc, uncertainty, quality),
            (
                Level.CELL,
                cells,
                np.hypot(np.repeat(uncertainty, spec.parallel), spread),
                np.repeat(quality, spec.parallel),
            ),
        ]
        for level, parts in ((Level.MODULE, spec.n_modules), (Level.PACK, spec.strings)):
            shape = (parts, -1)
            value, doubt = combine_series(soc.reshape(shape), capacity.reshape(shape), uncertainty.reshape(shape))
            worst = quality.reshape(shape).max(axis=1)
            if level is Level.PACK and spec.strings > 1:  # what its strings hold, for each unit of what they could
                value, doubt, worst = (np.mean(value, keepdims=True), np.mean(doubt, keepdims=True), worst[:1].copy())
                worst[0] = quality.max()
            found.append((level, value, doubt, worst))
        return tuple(self._reading(state, "soc", *entry) for entry in found)

    def _parameter_readings(self, state: PackState) -> tuple[Reading, ...]:
        """Return resistance and capacity of the groups, once the load has shown more than was assumed."""
        spec, settings = self._spec, self._settings
        resistance, factor = self._groups.mean[:, RESISTANCE], self._groups.mean[:, CAPACITY_FACTOR]
        nominal = settings.capacity * spec.parallel
        readings = []
        for quantity, index, assumed, value, scale in (
            (
                "resistance",
                RESISTANCE,
                settings.resistance_spread * settings.resistance,
                resistance * self._loading / spec.parallel,
                self._loading / spec.parallel,
            ),
            ("capacity", CAPACITY_FACTOR, settings.capacity_spread, nominal / factor, nominal / factor**2),
        ):
            doubt = self._groups.deviation(index)
            self._excited[index] |= self._started & (doubt < _EXCITED * assumed)
            shown = self._excited[index]
            readings.append(
                self._reading(
                    state,
                    quantity,
                    Level.GROUP,
                    np.where(shown, value, np.nan),
                    np.where(shown, doubt * scale, np.nan),
                    np.where(shown, Quality.GOOD, Quality.BAD).astype(np.uint8),
                )
            )
        return tuple(readings)

    def _electrical_readings(self, state: PackState) -> tuple[Reading, ...]:
        spec = self._spec
        readings = []
        voltage = _measured(state, "voltage", Level.GROUP, spec.n_groups)
        pack = _measured(state, "voltage", Level.PACK, 1)
        if voltage is not None:
            for level, size in ((Level.MODULE, spec.n_modules), (Level.PACK, 1)):
                strings = spec.strings if level is Level.PACK else 1
                shape = (size, strings, -1)
                doubt = np.sqrt(np.square(_doubt(voltage)).reshape(size, -1).sum(axis=1)) / strings
                total = self._reading(
                    state,
                    "voltage",
                    level,
                    voltage.values.reshape(shape).sum(axis=2).mean(axis=1),
                    doubt,
                    voltage.quality.reshape(size, -1).max(axis=1),
                    "sum of the group voltages" + (", mean of the strings" if strings > 1 else ""),
                )
                if level is Level.MODULE:
                    readings.append(total)
                elif pack is None or not pack.usable()[0]:
                    readings.append(total)
                    pack = total
        current = _measured(state, "current", Level.PACK, 1)
        if current is None:
            return tuple(readings)
        if pack is not None:
            doubt = np.hypot(
                _doubt(pack) * current.values,
                _doubt(current) * pack.values,
            )
            quality = np.maximum(pack.quality, current.quality)
            readings.append(
                self._reading(
                    state, "power", Level.PACK, pack.values * current.values, doubt, quality, "voltage times current"
                )
            )
        cells = _measured(state, "current", Level.CELL, spec.n_cells)
        if cells is None or not np.isfinite(cells.values).all():
            share = np.full(spec.n_cells, current.values[0] / spec.cells_in_parallel)
            doubt = np.hypot(_SHARING_SPREAD * share, _doubt(current)[0] / spec.cells_in_parallel)
            quality = np.full(spec.n_cells, current.quality[0], dtype=np.uint8)
            readings.append(
                self._reading(state, "current", Level.CELL, share, doubt, quality, "equal share of the pack's current")
            )
        return tuple(readings)

    def _reading(
        self,
        state: PackState,
        quantity: str,
        level: Level,
        values: Array,
        uncertainty: Array,
        quality: Flags,
        provenance: str = "",
    ) -> Reading:
        return Reading(
            kind=Kind.ESTIMATED,
            quantity=quantity,
            level=level,
            values=values,
            time=np.full(values.shape, state.time),
            quality=quality,
            standard_uncertainty=uncertainty,
            provenance=provenance or self._provenance,
        )


def _measured(state: PackState, quantity: str, level: Level, size: int) -> Reading | None:
    """Return a measured reading, or None if there is none of that size."""
    reading = state.get(Kind.MEASURED, quantity, level)
    return reading if reading is not None and reading.values.size == size else None


def _doubt(reading: Reading) -> Array:
    """Return the standard uncertainty of a reading, zero where unknown: the filters have floors of their own."""
    uncertainty = reading.standard_uncertainty
    return np.where(np.isfinite(uncertainty), uncertainty, 0.0)


def _slowest_period(spec: PackSpec) -> float:
    """Return the longest time between two values of a group voltage or the pack's current [s]."""
    sensors = {
        sensor.id
        for sensor in spec.sensors
        if (sensor.quantity, sensor.level) in {("voltage", Level.GROUP), ("current", Level.PACK)}
    }
    return max((1.0 / mapping.rate for mapping in spec.mappings if mapping.sensor in sensors), default=10.0)


def _load_cell(spec: PackSpec, parameters: CellParameters | OcvTable | None) -> tuple[OcvTable, float]:
    """Return the open-circuit voltage and the capacity [A.h] that its state of charge counts in."""
    if isinstance(parameters, OcvTable):
        return parameters, spec.cell.capacity
    from celltwin.physics import load_cell_parameters

    found = parameters or load_cell_parameters(spec.cell.parameter_set)
    name = f"open-circuit voltage of {found.name}, {found.hash}"
    return OcvTable.from_samples(found.soc, found.voltage, name), found.capacity


def _share_strings(spec: PackSpec, equal: Array, cells: Reading | None, uncertainty: float) -> tuple[Array, float]:
    """Return the current of a cell of each group [A] where strings share the pack's, and its standard uncertainty.

    A string of which cells are measured has their mean; others an equal share of the pack's current.
    """
    current = equal.copy()
    if cells is None:
        return current, float(np.hypot(uncertainty, _SHARING_SPREAD * np.abs(equal).max()))
    values = np.where(cells.usable(), cells.values, np.nan).reshape(spec.strings, -1)
    known = np.isfinite(values).any(axis=1)
    mean = np.nansum(values, axis=1) / np.maximum(np.isfinite(values).sum(axis=1), 1)
    current = np.where(np.repeat(known, spec.n_series), np.repeat(mean, spec.n_series), current)
    doubt = 0.0 if known.all() else _SHARING_SPREAD * float(np.abs(equal).max())
    return current, float(np.hypot(uncertainty, doubt))
