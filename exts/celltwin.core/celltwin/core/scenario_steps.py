"""The steps of a scenario's load profile, one kind each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from .errors import SpecError
from .spec_fields import check_fields, spec_field

__all__ = [
    "ChargeStep",
    "DischargeStep",
    "DisconnectStep",
    "DriveCycleStep",
    "LoadStep",
    "PowerStep",
    "RegulationStep",
    "RepeatStep",
    "RestStep",
    "ScenarioStep",
    "SolarStep",
    "VehicleSpec",
    "VoltageStep",
]


@dataclass(frozen=True, kw_only=True)
class LoadStep(ABC):
    """What is asked of the pack for some time; it ends at the first of its conditions that is met.

    Voltages of end conditions are of the series group that is furthest on the way: the lowest on discharge, the highest
    on charge.
    """

    kind: ClassVar[str]

    name: str = spec_field("Name for people; the kind where empty.", default="")
    longest: float | None = spec_field("Longest duration.", unit="s", above=0.0, default=None)
    until_charge: float | None = spec_field(
        "Charge moved in this step at which it ends, as a fraction of the pack's nominal capacity.",
        unit="1",
        above=0.0,
        default=None,
    )
    until_soc: float | None = spec_field(
        "Mean state of charge of the pack at which the step ends, from either side.",
        unit="1",
        at_least=0.0,
        at_most=1.0,
        default=None,
    )
    until_voltage: float | None = spec_field(
        "Voltage at which the step ends: of the lowest group on discharge, of the highest on charge.",
        unit="V",
        above=0.0,
        default=None,
    )

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, "step")
        self.check()

    @property
    def title(self) -> str:
        """Name for people."""
        return self.name or self.kind.replace("_", " ").capitalize()

    @property
    def duration(self) -> float:
        """Longest time that the step can take [s]."""
        natural = self.natural_duration
        if self.longest is None:
            assert natural is not None  # checked when the step was made
            return natural
        return self.longest

    @property
    @abstractmethod
    def natural_duration(self) -> float | None:
        """Duration where ``longest`` is not given [s]; None where it must be."""

    def check(self) -> None:
        """Raise SpecError where the fields do not fit each other."""
        if self.longest is None and self.natural_duration is None:
            raise SpecError("longest is missing", remedy="Give the step its longest duration, such as '70 min'")


@dataclass(frozen=True, kw_only=True)
class RestStep(LoadStep):
    """No current at the terminals."""

    kind: ClassVar[str] = "rest"

    @property
    def natural_duration(self) -> float | None:
        """Must be given."""
        return None


@dataclass(frozen=True, kw_only=True)
class DisconnectStep(LoadStep):
    """The contactors are told to open, while the load stays as it was: nothing flows, unless a contactor sticks."""

    kind: ClassVar[str] = "disconnect"

    @property
    def natural_duration(self) -> float | None:
        """Must be given."""
        return None


@dataclass(frozen=True, kw_only=True)
class DischargeStep(LoadStep):
    """Constant current out of the pack; ends at the latest when the lowest group reaches its limit."""

    kind: ClassVar[str] = "discharge"

    rate: float | None = spec_field(
        "Current as a multiple of the pack's nominal capacity per hour.", unit="1", above=0.0, default=None
    )
    current: float | None = spec_field("Current at the terminals, as a magnitude.", unit="A", above=0.0, default=None)

    @property
    def natural_duration(self) -> float | None:
        """Must be given."""
        return None

    def check(self) -> None:
        """Raise SpecError unless rate or current is given."""
        LoadStep.check(self)
        _require_one(self, "rate", "current")


@dataclass(frozen=True, kw_only=True)
class ChargeStep(LoadStep):
    """Constant current into the pack, then the highest group is held at its highest voltage."""

    kind: ClassVar[str] = "charge"

    rate: float | None = spec_field(
        "Current as a multiple of the pack's nominal capacity per hour.", unit="1", above=0.0, default=None
    )
    current: float | None = spec_field("Current at the terminals, as a magnitude.", unit="A", above=0.0, default=None)
    until_rate: float | None = spec_field(
        "The step ends when the current at the voltage limit has fallen to this multiple.",
        unit="1",
        above=0.0,
        default=None,
    )
    until_current: float | None = spec_field(
        "The step ends when the current at the voltage limit has fallen to this magnitude.",
        unit="A",
        above=0.0,
        default=None,
    )

    @property
    def natural_duration(self) -> float | None:
        """Must be given."""
        return None

    def check(self) -> None:
        """Raise SpecError unless rate or current is given, and one end of the current at most."""
        LoadStep.check(self)
        _require_one(self, "rate", "current")
        _require_one(self, "until_rate", "until_current", optional=True)


@dataclass(frozen=True, kw_only=True)
class PowerStep(LoadStep):
    """Constant power at the terminals; a discharge ends when the lowest group reaches its limit."""

    kind: ClassVar[str] = "power"

    power: float | None = spec_field("Power, positive on discharge.", unit="W", default=None)
    rate: float | None = spec_field(
        "Power as a multiple of the pack's nominal energy per hour, positive on discharge.", unit="1", default=None
    )

    @property
    def natural_duration(self) -> float | None:
        """Must be given."""
        return None

    def check(self) -> None:
        """Raise SpecError unless power or rate is given."""
        LoadStep.check(self)
        _require_one(self, "power", "rate")


@dataclass(frozen=True, kw_only=True)
class VoltageStep(LoadStep):
    """Constant voltage at the terminals, within the limits of every group."""

    kind: ClassVar[str] = "voltage"

    voltage: float | None = spec_field("Voltage of the pack.", unit="V", above=0.0, default=None)
    cell_voltage: float | None = spec_field(
        "Voltage of the pack over its number of groups in series.", unit="V", above=0.0, default=None
    )
    until_rate: float | None = spec_field(
        "The step ends when the current's magnitude has fallen to this multiple of capacity per hour.",
        unit="1",
        above=0.0,
        default=None,
    )
    until_current: float | None = spec_field(
        "The step ends when the current's magnitude has fallen to this.", unit="A", above=0.0, default=None
    )

    @property
    def natural_duration(self) -> float | None:
        """Must be given."""
        return None

    def check(self) -> None:
        """Raise SpecError unless one voltage is given, and one end of the current at most."""
        LoadStep.check(self)
        _require_one(self, "voltage", "cell_voltage")
        _require_one(self, "until_rate", "until_current", optional=True)


@dataclass(frozen=True, kw_only=True)
class VehicleSpec:
    r"""A vehicle on a level road, which turns speed into power of its battery.

    .. math::
        P_w = v\,(\lambda m \dot v + \tfrac12 \varrho\, c_d A\, v^2 + c_r m g), \qquad
        P = P_\mathrm{aux} + \begin{cases} P_w / \eta & P_w \ge 0 \\ r\, \eta\, P_w & P_w < 0 \end{cases}
    """

    mass: float = spec_field("Mass with load.", unit="kg", above=0.0, default=1500.0)
    rotating_share: float = spec_field(
        "Mass that turns, as a share of the mass, which acceleration moves as well.", at_least=0.0, default=0.04
    )
    drag_area: float = spec_field("Drag coefficient times frontal area.", unit="m^2", above=0.0, default=0.65)
    rolling_resistance: float = spec_field("Coefficient of rolling resistance.", at_least=0.0, default=0.010)
    air_density: float = spec_field("Density of the air.", unit="kg/m^3", above=0.0, default=1.20)
    efficiency: float = spec_field(
        "Efficiency from battery to wheel, and from wheel to battery.", above=0.0, at_most=1.0, default=0.88
    )
    regeneration: float = spec_field(
        "Share of the braking power that the motor takes.", at_least=0.0, at_most=1.0, default=0.6
    )
    auxiliary_power: float = spec_field("Power of everything but driving.", unit="W", at_least=0.0, default=400.0)
    battery_energy: float | None = spec_field(
        "Energy of the vehicle's battery: the pack carries its share of the power by energy. Not given, the pack is "
        "the vehicle's battery.",
        unit="J",
        above=0.0,
        default=None,
    )

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, "vehicle")


@dataclass(frozen=True, kw_only=True)
class DriveCycleStep(LoadStep):
    """A table over time, driven from its start to its end, again and again up to ``longest`` where that is given.

    Speed and current are linear between the rows; the table holds one of speed, power, rate and current.
    """

    kind: ClassVar[str] = "drive_cycle"

    time: tuple[float, ...] = spec_field("Times from 0, strictly increasing.", unit="s", at_least=0.0)
    speed: tuple[float, ...] = spec_field("Speed of the vehicle.", unit="m/s", at_least=0.0, default=())
    power: tuple[float, ...] = spec_field("Power at the terminals, positive on discharge.", unit="W", default=())
    rate: tuple[float, ...] = spec_field(
        "Power over the pack's nominal energy per hour, positive on discharge.", unit="1", default=()
    )
    current: tuple[float, ...] = spec_field("Current at the terminals, positive on discharge.", unit="A", default=())
    longest_gap: float = spec_field("Longest time between two rows.", unit="s", above=0.0, default=60.0)
    scale: float = spec_field("Factor on power, rate or current.", above=0.0, default=1.0)
    vehicle: VehicleSpec = VehicleSpec()

    @property
    def natural_duration(self) -> float | None:
        """The cycle's length, once [s]."""
        return self.time[-1] if self.time else None

    @property
    def quantity(self) -> str:
        """Which of the columns is given."""
        return next(name for name in ("speed", "power", "rate", "current") if getattr(self, name))

    @property
    def values(self) -> tuple[float, ...]:
        """The column that is given [SI]."""
        found: tuple[float, ...] = getattr(self, self.quantity)
        return found

    def check(self) -> None:
        """Raise SpecError where the table has gaps, goes back in time, or holds no column or two."""
        columns = [name for name in ("speed", "power", "rate", "current") if getattr(self, name)]
        if len(columns) != 1:
            raise SpecError(
                f"the table holds {' and '.join(columns) or 'no column'} beside time",
                remedy="Give exactly one of speed, power, rate, current",
            )
        if len(self.values) != len(self.time) or len(self.time) < 2:
            raise SpecError(
                f"time has {len(self.time)} rows and {columns[0]} {len(self.values)}",
                remedy="Give both the same number of rows, two at least",
            )
        if self.time[0] != 0.0:
            raise SpecError(f"time starts at {self.time[0]:g} s", remedy="Let the table start at 0 s")
        for row, (before, after) in enumerate(pairwise(self.time), start=1):
            if not after > before:
                raise SpecError(
                    f"time does not increase at row {row}: {after:g} s after {before:g} s",
                    remedy="Sort the rows and remove those that occur twice",
                )
            if after - before > self.longest_gap:
                raise SpecError(
                    f"the profile has a gap of {after - before:g} s before row {row}, at {before:g} s; "
                    f"the limit is longest_gap = {self.longest_gap:g} s",
                    remedy="Fill the gap, or raise longest_gap where the values between are linear",
                )
        LoadStep.check(self)


@dataclass(frozen=True, kw_only=True)
class RegulationStep(LoadStep):
    r"""Frequency regulation: power follows a random signal between -1 and 1, neutral in charge over time.

    The signal is drawn, not recorded from a grid: the sum of two filtered noises (first order, of time constants
    ``slow`` and ``fast``) with the standard deviation ``deviation``, held within -1 to 1. To it comes what brings the
    state of charge back:

    .. math:: P = r E\,\mathrm{clip}(s(t) + k\,(z - z_0), -1, 1)
    """

    kind: ClassVar[str] = "frequency_regulation"

    rate: float = spec_field(
        "Largest power as a multiple of the pack's nominal energy per hour.", unit="1", above=0.0, default=1.0
    )
    interval: float = spec_field("Time between two values of the signal.", unit="s", above=0.0, default=2.0)
    slow: float = spec_field("Time constant of the slow part.", unit="s", above=0.0, default=600.0)
    fast: float = spec_field("Time constant of the fast part.", unit="s", above=0.0, default=30.0)
    deviation: float = spec_field(
        "Standard deviation of the signal, half of the variance slow and half fast.",
        above=0.0,
        at_most=1.0,
        default=0.4,
    )
    target_soc: float = spec_field(
        "State of charge to come back to, z0.", unit="1", at_least=0.0, at_most=1.0, default=0.5
    )
    correction: float = spec_field("Share of the largest power for each unit of state of charge, k.", at_least=0.0,
                                   default=2.0)  # fmt: skip

    @property
    def natural_duration(self) -> float | None:
        """Must be given."""
        return None


@dataclass(frozen=True, kw_only=True)
class SolarStep(LoadStep):
    r"""Solar shifting: charge from photovoltaic power by day, discharge in the evening.

    Clear-sky irradiance by Haurwitz, with the sun's zenith angle :math:`\theta`,

    .. math:: G = 1098\,\cos\theta\,e^{-0.057 / \cos\theta}\ \mathrm{W/m^2}

    times the transmission of clouds that come and go at random (a two-state chain over minutes, smoothed).

    References
    ----------
    .. [1] B. Haurwitz, Insolation in relation to cloudiness and cloud density, J. Meteorology 2 (1945) 154-166.
    """

    kind: ClassVar[str] = "solar_shifting"

    rate: float = spec_field(
        "Photovoltaic power at 1000 W/m^2 as a multiple of the pack's nominal energy per hour.",
        unit="1",
        above=0.0,
        default=0.25,
    )
    latitude: float = spec_field("Latitude, north positive.", unit="deg", at_least=-66.0, at_most=66.0, default=40.0)
    day_of_year: float = spec_field("Day of the year, 1 to 366.", at_least=1.0, at_most=366.0, default=172.0)
    cloudy_share: float = spec_field("Share of the time under clouds.", at_least=0.0, at_most=0.95, default=0.3)
    cloud_transmission: float = spec_field(
        "Irradiance under a cloud over that of a clear sky.", at_least=0.0, at_most=1.0, default=0.35
    )
    cloud_duration: float = spec_field("Mean time that a cloud takes to pass.", unit="s", above=0.0, default=900.0)
    discharge_rate: float = spec_field(
        "Evening discharge power as a multiple of nominal energy per hour.", unit="1", at_least=0.0, default=0.2
    )
    discharge_from: float = spec_field(
        "Time of day when the discharge starts.", unit="s", at_least=0.0, at_most=86400.0, default=64800.0
    )
    discharge_until: float = spec_field(
        "Time of day when it ends.", unit="s", at_least=0.0, at_most=86400.0, default=79200.0
    )
    lowest_soc: float = spec_field(
        "State of charge below which it does not discharge.", unit="1", at_least=0.0, at_most=1.0, default=0.1
    )
    highest_soc: float = spec_field(
        "State of charge above which it does not charge.", unit="1", at_least=0.0, at_most=1.0, default=0.95
    )

    @property
    def natural_duration(self) -> float | None:
        """One day [s]."""
        return 86400.0

    def check(self) -> None:
        """Raise SpecError where an interval ends before it starts."""
        LoadStep.check(self)
        for low, high in (("discharge_from", "discharge_until"), ("lowest_soc", "highest_soc")):
            if not getattr(self, low) < getattr(self, high):
                raise SpecError(
                    f"{low} = {getattr(self, low):g} is not below {high} = {getattr(self, high):g}",
                    remedy="Exchange them, or correct one",
                )


@dataclass(frozen=True, kw_only=True)
class RepeatStep:
    """Steps that are done again and again."""

    kind: ClassVar[str] = "repeat"

    name: str = spec_field("Name for people.", default="")
    count: int = spec_field("How often.", at_least=1)
    jump: bool = spec_field(
        "Whether most repetitions are jumped over: some are simulated, ageing goes on by their rate. The steps must "
        "leave the pack where they began.",
        default=False,
    )
    tolerance: float = spec_field(
        "Error of a jump over the change that it makes, as it is estimated.", above=0.0, at_most=0.5, default=0.02
    )
    steps: tuple[ScenarioStep, ...] = ()

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, "step")
        if not self.steps:
            raise SpecError("steps is empty", remedy="Give the repeated block at least one [[steps.steps]]")


ScenarioStep = LoadStep | RepeatStep


def _require_one(step: LoadStep, first: str, second: str, *, optional: bool = False) -> None:
    given = [name for name in (first, second) if getattr(step, name) is not None]
    if len(given) == 2:
        raise SpecError(f"{first} and {second} are both given", remedy=f"Keep {first} or {second}")
    if not given and not optional:
        raise SpecError(f"{first} is missing", remedy=f"Give the step {first} or {second}")
