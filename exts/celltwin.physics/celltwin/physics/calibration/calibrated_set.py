"""Calibrated sets as files: written from a calibration, read by PyBaMM, by BPX and by the pack engine."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import ZERO_CELSIUS, Array, ModelError, require_shape

from ..measurements.curve import MeasuredSet
from .base_sets_laws import CHARGE_MISSING, with_laws
from .calibrated_set_bpx import build_bpx_sections
from .calibrated_set_content import EXTENSION, FORMAT, extension_of
from .cell_simulation import LEAD_RESISTANCE
from .consistency import CalibrationAudit
from .consistency_capacity import RestingLimits
from .consistency_check import CheckOutcome, join_checks
from .consistency_course import law_values, mean_heat_transfer
from .provenance import build_provenance_card, finite

if TYPE_CHECKING:
    import pybamm

    from .calibrate import CalibrationResult

__all__ = [
    "ParameterUncertainty",
    "build_calibrated_set",
    "calibrated_values",
    "limits_content",
    "parameters_content",
    "read_calibrated_set",
    "set_name",
    "write_calibrated_set",
]

_TRANSFER = "Total heat transfer coefficient [W.m-2.K-1]"
_SOC = np.unique(np.concatenate([np.linspace(0.0, 1.0, 401), np.linspace(0.0, 0.02, 41)]))


@dataclass(frozen=True, kw_only=True, eq=False)
class ParameterUncertainty:
    """How well the data determine the calibrated parameters.

    Attributes
    ----------
    names : tuple of str
        Parameters.
    standard_deviation : ndarray of shape (n,)
        In the unit of each parameter.
    low, high : ndarray of shape (n,)
        Ends of the 95 % intervals.
    correlation : ndarray of shape (n, n)
        Correlation of the parameters, on the scale of the search.
    method : str
        Where it comes from, such as ``"Laplace"``.
    undetermined : tuple of str
        Parameters that the data hardly tell more of than their priors.
    """

    names: tuple[str, ...]
    standard_deviation: Array
    low: Array
    high: Array
    correlation: Array
    method: str
    undetermined: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the shapes."""
        size = len(self.names)
        for name in ("standard_deviation", "low", "high"):
            require_shape(name, getattr(self, name), (size,))
        require_shape("correlation", self.correlation, (size, size))


def set_name(cell: str) -> str:
    """Return a name that serves as a file's: ``"Samsung 30Q S001"`` becomes ``"samsung_30q_s001"``."""
    return re.sub(r"[^a-z0-9]+", "_", cell.lower()).strip("_") or "cell"


def build_calibrated_set(
    result: CalibrationResult,
    measured: MeasuredSet,
    audit: CalibrationAudit,
    *,
    name: str = "",
    uncertainty: ParameterUncertainty | None = None,
    made: datetime.datetime | None = None,
) -> dict[str, Any]:
    """Return the content of a calibrated set's file.

    Parameters
    ----------
    result : CalibrationResult
        The calibration.
    measured : MeasuredSet
        Its data.
    audit : CalibrationAudit
        Its checks.
    name : str
        Of the set; the cell's by default.
    uncertainty : ParameterUncertainty, optional
        How well the parameters are known.
    made : datetime, optional
        When; now by default.

    Returns
    -------
    dict
        A BPX document; what BPX has no place for lies under ``User-defined / Celltwin / description``.

    Raises
    ------
    ModelError
        If a check refuses the calibration, or BPX cannot hold a law.
    """
    audit.require_consistent()
    model, description, resting = result.problem.model, result.description, audit.resting
    inputs = {CHARGE_MISSING: 0.0, **model.numbers(result.values)}
    laws = with_laws(model.base.values, model.shapes)
    name = name or set_name(description.name)
    fitted = [audit.courses[curve] for curve in result.fitted if curve in audit.courses]
    if fitted:
        inputs[_TRANSFER] = mean_heat_transfer(fitted, float(laws["Cell cooling surface area [m2]"]))
    citations = "; ".join(dict.fromkeys(source.citation for source in result.sources if source.citation))
    document = build_bpx_sections(
        laws,
        inputs,
        description,
        resting,
        {
            "Title": f"{description.name}, calibrated",
            "Description": f"{description.format} cell, {description.chemistry}, {description.capacity:g} A.h; "
            f"calibrated with the {result.options.model} on {', '.join(result.fitted)}; {audit.outcome}",
            "References": "; ".join(part for part in (result.base.citation, citations) if part),
            "Model": "SPMe" if result.options.model == "SPM" else result.options.model,
        },
    )
    document["Parameterisation"]["User-defined"][EXTENSION] = {
        "description": {
            "format": FORMAT,
            "name": name,
            "title": f"{description.name}, calibrated",
            "chemistry": description.chemistry,
            "source": f"calibrated by celltwin on {len(result.fitted)} curves: {', '.join(result.fitted)}",
            "outcome": str(audit.outcome),
            "limits": limits_content(result, measured, audit),
            "cell": _cell(inputs, laws, resting, description.lower_voltage, description.upper_voltage),
            "open_circuit": _open_circuit(laws, inputs, resting, description.lower_voltage, description.upper_voltage),
            "parameters": parameters_content(result, uncertainty),
            "correlation": None
            if uncertainty is None
            else {
                "method": uncertainty.method,
                "names": list(uncertainty.names),
                "values": np.round(uncertainty.correlation, 4).tolist(),
            },
            "inputs": {key: float(value) for key, value in model.numbers(result.values).items()},
            "provenance": build_provenance_card(result, measured, audit, made=made),
        }
    }
    return document


def write_calibrated_set(content: Mapping[str, Any], path: str | Path) -> Path:
    """Write a calibrated set, whole or not at all, and return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def read_calibrated_set(path: str | Path) -> dict[str, Any]:
    """Return our part of a calibrated set: parameters with uncertainty, provenance, limits.

    Raises
    ------
    ModelError
        If the file cannot be read or is no calibrated set.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the calibrated set cannot be read ({error})", where=str(path), remedy="Give a file that exists"
        ) from None
    return extension_of(data, str(path))


def calibrated_values(path: str | Path) -> pybamm.ParameterValues:
    """Return a calibrated set for PyBaMM, at full charge; any BPX file serves as well.

    Raises
    ------
    ModelError
        If the file cannot be read or does not follow BPX.
    """
    from ..engine.bpx_source import read_bpx

    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"the calibrated set cannot be read ({error.strerror})", where=str(path), remedy="Give a file that exists"
        ) from None
    return read_bpx(path, content)[1]()


def _cell(
    inputs: Mapping[str, float], laws: Any, resting: RestingLimits, lower_voltage: float, upper_voltage: float
) -> dict[str, float]:
    return {
        "capacity": resting.capacity,
        "lowest_voltage": lower_voltage,
        "highest_voltage": upper_voltage,
        "resistance": inputs["Contact resistance [Ohm]"],
        "heat_capacity": inputs["Cell heat capacity [J.K-1.m-3]"] * float(laws["Cell volume [m3]"]),
        "heat_transfer": inputs[_TRANSFER],
        "surface": float(laws["Cell cooling surface area [m2]"]),
        "negative_empty": resting.negative_empty,
        "negative_full": resting.negative_full,
        "positive_empty": resting.positive_empty,
        "positive_full": resting.positive_full,
    }


def _open_circuit(
    laws: Any, inputs: Mapping[str, float], resting: RestingLimits, lower_voltage: float, upper_voltage: float
) -> dict[str, list[float]]:
    negative = resting.negative_empty + _SOC * (resting.negative_full - resting.negative_empty)
    positive = resting.positive_empty + _SOC * (resting.positive_full - resting.positive_empty)

    def full_cell(law: str) -> Array:
        high = law_values(laws, f"Positive electrode {law}", positive, inputs)
        return high - law_values(laws, f"Negative electrode {law}", negative, inputs)

    voltage = full_cell("OCP [V]")
    voltage[[0, -1]] = np.clip(voltage[[0, -1]], lower_voltage, upper_voltage)
    voltage = np.maximum.accumulate(voltage) + 2e-7 * np.arange(voltage.size)
    return {
        "soc": [round(float(value), 6) for value in _SOC],
        "voltage": [round(float(value), 7) for value in voltage],
        "entropic_coefficient": [round(float(value), 9) for value in full_cell("OCP entropic change [V.K-1]")],
    }


def _rig_content(values: Mapping[str, float]) -> list[str]:
    """Return what was found of the test rig, which is no part of the cell."""
    found = []
    lead, growth = values.get(LEAD_RESISTANCE, 0.0), values.get("Heat transfer growth [K-1]", 0.0)
    if abs(lead) > 1e-5:
        found.append(
            f"{1e3 * lead:.1f} mOhm between cell and voltmeter belong to the test rig; the set leaves them out."
        )
    if growth > 1e-4:
        found.append(
            f"The test rig's air took {values[_TRANSFER]:.1f} W/(m2.K), and {100.0 * growth:.1f} % more with every "
            "kelvin; the set states one coefficient, which takes as much heat over the fitted curves."
        )
    return found


def parameters_content(result: CalibrationResult, uncertainty: ParameterUncertainty | None) -> list[dict[str, Any]]:
    """Return value, unit, start, bounds and, where it is known, uncertainty of every free parameter."""
    place = {} if uncertainty is None else {name: index for index, name in enumerate(uncertainty.names)}
    rows = []
    for item, at in zip(result.space.parameters, result.position, strict=True):
        row: dict[str, Any] = {
            "name": item.name,
            "unit": item.unit,
            "value": item.from_unit(float(at)),
            "start": item.start,
            "low": item.low,
            "high": item.high,
            "scale": item.scale,
            "prior_spread": finite(item.spread),
            "bounds_from": item.source,
            "at_bound": item.name in result.at_bounds,
        }
        if uncertainty is not None and item.name in place:
            index = place[item.name]
            row["standard_deviation"] = finite(float(uncertainty.standard_deviation[index]))
            row["interval_95"] = [finite(float(uncertainty.low[index])), finite(float(uncertainty.high[index]))]
            row["determined"] = item.name not in uncertainty.undetermined
        rows.append(row)
    return rows


def limits_content(result: CalibrationResult, measured: MeasuredSet, audit: CalibrationAudit) -> list[str]:
    """Return in plain words where a calibrated set holds, and what is doubtful about it."""
    curves = [measured.curve(name) for name in result.fitted]
    rates = sorted(curve.mean_current / result.description.capacity for curve in curves)
    warmth = [
        np.asarray(curve.temperature)[np.isfinite(curve.temperature)]
        for curve in curves
        if curve.temperature is not None
    ]
    reach = f"Fitted on discharges from {rates[0]:.2g}C to {rates[-1]:.2g}C"
    if warmth:
        everything: NDArray[np.float64] = np.concatenate(warmth) - ZERO_CELSIUS
        reach += f" between {everything.min():.0f} and {everything.max():.0f} degC"
    held = [found.name for found in result.figures if found.held_out]
    return [
        f"{reach}; outside, and on charge, it extrapolates.",
        f"Held out: {', '.join(held)}." if held else "No curve was held out: the figures are of the fit alone.",
        "No ageing, swelling or hysteresis is part of the set.",
        *_rig_content(result.values),
        *(
            f"{check.name}{f' ({check.curve})' if check.curve else ''}: {check.message}."
            for check in join_checks(audit.of(CheckOutcome.FLAGGED))
        ),
    ]
