"""What is recorded reads back, whatever ends the recording."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import (
    DataMappingSpec,
    Kind,
    Level,
    PackSpec,
    PackState,
    Reading,
    RecordingError,
    SampleBlock,
    SensorSpec,
)
from celltwin.telemetry import HistoryWriter, Ingest, read_history

MakeBlock = Callable[..., SampleBlock]
Row = Callable[[float], list[float]]


def image(spec: PackSpec, step: int, *, late: bool = False) -> PackState:
    values = np.linspace(298.15, 300.0, spec.n_cells) + 0.01 * step
    readings = [
        Reading.at(
            Kind.ESTIMATED,
            "temperature",
            Level.CELL,
            values,
            step - 0.25,
            standard_uncertainty=0.5,
            provenance="filter 1",
        )
    ]
    if late:
        readings.append(
            Reading.at(
                Kind.RECOMMENDED,
                "charge_current",
                Level.PACK,
                np.array([step * 1.0]),
                step,
                quality=np.array([2], dtype=np.uint8),
                provenance="solver",
                reason="cool enough",
            )
        )
    return PackState(time=float(step), step=step).updated(*readings)


def test_process_images_read_back_as_arrays(tmp_path: Path, leaf_pack: PackSpec) -> None:
    writer = HistoryWriter(tmp_path / "history", leaf_pack)
    for step in range(50):
        writer.record(image(leaf_pack, step, late=step >= 40))
    writer.close()
    writer.close()
    history = read_history(tmp_path / "history")
    assert history.pack == "leaf_3_modules"
    assert history.keys() == (
        (Kind.ESTIMATED, "temperature", Level.CELL),
        (Kind.RECOMMENDED, "charge_current", Level.PACK),
    )
    found = history.reading(Kind.ESTIMATED, "temperature", Level.CELL)
    assert found.time.tolist() == [float(step) for step in range(50)]
    expected = np.array([image(leaf_pack, step).readings[history.keys()[0]].values for step in range(50)])
    assert found.values == pytest.approx(expected, rel=1e-6)
    assert found.age == pytest.approx(np.full((50, 12), 0.25))
    assert (found.standard_uncertainty == 0.5).all()
    assert set(found.provenance) == {"filter 1"}
    late = history.reading(Kind.RECOMMENDED, "charge_current", Level.PACK)
    assert late.values[:, 0].tolist() == [float(step) for step in range(40, 50)]
    assert late.quality.tolist() == [[2]] * 10
    assert set(late.reasons) == {"cool enough"}
    assert history.reading(Kind.MEASURED, "soh", Level.CELL).values.shape == (0, 12)


def test_accepted_samples_read_back_at_full_rate_and_exactly(
    tmp_path: Path, leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row
) -> None:
    writer, ingest = HistoryWriter(tmp_path, leaf_pack), Ingest(leaf_pack)
    times = [0.1 * number for number in range(40)]
    rows = [leaf_row(time) for time in times]
    rows[7][3] = np.nan
    for start in range(0, 40, 8):
        part = slice(start, start + 8)
        writer.append(ingest.accept([make_block(times[part], rows[part])]))
    writer.close()
    history = read_history(tmp_path)
    time, values = history.measured("voltage", Level.GROUP)
    assert time.tolist() == times
    assert np.array_equal(values, np.array(rows)[:, 2:8], equal_nan=True)
    assert history.measured("current", Level.PACK)[1][:, 0].tolist() == [32.5] * 40
    assert history.measured("temperature", Level.MODULE)[1][0] == pytest.approx([295.15, 295.65, 296.15])
    assert history.measured("soc", Level.PACK)[0].size == 0
    (put_aside,) = history.quarantine()
    assert (put_aside["channel"], put_aside["reason"], put_aside["time"]) == (
        "Cell Voltage A2",
        "not a number",
        times[7],
    )


def test_samples_of_many_topics_at_one_time_share_a_row(
    tmp_path: Path, leaf_pack: PackSpec, make_block: MakeBlock
) -> None:
    writer, ingest = HistoryWriter(tmp_path, leaf_pack), Ingest(leaf_pack)
    writer.append(
        ingest.accept(
            [
                make_block([0.0, 1.0], [[4.0], [3.9]], ("Cell Voltage A1",)),
                make_block([0.0, 1.0], [[3.8], [3.7]], ("Cell Voltage A6",)),
            ]
        )
    )
    writer.close()
    time, values = read_history(tmp_path).measured("voltage", Level.GROUP)
    assert time.tolist() == [0.0, 1.0]
    assert values[:, [0, 5]].tolist() == [[4.0, 3.8], [3.9, 3.7]]


def test_every_cell_of_the_reference_pack_reads_back(
    tmp_path: Path, reference_pack: PackSpec, make_block: MakeBlock
) -> None:
    writer, ingest = HistoryWriter(tmp_path, reference_pack), Ingest(reference_pack)
    names = tuple(channel.topic for channel in ingest.channels if channel.level is Level.CELL)
    raw = np.linspace(1.0, 40.0, 2 * len(names)).reshape(2, -1)
    accepted = ingest.accept([make_block([0.0, 10.0], raw.tolist(), names)])
    assert accepted.count == 2 * 5600
    writer.append(accepted)
    writer.close()
    time, values = read_history(tmp_path).measured("temperature", Level.CELL)
    assert time.tolist() == [0.0, 10.0]
    assert values == pytest.approx(raw[:, :2800] + 273.15)


def test_pandas_reads_each_data_set_as_one_table(
    tmp_path: Path, leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row
) -> None:
    import pandas as pd  # type: ignore[import-untyped]

    writer, ingest = HistoryWriter(tmp_path, leaf_pack), Ingest(leaf_pack)
    writer.append(ingest.accept([make_block([0.0, 1.0], [leaf_row(0.0), leaf_row(1.0)])]))
    writer.record(image(leaf_pack, 0, late=True))
    writer.close()
    group = pd.read_parquet(tmp_path / "measured" / "group")
    assert list(group.columns) == ["time", *(f"voltage.{name}" for name in leaf_pack.element_ids(Level.GROUP))]
    assert group["voltage.A01.G02"].to_numpy() == pytest.approx([3.99, 3.989])
    states = pd.read_parquet(tmp_path / "states")
    cells = states[(states.quantity == "temperature") & (states.level == "cell")]
    assert np.stack(cells["values"].to_list()).shape == (1, 12)


def test_units_lie_beside_the_data(tmp_path: Path, leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row) -> None:
    import pyarrow.parquet as pq

    writer = HistoryWriter(tmp_path, leaf_pack)
    writer.append(Ingest(leaf_pack).accept([make_block([0.0], [leaf_row(0.0)])]))
    writer.close()
    schema = pq.read_schema(tmp_path / "measured" / "module" / "part-00000.parquet")
    assert schema.field("temperature.A01").metadata[b"unit"] == b"K"
    described = json.loads((tmp_path / "history.json").read_text())
    assert described["measured"]["pack"] == {"current": "A", "voltage": "V"}
    assert described["elements"]["module"] == ["A01", "A02", "A03"]


def test_a_damaged_part_is_left_out_and_named(tmp_path: Path, leaf_pack: PackSpec) -> None:
    writer = HistoryWriter(tmp_path, leaf_pack)
    writer.record(image(leaf_pack, 0))
    writer.close()
    (tmp_path / "states" / "part-00001.parquet").write_bytes(b"PAR1 cut")
    history = read_history(tmp_path)
    assert history.reading(Kind.ESTIMATED, "temperature", Level.CELL).time.tolist() == [0.0]
    assert history.damaged == ["states/part-00001.parquet"]


def test_a_folder_without_a_history_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="holds no history"):
        read_history(tmp_path)
    (tmp_path / "history.json").write_text("[]")
    with pytest.raises(RecordingError, match="cannot be read"):
        read_history(tmp_path)


def test_a_second_recording_does_not_overwrite_the_first(tmp_path: Path, leaf_pack: PackSpec) -> None:
    HistoryWriter(tmp_path, leaf_pack).close()
    with pytest.raises(RecordingError, match="holds a recording already"):
        HistoryWriter(tmp_path, leaf_pack)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, leaf_pack: PackSpec) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordingError, match=r"history\.json: cannot be written") as caught:
        HistoryWriter(tmp_path / "file" / "history", leaf_pack)
    assert caught.value.remedy is not None


def test_recording_after_close_is_refused(tmp_path: Path, leaf_pack: PackSpec) -> None:
    writer = HistoryWriter(tmp_path, leaf_pack)
    writer.close()
    with pytest.raises(RecordingError, match="closed"):
        writer.record(image(leaf_pack, 0))


CHILD = """
import itertools, os, resource, signal, sys
from pathlib import Path
import numpy as np
from celltwin.core import Kind, Level, PackState, Reading, RecordingError, load_pack
from celltwin.telemetry import HistoryWriter

spec = load_pack(Path(sys.argv[2]))
writer = HistoryWriter(Path(sys.argv[1]), spec, flush_seconds=0.05)
# Drawn before: each draw lets the interpreter's lock go and takes it back before the writing thread can wake.
rows = np.random.default_rng(1).uniform(290.0, 310.0, (50_000, spec.n_cells))

def image(step):
    values = rows[step % len(rows)]
    return PackState(time=float(step), step=step).updated(
        Reading.at(Kind.ESTIMATED, "temperature", Level.CELL, values, step, provenance="child"))
"""

KILLED = """
step = 0
while True:
    writer.record(image(step))
    step += 1
    if step % 200 == 0 and list(Path(sys.argv[1]).glob("states/part-*.parquet")):
        print(step, flush=True)
"""

LIMITED = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    for step in itertools.count():  # the parent waits no longer than its timeout
        writer.record(image(step))
except RecordingError as error:
    print(error)
writer.close()
print("closed")
"""


def start_child(body: str, folder: Path, pack: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD + body), str(folder), str(pack)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_recording_stays_readable(tmp_path: Path, repo_root: Path) -> None:
    child = start_child(KILLED, tmp_path / "history", repo_root / "data" / "packs" / "leaf_3_modules.toml")
    assert child.stdout is not None
    shown = child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert int(shown) >= 200
    history = read_history(tmp_path / "history")
    found = history.reading(Kind.ESTIMATED, "temperature", Level.CELL)
    assert found.time.size > 0
    assert found.time.tolist() == [float(step) for step in range(found.time.size)]
    assert history.damaged == []


def test_a_file_that_may_not_grow_is_named_and_what_was_written_stays(tmp_path: Path, repo_root: Path) -> None:
    child = start_child(LIMITED, tmp_path / "history", repo_root / "data" / "packs" / "leaf_3_modules.toml")
    said, _ = child.communicate(timeout=120)
    assert "part-00000.parquet: the file may not grow further. Raise the limit" in said
    assert said.strip().endswith("closed")
    assert child.returncode == 0
    assert not list((tmp_path / "history").rglob("*.unfinished"))
    history = read_history(tmp_path / "history")
    assert history.damaged == []
    found = history.reading(Kind.ESTIMATED, "temperature", Level.CELL)
    assert found.time.tolist() == [float(step) for step in range(found.time.size)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of one mebibyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs the superuser: run the tests as root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.name != "posix", reason="needs mount: run on Linux")
def test_a_full_disk_is_named_once_and_what_was_written_stays(small_disk: Path, leaf_pack: PackSpec) -> None:
    writer = HistoryWriter(small_disk / "history", leaf_pack, flush_seconds=0.02)
    rows = np.random.default_rng(1).uniform(290.0, 310.0, (50_000, leaf_pack.n_cells))

    def record_until_full() -> None:
        for step in range(10_000_000):
            values = rows[step % len(rows)]
            reading = Reading.at(Kind.ESTIMATED, "temperature", Level.CELL, values, step, provenance="test")
            writer.record(PackState(time=float(step), step=step).updated(reading))

    with pytest.raises(RecordingError, match=r"states/part-00000\.parquet: the disk is full\. Free space"):
        record_until_full()
    writer.close()
    history = read_history(small_disk / "history")
    found = history.reading(Kind.ESTIMATED, "temperature", Level.CELL)
    assert found.time.size > 0
    assert found.time.tolist() == [float(step) for step in range(found.time.size)]
    assert history.damaged == []


def test_a_pack_of_one_cell_reads_back(tmp_path: Path, leaf_pack: PackSpec, make_block: MakeBlock) -> None:
    single = replace(
        leaf_pack,
        series=1,
        parallel=1,
        modules=leaf_pack.modules[:1],
        sensors=(SensorSpec(id="spot", quantity="temperature", level=Level.CELL, standard_uncertainty=0.1),),
        mappings=(DataMappingSpec(channel="spot", sensor="spot", unit="degC", rate=1.0),),
    )
    writer, ingest = HistoryWriter(tmp_path, single), Ingest(single)
    writer.append(ingest.accept([make_block([0.0, 1.0], [[1.0], [2.0]], (ingest.channels[0].column,))]))
    writer.close()
    assert read_history(tmp_path).measured("temperature", Level.CELL)[1].tolist() == [[274.15], [275.15]]
