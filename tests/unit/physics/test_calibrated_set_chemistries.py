"""A set is written whatever published set it began with, also where a law of that set depends on a free number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.physics.calibration.base_sets import BASE_SETS, choose_base_set
from celltwin.physics.calibration.calibrate import CalibrationOptions, calibrate
from celltwin.physics.calibration.calibrated_set import build_calibrated_set
from celltwin.physics.calibration.cell_simulation import CellModel, CellSimulation, ModelOptions
from celltwin.physics.calibration.consistency import audit_calibration
from celltwin.physics.measurements.cell_description import CellDescription
from celltwin.physics.measurements.curve import CurveSource, MeasuredCurve, MeasuredSet


@pytest.mark.parametrize("chemistry", ["LCO-graphite", "NMC-graphite"])
def test_a_cell_of_another_chemistry_gives_a_set(chemistry: str):
    base = BASE_SETS[chemistry][0]
    cell = CellDescription(name="made", chemistry=chemistry, format="18650", capacity=2.0)
    time = np.arange(0.0, 1800.0, 30.0)
    curve = MeasuredCurve(
        name="1C",
        time=time,
        current=np.where(time > 0.0, 2.0, 0.0),
        voltage=np.linspace(cell.upper_voltage - 0.1, cell.lower_voltage + 0.5, time.size),
        temperature=np.full(time.size, 298.15),
        ambient_temperature=298.15,
        scored=np.ones(time.size, dtype=np.bool_),
        source=CurveSource(path="1C.csv", sha256="0", rows=time.size),
    )
    model = CellModel(choose_base_set(cell, base_set=base), ModelOptions(model="SPM"))
    found = CellSimulation(model, curve, np.arange(time.size)).solve({})
    measured = MeasuredSet(cell="made", curves=(replace(curve, voltage=found.voltage, temperature=found.temperature),))
    options = CalibrationOptions(model="SPM", names=("Contact resistance [Ohm]",), budget=1, threads=1, base_set=base)
    result = calibrate(cell, measured, options)

    audit = replace(audit_calibration(result, measured), checks=())  # the fit has not begun; here it is about the file

    content = build_calibrated_set(result, measured, audit)

    factor = content["Parameterisation"]["User-defined"]["Thermodynamic factor"]
    assert 0.2 < factor < 6.0
