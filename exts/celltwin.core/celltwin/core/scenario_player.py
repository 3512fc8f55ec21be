"""Play a scenario: what it asks of the pack now, what surrounds it, what is broken, and when a step ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .arrays import Array, freeze
from .errors import SpecError
from .pack_spec import PackSpec
from .scenario import Scenario
from .scenario_faults import (
    CoolantLoss,
    InternalShort,
    OpenWeld,
    ScenarioFault,
    SensorFault,
    StuckContactor,
    WeakCell,
    find_cells,
    find_modules,
    find_strings,
)
from .scenario_signals import (
    CLOUD_INTERVAL,
    SECONDS_PER_DAY,
    clear_sky_irradiance,
    cloud_transmission,
    cycle_values,
    regulation_signal,
)
from .scenario_steps import (
    ChargeStep,
    DischargeStep,
    DisconnectStep,
    DriveCycleStep,
    LoadStep,
    PowerStep,
    RegulationStep,
    SolarStep,
    VoltageStep,
)
from .units import SECONDS_PER_HOUR

__all__ = [
    "VOLTAGE_REACHED",
    "Demand",
    "PackObservation",
    "ScenarioPlayer",
    "ScenarioProgress",
    "Surroundings",
    "at_highest_voltage",
]

# A group has reached a limit of voltage when it is this near to it [V].
VOLTAGE_REACHED = 0.010
# Values of a profile are asked for at times as near as this to its end [s].
_INSTANT = 1e-6


@dataclass(frozen=True, kw_only=True)
class PackObservation:
    """What a scenario needs to know of the pack; NaN where unknown.

    Attributes
    ----------
    time : float
        Time of the run [s].
    current : float
        At the terminals [A], positive on discharge.
    lowest_voltage, highest_voltage : float
        Of the series groups [V].
    soc : float
        Mean state of charge [-].
    """

    time: float
    current: float = 0.0
    lowest_voltage: float = float("nan")
    highest_voltage: float = float("nan")
    soc: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class ScenarioProgress:
    """Where a scenario stands.

    Attributes
    ----------
    step : int
        Index of the running step of the profile; their number when all are done.
    started : float
        When the step began [s].
    charge : float
        Charge moved in the step [A.h], as a magnitude.
    time : float
        Time of the last observation [s].
    start_soc : float
        State of charge at the start of the step [-]; NaN where unknown.
    """

    step: int = 0
    started: float = 0.0
    charge: float = 0.0
    time: float = 0.0
    start_soc: float = float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class Demand:
    """What a scenario asks of the pack's terminals.

    Attributes
    ----------
    kind : {"current", "power", "voltage"}
        Of the values.
    values : ndarray of shape (n,)
        [A], [W] or [V], one for each time asked about; positive on discharge.
    connected : ndarray of bool, shape (n_strings,)
        Which strings' contactors are closed in truth.
    """

    kind: str
    values: Array
    connected: np.ndarray[tuple[int], np.dtype[np.bool_]]

    @property
    def value(self) -> float:
        """The first value."""
        return float(self.values[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """What surrounds the pack.

    Attributes
    ----------
    ambient_temperature, inlet_temperature : float
        Of the air and of the coolant at the inlet [K].
    coolant_flow : ndarray of shape (n_modules,)
        Told to flow through each module [kg/s].
    flow_share : ndarray of shape (n_modules,)
        Share of it that flows in truth [-].
    """

    ambient_temperature: float
    inlet_temperature: float
    coolant_flow: Array
    flow_share: Array


class ScenarioPlayer:
    """Answer what a scenario means for one pack; holds nothing that changes.

    A simulation, a plant or a test bench keeps a :class:`ScenarioProgress`, shows what it observes, and asks.

    Parameters
    ----------
    scenario : Scenario
        The scenario.
    spec : PackSpec
        The pack.

    Raises
    ------
    SpecError
        If a fault's target is not in the pack, or a voltage lies outside the cell's limits.
    """

    def __init__(self, scenario: Scenario, spec: PackSpec) -> None:
        self.scenario = scenario
        self.spec = spec
        self.steps = scenario.profile
        for number, step in enumerate(self.steps):
            _check_voltages(step, spec, number)
        for number, fault in enumerate(scenario.faults):
            _check_target(fault, spec, number)
        changes = {change for fault in scenario.faults for change in fault.changes if np.isfinite(change)}
        self._changes = np.array(sorted(changes))

    def start(self, soc: float = float("nan")) -> ScenarioProgress:
        """Return the progress of a run that has not begun."""
        return ScenarioProgress(start_soc=soc)

    def finished(self, progress: ScenarioProgress) -> bool:
        """Return whether all steps are done."""
        return progress.step >= len(self.steps)

    def current_step(self, progress: ScenarioProgress) -> LoadStep | None:
        """Return the running step; None when all are done."""
        return None if self.finished(progress) else self.steps[progress.step]

    def advance(self, progress: ScenarioProgress, observation: PackObservation) -> ScenarioProgress:
        """Return where the scenario stands after what was observed; one step ends at most."""
        step = self.current_step(progress)
        if step is None:
            return progress
        moved = abs(observation.current) * (observation.time - progress.time) / SECONDS_PER_HOUR
        start_soc = observation.soc if np.isnan(progress.start_soc) else progress.start_soc
        progress = replace(progress, charge=progress.charge + moved, time=observation.time, start_soc=start_soc)
        if not self._ended(step, progress, observation):
            return progress
        return ScenarioProgress(
            step=progress.step + 1, started=observation.time, time=observation.time, start_soc=observation.soc
        )

    def demand(self, progress: ScenarioProgress, observation: PackObservation, times: Array | None = None) -> Demand:
        """Return what is asked of the terminals.

        Parameters
        ----------
        progress : ScenarioProgress
            Where the scenario stands.
        observation : PackObservation
            The newest one.
        times : ndarray of shape (n,), optional
            Times of the run to ask about [s]; that of the observation where absent.
        """
        times = np.array([observation.time]) if times is None else times
        step = self.current_step(progress)
        kind, values = self._asked(step, progress, observation, times)
        opened = isinstance(step, DisconnectStep)
        connected = np.full(self.spec.strings, not opened)
        for fault in self.active_faults(observation.time):
            if isinstance(fault, StuckContactor):
                connected[find_strings(fault.target, self.spec)] = fault.position == "closed"
        if opened and connected.any() and progress.step > 0:
            # The load is where it was: what a stuck contactor does not interrupt goes on.
            before = self.steps[progress.step - 1]
            kind, values = self._asked(before, progress, observation, times)
        if not connected.any():
            kind, values = "current", np.zeros(times.size)
        return Demand(kind=kind, values=freeze(values), connected=freeze(connected))

    def surroundings(self, time: float) -> Surroundings:
        """Return what surrounds the pack at a time of the run [s]."""
        scenario, cooling = self.scenario, self.spec.cooling
        ambient = scenario.ambient.at(time, scenario.start + time, cooling.air_temperature)
        coolant = scenario.coolant
        inlet = cooling.inlet_temperature
        if coolant.above_ambient is not None:
            inlet = ambient + coolant.above_ambient
        elif coolant.inlet_temperature is not None:
            inlet = coolant.inlet_temperature
        elif cooling.method == "air" and scenario.ambient != type(scenario.ambient)():
            inlet = ambient
        share = np.ones(self.spec.n_modules)
        for fault in self.active_faults(time):
            if isinstance(fault, CoolantLoss):
                share[find_modules(fault.target, self.spec)] *= fault.flow
        return Surroundings(
            ambient_temperature=ambient,
            inlet_temperature=inlet,
            coolant_flow=freeze(np.full(self.spec.n_modules, cooling.flow * coolant.flow)),
            flow_share=freeze(share),
        )

    def active_faults(self, time: float) -> tuple[ScenarioFault, ...]:
        """Return the faults that act at a time of the run [s]."""
        return tuple(fault for fault in self.scenario.faults if fault.at <= time < fault.end)

    def next_change(self, progress: ScenarioProgress) -> float:
        """Return when the running step ends at the latest, or a fault starts, bends or stops before that [s]."""
        step = self.current_step(progress)
        end = progress.time if step is None else progress.started + step.duration
        later = self._changes[self._changes > progress.time + _INSTANT]
        return float(min(end, later[0])) if later.size else end

    def _asked(
        self, step: LoadStep | None, progress: ScenarioProgress, observation: PackObservation, times: Array
    ) -> tuple[str, Array]:
        spec = self.spec
        elapsed = times - progress.started
        if isinstance(step, DischargeStep | ChargeStep):
            magnitude = step.current if step.current is not None else (step.rate or 0.0) * spec.capacity
            return "current", np.full(times.size, magnitude if isinstance(step, DischargeStep) else -magnitude)
        if isinstance(step, PowerStep):
            watts = step.power if step.power is not None else (step.rate or 0.0) * spec.energy
            return "power", np.full(times.size, watts)
        if isinstance(step, VoltageStep):
            volts = step.voltage if step.voltage is not None else (step.cell_voltage or 0.0) * spec.n_series
            return "voltage", np.full(times.size, volts)
        if isinstance(step, DriveCycleStep):
            values = cycle_values(step, elapsed)
            if step.quantity == "speed" and step.vehicle.battery_energy is not None:
                values = values * spec.energy * SECONDS_PER_HOUR / step.vehicle.battery_energy
            if step.quantity == "rate":
                values = values * spec.energy
            return ("current" if step.quantity == "current" else "power"), values
        if isinstance(step, RegulationStep):
            signal = regulation_signal(step, self.scenario.seed, progress.step)
            index = np.clip(np.floor(elapsed / step.interval).astype(np.int64), 0, signal.size - 1)
            back = 0.0 if np.isnan(observation.soc) else step.correction * (observation.soc - step.target_soc)
            return "power", step.rate * spec.energy * np.clip(signal[index] + back, -1.0, 1.0)
        if isinstance(step, SolarStep):
            return "power", self._solar_power(step, progress, observation, times)
        return "current", np.zeros(times.size)

    def _solar_power(
        self, step: SolarStep, progress: ScenarioProgress, observation: PackObservation, times: Array
    ) -> Array:
        energy, soc = self.spec.energy, observation.soc
        clock = self.scenario.start + times
        day = step.day_of_year + np.floor(clock / SECONDS_PER_DAY)
        of_day = np.mod(clock, SECONDS_PER_DAY)
        clouds = cloud_transmission(step, self.scenario.seed, progress.step)
        minutes = CLOUD_INTERVAL * np.arange(clouds.size)
        through = np.interp(times - progress.started, minutes, clouds)
        sky = np.array(
            [clear_sky_irradiance(clock, step.latitude, number) for clock, number in zip(of_day, day, strict=True)]
        )
        charging = -step.rate * energy * sky / 1000.0 * through
        evening = (of_day >= step.discharge_from) & (of_day < step.discharge_until)
        discharging = np.where(evening, step.discharge_rate * energy, 0.0)
        if soc >= step.highest_soc:
            charging = np.zeros(times.size)
        if soc <= step.lowest_soc:
            discharging = np.zeros(times.size)
        return np.asarray(np.where(evening, discharging, charging))

    def _ended(self, step: LoadStep, progress: ScenarioProgress, observation: PackObservation) -> bool:
        spec, current = self.spec, observation.current
        if observation.time - progress.started >= step.duration - _INSTANT:
            return True
        if step.until_charge is not None and progress.charge >= step.until_charge * spec.capacity * (1.0 - 1e-9):
            return True
        # From either side: the product is negative once the state of charge has passed the target.
        target = float("nan") if step.until_soc is None else step.until_soc
        if (progress.start_soc - target) * (observation.soc - target) <= 0.0:
            return True
        low, high = observation.lowest_voltage, observation.highest_voltage
        if step.until_voltage is not None and (
            high >= step.until_voltage if current < 0.0 or isinstance(step, ChargeStep) else low <= step.until_voltage
        ):
            return True
        if isinstance(step, DischargeStep) or (isinstance(step, PowerStep) and current > 0.0):
            return bool(low <= spec.cell.lowest_voltage + VOLTAGE_REACHED)
        if isinstance(step, ChargeStep | VoltageStep):
            least = step.until_current if step.until_current is not None else (step.until_rate or 0.0) * spec.capacity
            if least <= 0.0:
                return False
            if isinstance(step, ChargeStep):
                return at_highest_voltage(observation, spec) and 0.0 <= -current <= least
            return observation.time > progress.started and abs(current) <= least
        return False


def at_highest_voltage(observation: PackObservation, spec: PackSpec) -> bool:
    """Return whether the highest group has reached the cell's highest voltage."""
    return bool(observation.highest_voltage >= spec.cell.highest_voltage - VOLTAGE_REACHED)


def _check_voltages(step: LoadStep, spec: PackSpec, number: int) -> None:
    low, high = spec.cell.lowest_voltage, spec.cell.highest_voltage
    places = [("until_voltage", step.until_voltage, 1)]
    if isinstance(step, VoltageStep):
        places += [("cell_voltage", step.cell_voltage, 1), ("voltage", step.voltage, spec.n_series)]
    for name, value, count in places:
        if value is not None and not low * count <= value <= high * count:
            raise SpecError(
                f"step {number} ({step.title}): {name} = {value:g} V lies outside {low * count:g} to "
                f"{high * count:g} V, the limits of {spec.cell.name}"
                + (f" times {count} groups in series" if count > 1 else ""),
                remedy="Stay within the limits of the cell",
            )


def _check_target(fault: ScenarioFault, spec: PackSpec, number: int) -> None:
    try:
        if isinstance(fault, InternalShort | OpenWeld | WeakCell | SensorFault):
            find_cells(fault.target, spec)
        elif isinstance(fault, CoolantLoss):
            find_modules(fault.target, spec)
        elif isinstance(fault, StuckContactor):
            find_strings(fault.target, spec)
        sensors = {sensor.id for sensor in spec.sensors}
        if isinstance(fault, SensorFault) and fault.sensor and fault.sensor not in sensors:
            raise SpecError(
                f"sensor {fault.sensor!r} is not in {spec.name}",
                remedy=f"Name one of {', '.join(sorted(sensors)) or 'the sensors, of which there are none'}",
            )
        if isinstance(fault, OpenWeld) and any(
            np.bincount(find_cells(fault.target, spec) // spec.parallel, minlength=spec.n_groups) == spec.parallel
        ):
            raise SpecError(
                "every cell of a group would be open, and with it the pack",
                remedy="Leave a cell of the group, or use stuck_contactor",
            )
    except SpecError as error:
        raise SpecError(f"faults[{number}] ({fault.title}): {error.message}", remedy=error.remedy) from None
