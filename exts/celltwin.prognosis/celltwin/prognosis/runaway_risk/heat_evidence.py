"""What the heat balance of each cell cannot explain: followed step by step on the running pack."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, Flags, Kind, Level, PackSpec, PackState, Quality, Reading, cell_values

from .abuse_constants import VENT_TEMPERATURE, AbuseConstants
from .rollout import ONSET_RATE, react

__all__ = ["CellEvidence", "HeatEvidence"]

PERIOD = 5.0  # at least between two looks [s]
WINDOW = 40.0  # over which a heat balance is struck [s]
MEMORY = 300.0  # over which the growth of the unexplained heat is fitted [s]
GAP = 120.0  # without values after which the balance begins anew [s]
FAST_OVER_OHMIC = 1.6  # resistance of a cell's heat over the data sheet's ohmic one, where none is estimated [-]
# What the balance may be wrong by: shares of the heat that it counts, and a floor [W].
EXCHANGE_DOUBT, CURRENT_DOUBT, HEAT_FLOOR = 0.1, 0.25, 0.1
COMMON_FLOOR = 0.3  # heat of a whole module below which it is an error of the balance [W a cell]
LEAK_FLOOR, LEAK_DOUBT = 0.03, 0.03  # of the leak [A], and of it as a share of the group's mean current [-]
INLET_EVERY = 60.0  # between two looks at the inlet's temperature [s]
LEAST_FILM_SHARE = 0.02  # of the cooling that a warm module may be left with [-]
_UNKNOWN_TEMPERATURE = 5.0  # standard uncertainty where none is given [K]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellEvidence:
    """What is known of every cell at one time; arrays of shape (n_cells,) unless said otherwise.

    Attributes
    ----------
    time : float
        [s].
    temperature, temperature_doubt : ndarray
        And its standard uncertainty [K]; NaN where unknown.
    quality : ndarray of uint8
        Of what the evidence rests on.
    unexplained, unexplained_doubt : ndarray
        Heat that the balance does not explain, against the other cells of the module, and its uncertainty [W]; NaN
        before a whole window has been seen.
    growth, growth_doubt : ndarray
        Of the unexplained heat [W/s].
    leak, leak_doubt : ndarray
        Current that the group's cells give more than flows on, or the cell less than its peers, and its uncertainty
        [A]; NaN where cell currents are not measured.
    voltage : ndarray
        Of the group [V].
    soc : ndarray
        [-].
    joule, reaction, neighbour, coolant, ambient, outside : ndarray
        Heat into the cell now: of its current, of its decomposition, from its neighbours, from the coolant and from
        the air as they are known, and what the whole module gets from an unknown source [W].
    reactions : ndarray of shape (5, n_cells)
        States of the reactions, followed with the temperatures.
    sink_conductance, sink_temperature : ndarray
        To coolant and air together [W/K], and their mean temperature [K].
    shell_temperature : ndarray
        Mean of the neighbours by conductance [K].
    module_temperature : ndarray
        Mean of the module [K].
    film_share : ndarray
        Cooling by the coolant over that at the design flow [-].
    gone : ndarray of bool
        Cells that have run away.
    """

    time: float
    temperature: Array
    temperature_doubt: Array
    quality: Flags
    unexplained: Array
    unexplained_doubt: Array
    growth: Array
    growth_doubt: Array
    leak: Array
    leak_doubt: Array
    voltage: Array
    soc: Array
    joule: Array
    reaction: Array
    neighbour: Array
    coolant: Array
    ambient: Array
    outside: Array
    reactions: Array
    sink_conductance: Array
    sink_temperature: Array
    shell_temperature: Array
    module_temperature: Array
    film_share: Array
    gone: NDArray[np.bool_]


class HeatEvidence:
    r"""Follow the heat balance of every cell.

    .. math:: q_x = C \frac{\Delta T}{\Delta t} - \overline{r I^2 + q_\mathrm{exchange} + q_\mathrm{reactions}},

    over windows of 40 s, less the median of the cell's module: what all cells share, such as reversible heat or an
    error of the coolant's temperature, is no evidence against one of them.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    constants : AbuseConstants
        The cell's reactions.
    """

    def __init__(self, spec: PackSpec, constants: AbuseConstants) -> None:
        from celltwin.physics.engine.heat_paths import build_heat_paths, pair_conductance

        self._gap = float(pair_conductance(spec)[0])
        self._spec, self._constants = spec, constants
        self._heat = build_heat_paths(spec)
        self._capacity = spec.cell.mass * spec.cell.heat_capacity
        self._channel = np.searchsorted(self._heat.segment_start, self._heat.segment, side="right") - 1
        self._shell = self._heat.conductance.sum(axis=0)
        self.reset()

    @property
    def neighbours(self) -> NDArray[np.int32]:
        """Neighbours of each cell, of shape (n_neighbours, n_cells); its own index where it has fewer."""
        return self._heat.neighbours

    @property
    def conductance(self) -> Array:
        """Conductance to each neighbour [W/K], of shape (n_neighbours, n_cells)."""
        return self._heat.conductance

    @property
    def shell_conductance(self) -> Array:
        """Conductance to all neighbours [W/K], of shape (n_cells,)."""
        return self._shell

    @property
    def gap_conductance(self) -> float:
        """Conductance to a neighbour through what fills the gap alone [W/K]."""
        return self._gap

    @property
    def constants(self) -> AbuseConstants:
        """The cell's reactions."""
        return self._constants

    @property
    def heat_capacity(self) -> float:
        """Of a cell [J/K]."""
        return self._capacity

    def reset(self) -> None:
        """Forget everything that was seen."""
        n = self._spec.n_cells
        self._time = np.nan
        self._inlet: tuple[float, Array] | None = None
        self._explained = np.zeros(n)  # heat into each cell that the balance counts, since the start [J]
        self._doubtful = np.zeros(n)  # the part of it that may be wrong [J]
        self._rates: tuple[Array, Array] | None = None
        self._ring: deque[tuple[float, Array, Array, Array]] = deque()
        self._course: deque[tuple[float, Array]] = deque()
        self._leaks: deque[tuple[float, Array]] = deque()
        self._reactions = np.repeat(np.array(self._constants.initial)[:, np.newaxis], n, axis=1)
        self._reactions[1] = 0.0
        self._gone = np.zeros(n, dtype=np.bool_)
        self._evidence: CellEvidence | None = None
        self._parts: tuple[Any, ...] | None = None

    @property
    def newest(self) -> CellEvidence | None:
        """The evidence at the last look; None before the first."""
        if self._evidence is None:
            self._evidence = self._build()
        return self._evidence

    def observe(self, state: PackState) -> None:
        """Show a process image; those that come within 5 s of the last look are passed over."""
        if state.time < self._time or (np.isfinite(self._time) and state.time - self._time > GAP):
            self.reset()
        if np.isfinite(self._time) and state.time - self._time < PERIOD:
            return
        seen = self._read_temperature(state)
        if seen is None:
            return
        temperature, doubt, quality = seen
        step = 0.0 if np.isnan(self._time) else state.time - self._time
        self._time = state.time
        filled = self._fill(temperature)
        around = self._surroundings(state, filled)
        current, leak, leak_doubt = self._currents(state)
        soc, soc_quality = cell_values(state, self._spec, "soc")
        voltage, _ = cell_values(state, self._spec, "voltage")
        soc = np.where(np.isfinite(soc), np.clip(soc, 0.0, 1.0), 1.0)  # unknown: what burns worst
        voltage = np.where(np.isfinite(voltage), voltage, self._spec.cell.nominal_voltage)
        quality = np.maximum(quality, np.where(soc_quality >= Quality.BAD, Quality.SUSPECT, Quality.GOOD))
        warming = np.zeros(filled.size)
        if step > 0.0:
            warming = react(self._constants, filled, self._reactions, soc, np.full(filled.size, step))
        reaction = self._capacity * warming
        joule = self._resistance(state) * np.square(current)
        exchange = around["neighbour"] + around["coolant"] + around["ambient"]
        doubtful = np.hypot(
            EXCHANGE_DOUBT * sum(np.abs(around[name]) for name in ("neighbour", "coolant", "ambient")),
            np.hypot(CURRENT_DOUBT * joule, 0.3 * reaction),
        )
        rates = (joule + exchange + reaction, doubtful)
        if step > 0.0:
            before = self._rates or rates
            self._explained = self._explained + 0.5 * step * (before[0] + rates[0])
            self._doubtful = self._doubtful + 0.5 * step * (before[1] + rates[1])
        self._rates = rates
        self._gone |= np.isfinite(temperature) & ((temperature >= VENT_TEMPERATURE) | (warming >= ONSET_RATE))
        self._remember(state.time, temperature, leak)
        unexplained, unexplained_doubt, common = self._balance(state.time, temperature, doubt)
        self._course_of(state.time, unexplained)
        self._evidence = None
        self._parts = (
            state.time,
            temperature,
            doubt,
            quality.astype(np.uint8),
            filled,
            unexplained,
            unexplained_doubt,
            common,
            leak_doubt,
            voltage,
            soc,
            joule,
            reaction,
            around,
        )

    def _build(self) -> CellEvidence | None:
        if self._parts is None:
            return None
        (time, temperature, doubt, quality, filled, unexplained, unexplained_doubt, common, leak_doubt, voltage, soc,
         joule, reaction, around) = self._parts  # fmt: skip
        growth, growth_doubt = self._growth(time, unexplained, unexplained_doubt)
        sink, sink_temperature, share, outside = self._sink(around, filled, common)
        module = np.repeat(_means(filled, self._spec.n_modules), filled.size // self._spec.n_modules)
        total = np.maximum(self._shell, 1e-12)
        shell = (self._heat.conductance * filled[self._heat.neighbours]).sum(axis=0) / total
        return CellEvidence(
            time=time,
            temperature=temperature,
            temperature_doubt=doubt,
            quality=quality,
            unexplained=unexplained,
            unexplained_doubt=unexplained_doubt,
            growth=growth,
            growth_doubt=growth_doubt,
            leak=self._mean_leak(time),
            leak_doubt=leak_doubt,
            voltage=voltage,
            soc=soc,
            joule=joule,
            reaction=reaction,
            neighbour=around["neighbour"],
            coolant=around["coolant"],
            ambient=around["ambient"],
            outside=outside,
            reactions=self._reactions.copy(),
            sink_conductance=sink,
            sink_temperature=sink_temperature,
            shell_temperature=np.where(self._shell > 0.0, shell, module),
            module_temperature=module,
            film_share=share,
            gone=self._gone.copy(),
        )

    def _read_temperature(self, state: PackState) -> tuple[Array, Array, Flags] | None:
        reading = state.get(Kind.ESTIMATED, "temperature", Level.CELL)
        if reading is None:
            reading = state.get(Kind.MEASURED, "temperature", Level.CELL)
        if reading is None or reading.values.size != self._spec.n_cells:
            return None
        values = np.where(reading.quality < Quality.BAD, reading.values, np.nan)
        doubt = reading.standard_uncertainty
        doubt = np.where(np.isfinite(doubt), doubt, _UNKNOWN_TEMPERATURE)
        quality = np.where(np.isfinite(values), reading.quality, Quality.BAD).astype(np.uint8)
        return values, doubt, quality

    def _fill(self, temperature: Array) -> Array:
        """Return temperatures with unknown ones as the mean of their module, or the coolant's."""
        known = np.isfinite(temperature)
        if known.all():
            return temperature
        rows = temperature.reshape(self._spec.n_modules, -1)
        found = np.isfinite(rows)
        count = found.sum(axis=1)
        mean = np.where(found, rows, 0.0).sum(axis=1) / np.maximum(count, 1)
        mean = np.where(count > 0, mean, self._spec.cooling.inlet_temperature)
        return np.where(known, temperature, np.repeat(mean, rows.shape[1]))

    def _surroundings(self, state: PackState, temperature: Array) -> dict[str, Array]:
        """Return heat from neighbours, coolant and air [W], and how well and at what temperature the coolant cools."""
        from celltwin.physics.engine.heat_paths import exchange_heat, film_share

        heat, spec = self._heat, self._spec
        n_channels = heat.design_flow.size
        channel, modules = self._channel, self._channel.reshape(spec.n_modules, -1)[:, 0]
        flow = heat.design_flow.copy()
        measured = _module_reading(state, "coolant_flow", spec)
        if measured is not None and n_channels and heat.design_flow.any():
            least = np.full(n_channels, np.inf)
            np.minimum.at(least, modules, np.where(np.isfinite(measured), measured, heat.design_flow[modules]))
            flow = np.maximum(least, 0.0)
        inlet = heat.inlet_temperature.copy()
        leaving = _module_reading(state, "coolant_temperature", spec)
        if leaving is not None:
            if self._inlet is None or state.time - self._inlet[0] >= INLET_EVERY:
                self._inlet = (state.time, self._find_inlet(temperature, flow, leaving, modules))
            inlet = self._inlet[1]
        exchange = exchange_heat(heat, temperature, flow, inlet_temperature=inlet)
        working = film_share(flow, heat.design_flow)
        film = heat.coolant_conductance * working[channel]
        stream = np.where(film > 0.0, temperature + exchange.coolant / np.maximum(film, 1e-12), temperature)
        return {
            "neighbour": exchange.neighbours,
            "coolant": exchange.coolant,
            "ambient": exchange.ambient,
            "film": film,
            "stream": stream,
            "share": working[channel],
        }

    def _find_inlet(self, temperature: Array, flow: Array, leaving: Array, modules: NDArray[np.int64]) -> Array:
        """Return the inlet's temperature of each channel that makes its outlet what it is measured to be [K]."""
        from celltwin.physics.engine.heat_paths import exchange_heat

        heat = self._heat
        last = heat.segment_start[1:] - 1
        cold, warm = heat.inlet_temperature, heat.inlet_temperature + 10.0
        low = exchange_heat(heat, temperature, flow, inlet_temperature=cold).segment_outlet[last]
        high = exchange_heat(heat, temperature, flow, inlet_temperature=warm).segment_outlet[last]
        measured = np.full(cold.size, np.nan)
        measured[modules] = leaving  # the last module of a channel is where it leaves
        slope = (high - low) / 10.0
        with np.errstate(divide="ignore", invalid="ignore"):
            found = cold + (measured - low) / slope
        return np.where((slope > 0.1) & np.isfinite(found), np.clip(found, 223.15, 393.15), cold)

    def _currents(self, state: PackState) -> tuple[Array, Array, Array]:
        """Return the current of each cell [A], its leak and the leak's uncertainty [A]; NaN where none is measured."""
        spec = self._spec
        nothing = np.full(spec.n_cells, np.nan)
        pack = state.best("current", Level.PACK)
        flows = float(pack.values[0]) / spec.cells_in_parallel if pack is not None else np.nan
        reading = state.get(Kind.MEASURED, "current", Level.CELL)
        if reading is None or reading.values.size != spec.n_cells:
            estimated = state.get(Kind.ESTIMATED, "current", Level.CELL)
            share = nothing if estimated is None else estimated.values
            filled = np.where(np.isfinite(share), share, flows if np.isfinite(flows) else 0.0)
            return filled, nothing, nothing
        values = np.where(reading.quality <= Quality.STALE, reading.values, np.nan)
        groups = values.reshape(spec.n_groups, spec.parallel)
        mean = groups.mean(axis=1)  # NaN where one of its cells is not known
        filled = np.where(np.isfinite(values), values, flows if np.isfinite(flows) else 0.0)
        if not np.isfinite(flows) or spec.strings > 1 or spec.parallel < 2:
            return filled, nothing, nothing
        beside = np.median(groups, axis=1)
        differs = (beside[:, np.newaxis] - groups) - np.median(beside[:, np.newaxis] - groups, axis=1, keepdims=True)
        leak = (mean - flows)[:, np.newaxis] * spec.parallel + np.maximum(differs, 0.0)
        pack_doubt = float(np.nan_to_num(pack.standard_uncertainty[0])) if pack is not None else 0.0
        own = float(np.nan_to_num(reading.standard_uncertainty).max())
        doubt = np.hypot(np.hypot(pack_doubt, own * np.sqrt(spec.parallel)), LEAK_FLOOR)
        doubt = np.hypot(doubt, LEAK_DOUBT * spec.parallel * np.abs(mean))
        return filled, leak.ravel(), np.repeat(doubt, spec.parallel)

    def _resistance(self, state: PackState) -> Array:
        spec = self._spec
        usual = FAST_OVER_OHMIC * spec.cell.resistance
        reading = state.get(Kind.ESTIMATED, "resistance", Level.GROUP)
        if reading is None:
            return np.full(spec.n_cells, usual)
        found = np.where(reading.usable(), reading.values * spec.parallel, usual)
        return np.repeat(np.clip(found, 0.5 * usual, 4.0 * usual), spec.parallel)

    def _remember(self, time: float, temperature: Array, leak: Array) -> None:
        self._ring.append((time, temperature, self._explained, self._doubtful))
        while len(self._ring) > 2 and self._ring[1][0] <= time - WINDOW:
            self._ring.popleft()
        self._leaks.append((time, leak))
        while self._leaks[0][0] < time - WINDOW:
            self._leaks.popleft()

    def _mean_leak(self, time: float) -> Array:
        return np.asarray(np.mean([leak for at, leak in self._leaks if at >= time - WINDOW], axis=0))

    def _balance(self, time: float, temperature: Array, doubt: Array) -> tuple[Array, Array, Array]:
        """Return unexplained heat and its uncertainty [W], and what the cells of each module share of it [W]."""
        begun, before, explained, doubtful = self._ring[0]
        nothing = np.full(temperature.size, np.nan)
        if time - begun < 0.75 * WINDOW:
            return nothing, nothing, np.zeros(temperature.size)
        span = time - begun
        found = (self._capacity * (temperature - before) - (self._explained - explained)) / span
        rows = found.reshape(self._spec.n_modules, -1)
        common = np.zeros(self._spec.n_modules)
        for module, row in enumerate(rows):  # the median of those that are known
            known = row[np.isfinite(row)]
            common[module] = np.median(known) if known.size else 0.0
        shared = np.repeat(common, rows.shape[1])
        noise = np.sqrt(2.0) * self._capacity * np.minimum(doubt, _UNKNOWN_TEMPERATURE) / span
        uncertainty = np.hypot(np.hypot(noise, (self._doubtful - doubtful) / span), HEAT_FLOOR)
        return found - shared, uncertainty, shared

    def _course_of(self, time: float, unexplained: Array) -> None:
        """Remember the unexplained heat for as long as its growth is fitted."""
        if not np.isfinite(unexplained).any():
            self._course.clear()
            return
        self._course.append((time, unexplained))
        while self._course[0][0] < time - MEMORY:
            self._course.popleft()

    def _growth(self, time: float, unexplained: Array, doubt: Array) -> tuple[Array, Array]:
        if not self._course or time - self._course[0][0] < WINDOW:
            return np.zeros(unexplained.size), np.full(unexplained.size, np.inf)
        newest = 0.5 * MEMORY  # a line through the newest half, where it is steeper: growth may have begun within
        slopes = []
        for span in (MEMORY, newest):
            chosen = [(at, values) for at, values in self._course if at >= time - span]
            at = np.array([entry[0] for entry in chosen])
            values = np.stack([entry[1] for entry in chosen])
            centred = at - at.mean()
            spread = float(np.square(centred).sum())
            slope = (centred[:, np.newaxis] * values).sum(axis=0) / max(spread, 1e-9)
            independent = max(1.0, (at[-1] - at[0]) / WINDOW)
            slopes.append((slope, doubt * np.sqrt(12.0 / independent) / max(at[-1] - at[0], WINDOW)))
        (long, long_doubt), (short, short_doubt) = slopes
        steeper = short - long > 2.0 * short_doubt
        return (
            np.nan_to_num(np.where(steeper, short, long)),
            np.where(steeper, short_doubt, long_doubt),
        )

    def _sink(self, around: dict[str, Array], temperature: Array, common: Array) -> tuple[Array, Array, Array, Array]:
        """Return conductance and temperature of coolant and air, the share of cooling that works, heat from outside.

        Heat that a whole module keeps although the coolant should carry it off weakens its film; what is more than
        that comes from outside.
        """
        film, ambient = around["film"], self._heat.ambient_conductance
        given = np.maximum(-around["coolant"], 0.0)
        kept = np.where((common > 0.5) & (given > 0.5), np.clip(common / np.maximum(given, 1e-9), 0.0, 1.0), 0.0)
        film = film * np.maximum(1.0 - kept, LEAST_FILM_SHARE)
        total = np.maximum(film + ambient, 1e-9)
        air = self._heat.ambient_temperature
        mean = np.where(film + ambient > 0.0, (film * around["stream"] + ambient * air) / total, temperature)
        outside = np.maximum(common - kept * given - COMMON_FLOOR, 0.0)
        return total, mean, around["share"] * (1.0 - kept), outside


def _means(values: Array, count: int) -> Array:
    mean: Array = values.reshape(count, -1).mean(axis=1)
    return mean


def _module_reading(state: PackState, quantity: str, spec: PackSpec) -> Array | None:
    """Return a measured quantity of the modules [SI], NaN where it is not to be used; None where there is none."""
    reading: Reading | None = state.get(Kind.MEASURED, quantity, Level.MODULE)
    if reading is None or reading.values.size != spec.n_modules:
        return None
    return np.where(reading.quality <= Quality.STALE, reading.values, np.nan)
