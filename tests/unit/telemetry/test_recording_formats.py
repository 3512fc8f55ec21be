"""Every usual form of recording gives the same samples."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import Channel, PackSpec, SampleBlock, SettingsError, TelemetrySource, expand_channels
from celltwin.telemetry import Ingest, ReplaySource, open_recording

ReadAll = Callable[[ReplaySource], list[SampleBlock]]
Row = Callable[[float], list[float]]

TIMES = [0.0, 1.0, 2.5, 4.0]


def wide_text(columns: tuple[str, ...], row: Row, *, delimiter: str = ",", comma: bool = False, end: str = "\n") -> str:
    lines = [delimiter.join(("time_s", *columns))]
    for time in TIMES:
        cells = [repr(value) for value in (time, *row(time))]
        lines.append(delimiter.join(cell.replace(".", ",") if comma else cell for cell in cells))
    return end.join(lines) + end


def check(blocks: list[SampleBlock], columns: tuple[str, ...], row: Row) -> None:
    assert np.concatenate([block.time for block in blocks]) == pytest.approx(np.array(TIMES))
    for name, column in zip(columns, zip(*(row(time) for time in TIMES), strict=True), strict=True):
        found = np.concatenate([block.values[:, block.channels.index(name)] for block in blocks])
        assert found == pytest.approx(np.array(column))
    assert all(block.present.all() and not block.faults for block in blocks)


@pytest.mark.parametrize(("delimiter", "comma"), [(",", False), (";", False), (";", True), ("\t", False), ("\t", True)])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_wide_csv_with_any_delimiter_and_line_end(
    tmp_path: Path,
    leaf_channels: tuple[Channel, ...],
    leaf_columns: tuple[str, ...],
    leaf_row: Row,
    read_all: ReadAll,
    delimiter: str,
    comma: bool,
    end: str,
) -> None:
    path = tmp_path / "wide.csv"
    path.write_bytes(wide_text(leaf_columns, leaf_row, delimiter=delimiter, comma=comma, end=end).encode())
    check(read_all(open_recording(path, leaf_channels)), leaf_columns, leaf_row)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
def test_wide_csv_in_any_usual_encoding(
    tmp_path: Path,
    leaf_channels: tuple[Channel, ...],
    leaf_columns: tuple[str, ...],
    leaf_row: Row,
    read_all: ReadAll,
    encoding: str,
) -> None:
    path = tmp_path / "encoded.csv"
    text = "Prüfling in °C\n" + wide_text(leaf_columns, leaf_row)
    path.write_bytes(text.encode(encoding))
    source = open_recording(path, leaf_channels)
    check(read_all(source), leaf_columns, leaf_row)
    assert any("Windows-1252" in notice for notice in source.notices) == (encoding in ("cp1252", "latin-1"))


def test_big_endian_utf16_is_read(
    tmp_path: Path, leaf_channels: tuple[Channel, ...], leaf_columns: tuple[str, ...], leaf_row: Row, read_all: ReadAll
) -> None:
    path = tmp_path / "encoded.csv"
    path.write_bytes(codecs.BOM_UTF16_BE + wide_text(leaf_columns, leaf_row).encode("utf-16-be"))
    check(read_all(open_recording(path, leaf_channels)), leaf_columns, leaf_row)


def test_stray_bytes_late_in_a_utf8_file_do_not_stop_it(
    tmp_path: Path, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "late.csv"
    rows = "".join(f"{time},{4.0 - time * 1e-7},note\n" for time in range(400_000))
    path.write_bytes(f"time_s,Cell Voltage A1,Remark\n{rows}".encode() + b"400000,3.5,caf\xe9\n")
    source = open_recording(path, leaf_channels)
    blocks = read_all(source)
    assert sum(block.time.size for block in blocks) == 400_001
    assert blocks[-1].values[-1, 0] == 3.5
    assert any("not UTF-8" in notice for notice in source.notices)


@pytest.mark.parametrize("names", ["channel", "topic"])
def test_long_csv_by_column_or_topic(
    tmp_path: Path,
    leaf_channels: tuple[Channel, ...],
    leaf_columns: tuple[str, ...],
    leaf_row: Row,
    read_all: ReadAll,
    names: str,
) -> None:
    topics = {channel.column: channel.topic for channel in leaf_channels}
    lines = [f"timestamp,{names},value"]
    for time in TIMES:
        for column, value in zip(leaf_columns, leaf_row(time), strict=True):
            lines.append(f"{time!r},{topics[column] if names == 'topic' else column},{value!r}")
    path = tmp_path / "long.csv"
    path.write_text("\n".join(lines))
    blocks = read_all(open_recording(path, leaf_channels))
    expected = tuple(topics[column] for column in leaf_columns) if names == "topic" else leaf_columns
    check(blocks, expected, leaf_row)


def test_a_long_recording_keeps_duplicates_apart(
    tmp_path: Path, leaf_pack: PackSpec, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "long.csv"
    path.write_text("time,channel,value\n0,Voltage,24.0\n0,Current,-1\n0,Voltage,24.1\n1,Voltage,24.2\n1,Other,7\n")
    source = open_recording(path, leaf_channels)
    ingest = Ingest(leaf_pack)
    accepted = ingest.accept(read_all(source))
    assert accepted.count == 3
    assert dict(ingest.quarantine.counts) == {"duplicate time": 1}
    assert source.unmapped == ("Other",)


@pytest.mark.parametrize("form", ["float", "timestamp", "text", "milliseconds"])
def test_wide_parquet_with_any_kind_of_time(
    tmp_path: Path,
    leaf_channels: tuple[Channel, ...],
    leaf_columns: tuple[str, ...],
    leaf_row: Row,
    read_all: ReadAll,
    form: str,
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    begin = datetime(2026, 1, 31, 12, tzinfo=UTC)
    moments = [begin + timedelta(seconds=time) for time in TIMES]
    name, times = {
        "float": ("time", pa.array(TIMES)),
        "timestamp": ("timestamp", pa.array(moments, pa.timestamp("us", tz="UTC"))),
        "text": ("timestamp", pa.array([moment.isoformat() for moment in moments])),
        "milliseconds": ("timestamp", pa.array([round(moment.timestamp() * 1000) for moment in moments])),
    }[form]
    columns = {name: times}
    columns |= {
        column: pa.array(values)
        for column, values in zip(leaf_columns, zip(*map(leaf_row, TIMES), strict=True), strict=True)
    }
    columns["Lists"] = pa.array([[1.0]] * len(TIMES))
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=3)
    source = open_recording(path, leaf_channels)
    assert source.duration == pytest.approx(4.0)
    check(read_all(source), leaf_columns, leaf_row)


def test_long_parquet(
    tmp_path: Path, leaf_channels: tuple[Channel, ...], leaf_columns: tuple[str, ...], leaf_row: Row, read_all: ReadAll
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "t": [time for time in TIMES for _ in leaf_columns],
            "channel": [column for _ in TIMES for column in leaf_columns],
            "value": [value for time in TIMES for value in leaf_row(time)],
        }
    )
    path = tmp_path / "long.data"
    pq.write_table(table, path)
    check(read_all(open_recording(path, leaf_channels)), leaf_columns, leaf_row)


def test_parquet_nulls_are_absent_and_texts_are_faults(
    tmp_path: Path, leaf_pack: PackSpec, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "mixed.parquet"
    table = pa.table(
        {"time": [0.0, 1.0, 2.0], "Voltage": ["24.0", "broken", None], "Current": pa.array([1.0, None, float("nan")])}
    )
    pq.write_table(table, path)
    ingest = Ingest(leaf_pack)
    accepted = ingest.accept(read_all(open_recording(path, leaf_channels)))
    assert accepted.count == 2
    assert dict(ingest.quarantine.counts) == {"malformed value": 1, "not a number": 1}
    assert {row.first_origin for row in ingest.quarantine.rows()} == {"mixed.parquet:2", "mixed.parquet:3"}


def test_times_count_from_the_first_row(tmp_path: Path, leaf_channels: tuple[Channel, ...], read_all: ReadAll) -> None:
    path = tmp_path / "dated.csv"
    path.write_text("datetime;Voltage\n2026-01-31T12:00:00Z;24\n2026-01-31T12:00:02Z;23,5\n")
    source = open_recording(path, leaf_channels)
    assert source.started == "2026-01-31T12:00:00+00:00"
    assert source.duration == 2.0
    blocks = read_all(source)
    assert blocks[0].time.tolist() == [0.0, 2.0]
    assert blocks[0].values[:, 0].tolist() == [24.0, 23.5]


def test_hours_in_the_header_become_seconds(
    tmp_path: Path, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "hours.csv"
    path.write_text("Time (h),Voltage\n0,24\n0.5,23\n")
    assert read_all(open_recording(path, leaf_channels))[0].time.tolist() == [0.0, 1800.0]


def test_quoted_cells_and_differing_case_are_read(
    tmp_path: Path, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "quoted.csv"
    path.write_text('"Time","VOLTAGE","cell  voltage a1","Remark"\n"0","24.0","4.0","a, b"\n"1","23.9","3.9",""\n')
    block = read_all(open_recording(path, leaf_channels))[0]
    assert block.channels == ("Voltage", "Cell Voltage A1")
    assert block.values.tolist() == [[24.0, 4.0], [23.9, 3.9]]


def test_a_named_time_column_is_taken(tmp_path: Path, leaf_channels: tuple[Channel, ...], read_all: ReadAll) -> None:
    path = tmp_path / "named.csv"
    path.write_text("time,my clock [ms],Voltage\n5,1000,24\n5,2000,23\n")
    source = open_recording(path, leaf_channels, time_column="my clock [ms]")
    assert read_all(source)[0].time.tolist() == [0.0, 1.0]


def test_blank_cells_are_absent_not_faulty(
    tmp_path: Path, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "sparse.csv"
    path.write_text("time,Voltage,Current\n0,24,\n1, ,-2\n\n,,\n2,23,-2\n")
    block = read_all(open_recording(path, leaf_channels))[0]
    assert block.present.tolist() == [[True, False], [False, True], [True, True]]
    assert block.faults == ()
    assert block.origin == ("sparse.csv:2", "sparse.csv:3", "sparse.csv:6")


def test_unmapped_columns_and_missing_channels_are_told_with_a_suggestion(
    tmp_path: Path, leaf_channels: tuple[Channel, ...]
) -> None:
    path = tmp_path / "near.csv"
    path.write_text("time,Voltage,Current [A],Cell_Voltage_A1\n0,24,1,4\n1,24,1,4\n")
    source = open_recording(path, leaf_channels)
    assert source.unmapped == ("Current [A]", "Cell_Voltage_A1")
    assert "Current" in source.missing
    assert len(source.missing) == 10
    told = " ".join(source.notices)
    assert "'Current' (meant 'Current [A]'?)" in told
    assert "'Cell_Voltage_A1' (meant 'Cell Voltage A1'?)" in told


def test_a_source_gives_what_is_due_and_no_more(
    tmp_path: Path, leaf_channels: tuple[Channel, ...], leaf_columns: tuple[str, ...], leaf_row: Row
) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(wide_text(leaf_columns, leaf_row))
    source = open_recording(path, leaf_channels)
    assert isinstance(source, TelemetrySource)
    assert [block.time.tolist() for block in source.read(0.0)] == [[0.0]]
    assert source.read(0.5) == []
    assert [block.time.tolist() for block in source.read(3.0)] == [[1.0, 2.5]]
    rest = not source.finished
    assert rest
    assert [block.time.tolist() for block in source.read(100.0)] == [[4.0]]
    assert source.finished
    assert source.read(1000.0) == []
    source.close()
    source.close()


def test_at_real_time_the_clock_holds_rows_back(
    tmp_path: Path, leaf_channels: tuple[Channel, ...], leaf_columns: tuple[str, ...], leaf_row: Row
) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(wide_text(leaf_columns, leaf_row))
    clock = iter([100.0, 100.5, 102.0])
    source = open_recording(path, leaf_channels, speed=2.0, clock=lambda: next(clock))
    assert [block.time.tolist() for block in source.read(np.inf)] == [[0.0]]
    assert [block.time.tolist() for block in source.read(np.inf)] == [[1.0]]
    assert [block.time.tolist() for block in source.read(3.0)] == [[2.5]]


def test_a_negative_speed_is_refused(tmp_path: Path, leaf_channels: tuple[Channel, ...]) -> None:
    with pytest.raises(SettingsError, match="speed = -1"):
        open_recording(tmp_path / "any.csv", leaf_channels, speed=-1.0)


def test_a_clock_fault_does_not_hold_up_the_replay(
    tmp_path: Path, leaf_pack: PackSpec, leaf_channels: tuple[Channel, ...]
) -> None:
    path = tmp_path / "jump.csv"
    path.write_text("time,Voltage\n0,24\n1,24\n1e9,24\n2,23.9\n3,23.8\n")
    source = open_recording(path, leaf_channels)
    ingest = Ingest(leaf_pack)
    accepted = ingest.accept(source.read(3.0))
    assert source.finished
    assert accepted.count == 4
    assert dict(ingest.quarantine.counts) == {"time jump": 1}


def test_a_faulty_first_time_does_not_become_the_origin(
    tmp_path: Path, leaf_pack: PackSpec, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "first.csv"
    path.write_text("time,Voltage\n99999999,24\n10,24\n11,23.9\n12,23.8\n")
    source = open_recording(path, leaf_channels)
    ingest = Ingest(leaf_pack)
    accepted = ingest.accept(read_all(source))
    assert source.time_origin == 10.0
    assert accepted.blocks[0].time[1:].tolist() == [0.0, 1.0, 2.0]
    assert dict(ingest.quarantine.counts) == {"time jump": 1}


def test_reads_stay_short_however_much_is_due(tmp_path: Path, reference_pack: PackSpec, read_all: ReadAll) -> None:
    channels = expand_channels(reference_pack)
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.write("time_s," + ",".join(channel.column for channel in channels) + "\n")
        row = ",".join("0.5" for _ in channels)
        for time in range(40):
            file.write(f"{10 * time},{row}\n")
    source = open_recording(path, channels)
    first = source.read(np.inf)
    assert 0 < sum(block.time.size for block in first) < 20
    assert not source.finished
    assert sum(block.time.size for block in first + read_all(source)) == 40


def test_lines_above_the_header_that_look_like_headers_are_passed(
    tmp_path: Path, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "preamble.csv"
    path.write_text(
        "Time,12:05\nOperator,Kim\nDate,Time\nName,Number 7\ntime_s,Voltage,Current\ns,V,A\n0,24,1\n1,23,1\n"
    )
    blocks = read_all(open_recording(path, leaf_channels))
    assert np.concatenate([block.values[:, 0] for block in blocks])[1:].tolist() == [24.0, 23.0]


def test_times_of_day_go_on_past_midnight(
    tmp_path: Path, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "night.csv"
    path.write_text("Time,Voltage\n23:59:58,24\n23:59:59,24\n00:00:01,23\n00:00:02,23\n")
    source = open_recording(path, leaf_channels)
    assert source.duration is None
    assert read_all(source)[0].time.tolist() == [0.0, 1.0, 3.0, 4.0]


def test_channels_that_come_late_in_a_long_file_are_told_as_they_come(
    tmp_path: Path, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "late.csv"
    rows = "".join(f"{time},Voltage,24.0\n" for time in range(400_000))
    path.write_text(f"time,channel,value\n{rows}400000,Current,-1.0\n400000,Humidity,40\n")
    source = open_recording(path, leaf_channels)
    assert (source.channels, source.unmapped) == (("Voltage",), ())
    blocks = read_all(source)
    assert sum(int(block.present.sum()) for block in blocks) == 400_001
    assert (source.channels, source.unmapped) == (("Voltage", "Current"), ("Humidity",))


def test_a_block_of_garbage_first_does_not_spoil_the_origin(
    tmp_path: Path, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "late.csv"
    garbage = "stopped for the night\n" * 10_000
    path.write_text(f"timestamp,Voltage,Current\n1700000000,x,1\n{garbage}1700000100,24,1\n1700000101,24,1\n")
    source = open_recording(path, leaf_channels)
    blocks = read_all(source)
    assert np.concatenate([block.time for block in blocks]).tolist() == [0.0, 100.0, 101.0]
    assert sum(len(block.faults) for block in blocks) == 10_001
