"""Published parameter sets to begin a calibration with: chosen by chemistry, scaled to the cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celltwin.core import ModelError

from ..engine.bpx_source import read_bpx
from ..measurements.cell_description import CellDescription
from ..measurements.curve import MeasuredCurve
from ..parameter_sets import parameter_values
from .base_sets_balance import Balance, balance_on_charge, balance_on_curve
from .base_sets_laws import published_values

if TYPE_CHECKING:
    import pybamm

__all__ = ["BASE_SETS", "BaseSet", "choose_base_set"]

SPECIFIC_HEAT = 960.0
"""Of a lithium-ion cell [J/(kg.K)]; cylindrical cells measure 830 to 1,040 (Steinhardt et al., Energy AI 2022)."""

BASE_SETS: dict[str, tuple[str, ...]] = {
    "NMC-graphite": ("Mohtat2020", "Chen2020", "Ecker2015"),
    "NMC-graphite-SiOx": ("Chen2020", "Mohtat2020"),
    "NCA-graphite": ("Chen2020", "NCA_Kim2011"),
    "NCA-graphite-SiOx": ("Chen2020", "NCA_Kim2011"),
    "LCO-graphite": ("Ai2020", "Marquis2019"),
    "LFP-graphite": ("Prada2013",),
}
"""PyBaMM sets to choose among, by chemistry; the first where there is no curve to choose by.

Layered oxides rich in nickel (NMC 811 and NCA) have much the same open-circuit curve, and PyBaMM's only set of NCA has
coarse kinetics, so NCA may begin with NMC 811's.
"""

_ENTROPIC = {
    "Mohtat2020": "ORegan2022",
    "Chen2020": "ORegan2022",
    "Ecker2015": "ORegan2022",
    "NCA_Kim2011": "ORegan2022",
}
"""Sets whose entropic changes are absent or wrong (Mohtat2020's omits a term), and whose stand in."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseSet:
    """A published set on the geometry of one cell.

    Attributes
    ----------
    name : str
        PyBaMM's name of the set, or the BPX file.
    description : CellDescription
        The cell.
    values : pybamm.ParameterValues
        The set, with the cell's surface, volume and voltage limits.
    numbers : mapping of str to float
        What the laws of :mod:`base_sets_laws` take, scaled to the cell.
    rest_voltage : float, optional
        Voltage at rest [V] that the initial stoichiometries belong to; None where no curve tells.
    rest_slope : float
        Fall of that voltage with charge drawn [V/C].
    balance_error : float
        Departure of the set's open-circuit curve, shifted by one constant, from the slowest curve [V]; 0 where none
        was given.
    citation : str
        Where the set comes from.
    """

    name: str
    description: CellDescription
    values: pybamm.ParameterValues
    numbers: Mapping[str, float]
    rest_voltage: float | None
    rest_slope: float
    balance_error: float
    citation: str

    def for_sister(self, curve: MeasuredCurve) -> BaseSet:
        """Return the set for another cell, which begins one of its curves as full as this cell began its own.

        Voltages at rest tell how full a cell is beside itself. Between two cells they differ by as much for other
        reasons: how their electrodes stand against each other, how long each has rested, which voltmeter it was.

        Parameters
        ----------
        curve : MeasuredCurve
            Of the other cell; its other curves' charge is told from its voltage at rest.
        """
        return replace(self, rest_voltage=curve.rest_voltage)

    def charge_missing(self, curve: MeasuredCurve) -> float:
        """Return how much less charge a curve begins with [C] than the initial stoichiometries say.

        The voltage at rest before the current tells; 0 where either is unknown.
        """
        if self.rest_voltage is None or curve.rest_voltage is None or self.rest_slope <= 0.0:
            return 0.0
        return (self.rest_voltage - curve.rest_voltage) / self.rest_slope


def choose_base_set(
    description: CellDescription, *, base_set: str | None = None, curve: MeasuredCurve | None = None
) -> BaseSet:
    """Return the published set of a cell's chemistry, scaled to its format and capacity.

    The electrode pair keeps its published thicknesses. Area, active fractions and stoichiometries follow from the
    curve: of the chemistry's sets, that is taken whose open-circuit curve, shifted by one constant, comes nearest.
    Without a curve they follow from the nominal capacity between the voltage limits.

    Parameters
    ----------
    description : CellDescription
        The cell.
    base_set : str, optional
        A PyBaMM set or a BPX file, in place of the chemistry's.
    curve : MeasuredCurve, optional
        The cell's slowest discharge.

    Raises
    ------
    ModelError
        If no set is known for the chemistry, or the set's open-circuit voltage does not reach the voltages of the cell.
    """
    if base_set is None and description.chemistry not in BASE_SETS:
        raise ModelError(
            f"no published set is known for {description.chemistry}",
            remedy=f"Give a BPX file or a PyBaMM set as base_set; known: {', '.join(BASE_SETS)}",
        )
    names = (base_set,) if base_set is not None else BASE_SETS[description.chemistry]
    if curve is None:
        return _scaled(names[0], description, None)
    found = [_scaled(name, description, curve) for name in names]
    return min(found, key=lambda item: item.balance_error)


def _scaled(name: str, description: CellDescription, curve: MeasuredCurve | None) -> BaseSet:
    values = _load(name)
    _add_collectors(values)
    _take_entropic_changes(values, _ENTROPIC.get(name, name))
    values.update(
        {
            "Number of electrodes connected in parallel to make a cell": 1.0,
            "Number of cells connected in series to make a battery": 1.0,
            "Nominal cell capacity [A.h]": description.capacity,
            "Cell cooling surface area [m2]": description.surface,
            "Cell volume [m3]": description.volume,
            "Reference temperature [K]": 298.15,
            "Lower voltage cut-off [V]": 0.6 * description.lower_voltage,
            "Upper voltage cut-off [V]": description.upper_voltage + 1.0,
        },
        check_already_exists=False,
    )
    numbers = published_values(values)
    numbers["Contact resistance [Ohm]"] = 0.02 / description.capacity
    numbers["Lead resistance [Ohm]"] = 0.006 / description.capacity
    numbers["Total heat transfer coefficient [W.m-2.K-1]"] = 12.0
    numbers["Cell heat capacity [J.K-1.m-3]"] = SPECIFIC_HEAT * description.likely_mass / description.volume
    balance: Balance
    if curve is None:
        balance = balance_on_charge(
            values,
            numbers,
            start_voltage=description.upper_voltage,
            lower_voltage=description.lower_voltage,
            charge=description.capacity,
        )
    else:
        balance = balance_on_curve(values, numbers, curve, start_voltage=description.upper_voltage)
    return BaseSet(
        name=name,
        description=description,
        values=values,
        numbers={**numbers, **balance.numbers},
        rest_voltage=None if curve is None else curve.rest_voltage,
        rest_slope=balance.slope,
        balance_error=balance.error,
        citation=f"PyBaMM parameter set {name}" if not name.endswith(".json") else f"BPX file {name}",
    )


def _load(name: str) -> pybamm.ParameterValues:
    if name.endswith(".json"):
        path = Path(name)
        if not path.is_file():
            raise ModelError("there is no such BPX file", where=name, remedy="Give the path of a BPX file")
        return read_bpx(path, path.read_bytes())[1]()
    return parameter_values(name, ())


def _add_collectors(values: pybamm.ParameterValues) -> None:
    """Give a set that was published without heat (Prada2013) collectors and thermal properties of Chen2020.

    The lumped heat capacity and the cell's volume replace what they mean; PyBaMM asks for their names all the same.
    """
    source: Any = _load("Chen2020")
    missing = {
        key: source[key]
        for key in source
        if any(part in key for part in ("current collector", "density [kg", "specific heat", "thermal conductivity"))
        and key not in values
    }
    values.update(missing, check_already_exists=False)


def _take_entropic_changes(values: pybamm.ParameterValues, name: str) -> None:
    source: Any = _load(name)
    graphite: Any = None
    for domain in ("Negative", "Positive"):
        key = f"{domain} electrode OCP entropic change [V.K-1]"
        entry = source[key]
        if not callable(entry) and float(entry) == 0.0 and domain == "Negative":
            graphite = graphite or _load("ORegan2022")
            entry = graphite[key]
        values.update({key: entry}, check_already_exists=False)
