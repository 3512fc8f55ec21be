"""The vocabulary: quantities, the four kinds of value, quality, and levels of a pack."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from .errors import SpecError
from .units import ZERO_CELSIUS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["QUANTITIES", "SIMULATED_QUANTITIES", "Kind", "Level", "Quality", "Quantity", "find_quantity"]


class Kind(StrEnum):
    """How a value came to be."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    PREDICTED = "predicted"
    RECOMMENDED = "recommended"


class Quality(IntEnum):
    """How far a value may be trusted; a larger number is worse."""

    GOOD = 0
    STALE = 1
    SUSPECT = 2
    BAD = 3


class Level(StrEnum):
    """What a value belongs to."""

    PACK = "pack"
    MODULE = "module"
    GROUP = "group"
    CELL = "cell"


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One physical quantity.

    Attributes
    ----------
    key : str
        Name in Python and in Parquet columns.
    usd_name : str
        Name in USD attributes.
    label : str
        Name for people.
    unit : str
        SI unit; ``"1"`` for fractions, ``"A.h"`` for capacity.
    display_unit : str
        Unit in panels and reports.
    display_scale, display_offset : float
        ``display = display_scale * value + display_offset``.
    lowest, highest : float
        Bounds of the physically possible for one cell [unit]; a reading outside is impossible.
    decimals : int
        Decimals in panels and reports.
    scientific : bool
        Whether small values are shown as a power of ten, such as a probability of 1.4e-11.
    """

    key: str
    usd_name: str
    label: str
    unit: str
    display_unit: str
    display_scale: float = 1.0
    display_offset: float = 0.0
    lowest: float
    highest: float
    decimals: int = 3
    scientific: bool = False

    def to_display(self, value: float) -> float:
        """Return a value [unit] in the display unit."""
        return self.display_scale * value + self.display_offset

    def format(self, value: float) -> str:
        """Return the value [unit] as text with its display unit."""
        shown = self.to_display(value)
        if self.scientific and 0.0 < abs(shown) < 10.0 ** (1 - self.decimals):
            return f"{shown:.1e} {self.display_unit}".rstrip()
        return f"{shown:.{self.decimals}f} {self.display_unit}".rstrip()


def _celsius(key: str, usd_name: str, label: str, lowest: float, highest: float) -> Quantity:
    return Quantity(
        key=key,
        usd_name=usd_name,
        label=label,
        unit="K",
        display_unit="°C",
        display_offset=-ZERO_CELSIUS,
        lowest=lowest,
        highest=highest,
        decimals=1,
    )


def _percent(key: str, usd_name: str, label: str, highest: float = 1.0) -> Quantity:
    return Quantity(
        key=key,
        usd_name=usd_name,
        label=label,
        unit="1",
        display_unit="%",
        display_scale=100.0,
        lowest=0.0,
        highest=highest,
        decimals=1,
    )


def _plain(key: str, usd_name: str, label: str, unit: str, lowest: float, highest: float, decimals: int) -> Quantity:
    return Quantity(
        key=key,
        usd_name=usd_name,
        label=label,
        unit=unit,
        display_unit=unit.replace("A.h", "A·h"),
        lowest=lowest,
        highest=highest,
        decimals=decimals,
    )


def _scaled(
    key: str, usd_name: str, label: str, unit: str, shown: str, scale: float, lowest: float, highest: float,
    decimals: int,
) -> Quantity:  # fmt: skip
    return Quantity(
        key=key,
        usd_name=usd_name,
        label=label,
        unit=unit,
        display_unit=shown,
        display_scale=scale,
        lowest=lowest,
        highest=highest,
        decimals=decimals,
    )


QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        quantity.key: quantity
        for quantity in (
            # A cell terminal: below -1 V is a wiring fault, above 6 V no lithium-ion cell.
            _plain("voltage", "voltage", "Voltage", "V", -1.0, 6.0, 3),
            _plain("current", "current", "Current", "A", -1000.0, 1000.0, 2),
            _celsius("temperature", "temperature", "Temperature", 173.15, 1773.15),
            _percent("soc", "soc", "SOC", highest=1.05),
            _percent("soh", "soh", "SOH", highest=1.3),
            # By the energy of a discharge at half the nominal current, where soh is by capacity.
            _percent("soh_energy", "sohEnergy", "SOH by energy", highest=1.3),
            _percent("resistance_growth", "resistanceGrowth", "Resistance of the fresh one's", highest=100.0),
            # Until the SOH falls to the end of life that the reason states; as charges, and at present use.
            _plain("rul", "rul", "Remaining life", "cycles", 0.0, 1.0e5, 0),
            _scaled("rul_time", "rulTime", "Remaining time", "s", "days", 1.0 / 86400.0, 0.0, 1.0e12, 1),
            # Probability of running away within the horizon that its reason states.
            Quantity(
                key="runaway_risk",
                usd_name="runawayRisk",
                label="Risk of thermal runaway",
                unit="1",
                display_unit="",
                lowest=0.0,
                highest=1.0,
                decimals=3,
                scientific=True,
            ),
            _plain("power", "power", "Power", "W", -1.0e7, 1.0e7, 1),
            _plain("capacity", "capacity", "Capacity", "A.h", 0.0, 1.0e5, 3),
            _plain("resistance", "resistance", "Resistance", "ohm", 0.0, 10.0, 4),
            # Of a group's mean cell over those of its parameter set, as telemetry of the running pack shows them.
            _percent("capacity_factor", "capacityFactor", "Capacity of the cell type's", highest=2.0),
            _percent("resistance_factor", "resistanceFactor", "Resistance of the cell type's", highest=100.0),
            _percent("diffusivity_factor", "diffusivityFactor", "Diffusivity of the cell type's", highest=100.0),
            _plain("coolant_flow", "coolantFlow", "Coolant flow", "kg/s", 0.0, 10.0, 3),
            _celsius("coolant_temperature", "coolantTemperature", "Coolant temperature", 223.15, 393.15),
            # Magnitude of charging current: zero or positive.
            _plain("charge_current", "chargeCurrent", "Charge current", "A", 0.0, 5000.0, 1),
            # Current bled from a parallel group by its balancing resistor.
            _plain("balancing_current", "balancingCurrent", "Balancing current", "A", 0.0, 10.0, 2),
        )
    }
)


# Of simulated cells that age, swell or burn: in histories and reports, on no prim. Lithium lost counts what no longer
# cycles.
SIMULATED_QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        quantity.key: quantity
        for quantity in (
            _plain("lithium_loss", "lithiumLoss", "Lithium lost", "A.h", -1.0e3, 1.0e5, 4),
            _plain("film_resistance", "filmResistance", "Resistance of the films", "ohm", 0.0, 10.0, 5),
            _scaled("sei_thickness", "seiThickness", "Film on the negative electrode", "m", "nm", 1e9, 0.0, 1e-4, 1),
            _plain("plated_lithium", "platedLithium", "Plated lithium", "A.h", -1.0, 1.0e5, 5),
            _scaled("thickness_change", "thicknessChange", "Swelling", "m", "µm", 1e6, -1e-2, 1e-2, 1),
            _scaled("hoop_strain", "hoopStrain", "Hoop strain", "1", "µm/m", 1e6, -0.1, 0.1, 1),
            _scaled("pressure", "pressure", "Pressure", "Pa", "kPa", 1e-3, 0.0, 1e9, 1),
            _plain("reaction_heat", "reactionHeat", "Heat of runaway reactions", "W", -1.0e7, 1.0e7, 2),
        )
    }
)


def find_quantity(key: str) -> Quantity:
    """Return the quantity named ``key``.

    Raises
    ------
    SpecError
        If there is none of that name.
    """
    try:
        return QUANTITIES[key] if key in QUANTITIES else SIMULATED_QUANTITIES[key]
    except KeyError:
        raise SpecError(f"unknown quantity {key!r}", remedy=f"Use one of {', '.join(sorted(QUANTITIES))}") from None
