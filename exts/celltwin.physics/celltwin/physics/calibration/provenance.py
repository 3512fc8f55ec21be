"""The provenance card of a calibrated set: data, rows, model, options and software that made it, and its figures."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ..measurements.curve import MeasuredCurve, MeasuredSet
from .calibration_figures import CurveFigures
from .consistency import CalibrationAudit
from .consistency_check import ConsistencyCheck

if TYPE_CHECKING:
    from .calibrate import CalibrationResult

__all__ = ["build_provenance_card", "check_content", "figures_content", "finite"]

_PATH_PARTS = 3  # of a file's path that are kept: folders above are the user's own


def build_provenance_card(
    result: CalibrationResult, measured: MeasuredSet, audit: CalibrationAudit, *, made: datetime.datetime | None = None
) -> dict[str, Any]:
    """Return everything that is needed to judge a calibrated set, and to make it again.

    Parameters
    ----------
    result : CalibrationResult
        The calibration.
    measured : MeasuredSet
        Its data.
    audit : CalibrationAudit
        Its checks.
    made : datetime, optional
        When; now by default.

    Returns
    -------
    dict
        Of JSON's types only; numbers that do not exist are None.
    """
    made = made or datetime.datetime.now(datetime.UTC)
    model = result.problem.model
    return {
        "made": made.isoformat(timespec="seconds"),
        "cell": asdict(result.description),
        "data": [_curve_content(curve, curve.name in result.fitted) for curve in _curves(result, measured)],
        "rows_in_no_curve": dict(measured.unused),
        "model": {
            "equations": result.options.model,
            "base_set": result.base.name,
            "base_set_citation": result.base.citation,
            "base_set_departure_V": finite(result.base.balance_error),
            "heat_of_mixing": model.options.heat_of_mixing,
            "thermal": "one temperature, contact resistance, entropic heat",
            "corrections": {
                key: list(value) if isinstance(value, tuple) else value for key, value in vars(result.shapes).items()
            },
        },
        "options": _options(result),
        "seed": result.options.seed,
        "search": {
            "evaluations": result.evaluations,
            "seconds": round(result.seconds, 1),
            "stages": [
                {
                    "name": name,
                    "method": stage.method,
                    "evaluations": stage.evaluations,
                    "cost": finite(stage.cost),
                    "ended": stage.reason,
                }
                for name, stage in result.stages
            ],
            "failed_simulations": dict(result.failures),
        },
        "software": _software(result.software),
        "figures": [figures_content(found) for found in result.figures],
        "outcome": str(audit.outcome),
        "checks": [check_content(check) for check in audit.checks],
    }


def figures_content(found: CurveFigures) -> dict[str, Any]:
    """Return the figures of one curve, with their units in the names."""
    return {
        "curve": found.name,
        "held_out": found.held_out,
        "voltage_MAPE_percent": finite(found.voltage_mape),
        "voltage_RMSE_V": finite(found.voltage_rmse),
        "temperature_MAPE_percent": finite(found.temperature_mape),
        "temperature_RMSE_K": finite(found.temperature_rmse),
        "rows": found.rows,
        "rows_not_reached": found.missing,
    }


def check_content(check: ConsistencyCheck) -> dict[str, Any]:
    """Return one check."""
    content = asdict(check)
    return content | {"outcome": str(check.outcome), "value": finite(check.value), "limit": finite(check.limit)}


def finite(value: float | None) -> float | None:
    """Return a number that JSON can hold, else None."""
    return float(value) if value is not None and math.isfinite(value) else None


def _curves(result: CalibrationResult, measured: MeasuredSet) -> list[MeasuredCurve]:
    return [measured.curve(found.name) for found in result.figures]


def _curve_content(curve: MeasuredCurve, fitted: bool) -> dict[str, Any]:
    source = curve.source
    return {
        "curve": curve.name,
        "use": "fitted" if fitted else "held out",
        "file": "; ".join(_short(part) for part in source.path.split("; ")),
        "sha256": source.sha256,
        "rows": source.rows,
        "rows_used": source.used,
        "rows_left_out": dict(source.left_out),
        "citation": source.citation,
        "licence": source.licence,
        "digitised": source.digitised,
        "supposed": list(curve.assumptions),
        "temperature": curve.temperature is not None,
    }


def _short(path: str) -> str:
    return PurePath(*PurePath(path).parts[-_PATH_PARTS:]).as_posix()


def _options(result: CalibrationResult) -> dict[str, Any]:
    options = asdict(result.options)
    options["start"] = dict(result.options.start)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}


def _software(found: Mapping[str, str]) -> dict[str, str]:
    versions = {"python": platform.python_version(), **found}
    for name in ("celltwin", "bpx"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # run from its sources
            versions[name] = "not installed"
    return versions
