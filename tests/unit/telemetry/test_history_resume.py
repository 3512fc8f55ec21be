import numpy as np
import pytest

from celltwin.core import Kind, Level, PackState, Reading, RecordingError, load_pack
from celltwin.telemetry import HistoryWriter, read_history


@pytest.fixture(scope="module")
def spec(repo_root):
    return load_pack(repo_root / "data/packs/leaf_3_modules.toml")


def image(time, value):
    reading = Reading.at(Kind.PREDICTED, "current", Level.PACK, np.array([value]), time, provenance="test")
    return PackState(time=time, step=0).updated(reading)


def record(folder, spec, times, value, **options):
    writer = HistoryWriter(folder, spec, **options)
    for time in times:
        writer.record(image(time, value))
    writer.flush()
    found = read_history(folder).reading(Kind.PREDICTED, "current", Level.PACK)
    writer.close()
    return found


def test_what_was_flushed_is_on_disk_before_the_history_is_closed(spec, tmp_path):
    assert record(tmp_path, spec, (0.0, 10.0), 1.0).time.tolist() == [0.0, 10.0]


def test_a_resumed_history_drops_what_came_after_and_goes_on(spec, tmp_path):
    record(tmp_path, spec, (0.0, 10.0, 20.0, 30.0), 1.0)

    found = record(tmp_path, spec, (20.0, 30.0), 2.0, resume_at=10.0)

    assert found.time.tolist() == [0.0, 10.0, 20.0, 30.0]
    assert found.values[:, 0].tolist() == [1.0, 1.0, 2.0, 2.0]


def test_nothing_can_be_resumed_where_nothing_was_recorded(spec, tmp_path):
    with pytest.raises(RecordingError, match="holds no recording to go on with"):
        HistoryWriter(tmp_path, spec, resume_at=10.0)
