"""Measured curves and described cells keep their contracts."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from celltwin.core import ShapeError, SpecError
from celltwin.physics.measurements import (
    CELL_CHEMISTRIES,
    CellDescription,
    CurveSource,
    MeasuredCurve,
    MeasuredSet,
    MeasurementError,
    load_cell_description,
    parse_cell_description,
)
from celltwin.physics.measurements.noise import column_resolution, column_scatter, estimate_noise
from celltwin.physics.measurements.rates import parse_rate, rate_name

SOURCE = CurveSource(path="cell.csv", sha256="0", rows=4)


def curve(name: str = "1C", **changes: object) -> MeasuredCurve:
    time = np.array([0.0, 1800.0, 2700.0, 3600.0])
    fields: dict[str, object] = {
        "time": time,
        "current": np.full(4, 2.0),
        "voltage": np.array([4.1, 3.7, 3.4, 2.6]),
        "scored": np.ones(4, dtype=np.bool_),
        "source": SOURCE,
    }
    return MeasuredCurve(name=name, **(fields | changes))  # type: ignore[arg-type]


def test_charge_and_mean_current_are_those_of_the_trapezoidal_rule():
    ramp = curve(current=np.array([0.0, 2.0, 2.0, 0.0]))

    assert ramp.charge == pytest.approx(0.5 * 2.0 * 0.5 + 2.0 * 0.25 + 0.5 * 2.0 * 0.25)
    assert ramp.mean_current == pytest.approx(ramp.charge)


def test_arrays_of_a_curve_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        curve().voltage[0] = 0.0


def test_time_that_stands_still_is_refused_with_its_row():
    with pytest.raises(MeasurementError, match=r"time 1800 s in row 2 does not follow 1800 s"):
        curve(time=np.array([0.0, 1800.0, 1800.0, 3600.0]))


def test_columns_of_different_length_are_refused():
    with pytest.raises(ShapeError, match=r"voltage has shape \(3,\), expected \(4,\)"):
        curve(voltage=np.ones(3))


def test_voltage_may_be_missing_only_where_it_is_not_scored():
    voltage = np.array([4.1, np.nan, 3.4, 2.6])

    with pytest.raises(MeasurementError, match="voltage is not a number in row 1"):
        curve(voltage=voltage)
    assert curve(voltage=voltage, scored=np.isfinite(voltage)).scored.sum() == 3


def test_rows_that_leave_are_counted_by_reason():
    late = curve().keep_scored(np.array([True, True, True, False]), "the end")
    later = late.keep_scored(np.array([True, True, False, False]), "the end")

    assert later.source.left_out == {"the end": 2}
    assert later.source.used == later.scored.sum() == 2
    assert curve().source.left_out == {}


def test_a_set_finds_a_rate_however_it_is_spelt():
    measured = MeasuredSet(cell="S001", curves=(curve("0.1C"), curve("2C")))

    assert measured.curve("C/10").name == measured.curve("0p1C").name == "0.1C"
    assert measured.select("2C").names == ("2C",)
    with pytest.raises(MeasurementError, match=r"no curve '5C'\. Choose among 0\.1C, 2C"):
        measured.curve("5C")


def test_two_curves_of_one_name_are_refused():
    with pytest.raises(MeasurementError, match="two curves named '1C'"):
        MeasuredSet(cell="S001", curves=(curve(), curve()))


def test_a_set_travels_to_a_worker_process():
    sent = pickle.loads(pickle.dumps(MeasuredSet(cell="S001", curves=(curve(),))))

    np.testing.assert_array_equal(sent.curve("1C").voltage, curve().voltage)


@pytest.mark.parametrize(
    ("current", "capacity", "name"),
    [
        (3.0, 3.0, "1C"),
        (-6.05, 3.0, "2C"),
        (0.3, 3.0, "0.1C"),
        (1.1, 3.3, "0.33C"),
        (1.4, 2.0, "0.7C"),
        (2.5, None, "2.5 A"),
    ],
)
def test_rates_have_the_names_that_engineers_use(current: float, capacity: float | None, name: str):
    assert rate_name(current, capacity) == name


@pytest.mark.parametrize(
    ("name", "rate"), [("C/20", 0.05), ("C10", 0.1), ("1.5C", 1.5), ("0p5C", 0.5), ("pulses", None)]
)
def test_rates_are_read_from_names(name: str, rate: float | None):
    assert parse_rate(name) == (None if rate is None else pytest.approx(rate))


def test_noise_of_a_ramp_is_its_scatter_and_its_resolution():
    rng = np.random.default_rng(3)
    time = np.linspace(0.0, 3600.0, 4000)
    smooth = 4.1 - 1.2 * (time / 3600.0) ** 2

    scattered = smooth + 5e-3 * rng.standard_normal(time.size)
    rounded = np.round(smooth / 4e-3) * 4e-3

    assert column_scatter(scattered, time) == pytest.approx(5e-3, rel=0.05)
    assert column_resolution(rounded) == pytest.approx(4e-3)
    assert estimate_noise(rounded, time) == pytest.approx(4e-3 / 12.0**0.5, rel=0.3)
    assert estimate_noise(smooth, time, at_least=1e-3) == 1e-3


def test_noise_does_not_count_uneven_sampling_of_a_straight_line():
    time = np.cumsum(np.random.default_rng(1).uniform(0.1, 30.0, 500))

    assert column_scatter(4.0 - 1e-4 * time, time) < 1e-12


def test_five_lines_describe_a_cell():
    text = """
    name = "Samsung 30Q"
    chemistry = "NCA-graphite-SiOx"
    format = "18650"
    capacity = "3000 mAh"
    mass = "48 g"
    """
    cell = parse_cell_description(text)

    assert (cell.capacity, cell.lower_voltage, cell.upper_voltage) == (3.0, 2.5, 4.2)
    assert cell.likely_mass == pytest.approx(0.048)
    assert cell.volume == pytest.approx(np.pi / 4 * 18.35e-3**2 * 65e-3)
    assert cell.surface == pytest.approx(np.pi * 18.35e-3 * (65e-3 + 18.35e-3 / 2))


@pytest.mark.parametrize("chemistry", CELL_CHEMISTRIES)
def test_estimated_mass_of_an_18650_is_that_of_a_real_one(chemistry: str):
    cell = CellDescription(name="x", chemistry=chemistry, format="18650", capacity=2.5)

    assert 0.035 < cell.likely_mass < 0.050


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('chemistry = "NMC"', "chemistry = 'NMC' is not one of NMC-graphite"),
        ('format = "pouch"', "dimensions has 0 numbers, a pouch cell needs 3"),
        ("capacity = 0.0", "capacity = 0 A.h must be greater than 0"),
        ('capacity = "3 V"', "cannot be converted to 'A.h'"),
        ("lower_voltage = 4.5", r"lower_voltage = 4.5 V must be below cell.upper_voltage = 4.2 V"),
        ("chemstry = 1", r"unknown key cell.chemstry"),
    ],
)
def test_a_wrong_line_of_a_description_is_named(tmp_path, line: str, message: str):
    lines = {"name": '"x"', "chemistry": '"NMC-graphite"', "format": '"18650"', "capacity": "2.0"}
    key, value = line.split(" = ")
    path = tmp_path / "cell.toml"
    path.write_text("\n".join(f"{name} = {text}" for name, text in (lines | {key: value}).items()))

    with pytest.raises(SpecError, match=message) as caught:
        load_cell_description(path)
    assert str(path) in str(caught.value)
