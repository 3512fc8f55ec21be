"""A recording that cannot be read gives one clear message; a flawed one is read as far as it goes."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import Channel, PackSpec, SampleBlock, TelemetryError
from celltwin.telemetry import Ingest, ReplaySource, open_recording

ReadAll = Callable[[ReplaySource], list[SampleBlock]]


def noise(size: int) -> bytes:
    return random.Random(1).randbytes(size)


@pytest.mark.parametrize(
    ("content", "said", "remedy"),
    [
        (b"", "is empty", "copy it again"),
        (b"\n\n  \n", "nothing but blank lines", "again"),
        (noise(5000), "is binary", "CSV"),
        (b"PK\x03\x04" + noise(500), "spreadsheet or zip", "Export the sheet as CSV"),
        (b"\x1f\x8b\x08" + noise(500), "gzip", "gunzip"),
        (b"\x89HDF\r\n\x1a\n" + noise(500), "HDF5", "Export"),
        ("time,Voltage\n0,24\n1,24\n".encode("utf-16-le"), "UTF-16 without a byte order mark", "UTF-8"),
        (b"time,Voltage\n", "header but no whole row", "copy it again"),
        (b"time,Voltage,Current\n0", "header but no whole row", "copy it again"),
        (b"0,24\n1,24\n2,23\n", "has no header row", "time_s,pack_current"),
        (b"clock,Voltage\n0,24\n1,24\n", "no time column; its columns are 'clock', 'Voltage'", "time_s"),
        (b"time,time_s,Voltage\n0,0,24\n1,1,24\n", "several columns may be the time", "rename"),
        (b"time,Voltage\nmonday,24\ntuesday,24\n", "'monday'", "seconds"),
        (
            b"time,U_pack\n0,24\n1,24\n",
            "no column is mapped to a prim; the recording has 'U_pack'",
            "column = 'U_pack'",
        ),
        (b"time,channel,value\n0,U_pack,24\n1,U_pack,24\n", "no column is mapped", "[[mappings]]"),
        (b"time,Voltage,voltage\n0,24,24\n1,24,24\n", "both feed channel 'Voltage'", "Rename"),
        (b"Dear all,\nplease find attached\n", "holds no table", "CSV"),
        (b"PAR1" + noise(500), "damaged or unfinished Parquet", "Copy it again"),
    ],
)
def test_a_file_that_is_no_recording_is_named_with_a_remedy(
    tmp_path: Path, leaf_channels: tuple[Channel, ...], content: bytes, said: str, remedy: str
) -> None:
    path = tmp_path / "recording.csv"
    path.write_bytes(content)
    with pytest.raises(TelemetryError) as caught:
        open_recording(path, leaf_channels)
    assert said in caught.value.message
    assert caught.value.where is not None
    assert caught.value.where.startswith(str(path))
    assert caught.value.remedy is not None
    assert remedy in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path, leaf_channels: tuple[Channel, ...]) -> None:
    with pytest.raises(TelemetryError, match=r"absent\.csv: there is no such file"):
        open_recording(tmp_path / "absent.csv", leaf_channels)
    with pytest.raises(TelemetryError, match="is a folder"):
        open_recording(tmp_path, leaf_channels)
    with pytest.raises(TelemetryError, match="not a regular file"):
        open_recording(Path(os.devnull), leaf_channels)
    with pytest.raises(TelemetryError, match="cannot be read"):
        open_recording(tmp_path / ("n" * 300), leaf_channels)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file: run the tests as another user")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, leaf_channels: tuple[Channel, ...]) -> None:
    path = tmp_path / "secret.csv"
    path.write_text("time,Voltage\n0,24\n1,24\n")
    path.chmod(0)
    with pytest.raises(TelemetryError, match="may not be read"):
        open_recording(path, leaf_channels)


def test_a_text_file_called_parquet_is_refused(tmp_path: Path, leaf_channels: tuple[Channel, ...]) -> None:
    path = tmp_path / "recording.parquet"
    path.write_text("time,Voltage\n0,24\n1,24\n")
    with pytest.raises(TelemetryError, match="Parquet"):
        open_recording(path, leaf_channels)


def test_a_truncated_parquet_file_is_refused(tmp_path: Path, leaf_channels: tuple[Channel, ...]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "recording.parquet"
    pq.write_table(pa.table({"time": np.arange(1000.0), "Voltage": np.full(1000, 24.0)}), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TelemetryError, match="damaged or unfinished Parquet"):
        open_recording(path, leaf_channels)


def test_parquet_without_rows_or_time_is_refused(tmp_path: Path, leaf_channels: tuple[Channel, ...]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "recording.parquet"
    pq.write_table(pa.table({"time": pa.array([], pa.float64()), "Voltage": pa.array([], pa.float64())}), path)
    with pytest.raises(TelemetryError, match="holds no rows"):
        open_recording(path, leaf_channels)
    pq.write_table(pa.table({"clock": [0.0], "Voltage": [24.0]}), path)
    with pytest.raises(TelemetryError, match=r"no time column; its columns are 'clock', 'Voltage'"):
        open_recording(path, leaf_channels)
    pq.write_table(pa.table({"time": ["monday"], "Voltage": [24.0]}), path)
    with pytest.raises(TelemetryError, match="is no time"):
        open_recording(path, leaf_channels)


def test_a_parquet_file_damaged_inside_is_read_up_to_there(
    tmp_path: Path, leaf_pack: PackSpec, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "recording.parquet"
    table = pa.table({"time": np.arange(100_000.0), "Voltage": np.random.default_rng(1).uniform(20, 24, 100_000)})
    pq.write_table(table, path, row_group_size=40_000, compression="zstd", use_dictionary=False)
    content = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(1).column(1).data_page_offset
    content[start : start + 20_000] = bytes(20_000)
    path.write_bytes(content)
    ingest = Ingest(leaf_pack)
    accepted = ingest.accept(read_all(open_recording(path, leaf_channels)))
    assert 0 < accepted.count <= 40_000
    assert dict(ingest.quarantine.counts) == {"unreadable": 1}


def test_flawed_rows_are_put_aside_with_their_line_and_the_rest_is_used(
    tmp_path: Path, leaf_pack: PackSpec, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "flawed.csv"
    path.write_text(
        "Recorder 7\n"
        "time,Voltage,Temperature A1\n"
        "0,24.0,22\n"
        "1,24.0,open\n"  # 4: text
        "2,24.0\n"  # 5: short
        "3,24.0,22,1,2\n"  # 6: long
        "4,nan,22\n"  # 7
        "5,inf,22\n"  # 8
        "6,24.0,5000\n"  # 9: impossible temperature
        "6,24.0,22\n"  # 10: duplicate voltage, but the temperature is its time's first
        "3.5,24.0,22\n"  # 11: out of order
        "soon,24.0,22\n"  # 12
        '7,"24.0,22\n'  # 13: a quote that never ends
        "8,1_000,22\n"  # 14: no logger writes this
        "End of test\n"  # 15
        "9,23.9,22\n"
        "10,23.8"  # 17: cut
    )
    ingest = Ingest(leaf_pack)
    accepted = ingest.accept(read_all(open_recording(path, leaf_channels)))
    found = {(row.reason, row.channel, row.count, row.first_origin) for row in ingest.quarantine.rows()}
    assert found == {
        ("malformed value", "Temperature A1", 1, "flawed.csv:4"),
        ("malformed value", "Voltage", 1, "flawed.csv:14"),
        ("wrong row length", "whole row", 4, "flawed.csv:5"),
        ("not a number", "Voltage", 1, "flawed.csv:7"),
        ("infinite value", "Voltage", 1, "flawed.csv:8"),
        ("impossible value", "Temperature A1", 1, "flawed.csv:9"),
        ("duplicate time", "Voltage", 1, "flawed.csv:10"),
        ("out of order", "whole row", 1, "flawed.csv:11"),
        ("malformed time", "whole row", 1, "flawed.csv:12"),
        ("truncated row", "whole row", 1, "flawed.csv:17"),
    }
    examples = {row.reason: row.first_example for row in ingest.quarantine.rows() if row.channel != "Voltage"}
    assert examples["malformed value"] == "open"
    assert examples["malformed time"] == "soon"
    assert examples["truncated row"] == "2 of 3 cells: 10,23.8"
    assert accepted.count == 2 + 1 + 1 + 1 + 1 + 1 + 1 + 2


def test_garbage_in_the_middle_is_counted_and_passed(
    tmp_path: Path, leaf_pack: PackSpec, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "garbage.csv"
    rows = [f"{time},24.0,22.0\n".encode() for time in range(20_000)]
    rows[10_000] = noise(3000).replace(b"\n", b" ") + b"\n"
    rows[15_000] = b"\x00" * 500 + b"\n"
    path.write_bytes(b"time,Voltage,Temperature A1\n" + b"".join(rows))
    ingest = Ingest(leaf_pack)
    accepted = ingest.accept(read_all(open_recording(path, leaf_channels)))
    assert accepted.count == 2 * 19_998
    assert ingest.quarantine.total == 2


def test_what_cannot_be_printed_is_not_carried_into_reports(
    tmp_path: Path, leaf_pack: PackSpec, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "power_cut.csv"
    path.write_bytes(b"time,Voltage\n" + b"".join(b"%d,24.0\n" % time for time in range(20_000)) + bytes(5000))
    ingest = Ingest(leaf_pack)
    accepted = ingest.accept(read_all(open_recording(path, leaf_channels)))
    assert accepted.count == 20_000
    (row,) = ingest.quarantine.rows()
    assert row.reason == "truncated row"
    assert row.first_example.isprintable()


def test_extreme_numbers_neither_warn_nor_stop(
    tmp_path: Path, leaf_pack: PackSpec, leaf_channels: tuple[Channel, ...], read_all: ReadAll
) -> None:
    path = tmp_path / "extreme.csv"
    rows = ("0,24,1", "1,1e308,-1e308", "-1e308,24,1", "1e308,24,1", "1e999,24,1", "2,24,1e999", "3,24,1")
    path.write_text("time,Voltage,Current\n" + "\n".join(rows) + "\n")
    ingest = Ingest(leaf_pack)
    accepted = ingest.accept(read_all(open_recording(path, leaf_channels)))
    assert accepted.count == 2 + 0 + 1 + 2
    assert dict(ingest.quarantine.counts) == {
        "impossible value": 2,
        "out of order": 1,
        "time jump": 1,
        "malformed time": 1,
        "infinite value": 1,
    }
