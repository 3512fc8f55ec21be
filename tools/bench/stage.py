"""Bench of the stage: build the reference pack, publish live values, colour, record; memory of the process."""

from __future__ import annotations

import gc
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from pxr import Usd

from celltwin.core import Array, Kind, Level, PackSpec, PackState, Reading
from celltwin.stage import HeatMap, LiveLayer, StageRecorder, build_pack_stage
from tools.bench.figures import Figures, main
from tools.bench.places import reference_pack

__all__ = ["run"]

VALUES = (
    (Kind.MEASURED, "voltage"),
    (Kind.MEASURED, "current"),
    (Kind.MEASURED, "temperature"),
    (Kind.ESTIMATED, "voltage"),
    (Kind.ESTIMATED, "temperature"),
    (Kind.ESTIMATED, "soc"),
    (Kind.PREDICTED, "soh"),
    (Kind.PREDICTED, "temperature"),
)
# Centre and spread of the made-up values [SI].
TYPICAL = {
    "voltage": (3.7, 0.005),
    "current": (2.0, 0.05),
    "temperature": (305.0, 0.5),
    "soc": (0.6, 0.005),
    "soh": (0.95, 0.01),
}
SEED = 7
STEPS = 200
RECORDED_STEPS = 700


def run() -> Figures:
    """Measure the stage of the reference pack."""
    figures = Figures("stage")
    spec = reference_pack()
    random = np.random.default_rng(SEED)
    imported = _memory()
    builds = [_seconds(build_pack_stage, spec) for _ in range(3)]
    figures.add("build the reference stage, slowest of 3", max(builds), "s", target=2.0)
    stage = build_pack_stage(spec)
    figures.add("memory of the process after imports", imported, "MiB")
    figures.add("memory with the stage", _memory(), "MiB")
    _measure_arrays(figures, stage, spec, random)
    _measure_scalars(figures, stage, spec, random)
    figures.add("memory with live values", _memory(), "MiB")
    _measure_colours(figures, stage, spec, random)
    _measure_recorder(figures, stage, spec, random)
    figures.add("memory after recording", _memory(), "MiB")
    return figures


def _measure_arrays(figures: Figures, stage: Usd.Stage, spec: PackSpec, random: np.random.Generator) -> None:
    live = LiveLayer(stage, spec, deadbands={name: math.inf for _, name in VALUES})
    live.publish(_state(spec, 0, random))
    taken = 1e3 * _time_steps(live.publish, spec, random)
    live.close()
    figures.add("arrays of 2,800 cells x 8 quantities, median", float(np.median(taken)), "ms", target=2.0)
    figures.add("arrays of 2,800 cells x 8 quantities, p99", float(np.percentile(taken, 99)), "ms")


def _measure_scalars(figures: Figures, stage: Usd.Stage, spec: PackSpec, random: np.random.Generator) -> None:
    deadbands = {name: 0.0 for _, name in VALUES}
    live = LiveLayer(stage, spec, deadbands=deadbands, cell_writes_a_step=6 * len(VALUES) * spec.n_cells)
    for step in range(3):  # the first sees, the second creates the attributes
        live.publish(_state(spec, step, random))
    gc.collect()
    taken = 1e3 * _time_steps(live.publish, spec, random)
    live.close()
    gentle = LiveLayer(stage, spec, deadbands=deadbands)
    for step in range(20):
        gentle.publish(_state(spec, step, random))
    spread = 1e3 * _time_steps(gentle.publish, spec, random)
    gentle.close()
    figures.add("22,400 changed scalars and the arrays, fastest", float(taken.min()), "ms")
    figures.add("22,400 changed scalars and the arrays, median", float(np.median(taken)), "ms")
    figures.add("22,400 changed scalars and the arrays, p99", float(np.percentile(taken, 99)), "ms", target=50.0)
    figures.add("as many scalars spread over steps, as by default, p99", float(np.percentile(spread, 99)), "ms")


def _measure_colours(figures: Figures, stage: Usd.Stage, spec: PackSpec, random: np.random.Generator) -> None:
    heat_map = HeatMap(stage, spec)
    taken = []
    for _ in range(50):
        values = random.uniform(298.0, 308.0, spec.n_cells)
        taken.append(_seconds(heat_map.paint, values, lowest=298.0, highest=308.0))
    heat_map.close()
    figures.add("2,800 new colours, median", 1e3 * float(np.median(taken[1:])), "ms")


def _measure_recorder(figures: Figures, stage: Usd.Stage, spec: PackSpec, random: np.random.Generator) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.usda"
        recorder = StageRecorder(stage, spec, path)
        taken = 1e3 * _time_steps(recorder.record, spec, random, RECORDED_STEPS)
        closing = _seconds(recorder.close)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    figures.add("record a step of 8 quantities, median", float(np.median(taken)), "ms")
    figures.add("record a step that writes a file, slowest", float(taken.max()), "ms")
    figures.add(f"join a recording of {RECORDED_STEPS} steps", closing, "s")
    figures.add(f"size of a recording of {RECORDED_STEPS} steps", size / 2**20, "MiB")


def _time_steps(
    publish: Callable[[PackState], None], spec: PackSpec, random: np.random.Generator, steps: int = STEPS
) -> Array:
    """Return seconds of each step, the making of the process image left out; shape (steps,)."""
    taken = np.empty(steps)
    for index in range(steps):
        state = _state(spec, index + 100, random)
        taken[index] = _seconds(publish, state)
    return taken


def _state(spec: PackSpec, step: int, random: np.random.Generator) -> PackState:
    """Return a process image in which every value of every cell differs from that of any other step."""
    readings = []
    for kind, quantity in VALUES:
        centre, spread = TYPICAL[quantity]
        values = centre + spread * random.standard_normal(spec.n_cells)
        readings.append(Reading.at(kind, quantity, Level.CELL, values, 10.0 * step, provenance="bench"))
    return PackState(time=10.0 * step, step=step, readings={reading.key: reading for reading in readings})


def _seconds(action: Callable[..., object], *arguments: object, **options: object) -> float:
    begun = time.perf_counter()
    action(*arguments, **options)
    return time.perf_counter() - begun


def _memory() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


if __name__ == "__main__":
    raise SystemExit(main(run))
