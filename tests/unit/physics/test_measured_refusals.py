"""What a new user gets wrong is refused with place and remedy; what may be a temperature is not passed over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import SpecError
from celltwin.physics.measurements import (
    CellDescription,
    CurveSource,
    FindingLevel,
    MeasuredCurve,
    MeasuredSet,
    MeasurementError,
    check_measured_set,
    parse_cell_description,
    read_measured_set,
    require_usable,
)
from celltwin.physics.measurements.rates import rate_name
from celltwin.physics.measurements.readers_mapping import guess_mapping

CELL = 'name = "made"\nchemistry = "{chemistry}"\nformat = "18650"\ncapacity = "3000 mAh"\n'


def discharge(rate: float = 1.0) -> MeasuredCurve:
    """Return a complete discharge of an NMC cell of 3 A.h."""
    soc = np.linspace(1.0, 0.0, 200)
    voltage = np.interp(soc, [0.0, 0.03, 0.1, 0.2, 0.5, 0.8, 1.0], [2.5, 3.2, 3.4, 3.5, 3.7, 3.98, 4.18])
    return MeasuredCurve(
        name=f"{rate:g}C",
        time=3600.0 / rate * (1.0 - soc),
        current=np.full(soc.size, 3.0 * rate),
        voltage=voltage,
        temperature=298.15 + 4.0 * rate * (1.0 - soc),
        ambient_temperature=np.full(soc.size, 298.15),
        scored=np.ones(soc.size, dtype=np.bool_),
        source=CurveSource(path=f"{rate:g}C.csv", sha256="0", rows=soc.size),
    )


def measured(*curves: MeasuredCurve) -> MeasuredSet:
    return MeasuredSet(cell="made", curves=curves, nominal_capacity=3.0)


def described(chemistry: str = "NMC-graphite") -> CellDescription:
    return parse_cell_description(CELL.format(chemistry=chemistry), where="cell.toml")


def test_a_refusal_says_the_chemistry_that_fits_beside_the_broken_window():
    with pytest.raises(
        MeasurementError, match=r"beyond the cell's 3.65 to 2 V.*; and curve 0.2C has .* at half"
    ) as caught:
        require_usable(check_measured_set(measured(discharge(0.2), discharge()), described("LFP-graphite")))

    assert "It looks like NMC-graphite" in (caught.value.remedy or "")


def test_more_than_three_refusals_are_counted():
    bad = [replace(discharge(rate), voltage=1e3 * discharge(rate).voltage) for rate in (0.2, 1.0)]
    series = replace(discharge(2.0), voltage=14.0 * discharge().voltage)
    hot = discharge(3.0)
    hot = replace(hot, temperature=np.full(hot.time.size, 571.0), current=1e3 * hot.current)

    with pytest.raises(MeasurementError, match=r"\(and \d more\)"):
        require_usable(check_measured_set(measured(*bad, series, hot), described()))


def test_kelvin_in_both_columns_names_each_curve_once():
    curves = [discharge(rate) for rate in (0.2, 1.0)]
    hot = [
        replace(curve, temperature=curve.temperature + 273.15, ambient_temperature=curve.ambient + 273.15)
        for curve in curves
    ]

    with pytest.raises(MeasurementError, match=r"\(likewise 1C\)") as caught:
        require_usable(check_measured_set(measured(*hot), described()))

    assert "docs/measurements.md" in (caught.value.remedy or "")


def test_rates_of_a_wrong_unit_are_written_out():
    assert rate_name(3000.0, 3.0) == "1000C"
    assert rate_name(12.0, 3.0) == "4C"


def test_a_blend_is_answered_with_what_to_write():
    with pytest.raises(SpecError, match=r"cell.chemistry = 'LMO-NCA-graphite'") as caught:
        described("LMO-NCA-graphite")

    assert caught.value.where == "cell.toml"
    assert "Write NCA-graphite or LMO-graphite" in caught.value.remedy.replace(
        "NCA-graphite or NCA-graphite-SiOx or ", "NCA-graphite or "
    )


def test_a_missing_field_is_named():
    with pytest.raises(SpecError, match=r"cell\.capacity is missing"):
        parse_cell_description('name = "made"\nchemistry = "NMC-graphite"\nformat = "18650"\n')


@pytest.mark.parametrize(
    "name", ["Temperatur Zelle [°C]", "T Zelle [°C]", "Cell surface temp. (degC)", "Thermocouple 2/°C"]
)
def test_the_only_column_that_can_be_a_temperature_is_taken(name: str):
    mapping = guess_mapping(["Zeit [min]", "Strom [mA]", "Spannung [mV]", name, "Temperatur Umgebung [°C]"], "a.csv")

    assert mapping.columns["temperature"].column == name
    assert mapping.columns["temperature"].unit == "degC"
    assert mapping.columns["ambient_temperature"].column == "Temperatur Umgebung [°C]"


def test_two_columns_that_may_be_a_temperature_are_said_and_left():
    mapping = guess_mapping(["Zeit [s]", "Strom [A]", "Spannung [V]", "Temp Pol [°C]", "Temp Wand [°C]"], "a.csv")

    assert "temperature" not in mapping.columns
    assert any("'Temp Pol [°C]', 'Temp Wand [°C]'" in note for note in mapping.notes)


def test_charge_in_coulombs_is_no_temperature():
    mapping = guess_mapping(["Time [s]", "Current [A]", "Voltage [V]", "Charge [C]"], "a.csv")

    assert "temperature" not in mapping.columns


def test_files_of_several_cells_name_the_option(tmp_path: Path):
    rows = "".join(f"{12 * row},-2.0,{4.1 - 0.01 * row:.3f},{25 + 0.1 * row:.2f},1\n" for row in range(40))
    for cell in ("a", "b"):
        (tmp_path / f"XJTU_{cell}_discharge_1C.csv").write_text(
            "time_s,current_A,voltage_V,temperature_C,curve_visible\n" + rows
        )

    with pytest.raises(MeasurementError, match="cells a, b") as caught:
        read_measured_set(tmp_path, cell=described())

    assert str(tmp_path) in (caught.value.where or "")
    assert "--select" in (caught.value.remedy or "")


def test_units_that_the_file_does_not_state_are_supposed_and_those_that_it_states_are_not():
    mapping = guess_mapping(["Time [s]", "Current", "Voltage [mV]", "Temperature"], "a.csv")

    assert mapping.notes == (
        "the file states no unit; read as usual: current 'Current' in A, temperature 'Temperature' in degC",
    )
    assert guess_mapping(["Time [s]", "Current [A]", "Voltage [V]"], "a.csv").notes == ()


def test_seconds_read_as_minutes_are_named():
    slow = replace(discharge(), time=60.0 * discharge().time)

    with pytest.raises(MeasurementError, match=r"draws 180 A.h") as caught:
        require_usable(check_measured_set(measured(slow), described()))

    assert "not in minutes" in (caught.value.remedy or "")


def test_degrees_fahrenheit_do_not_pass_as_celsius():
    curve = discharge()
    assert curve.temperature is not None
    hot = replace(
        curve,
        temperature=1.8 * (curve.temperature - 273.15) + 32.0 + 273.15,
        ambient_temperature=1.8 * (curve.ambient - 273.15) + 32.0 + 273.15,
    )

    found = [item for item in check_measured_set(measured(hot), described()) if "degF" in item.remedy]

    assert [item.level for item in found] == [FindingLevel.DOUBTFUL]
    assert "begins at 77.0 degC" in found[0].message


def test_an_unknown_format_says_what_to_write():
    text = CELL.format(chemistry="NMC-graphite").replace("18650", "2170")

    with pytest.raises(SpecError, match=r"cell.format = '2170'") as caught:
        parse_cell_description(text)

    assert '"21700"' in (caught.value.remedy or "")


def test_a_slow_whole_discharge_that_draws_two_thirds_of_the_capacity_is_doubtful():
    large = parse_cell_description(CELL.format(chemistry="NMC-graphite").replace("3000 mAh", "4800 mAh"))

    found = [item for item in check_measured_set(measured(discharge(0.2)), large) if item.check == "capacity"]

    assert [item.level for item in found] == [FindingLevel.DOUBTFUL]
    assert "draws 3 A.h from a cell of 4.8 A.h" in found[0].message
