"""Bench of telemetry: recordings in, samples checked, history out."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from celltwin.core import Level, PackSpec, PackState, SampleBlock, expand_channels, load_pack
from celltwin.telemetry import HistoryWriter, Ingest, open_recording
from tools.bench.figures import Figures, main
from tools.bench.places import PACKS, reference_pack

__all__ = ["run"]

LEAF_ROWS = 4144  # as many as the 1C recording of the Leaf modules has
CELL_ROWS = 400
STEPS = 300
SEED = 20260131


def run() -> Figures:
    """Measure a small recording, a wide one of every cell, and the step of the reference pack."""
    figures = Figures("telemetry")
    with tempfile.TemporaryDirectory() as folder:
        _small_recording(figures, load_pack(PACKS / "leaf_3_modules.toml"), Path(folder))
        reference = reference_pack()
        _wide_recording(figures, reference, Path(folder))
        _steps(figures, reference, Path(folder))
    return figures


def _write_recording(path: Path, spec: PackSpec, n_rows: int) -> int:
    channels = expand_channels(spec)
    random = np.random.default_rng(SEED)
    typical = {"voltage": 3.7, "current": 2.0, "temperature": 25.0, "coolant_temperature": 20.0, "coolant_flow": 0.05}
    base = np.array([typical[channel.quantity] for channel in channels])
    with path.open("w", encoding="utf-8") as file:
        file.write("time_s," + ",".join(channel.column for channel in channels) + "\n")
        for row in range(n_rows):
            values = base * random.normal(1.0, 0.01, base.size)
            file.write(f"{row}," + ",".join(f"{value:.4f}" for value in values) + "\n")
    return path.stat().st_size


def _ingest_all(path: Path, spec: PackSpec) -> tuple[float, float, int]:
    """Return seconds for all of a recording, the longest read [s], and accepted values."""
    begun, longest, accepted = time.perf_counter(), 0.0, 0
    source = open_recording(path, expand_channels(spec))
    ingest = Ingest(spec)
    while not source.finished:
        before = time.perf_counter()
        blocks = source.read(np.inf)
        longest = max(longest, time.perf_counter() - before)
        accepted += ingest.accept(blocks).count
    return time.perf_counter() - begun, longest, accepted


def _small_recording(figures: Figures, spec: PackSpec, folder: Path) -> None:
    path = folder / "small.csv"
    _write_recording(path, spec, LEAF_ROWS)
    seconds, longest, accepted = min(_ingest_all(path, spec) for _ in range(3))
    figures.add(f"recording of {LEAF_ROWS} rows and 11 channels, read and checked", seconds, "s", target=1.0)
    figures.add("rows a second", accepted / 11 / seconds, "1/s")
    figures.add("longest read", 1e3 * longest, "ms")


def _wide_recording(figures: Figures, spec: PackSpec, folder: Path) -> None:
    path = folder / "wide.csv"
    size = _write_recording(path, spec, CELL_ROWS)
    seconds, longest, accepted = min(_ingest_all(path, spec) for _ in range(2))
    figures.add("2,800 cells, 5,722 channels: rows a second", CELL_ROWS / seconds, "1/s")
    figures.add("2,800 cells: throughput", size / seconds / 1e6, "MB/s")
    figures.add("2,800 cells: values a second", accepted / seconds / 1e6, "million/s")
    figures.add("2,800 cells: longest read", 1e3 * longest, "ms")


def _steps(figures: Figures, spec: PackSpec, folder: Path) -> None:
    ingest = Ingest(spec)
    writer = HistoryWriter(folder / "history", spec)
    names = tuple(channel.topic for channel in ingest.channels)
    base = np.array([0.05 if channel.quantity == "coolant_flow" else 3.7 for channel in ingest.channels])
    random = np.random.default_rng(SEED)
    checks, readings, records = [], [], []
    for step in range(STEPS):
        block = SampleBlock(
            channels=names,
            time=np.array([10.0 * step]),
            values=base[np.newaxis] * random.normal(1.0, 0.001, (1, base.size)),
            present=np.ones((1, base.size), dtype=np.bool_),
            origin=("bench",),
        )
        begun = time.perf_counter()
        accepted = ingest.accept([block])
        checked = time.perf_counter()
        state = PackState(time=10.0 * step, step=step).updated(*ingest.readings(10.0 * step))
        read = time.perf_counter()
        writer.append(accepted)
        writer.record(state)
        checks.append(checked - begun)
        readings.append(read - checked)
        records.append(time.perf_counter() - read)
    begun = time.perf_counter()
    writer.close()
    closing = time.perf_counter() - begun
    count = spec.size(Level.CELL) * 2 + spec.size(Level.GROUP) + spec.size(Level.MODULE) * 2 + 2
    figures.add(f"step of {count} channels checked, median", 1e3 * float(np.median(checks)), "ms", target=3.0)
    figures.add("step: readings, median", 1e3 * float(np.median(readings)), "ms")
    figures.add("step: handed to the history, median", 1e3 * float(np.median(records)), "ms")
    figures.add(f"history: rest of {STEPS} steps written at the end", closing, "s")


if __name__ == "__main__":
    main(run)
