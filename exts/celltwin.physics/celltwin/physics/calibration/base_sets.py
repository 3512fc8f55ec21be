"""Published parameter sets to begin a calibration with: chosen by chemistry, scaled to the cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array, ModelError

from ..engine.bpx_source import read_bpx
from ..parameter_sets import parameter_values
from .base_sets_laws import published_values
from .cell_description import CellDescription

if TYPE_CHECKING:
    import pybamm

__all__ = ["BASE_SETS", "BaseSet", "balance_electrodes", "choose_base_set", "electrode_potentials"]

FARADAY = 96485.33212  # [C/mol]
SPECIFIC_HEAT = 960.0
"""Of a lithium-ion cell [J/(kg.K)]; cylindrical cells measure 830 to 1,040 (Steinhardt et al., Energy AI 2022)."""

BASE_SETS: dict[str, tuple[str, str]] = {
    "NMC-graphite": ("Chen2020", "ORegan2022"),
    "NMC-graphite-SiOx": ("Chen2020", "ORegan2022"),
    "NCA-graphite": ("Chen2020", "ORegan2022"),
    "NCA-graphite-SiOx": ("Chen2020", "ORegan2022"),
    "LCO-graphite": ("Ai2020", "Ai2020"),
    "LMO-graphite": ("Mohtat2020", "Mohtat2020"),
    "LFP-graphite": ("Prada2013", "Prada2013"),
}
"""PyBaMM set, and the set whose entropic changes are used, by chemistry."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseSet:
    """A published set on the geometry of one cell.

    Attributes
    ----------
    name : str
        PyBaMM's name of the set, or the BPX file.
    values : pybamm.ParameterValues
        The set, with the cell's surface, volume and voltage limits.
    numbers : mapping of str to float
        What the laws of :mod:`base_sets_laws` take, scaled to the cell.
    citation : str
        Where the set comes from.
    """

    name: str
    values: pybamm.ParameterValues
    numbers: Mapping[str, float]
    citation: str
    description: CellDescription
    notes: tuple[str, ...] = field(default=())


def choose_base_set(
    description: CellDescription,
    *,
    base_set: str | None = None,
    start_voltage: float | None = None,
    charge: float | None = None,
) -> BaseSet:
    """Return the published set of a cell's chemistry, scaled to its format and capacity.

    The electrode pair keeps its published thicknesses; its area follows from the capacity, its stoichiometries from
    the voltage at rest before the discharge.

    Parameters
    ----------
    description : CellDescription
        The cell.
    base_set : str, optional
        A PyBaMM set or a BPX file, in place of the chemistry's.
    start_voltage : float, optional
        Voltage at rest before the discharge [V]; the upper limit where not given.
    charge : float, optional
        Charge between that voltage and the lower limit at low current [A.h]; the nominal capacity where not given.

    Raises
    ------
    ModelError
        If no set is known for the chemistry, or the set's open-circuit voltage does not reach the voltages given.
    """
    if base_set is None and description.chemistry not in BASE_SETS:
        raise ModelError(
            f"no published set is known for {description.chemistry}",
            remedy=f"Give a BPX file or a PyBaMM set as base_set; known: {', '.join(BASE_SETS)}",
        )
    chosen, entropic = BASE_SETS.get(description.chemistry, ("", ""))
    name = base_set or chosen
    values = _load(name)
    entropic = entropic if base_set is None else name
    _take_entropic_changes(values, entropic, description)
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
    numbers["Total heat transfer coefficient [W.m-2.K-1]"] = 12.0
    numbers["Cell heat capacity [J.K-1.m-3]"] = SPECIFIC_HEAT * description.likely_mass / description.volume
    numbers.update(
        balance_electrodes(
            values,
            numbers,
            start_voltage=start_voltage or description.upper_voltage,
            lower_voltage=description.lower_voltage,
            charge=charge or description.capacity,
        )
    )
    return BaseSet(
        name=name, values=values, numbers=numbers, citation=f"PyBaMM set {name}", description=description, notes=()
    )


def balance_electrodes(
    values: pybamm.ParameterValues,
    numbers: Mapping[str, float],
    *,
    start_voltage: float,
    lower_voltage: float,
    charge: float,
) -> dict[str, float]:
    """Return area and initial stoichiometries with which a set's open-circuit voltage spans a measured charge.

    Stoichiometries move along the set's own balance, x(q) = x0 - q/Qn, y(q) = y0 + q/Qp, until the open-circuit
    voltage meets the start; the width makes the way to the lower voltage hold the charge.

    Parameters
    ----------
    values : pybamm.ParameterValues
        The set.
    numbers : mapping of str to float
        Numbers of its laws.
    start_voltage, lower_voltage : float
        Open-circuit voltages [V] between which the charge lies.
    charge : float
        [A.h].

    Raises
    ------
    ModelError
        If the set's open-circuit voltage does not reach one of the voltages.
    """
    capacity = {domain: _areal_capacity(values, numbers, domain) for domain in ("Negative", "Positive")}
    low = numbers["Negative electrode initial stoichiometry"]
    high = numbers["Positive electrode initial stoichiometry"]
    span = np.linspace(-1.0, 1.0, 8001) * max(capacity.values())
    x = low - span / capacity["Negative"]
    y = high + span / capacity["Positive"]
    inside = (x > 0.002) & (x < 0.998) & (y > 0.002) & (y < 0.998)
    span, x, y = span[inside], x[inside], y[inside]
    negative, positive = electrode_potentials(values, x, y)
    voltage = np.minimum.accumulate(positive - negative)
    if not voltage[-1] < lower_voltage < start_voltage:
        lower_voltage = float(voltage[-1])
    begin = float(np.interp(-start_voltage, -voltage, span))
    end = float(np.interp(-lower_voltage, -voltage, span))
    if end <= begin:
        raise ModelError(
            f"the set's open-circuit voltage runs from {voltage[0]:.2f} to {voltage[-1]:.2f} V, which does not hold "
            f"{start_voltage:.2f} V",
            remedy="Check the chemistry, and that the curve begins at rest",
        )
    area = charge * SECONDS_PER_HOUR / (end - begin)
    return {
        "Electrode width [m]": area / float(values["Electrode height [m]"]),
        "Negative electrode initial stoichiometry": low - begin / capacity["Negative"],
        "Positive electrode initial stoichiometry": high + begin / capacity["Positive"],
    }


def electrode_potentials(
    values: pybamm.ParameterValues, negative: Array, positive: Array
) -> tuple[Array, Array]:
    """Return open-circuit potentials [V] of a set at stoichiometries of each electrode."""
    import pybamm

    def potential(domain: str, stoichiometry: Array) -> Array:
        law = values[f"{domain} electrode OCP [V]"]
        return np.asarray(values.evaluate(law(pybamm.Vector(stoichiometry))), dtype=np.float64).reshape(-1)

    return potential("Negative", negative), potential("Positive", positive)


def _areal_capacity(values: pybamm.ParameterValues, numbers: Mapping[str, float], domain: str) -> float:
    """Return the charge of an electrode over its whole stoichiometry [C/m2]."""
    thickness = float(values[f"{domain} electrode thickness [m]"])
    highest = float(values[f"Maximum concentration in {domain.lower()} electrode [mol.m-3]"])
    return FARADAY * highest * thickness * numbers[f"{domain} electrode active material volume fraction"]


def _load(name: str) -> pybamm.ParameterValues:
    if name.endswith(".json"):
        path = Path(name)
        if not path.is_file():
            raise ModelError("there is no such BPX file", where=name, remedy="Give the path of a BPX file")
        return read_bpx(path, path.read_bytes())[1]()
    return parameter_values(name, ())


def _take_entropic_changes(values: pybamm.ParameterValues, name: str, description: CellDescription) -> None:
    source: Any = values if name == "" else _load(name)
    for domain in ("Negative", "Positive"):
        key = f"{domain} electrode OCP entropic change [V.K-1]"
        entry = source[key]
        if not callable(entry) and float(entry) == 0.0 and domain == "Negative":
            entry = _load("ORegan2022")[key]  # graphite's, measured in half cells
        values.update({key: entry}, check_already_exists=False)
