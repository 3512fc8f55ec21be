"""What an engineer says of a cell in five lines: name, chemistry, format, capacity, voltages."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from celltwin.core import SpecError, build_spec, read_spec_text, read_table, spec_field
from celltwin.core.spec_fields import check_fields

__all__ = [
    "CELL_CHEMISTRIES",
    "CYLINDRICAL_FORMATS",
    "CellDescription",
    "ChemistryWindow",
    "load_cell_description",
    "parse_cell_description",
]

CYLINDRICAL_FORMATS: dict[str, tuple[float, float]] = {
    "14500": (14.1e-3, 50.0e-3),
    "18350": (18.3e-3, 35.0e-3),
    "18500": (18.3e-3, 50.0e-3),
    "18650": (18.35e-3, 65.0e-3),
    "20700": (20.35e-3, 70.3e-3),
    "21700": (21.15e-3, 70.3e-3),
    "26650": (26.2e-3, 65.4e-3),
    "32140": (32.2e-3, 140.0e-3),
    "32700": (32.2e-3, 70.5e-3),
    "46800": (46.0e-3, 80.0e-3),
}
"""Diameter and length [m] of cylindrical cells by the name of their format."""

_FORMATS = (*CYLINDRICAL_FORMATS, "cylindrical", "pouch", "prismatic")


@dataclass(frozen=True)
class ChemistryWindow:
    """What a chemistry's voltages and masses usually are.

    Attributes
    ----------
    lower_voltage, upper_voltage : float
        Usual cut-off voltages [V].
    middle_voltage : tuple of float
        Range of the open-circuit voltage at half charge [V].
    span_voltage : tuple of float
        Range of the open-circuit voltage's fall from 80 to 20 % of charge [V].
    density : float
        Mass of a cell over its outer volume [kg/m^3].
    relaxation : float
        How far below the charge cut-off a full cell may rest [V].
    """

    lower_voltage: float
    upper_voltage: float
    middle_voltage: tuple[float, float]
    span_voltage: tuple[float, float]
    density: float
    relaxation: float = 0.12


CELL_CHEMISTRIES: dict[str, ChemistryWindow] = {
    "NMC-graphite": ChemistryWindow(2.5, 4.2, (3.62, 3.82), (0.30, 0.62), 2650.0),
    "NMC-graphite-SiOx": ChemistryWindow(2.5, 4.2, (3.58, 3.80), (0.45, 0.72), 2800.0),
    "NCA-graphite": ChemistryWindow(2.5, 4.2, (3.58, 3.75), (0.42, 0.70), 2700.0),
    "NCA-graphite-SiOx": ChemistryWindow(2.5, 4.2, (3.55, 3.75), (0.45, 0.75), 2750.0),
    "LCO-graphite": ChemistryWindow(3.0, 4.2, (3.72, 3.92), (0.14, 0.36), 2600.0),
    "LMO-graphite": ChemistryWindow(2.5, 4.2, (3.78, 4.02), (0.10, 0.45), 2200.0),
    "LFP-graphite": ChemistryWindow(2.0, 3.65, (3.22, 3.36), (0.02, 0.17), 2250.0, 0.35),
    "NMC-LTO": ChemistryWindow(1.5, 2.8, (2.12, 2.45), (0.20, 0.55), 2300.0, 0.3),
    "LFP-LTO": ChemistryWindow(1.0, 2.2, (1.80, 1.92), (0.00, 0.12), 2200.0, 0.35),
}
"""Known chemistries: positive electrode, then negative."""


@dataclass(frozen=True, kw_only=True)
class CellDescription:
    """A cell as its data sheet describes it.

    Attributes
    ----------
    name : str
        Of the cell.
    chemistry : str
        One of ``CELL_CHEMISTRIES``, such as ``"NMC-graphite"``.
    format : str
        A cylindrical format such as ``"18650"``, ``"cylindrical"``, ``"pouch"`` or ``"prismatic"``.
    capacity : float
        Nominal capacity [A.h].
    lower_voltage, upper_voltage : float
        Cut-off voltages [V]; those usual for the chemistry where 0.
    dimensions : tuple of float
        Of a pouch or prismatic cell: length, width, thickness [m]; of a ``"cylindrical"`` cell: diameter, length [m].
    mass : float
        [kg]; estimated from format and chemistry where 0.

    Raises
    ------
    SpecError
        If a field breaks its rule; the message names field, value and remedy.
    """

    name: str = spec_field("Name of the cell.")
    chemistry: str = spec_field("Positive and negative electrode, such as NMC-graphite.")
    format: str = spec_field("Shape of the cell, such as 21700 or pouch.")
    capacity: float = spec_field("Nominal capacity.", unit="A.h", above=0.0)
    lower_voltage: float = spec_field("Discharge cut-off voltage.", unit="V", at_least=0.0, default=0.0)
    upper_voltage: float = spec_field("Charge cut-off voltage.", unit="V", at_least=0.0, default=0.0)
    dimensions: tuple[float, ...] = spec_field(
        "Outer sizes: diameter and length, or length, width and thickness.", unit="m", above=0.0, default=()
    )
    mass: float = spec_field("Mass of the cell; estimated where 0.", unit="kg", at_least=0.0, default=0.0)

    def __post_init__(self) -> None:
        """Check the fields alone and against each other, and fill in what the chemistry usually has."""
        if self.chemistry not in CELL_CHEMISTRIES:
            raise SpecError(
                f"cell.chemistry = {self.chemistry!r} is not one of {', '.join(CELL_CHEMISTRIES)}",
                remedy=f"{_likely_chemistry(self.chemistry)}; of a blend, such as LMO-NCA, write the electrode that "
                "most of it is and expect a poorer fit, or begin with a parameter set of your own (--base-set)",
            )
        if self.format not in _FORMATS:
            raise SpecError(
                f"cell.format = {self.format!r} is not one of {', '.join(_FORMATS)}",
                remedy='Write the size of a round cell, such as "21700", or "cylindrical", "pouch" or "prismatic" with '
                "its dimensions",
            )
        check_fields(self, "cell")
        window = CELL_CHEMISTRIES[self.chemistry]
        if self.lower_voltage == 0.0:
            object.__setattr__(self, "lower_voltage", window.lower_voltage)
        if self.upper_voltage == 0.0:
            object.__setattr__(self, "upper_voltage", window.upper_voltage)
        if self.lower_voltage >= self.upper_voltage:
            raise SpecError(
                f"cell.lower_voltage = {self.lower_voltage:g} V must be below cell.upper_voltage = "
                f"{self.upper_voltage:g} V",
                remedy="Check the cut-off voltages in the data sheet",
            )
        wanted = {"cylindrical": 2, "pouch": 3, "prismatic": 3}.get(self.format, 0)
        if wanted == 0 and not self.dimensions:
            object.__setattr__(self, "dimensions", CYLINDRICAL_FORMATS[self.format])
        elif len(self.dimensions) != (wanted or 2):
            meaning = "length, width and thickness" if wanted == 3 else "diameter and length"
            raise SpecError(
                f"cell.dimensions has {len(self.dimensions)} numbers, a {self.format} cell needs {wanted or 2}",
                remedy=f'Give {meaning}, such as dimensions = ["18.4 mm", "65 mm"]',
            )

    @property
    def cylindrical(self) -> bool:
        """Whether the cell is a cylinder."""
        return len(self.dimensions) == 2

    @property
    def volume(self) -> float:
        """Outer volume [m^3]."""
        if self.cylindrical:
            return math.pi / 4.0 * self.dimensions[0] ** 2 * self.dimensions[1]
        return math.prod(self.dimensions)

    @property
    def surface(self) -> float:
        """Outer surface [m^2]."""
        if self.cylindrical:
            diameter, length = self.dimensions
            return math.pi * diameter * (length + diameter / 2.0)
        length, width, thickness = self.dimensions
        return 2.0 * (length * width + width * thickness + thickness * length)

    @property
    def window(self) -> ChemistryWindow:
        """What the chemistry usually has."""
        return CELL_CHEMISTRIES[self.chemistry]

    @property
    def likely_mass(self) -> float:
        """Mass [kg]: as given, or else from volume and the chemistry's usual density."""
        return self.mass or self.volume * self.window.density


def _likely_chemistry(text: str) -> str:
    """Return what to write in place of an unknown chemistry."""
    parts = {part for part in re.split(r"[^a-z0-9]+", text.casefold()) if part}
    shared = {name: len(parts & set(name.casefold().split("-"))) for name in CELL_CHEMISTRIES}
    most = max(shared.values())
    likely = [name for name, count in shared.items() if count == most > 0]
    return f"Write {' or '.join(likely)}" if likely else "Write one of them: positive electrode, then negative"


def load_cell_description(path: str | Path) -> CellDescription:
    """Read the description of a cell.

    Parameters
    ----------
    path : path
        TOML file with the fields of :class:`CellDescription`; numbers are SI, or texts with a unit.

    Raises
    ------
    SpecError
        If the file is missing or not TOML, or a field is unknown, missing or breaks its rule.
    """
    path = Path(path)
    text = read_spec_text(path, "cell description", "See docs/measurements.md for an example")
    return parse_cell_description(text, where=str(path))


def parse_cell_description(text: str, where: str = "<cell>") -> CellDescription:
    """Return the cell that a TOML text describes; ``where`` is the name that errors give it."""
    return build_spec(text, where, lambda table: CellDescription(**read_table(CellDescription, table, "cell")))
