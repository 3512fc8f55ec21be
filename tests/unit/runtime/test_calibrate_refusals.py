"""What ``celltwin calibrate`` cannot fit is said before anything is searched, with what it can."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import SettingsError
from celltwin.physics.calibration.optimisers import Progress
from celltwin.runtime.calibrate import CalibrationSettings, run_calibration
from celltwin.runtime.command_line_calibrate import _line

CELL = 'name = "made"\nchemistry = "NMC-graphite"\nformat = "21700"\ncapacity = "5 A.h"\n'


def _write_pulses(path: Path) -> None:
    """Write four pulses of 10 s at 5 A, a minute apart."""
    time = np.arange(0.0, 300.0)
    current = np.where((time % 70.0 >= 20.0) & (time % 70.0 < 30.0), 5.0, 0.0)
    drawn = np.cumsum(current) / 3600.0
    np.savetxt(
        path,
        np.column_stack([time, current, 4.0 - 0.03 * current - 0.2 * drawn, np.full(time.size, 25.0)]),
        delimiter=",",
        header="Time (s),Current (A),Voltage (V),Temperature (degC)",
        comments="",
    )


def test_pulses_alone_are_answered_with_what_a_calibration_fits(tmp_path: Path):
    (tmp_path / "cell.toml").write_text(CELL)
    _write_pulses(tmp_path / "hppc.csv")

    with pytest.raises(SettingsError, match=r"there are pulses \(pulses\)") as caught:
        run_calibration(
            CalibrationSettings(
                files=(str(tmp_path / "hppc.csv"),),
                cell=str(tmp_path / "cell.toml"),
                output=str(tmp_path / "out"),
            )
        )

    assert "constant current of C/2 or faster" in (caught.value.remedy or "")
    assert "not fitted" in (caught.value.remedy or "")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("stage", "timed"), [("coarse mesh", True), ("prediction: 1C", False), ("posterior: fits", False)]
)
def test_only_stages_that_have_a_limit_say_what_is_left(stage: str, timed: bool):
    step = Progress(stage=stage, evaluations=40, best=1.0, seconds=30.0)

    assert ("at most 30 s left" in _line(step, 0.5)) is timed


def test_a_stage_without_a_clock_says_no_time():
    step = Progress(stage="coarse mesh", evaluations=40, best=1.0, seconds=math.nan)

    assert "left" not in _line(step, 0.5)
