"""Cell parameters as files: what a model needs, where it comes from, and its open-circuit voltage as a table."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.core import Array, ModelError, freeze

__all__ = [
    "PARAMETER_FOLDER",
    "CellParameters",
    "Override",
    "load_cell_parameters",
    "open_circuit_voltage",
    "open_circuit_voltage_slope",
    "parse_cell_parameters",
]

PARAMETER_FOLDER = Path(__file__).resolve().parents[4] / "data" / "parameters"


@dataclass(frozen=True, kw_only=True)
class Override:
    """One departure from the published set.

    Attributes
    ----------
    parameter : str
        PyBaMM's name of the parameter, unit included.
    value : float or None
        New value, in the unit that the name states.
    factor : float or None
        Factor on the published value or function.
    from_set : str or None
        Another PyBaMM set to take the parameter from.
    tanh_series : dict or None
        A function of stoichiometry ``offset + slope s + sum_k amplitude_k tanh((s - centre_k) / width_k)``:
        ``offset`` and ``slope``, and the lists ``amplitude``, ``centre`` and ``width``.
    source : str
        Where it comes from: data sheet, geometry, fit.

    Notes
    -----
    Exactly one of ``value``, ``factor``, ``from_set`` and ``tanh_series`` is given.
    """

    parameter: str
    value: float | None = None
    factor: float | None = None
    from_set: str | None = None
    tanh_series: dict[str, Any] | None = None
    source: str

    def __post_init__(self) -> None:
        """Check that it says one thing."""
        given = [self.value, self.factor, self.from_set, self.tanh_series]
        if sum(entry is not None for entry in given) != 1:
            raise ModelError(
                f"the override of {self.parameter!r} must give one of value, factor, from_set, tanh_series",
                remedy="Correct the parameter file",
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class CellParameters:
    """One cell type: a published PyBaMM set, scaled, with tables computed from it.

    Attributes
    ----------
    name : str
        Name of the file, or of the bare PyBaMM set.
    base_set : str
        PyBaMM's name of the published set, or the path of a calibrated set.
    overrides : tuple of Override
        Departures from it.
    capacity : float
        Capacity between the voltage limits at the reference temperature, at rest [A.h].
    lowest_voltage, highest_voltage : float
        Open-circuit voltage at 0 and 100 % state of charge [V].
    resistance : float
        Ohmic resistance beside the porous electrodes: tabs, foils, contacts [ohm].
    heat_capacity : float
        Heat capacity of the whole cell [J/K].
    heat_transfer : float
        Heat transfer coefficient of the cell alone in the air of the test [W/(m^2.K)].
    surface : float
        Outer surface of the cell [m^2].
    negative_empty, negative_full, positive_empty, positive_full : float
        Stoichiometries of the electrodes at 0 and 100 % state of charge [-].
    soc, voltage : ndarray of shape (n_points,)
        Open-circuit voltage [V] over state of charge [-], both strictly increasing.
    entropic_coefficient : ndarray of shape (n_points,)
        Derivative of the open-circuit voltage with temperature [V/K].
    title, chemistry : str
        For people.
    provenance : dict
        Source, licence, citation, what was fitted to what.
    limits : tuple of str
        What the parameters should not be used for.
    hash : str
        First 12 hexadecimal digits of the SHA-256 of all that follows from the file.
    """

    name: str
    base_set: str
    overrides: tuple[Override, ...]
    capacity: float
    lowest_voltage: float
    highest_voltage: float
    resistance: float
    heat_capacity: float
    heat_transfer: float
    surface: float
    negative_empty: float
    negative_full: float
    positive_empty: float
    positive_full: float
    soc: Array
    voltage: Array
    entropic_coefficient: Array
    title: str = ""
    chemistry: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    hash: str = ""

    def __post_init__(self) -> None:
        """Check the tables and make them read-only."""
        if self.soc.size < 2 or not self.soc.size == self.voltage.size == self.entropic_coefficient.size:
            raise ModelError(
                "soc, voltage and entropic_coefficient must have the same length, at least 2",
                where=self.name,
                remedy="Build the file anew with celltwin.physics.build_cell_parameters",
            )
        for what in ("soc", "voltage", "entropic_coefficient"):
            object.__setattr__(self, what, freeze(np.asarray(getattr(self, what), dtype=np.float64)))
        for what in ("soc", "voltage"):
            if not np.all(np.diff(getattr(self, what)) > 0.0):
                raise ModelError(
                    f"{what} of the open-circuit voltage table does not increase",
                    where=self.name,
                    remedy="Build the file anew with celltwin.physics.build_cell_parameters",
                )

    def content(self) -> dict[str, Any]:
        """Return what the file holds, for writing it and for the hash."""
        overrides = [
            {key: value for key, value in vars(override).items() if value is not None} for override in self.overrides
        ]
        return {
            "name": self.name,
            "title": self.title,
            "chemistry": self.chemistry,
            "base_set": self.base_set,
            "provenance": self.provenance,
            "limits": list(self.limits),
            "overrides": overrides,
            "cell": {key: getattr(self, key) for key in _CELL_KEYS},
            "open_circuit": {
                "soc": [round(float(value), 6) for value in self.soc],
                "voltage": [round(float(value), 7) for value in self.voltage],
                "entropic_coefficient": [round(float(value), 9) for value in self.entropic_coefficient],
            },
        }


_CELL_KEYS = (
    "capacity",
    "lowest_voltage",
    "highest_voltage",
    "resistance",
    "heat_capacity",
    "heat_transfer",
    "surface",
    "negative_empty",
    "negative_full",
    "positive_empty",
    "positive_full",
)


def load_cell_parameters(name: str) -> CellParameters:
    """Return the parameters of a cell.

    Parameters
    ----------
    name : str
        Name of a file in ``data/parameters`` (``"xjtu_18650"``), path of such a file, or name of a PyBaMM
        set (``"Chen2020"``), whose tables are then computed: that takes seconds.

    Raises
    ------
    ModelError
        If there is neither file nor set of that name, or the file is damaged.
    """
    return _load(str(name))


@lru_cache(maxsize=16)
def _load(name: str) -> CellParameters:
    path = Path(name) if name.endswith(".json") else PARAMETER_FOLDER / f"{name}.json"
    if not path.is_file():
        if name.endswith(".json"):
            raise ModelError("there is no such parameter file", where=name, remedy="See data/parameters for examples")
        from .parameter_sets import published_cell_parameters

        return published_cell_parameters(name)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the parameter file cannot be read ({error})", where=str(path), remedy="Restore it from the repository"
        ) from None
    return parse_cell_parameters(data, str(path))


def parse_cell_parameters(data: dict[str, Any], where: str) -> CellParameters:
    """Return the parameters that a parameter file's content describes.

    Parameters
    ----------
    data : dict
        Content, as :meth:`CellParameters.content` gives it, or of a calibrated set.
    where : str
        Where it comes from, for errors.

    Raises
    ------
    ModelError
        If a key is missing or of the wrong type.
    """
    if "Parameterisation" in data:
        from .calibration.calibrated_set_content import cell_content

        data = cell_content(data, where)
    try:
        table = data["open_circuit"]
        return CellParameters(
            name=str(data["name"]),
            title=str(data.get("title", "")),
            chemistry=str(data.get("chemistry", "")),
            base_set=str(data["base_set"]),
            provenance=dict(data.get("provenance", {})),
            limits=tuple(data.get("limits", ())),
            overrides=tuple(Override(**entry) for entry in data["overrides"]),
            soc=np.array(table["soc"], dtype=np.float64),
            voltage=np.array(table["voltage"], dtype=np.float64),
            entropic_coefficient=np.array(table["entropic_coefficient"], dtype=np.float64),
            hash=str(data.get("hash") or _hash(data)),
            **{key: float(value) for key, value in data["cell"].items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"the cell parameters are incomplete or wrong ({error!r})",
            where=where,
            remedy="Restore the file from the repository, or build it with celltwin.physics.build_cell_parameters",
        ) from None


def open_circuit_voltage(parameters: CellParameters, soc: Array | float) -> Array:
    """Return the open-circuit voltage [V] at the reference temperature.

    Parameters
    ----------
    parameters : CellParameters
        The cell.
    soc : ndarray or float
        State of charge [-]; outside [0, 1] the curve stays at its ends.

    Returns
    -------
    ndarray
        Voltage [V] of the shape of ``soc``, never decreasing with it.
    """
    return np.interp(np.asarray(soc, dtype=np.float64), parameters.soc, parameters.voltage)


def open_circuit_voltage_slope(parameters: CellParameters, soc: Array | float) -> Array:
    """Return the derivative of the open-circuit voltage with state of charge [V], positive.

    Parameters
    ----------
    parameters : CellParameters
        The cell.
    soc : ndarray or float
        State of charge [-]; outside [0, 1] the slope is the last one.
    """
    slope = np.gradient(parameters.voltage, parameters.soc)
    return np.interp(np.asarray(soc, dtype=np.float64), parameters.soc, slope)


def _hash(data: dict[str, Any]) -> str:
    text = json.dumps(
        {key: data[key] for key in ("base_set", "overrides", "cell", "open_circuit")}, sort_keys=True, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]
