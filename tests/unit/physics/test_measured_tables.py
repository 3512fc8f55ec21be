"""Cyclers' exports and Battery Data Format become the same curves, however they are written."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import SpecError
from celltwin.physics.measurements import (
    CellDescription,
    MeasuredCurve,
    MeasurementError,
    load_mapping,
    parse_mapping,
    read_measured_set,
)

CELL = CellDescription(name="made", chemistry="NMC-graphite", format="18650", capacity=2.0)
STEP = 10.0  # [s]

MAPPING = """
delimiter = ";"
decimal = ","
skip_rows = 3
current_sign = "charge positive"
ambient_temperature = "25 degC"
cell = "A7"
citation = "our own"
[columns]
time = {column = "Zeit", unit = "min"}
current = {column = "Strom", unit = "mA"}
voltage = {column = "Spannung", unit = "mV"}
temperature = {column = "T Zelle", unit = "degC"}
"""


class Record:
    """Rest, 1C discharge, rest, of an invented cell: [s], [A] positive on discharge, [V], [degC]."""

    time = np.arange(0.0, 4800.0, STEP)
    current = np.where((time >= 600.0) & (time < 4100.0), 2.0, 0.0)
    drawn = np.concatenate([[0.0], np.cumsum(0.5 * (current[1:] + current[:-1]) * STEP)]) / 3600.0
    voltage = np.interp(1.0 - drawn / 2.0, [0.0, 0.05, 0.2, 0.5, 0.8, 1.0], [2.9, 3.3, 3.5, 3.68, 3.98, 4.18])
    voltage = voltage - 0.05 * current
    temperature = 25.0 + 6.0 * drawn


def write(path: Path, header: str, columns: list[np.ndarray], delimiter: str = ",", decimal: str = ".") -> Path:
    rows = [delimiter.join(f"{value:.6f}".replace(".", decimal) for value in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def discharge(path: Path, **given: object) -> MeasuredCurve:
    curve = read_measured_set(path, cell=CELL, **given).curve("1C")  # type: ignore[arg-type]
    assert curve.kind == "discharge"
    assert curve.charge == pytest.approx(Record.drawn[-1], abs=0.01)
    assert curve.voltage[1] == pytest.approx(Record.voltage[60], abs=1e-6)
    assert curve.temperature is not None
    assert curve.temperature[0] == pytest.approx(298.15, abs=0.1)
    return curve


def bdf(path: Path, labels: bool = False) -> Path:
    header = "test_time_second,voltage_volt,current_ampere,surface_temperature_celsius"
    if labels:
        header = "Test Time / s,Voltage / V,Current / A,Surface Temperature T1 / degC"
    return write(path, header, [Record.time, Record.voltage, -Record.current, Record.temperature])


@pytest.mark.parametrize("labels", [False, True])
def test_battery_data_format_is_read_with_its_own_sign(tmp_path: Path, labels: bool):
    curve = discharge(bdf(tmp_path / "lab__A1.bdf.csv", labels))

    assert "Battery Data Format" in curve.assumptions
    assert curve.rest_voltage == pytest.approx(4.18)


def test_compressed_battery_data_format_is_the_same(tmp_path: Path):
    plain = bdf(tmp_path / "A1.bdf")
    packed = tmp_path / "B1.bdf.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    np.testing.assert_array_equal(discharge(packed).voltage, discharge(plain).voltage)


def test_parquet_is_the_same(tmp_path: Path):
    from pyarrow import parquet, table

    path = tmp_path / "A1.bdf.parquet"
    parquet.write_table(
        table(
            {
                "test_time_second": Record.time,
                "voltage_volt": Record.voltage,
                "current_ampere": -Record.current,
                "surface_temperature_celsius": Record.temperature,
            }
        ),
        path,
    )

    discharge(path)


def test_a_mapping_says_units_sign_decimal_comma_and_lines_to_skip(tmp_path: Path):
    path = write(
        tmp_path / "export.csv",
        "Prüfling;A7;;\nProgramm;1C;;\n\nZeit;Strom;Spannung;T Zelle",
        [Record.time / 60.0, -1e3 * Record.current, 1e3 * Record.voltage, Record.temperature],
        ";",
        ",",
    )
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(MAPPING)

    measured = read_measured_set(path, mapping=mapping, cell=CELL)
    curve = discharge(path, mapping=mapping)

    assert curve.ambient_temperature == pytest.approx(298.15)
    assert curve.source.citation == "our own"
    assert measured.names == ("1C", "rest", "rest after 1C")
    assert read_measured_set(path, mapping=mapping).cell == "A7"


@pytest.mark.parametrize(
    ("header", "sign", "delimiter"),
    [
        ("Test_Time(s),Current(A),Voltage(V),Aux_Temperature_1(C)", -1.0, ","),
        ("time/s\tI/A\tEcell/V\tTemperature/°C", -1.0, "\t"),
        ("time_s;current_A;voltage_V;temperature_C", 1.0, ";"),
    ],
)
def test_usual_names_need_no_mapping_and_the_voltage_tells_the_sign(
    tmp_path: Path, header: str, sign: float, delimiter: str
):
    path = write(
        tmp_path / "a.txt", header, [Record.time, sign * Record.current, Record.voltage, Record.temperature], delimiter
    )

    curve = discharge(path)

    word = "discharges" if sign > 0 else "charges"
    assert f"positive current {word} the cell in this file: its voltage says so" in curve.assumptions


def test_times_as_hours_minutes_seconds_and_a_line_of_units(tmp_path: Path):
    path = tmp_path / "a.csv"
    rows = [
        f"{int(time // 3600):02d}:{int(time % 3600 // 60):02d}:{time % 60:04.1f},"
        f"{1e3 * current:g},{voltage:.9f},{temperature:.2f}"
        for time, current, voltage, temperature in zip(
            Record.time, Record.current, Record.voltage, Record.temperature, strict=True
        )
    ]
    path.write_text("\n".join(["Test Time,Current,Voltage,Temperature", "hh:mm:ss,mA,V,degC", *rows]))

    curve = discharge(path)

    assert curve.time[-1] == pytest.approx(3500.0)


def test_every_row_is_in_a_curve_or_counted(tmp_path: Path):
    voltage, time, current = Record.voltage.copy(), Record.time.copy(), Record.current.copy()
    voltage[100:103] = np.nan  # no voltage
    time[200] = time[199]  # repeated
    current[300] = 3.4e38  # a sensor's overflow
    path = write(tmp_path / "a.bdf.csv", "test_time_second,voltage_volt,current_ampere", [time, voltage, -current])

    measured = read_measured_set(path, cell=CELL)
    curve = measured.curve("1C")

    assert curve.source.left_out == {
        "time does not increase": 1,
        "current is not a number": 1,
        "voltage is not a number": 3,
    }
    assert curve.source.used == np.count_nonzero(curve.scored)
    assert np.all(curve.current[1:] == 2.0)
    shared = 1  # the row at rest that the discharge begins with
    rows = sum(item.source.rows for item in measured.curves) + sum(measured.unused.values())
    assert rows == Record.time.size + shared


def test_a_clipped_and_a_stuck_voltage_are_left_out(tmp_path: Path):
    clipped = np.minimum(Record.voltage, 3.9)
    stuck = Record.voltage.copy()
    stuck[200:260] = stuck[200]
    header = "test_time_second,voltage_volt,current_ampere"

    first = read_measured_set(write(tmp_path / "a.csv", header, [Record.time, clipped, -Record.current]), cell=CELL)
    second = read_measured_set(write(tmp_path / "b.csv", header, [Record.time, stuck, -Record.current]), cell=CELL)

    kept = first.curve("1C")
    hidden = np.count_nonzero(Record.voltage[60:410] > 3.9)
    assert kept.source.left_out == {"voltage is clipped": pytest.approx(hidden, abs=2)}
    assert second.curve("1C").source.left_out == {"voltage is stuck": 59}


def test_a_flat_plateau_of_a_coarse_instrument_is_not_stuck(tmp_path: Path):
    time = np.arange(0.0, 36000.0, 4.0)
    voltage = np.round(np.interp(time, [0, 900, 3000, 30000, 36000], [3.45, 3.33, 3.30, 3.22, 2.0]), 3)
    path = write(
        tmp_path / "lfp.csv", "test_time_second,voltage_volt,current_ampere", [time, voltage, np.full(time.size, -0.2)]
    )

    (curve,) = read_measured_set(path, cell=CELL).curves

    assert curve.source.left_out == {}


def test_one_rate_at_two_temperatures_is_told_apart(tmp_path: Path):
    header = "test_time_second,voltage_volt,current_ampere,surface_temperature_celsius"
    files = [
        write(
            tmp_path / f"{number}.bdf.csv",
            header,
            [Record.time, Record.voltage, -Record.current, Record.temperature + offset],
        )
        for number, offset in enumerate((-15.0, 0.0))
    ]

    warm_and_cold = read_measured_set(files, cell=CELL).of_kind("discharge")
    twice = read_measured_set([files[0], files[0]], cell=CELL).of_kind("discharge")

    assert warm_and_cold.names == ("1C at 10 degC", "1C at 25 degC")
    assert twice.names == ("1C", "1C (2)")


def test_one_time_far_ahead_costs_one_row(tmp_path: Path):
    time = Record.time.copy()
    time[100] = 3e6  # the clock's slip
    path = write(
        tmp_path / "a.csv", "test_time_second,voltage_volt,current_ampere", [time, Record.voltage, -Record.current]
    )

    curve = read_measured_set(path, cell=CELL).curve("1C")

    assert curve.source.left_out == {"time is out of order": 1}
    assert curve.time[-1] == pytest.approx(3500.0)


def test_time_of_the_step_instead_of_the_test_is_refused_with_the_remedy(tmp_path: Path):
    time = np.concatenate([np.arange(0.0, 600.0, STEP)] * 8)
    path = write(
        tmp_path / "a.csv", "test_time_second,voltage_volt,current_ampere", [time, Record.voltage, -Record.current]
    )

    with pytest.raises(
        MeasurementError, match="time steps back from 590 s to 0 s in row 61, and 413 rows are out of order"
    ) as caught:
        read_measured_set(path)
    assert "total time" in str(caught.value)


def test_unknown_columns_ask_for_a_mapping(tmp_path: Path):
    path = write(tmp_path / "a.csv", "alpha,beta,gamma", [Record.time, Record.current, Record.voltage])

    with pytest.raises(
        MeasurementError, match="no column is known to be time or current or voltage; the columns are alpha"
    ):
        read_measured_set(path)


def test_a_voltage_that_tells_no_sign_asks_for_it(tmp_path: Path):
    path = write(
        tmp_path / "a.csv", "time,current,voltage", [Record.time, Record.current, np.full(Record.time.size, 3.7)]
    )

    with pytest.raises(MeasurementError, match="does not tell which sign") as caught:
        read_measured_set(path)
    assert "current_sign" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('decimal = ","', 'decimal = "\'"'), "decimal"),
        (('unit = "mA"', 'unit = "mV"'), r"columns.current.unit: unit 'mV' cannot be converted to 'A'"),
        (("[columns]", "[colums]"), "unknown key colums"),
        (('current = {column = "Strom", unit = "mA"}', ""), "columns.current is missing"),
        (("skip_rows = 3", "skip_rows = -1"), "skip_rows = -1 is not a whole number of at least 0"),
        (('"charge positive"', '"reversed"'), "current_sign = 'reversed' is unknown"),
        (('unit = "min"', 'units = "min"'), "unknown key columns.time.units"),
    ],
)
def test_a_wrong_mapping_is_named(change: tuple[str, str], message: str):
    with pytest.raises(SpecError, match=message) as caught:
        parse_mapping(MAPPING.replace(*change), where="mapping.toml")
    assert str(caught.value).startswith("mapping.toml")


def test_a_column_may_be_named_by_its_number(tmp_path: Path):
    path = tmp_path / "bare.dat"
    np.savetxt(path, np.column_stack([Record.time, Record.voltage, Record.current, Record.temperature]))
    mapping = parse_mapping(
        """
        header = false
        current_sign = "discharge positive"
        [columns]
        time = {column = 1, unit = "s"}
        voltage = {column = 2, unit = "V"}
        current = {column = 3, unit = "A"}
        temperature = {column = "column 4", unit = "degC"}
        """
    )

    discharge(path, mapping=mapping)


def spreadsheet(path: Path, rows: list[list[object]]) -> Path:
    def cell(value: object) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    body = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(
            "xl/worksheets/sheet1.xml",
            '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
            f"<sheetData>{body}</sheetData></worksheet>",
        )
    path.write_bytes(content.getvalue())
    return path


def test_a_spreadsheet_is_read_without_a_library(tmp_path: Path):
    rows: list[list[object]] = [["Test Time [s]", "Current [A]", "Voltage [V]", "Temperature [degC]"]]
    rows += np.column_stack([Record.time, Record.current, Record.voltage, Record.temperature]).tolist()

    discharge(spreadsheet(tmp_path / "a.xlsx", rows))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path / "none.csv", "there is no such file"),
        (lambda path: _written(path / "a.csv", b""), "is empty"),
        (lambda path: _written(path / "a.csv", b"\0\1\2\3" * 2000), "is no table of text"),
        (lambda path: _written(path / "a.xlsx", b"PK nothing"), "is no .xlsx spreadsheet"),
        (
            lambda path: _written(path / "a.csv", b"just words\nand more words\n"),
            "a delimiter|no column is known|holds no",
        ),
        (lambda path: _written(path / "a.bdf.gz", b"\x1f\x8b\x08 broken"), "is no whole gzip file"),
        (lambda path: _written(path / "a.parquet", b"PAR1"), "is no Parquet file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, make: Callable[[Path], Path], message: str):
    with pytest.raises(MeasurementError, match=message):
        read_measured_set(make(tmp_path))


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_mapping_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SpecError, match="there is no such mapping file"):
        load_mapping(tmp_path / "mapping.toml")
