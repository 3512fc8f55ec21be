"""What a simulated scenario leaves: samples, events, figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array, Level, PackSpec, freeze

from .pack_simulation import PlantBlock

__all__ = ["Extreme", "ScenarioSample", "SimulationEvent", "SimulationFigures", "SimulationResult"]


# Extremes of what ageing, mechanics and runaway leave: name, quantity, 1 for the largest or -1 for the smallest.
_FURTHER = (
    ("lowest_cell_soh", "soh", -1.0),
    ("highest_thickness_change_m", "thickness_change", 1.0),
    ("highest_hoop_strain", "hoop_strain", 1.0),
    ("highest_pressure_Pa", "pressure", 1.0),
    ("highest_reaction_heat_W", "reaction_heat", 1.0),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScenarioSample:
    """The whole pack at one time, and its terminals since the sample before.

    Attributes
    ----------
    time : float
        Time of the run [s].
    step : int
        Index of the running step of the profile.
    terminal_time, terminal_current, terminal_voltage : ndarray of shape (n,)
        Terminals since the last sample, up to this one [s, A, V].
    group_voltage, balancing_current : ndarray of shape (n_groups,)
        [V, A].
    cell_current, cell_voltage, cell_temperature, cell_soc : ndarray of shape (n_cells,)
        [A, V, K, -].
    coolant_temperature, coolant_flow : ndarray of shape (n_modules,)
        At the outlet of each module's channel [K], and the flow through it [kg/s].
    ambient_temperature : float
        [K].
    extra : dict of ndarray
        What ageing, mechanics and runaway leave, under names of ``FURTHER_QUANTITIES``, each of shape (n_cells,) [SI].
    """

    time: float
    step: int
    terminal_time: Array
    terminal_current: Array
    terminal_voltage: Array
    group_voltage: Array
    balancing_current: Array
    cell_current: Array
    cell_voltage: Array
    cell_temperature: Array
    cell_soc: Array
    coolant_temperature: Array
    coolant_flow: Array
    ambient_temperature: float
    extra: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, freeze(value))

    def block(self) -> PlantBlock:
        """Return it as a plant's samples of one time."""
        return PlantBlock(
            time=np.array([self.time]),
            pack_current=np.array([self.current]),
            pack_voltage=np.array([self.voltage]),
            group_voltage=self.group_voltage[np.newaxis],
            balancing_current=self.balancing_current[np.newaxis],
            cell_current=self.cell_current[np.newaxis],
            cell_temperature=self.cell_temperature[np.newaxis],
            cell_soc=self.cell_soc[np.newaxis],
            coolant_temperature=self.coolant_temperature[np.newaxis],
            coolant_flow=self.coolant_flow[np.newaxis],
        )

    @property
    def current(self) -> float:
        """At the terminals now [A]."""
        return float(self.terminal_current[-1])

    @property
    def voltage(self) -> float:
        """At the terminals now [V]."""
        return float(self.terminal_voltage[-1])


@dataclass(frozen=True, kw_only=True)
class SimulationEvent:
    """Something that happened.

    Attributes
    ----------
    time : float
        When [s].
    kind : {"step", "fault", "limit", "runaway", "failure"}
        What sort of thing.
    element : str
        Id of the cell, group, module or pack that it happened to.
    message : str
        What happened, with quantity and limit where there is one.
    """

    time: float
    kind: str
    element: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Extreme:
    """The largest or smallest value of a run.

    Attributes
    ----------
    value : float
        [SI].
    element : str
        Id of the element.
    time : float
        [s].
    """

    value: float
    element: str
    time: float


class SimulationFigures:
    """Gather figures of a run sample by sample, in constant memory.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    """

    def __init__(self, spec: PackSpec) -> None:
        self._spec = spec
        self._time: float | None = None  # of the last sample [s]
        self.charge = {"discharged": 0.0, "charged": 0.0}  # [A.h]
        self.energy = {"discharged": 0.0, "charged": 0.0}  # [W.h]
        self.extremes: dict[str, Extreme] = {}
        self.widest_temperature = 0.0  # largest difference between two cells at one time [K]
        self.widest_group_voltage = 0.0  # between two groups at one time [V]
        self.first_soc = self.last_soc = float("nan")
        self.further: dict[str, float] = {}  # of ageing, mechanics and runaway, as they are at the end [SI]

    def begin(self, time: float) -> None:
        """Say when the run starts [s]: what flows is counted from then on."""
        self._time = time

    def state(self) -> dict[str, Any]:
        """Return all figures as plain values; :meth:`restore` takes them."""
        return {
            "time": self._time,
            "charge": self.charge.copy(),
            "energy": self.energy.copy(),
            "extremes": {name: asdict(extreme) for name, extreme in self.extremes.items()},
            "widest_temperature": self.widest_temperature,
            "widest_group_voltage": self.widest_group_voltage,
            "first_soc": self.first_soc,
            "last_soc": self.last_soc,
            "further": self.further.copy(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from figures that :meth:`state` returned."""
        self._time = state["time"]
        self.charge, self.energy = dict(state["charge"]), dict(state["energy"])
        self.extremes = {name: Extreme(**extreme) for name, extreme in state["extremes"].items()}
        for name in ("widest_temperature", "widest_group_voltage", "first_soc", "last_soc"):
            setattr(self, name, state[name])
        self.further = dict(state["further"])

    def add_cycles(self, count: int, moved: dict[str, dict[str, float]]) -> None:
        """Count charge [A.h] and energy [W.h] of repetitions that were jumped over, each as in one simulated."""
        for name in self.charge:
            self.charge[name] += count * moved["charge"][name]
            self.energy[name] += count * moved["energy"][name]
        self.further["cycles_jumped"] = self.further.get("cycles_jumped", 0.0) + count

    def observe(self, sample: ScenarioSample) -> None:
        """Take a sample into account."""
        self._integrate(sample)
        groups, cells = self._spec.element_ids(Level.GROUP), self._spec.element_ids(Level.CELL)
        for name, values, ids, sign in (
            ("lowest_group_voltage_V", sample.group_voltage, groups, -1.0),
            ("highest_group_voltage_V", sample.group_voltage, groups, 1.0),
            ("lowest_cell_temperature_K", sample.cell_temperature, cells, -1.0),
            ("highest_cell_temperature_K", sample.cell_temperature, cells, 1.0),
            ("lowest_cell_soc", sample.cell_soc, cells, -1.0),
            ("highest_cell_soc", sample.cell_soc, cells, 1.0),
            ("highest_cell_charge_current_A", -sample.cell_current, cells, 1.0),
            ("highest_cell_discharge_current_A", sample.cell_current, cells, 1.0),
            *((name, sample.extra[key], cells, sign) for name, key, sign in _FURTHER if key in sample.extra),
        ):
            index = int(np.argmax(sign * values))
            value = float(values[index])
            known = self.extremes.get(name)
            if known is None or sign * value > sign * known.value:
                self.extremes[name] = Extreme(value=value, element=ids[index], time=sample.time)
        self.widest_temperature = max(self.widest_temperature, float(np.ptp(sample.cell_temperature)))
        self.widest_group_voltage = max(self.widest_group_voltage, float(np.ptp(sample.group_voltage)))
        mean = float(sample.cell_soc.mean())
        self.first_soc = mean if np.isnan(self.first_soc) else self.first_soc
        self.last_soc = mean
        self._time = sample.time
        self._age(sample.extra)

    def _age(self, extra: dict[str, Array]) -> None:
        if "soh" in extra:
            soh = extra["soh"]
            self.further.setdefault("mean_cell_soh_first", float(soh.mean()))
            self.further |= {
                "mean_cell_soh_last": float(soh.mean()),
                "lowest_cell_soh_last": float(soh.min()),
                "cell_soh_spread_last": float(np.ptp(soh)),
                "mean_lithium_loss_Ah": float(extra["lithium_loss"].mean()),
                "mean_film_resistance_ohm": float(extra["film_resistance"].mean()),
            }
        if "pressure" in extra:
            self.further["mean_pressure_last_Pa"] = float(extra["pressure"].mean())

    def count_runaway(self, time: float) -> None:
        """Count one more cell that runs away [s]."""
        self.further["runaway_cells"] = self.further.get("runaway_cells", 0.0) + 1.0
        self.further.setdefault("first_runaway_s", time)

    def _integrate(self, sample: ScenarioSample) -> None:
        time, current, voltage = sample.terminal_time, sample.terminal_current, sample.terminal_voltage
        before = sample.time if self._time is None else self._time
        # The engine holds the drive over a step, so that each value is true of the step that it ends.
        hours = np.diff(np.concatenate([[before], time])) / SECONDS_PER_HOUR
        for name, sign in (("discharged", 1.0), ("charged", -1.0)):
            flowing = np.maximum(sign * current, 0.0) * hours
            self.charge[name] += float(flowing.sum())
            self.energy[name] += float((flowing * voltage).sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulationResult:
    """A simulated scenario.

    Attributes
    ----------
    spec : PackSpec
        The pack.
    scenario_name, scenario_hash : str
        What was simulated.
    seed : int
        Of everything random.
    provenance : str
        Cell model, its hash, engine and device.
    ended : {"finished", "cancelled", "failed"}
        How it ended.
    failure : str
        Why, where it failed.
    start, time : float
        Time of the run that was simulated from, above 0 where a checkpoint was restored, and up to [s].
    wall_seconds : float
        Time that it took [s].
    events : tuple of SimulationEvent
        What happened, in order of time.
    figures : SimulationFigures
        Charge, energy and extremes.
    balance : dict of str to float
        How well charge, energy and lithium are conserved.
    samples : tuple of ScenarioSample
        All samples; empty where they went to a recorder.
    """

    spec: PackSpec
    scenario_name: str
    scenario_hash: str
    seed: int
    provenance: str
    ended: str
    failure: str
    start: float
    time: float
    wall_seconds: float
    events: tuple[SimulationEvent, ...]
    figures: SimulationFigures
    balance: dict[str, float]
    samples: tuple[ScenarioSample, ...] = ()

    def history(self, name: str) -> Array:
        """Return a quantity of the samples over time, of shape (n_samples,) or (n_samples, n)."""
        return np.array([getattr(sample, name) for sample in self.samples])
