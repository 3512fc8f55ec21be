"""What the report of a calibration shows, read back from its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, RecordingError

__all__ = ["CalibrationEvidence", "FittedCurve", "load_calibration"]


@dataclass(frozen=True, eq=False)
class FittedCurve:
    """One curve, measured and simulated.

    Attributes
    ----------
    name : str
        Of the curve.
    held_out : bool
        Whether it took no part in the fit.
    time, current, voltage, temperature : ndarray of shape (n,)
        As measured [s], [A], [V], [K]; temperature is NaN where there is none.
    scored : ndarray of bool, shape (n,)
        Rows that count.
    simulated_voltage, simulated_temperature : ndarray of shape (n,)
        [V], [K]; NaN where the simulation had ended.
    voltage_band, temperature_band : ndarray of shape (2, n), optional
        Lower and upper end of the predictive intervals [V], [K]; None where the uncertainty was not asked for.
    """

    name: str
    held_out: bool
    time: Array
    current: Array
    voltage: Array
    temperature: Array
    scored: NDArray[np.bool_]
    simulated_voltage: Array
    simulated_temperature: Array
    voltage_band: Array | None = None
    temperature_band: Array | None = None

    @property
    def charge(self) -> Array:
        """Charge drawn since the first row [A.h], shape (n,)."""
        steps = 0.5 * (self.current[1:] + self.current[:-1]) * np.diff(self.time)
        return np.concatenate([[0.0], np.cumsum(steps)]) / 3600.0

    @property
    def has_temperature(self) -> bool:
        """Whether a temperature was measured."""
        return bool(np.isfinite(self.temperature).any())


@dataclass(frozen=True, eq=False)
class CalibrationEvidence:
    """A calibration as it lies on disk.

    Attributes
    ----------
    folder : Path
        Where.
    summary : dict
        Content of ``summary.json``.
    curves : tuple of FittedCurve
        In the order of the figures.
    history : ndarray of shape (n, 3)
        Evaluations, seconds and best cost.
    """

    folder: Path
    summary: dict[str, Any]
    curves: tuple[FittedCurve, ...]
    history: Array


def load_calibration(folder: Path) -> CalibrationEvidence | None:
    """Read a calibration; None where the folder holds something else.

    Raises
    ------
    RecordingError
        If its files are damaged.
    """
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # what reads other runs says what is wrong
    if summary.get("kind") != "calibration":
        return None
    try:
        with np.load(folder / "curves.npz") as arrays:
            curves = tuple(
                FittedCurve(
                    name,
                    name not in summary["fitted"],
                    *(
                        arrays[f"{index}_{what}"]
                        for what in (
                            "time",
                            "current",
                            "voltage",
                            "temperature",
                            "scored",
                            "simulated_voltage",
                            "simulated_temperature",
                        )
                    ),
                    *(_band(arrays, index, what) for what in ("voltage", "temperature")),
                )
                for index, name in enumerate(summary["curves"])
            )
            history = arrays["history"]
    except (OSError, ValueError, KeyError) as error:
        raise RecordingError(
            f"the curves of the calibration cannot be read ({error})", where=str(folder), remedy="Calibrate again"
        ) from None
    return CalibrationEvidence(folder, summary, curves, history)


def _band(arrays: Mapping[str, Array], index: int, what: str) -> Array | None:
    names = [f"{index}_{what}_{end}" for end in ("low", "high")]
    return np.array([arrays[name] for name in names]) if all(name in arrays for name in names) else None
