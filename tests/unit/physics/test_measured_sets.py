"""Published measurements are read as published; figures are those of the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from celltwin.physics.measurements import (
    CellDescription,
    FindingLevel,
    MeasuredSet,
    MeasurementError,
    capacity_spread,
    check_measured_set,
    list_cells,
    read_capacities,
    read_lgm50_open_circuit,
    read_measured_set,
)

Find = Callable[[str], Path]
SAMSUNG = CellDescription(name="30Q", chemistry="NCA-graphite-SiOx", format="18650", capacity=3.0)


def grave(measured: MeasuredSet, description: CellDescription) -> list[str]:
    findings = check_measured_set(measured, description)
    return [str(finding) for finding in findings if finding.level is not FindingLevel.NOTE]


@pytest.mark.measured
def test_samsung_30q_has_five_rates_and_every_row(measured_data: Find):
    measured = read_measured_set(measured_data("samsung_30q") / "S001")

    assert measured.names == ("0.1C", "1C", "2C", "3C", "4C")
    assert [curve.source.rows for curve in measured.curves] == [35605, 3548, 1768, 1171, 871]
    assert all(curve.source.left_out == {} for curve in measured.curves)
    assert measured.curve("1C").charge == pytest.approx(2.956, abs=1e-3)
    assert measured.curve("1C").ambient[0] == pytest.approx(273.15 + 22.552, abs=1e-3)
    assert measured.curve("2C").strain is not None
    assert 0.5e-3 <= measured.curve("1C").voltage_noise < 2e-3
    assert grave(measured, SAMSUNG) == []


@pytest.mark.measured
def test_the_overflow_in_samsung_s002_is_not_a_current(measured_data: Find):
    folder = measured_data("samsung_30q") / "S002"
    measured = read_measured_set([folder / f"Q30_S002_{rate}.csv" for rate in ("1C", "2C")])
    curve = measured.curve("1C")

    assert curve.source.left_out == {"current is not a number": 1}
    assert curve.current[0] == 0.0
    assert np.max(curve.current) < 3.1
    assert grave(measured, SAMSUNG) == []


@pytest.mark.measured
def test_several_cells_must_be_told_apart(measured_data: Find):
    files = [measured_data("samsung_30q") / cell / f"Q30_{cell}_4C.csv" for cell in ("S001", "S002")]

    assert list_cells(files) == ("S001", "S002")
    with pytest.raises(MeasurementError, match="hold cells S001, S002"):
        read_measured_set(files)


@pytest.mark.measured
def test_hidden_rows_of_the_digitised_xjtu_curves_are_not_scored(measured_data: Find):
    measured = read_measured_set(measured_data("xjtu_discharge"))

    assert measured.names == ("0.5C", "1C", "2C", "3C", "5C")
    assert [curve.source.used for curve in measured.curves] == [667, 323, 157, 202, 134]
    assert [sum(curve.source.left_out.values()) for curve in measured.curves] == [4, 6, 7, 18, 3]
    for curve in measured.curves:
        assert curve.source.digitised
        assert (curve.voltage_noise, curve.temperature_noise, curve.time_uncertainty) == (4e-3, 0.058, 12.0)
        assert curve.less_certain is not None
        assert np.all(curve.time[curve.less_certain] > curve.time[-1] - 50.0)
    description = CellDescription(name="XJTU", chemistry="NMC-graphite", format="18650", capacity=2.0)
    assert grave(measured, description) == []


@pytest.mark.measured
def test_lgm50_rate_test_is_cut_into_its_discharges_charges_and_rests(measured_data: Find):
    measured = read_measured_set(measured_data("lgm50"), kind="lgm50")
    discharges = measured.of_kind("discharge")

    assert len(discharges.curves) == len(measured.of_kind("charge").curves) == 16
    assert len(measured.of_kind("rest").curves) == 32
    assert measured.curve("1C at 25 degC").charge == pytest.approx(4.783, abs=1e-3)
    assert all(curve.temperature is None for curve in measured.of_kind("rest").curves)
    description = CellDescription(name="M50", chemistry="NMC-graphite-SiOx", format="21700", capacity=5.0)
    (only,) = grave(discharges, description)
    assert "1.5C at 45 degC begins at 4.054 V at rest" in only


@pytest.mark.measured
def test_lgm50_pulses_and_open_circuit_voltage(measured_data: Find):
    folder = measured_data("lgm50")

    pulses = read_measured_set(folder, kind="lgm50_pulses", cell="Cell5")
    table = read_lgm50_open_circuit(folder / "LGM50_5Ah_OCV.mat")

    assert pulses.names[0] == "pulse at 90 % and 25 degC"
    assert len(pulses.curves) == 9
    assert np.all(np.diff(table.soc) > 0.0)
    assert np.all(np.diff(table.voltage) > 0.0)


@pytest.mark.measured
def test_enertech_has_voltage_thickness_and_temperature(measured_data: Find):
    measured = read_measured_set(measured_data("enertech"))
    fast = measured.curve("2C")

    assert measured.names == ("0.1C", "0.5C", "1C", "2C")
    assert fast.thickness is not None
    assert fast.temperature is not None
    assert np.max(fast.temperature) == pytest.approx(298.15 + 10.4, abs=0.1)
    assert measured.curve("0.1C").temperature is None
    description = CellDescription(
        name="Enertech", chemistry="LCO-graphite", format="pouch", capacity=2.28, dimensions=(0.103, 0.06, 0.0046)
    )
    assert grave(measured, description) == []


@pytest.mark.measured
def test_leaf_groups_are_read_as_one_cell_each(measured_data: Find):
    folder = measured_data("leaf_modules")
    weak, strong = (read_measured_set(folder, cell=name) for name in ("A1", "A2"))

    assert weak.names == ("0.3C", "1C")
    assert weak.curve("1C").charge == strong.curve("1C").charge
    assert weak.curve("1C").voltage[-1] < strong.curve("1C").voltage[-1]
    assert weak.unused == {"rest, not asked for": 38}


@pytest.mark.measured
def test_spreadsheets_of_the_21700_cell(measured_data: Find):
    measured = read_measured_set(measured_data("samsung_21700"))

    assert set(measured.names) == {"pulses", "one pulse", "drive"}
    assert measured.curve("one pulse").source.rows == 403
    assert measured.curve("drive").source.left_out == {"voltage is not a number": 3601}


@pytest.mark.measured
def test_capacities_of_fresh_xjtu_cells_differ_by_half_a_percent_within_a_batch(measured_data: Find):
    cells = read_capacities(measured_data("xjtu_cycles"))
    spread = capacity_spread([cell for cell in cells if cell.group == "R3"])

    assert len(cells) == 55
    assert sum(cell.source.rows for cell in cells) == 23297
    assert spread.mean == pytest.approx(1.926, abs=1e-3)
    assert spread.deviation == pytest.approx(0.0047, abs=2e-4)


def test_spread_of_capacities_that_are_drawn_is_the_one_they_are_drawn_with(tmp_path: Path):
    rng = np.random.default_rng(2)
    for number, level in enumerate(2.0 * (1.0 + 0.01 * rng.standard_normal(200))):
        rows = [f"{cycle},{level - 1e-4 * cycle:.5f}" for cycle in range(10)]
        (tmp_path / f"B_battery-{number}.csv").write_text("\n".join(["cycle,capacity", *rows]))

    spread = capacity_spread(read_capacities(tmp_path))

    assert spread.mean == pytest.approx(2.0, rel=3e-3)
    assert abs(spread.deviation - 0.01) < 3.0 * spread.deviation_uncertainty


def test_cycles_without_a_capacity_and_leaps_are_counted(tmp_path: Path):
    values = [2.0, 1.99, "", 1.98, 0.4, 1.97, 1.96, -1.0, 1.95]
    (tmp_path / "c_battery-1.csv").write_text("\n".join(["n,capacity", *(f"{n},{v}" for n, v in enumerate(values))]))

    (cell,) = read_capacities(tmp_path)

    assert cell.source.left_out == {
        "capacity is not a positive number": 2,
        "capacity leaps from that of its neighbours and back": 1,
    }
    assert cell.cycle.tolist() == [1, 2, 4, 6, 7, 9]
    assert cell.initial(3) == 1.99


def test_a_table_without_capacities_names_its_columns(tmp_path: Path):
    (tmp_path / "c.csv").write_text("a,b\n1,2\n3,4\n")

    with pytest.raises(MeasurementError, match="no column of capacities; its columns are a, b"):
        read_capacities(tmp_path)
    with pytest.raises(MeasurementError, match="0 cells have no spread"):
        capacity_spread([])
