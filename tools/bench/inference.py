"""Bench of inference: features, health and remaining life of the reference pack, and what serving costs in accuracy.

The last part needs the measured cycles (CELLTWIN_DATA/xjtu_cycles): charges of training cells are rebuilt from their
published statistics, sampled every ten seconds as a pack is, with sensor noise, and predicted again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from celltwin.core import Array, Kind, Level, PackSpec, PackState, Reading
from celltwin.prognosis import (
    FEATURE_NAMES,
    REFERENCE_WINDOW,
    CellCycles,
    ChargeFeatures,
    ChargeHistory,
    ChargeRecord,
    PackLife,
    PackSoh,
    SohPredictor,
    WindowPredictor,
    load_cycles,
    published_split,
)
from tools.bench.figures import Figures, main
from tools.bench.places import measured_data, reference_pack

__all__ = ["run"]

SEED = 20260131
PERIOD = 10.0  # [s]
VOLTAGE_NOISE, CURRENT_NOISE = 1e-3, 5e-3  # [V], [A]: the sensors of the reference pack
COPIES = 20
# Past charges that are made up: how many, and how far apart in spreads of the training data.
PAST_CHARGES, PAST_SPREAD, REPEATS = 64, 0.3, 15


def run() -> Figures:
    """Measure one whole charge of the reference pack, then the charges of measured cells."""
    figures = Figures("inference")
    spec = reference_pack()
    random = np.random.default_rng(SEED)
    features = ChargeFeatures(spec)
    predictor = SohPredictor(spec, features)
    begun = time.perf_counter()
    predictor.load()
    figures.add("load the model", time.perf_counter() - begun, "s", target=2.0)
    taken = []
    state = PackState(time=0.0, step=0)
    spread = random.normal(1.0, 0.03, spec.n_cells)
    for step in range(300):
        state = _state(spec, step, *_simple_charge(step * PERIOD, spread), random)
        begun = time.perf_counter()
        features.observe(state)
        taken.append(time.perf_counter() - begun)
    figures.add("features of 2,800 cells, a step, median", 1e3 * float(np.median(taken)), "ms", target=2.0)
    figures.add("features of 2,800 cells, a step, p99", 1e3 * float(np.percentile(taken, 99)), "ms")
    known = int(np.isfinite(features.record().completed).sum())
    figures.add("cells with a whole charge", known, "cells", target=spec.n_cells, at_least=True)
    taken = []
    for _ in range(50):
        begun = time.perf_counter()
        predictor.predict(state)
        taken.append(time.perf_counter() - begun)
    figures.add("SOH of 2,800 cells and all levels, median", 1e3 * float(np.median(taken)), "ms", target=25.0)
    _add_past(figures, spec, random)
    data = measured_data() / "xjtu_cycles"
    if data.is_dir():
        _add_serving(figures, spec, data, random)
    return figures


def _add_past(figures: Figures, spec: PackSpec, random: np.random.Generator) -> None:
    """Measure what a charge of every cell costs: processor time of each part, and how long an answer takes."""
    health, life = PackSoh(spec, SohPredictor(spec), past := WindowPredictor(used_like="2C")), PackLife(spec, "2C")
    begun = time.perf_counter()
    health.load()
    life.load()
    figures.add("load the models of the past and of life", time.perf_counter() - begun, "s", target=2.0)
    history, features = ChargeHistory(spec, begun=True), ChargeFeatures(spec)
    cells, doubts = np.arange(spec.n_cells), np.zeros(spec.n_cells, dtype=np.uint8)
    scaling = past.model.scaling

    def charge() -> PackState:
        rows = scaling.mean + PAST_SPREAD * scaling.spread * random.normal(size=(spec.n_cells, scaling.mean.size))
        history.add(cells, rows, np.full(spec.n_cells, PERIOD), doubts)
        return PackState(time=PERIOD, step=1)

    for _ in range(PAST_CHARGES):
        state = charge()
    taken: dict[str, list[float]] = {}

    def measure[T](name: str, act: Callable[[], T]) -> T:
        begun = time.thread_time()
        result = act()
        taken.setdefault(name, []).append(1e3 * (time.thread_time() - begun))
        return result

    beside, answers = ThreadPoolExecutor(max_workers=1), []
    for number in range(REPEATS):
        charge()
        pasts = history.look()
        pasts.windows(past.model.window, cells)
        begun = time.perf_counter()  # as PackPrognosis asks: health here, life in a thread of its own
        lives = beside.submit(life.assess, pasts)
        health.assess(pasts)
        lives.result()
        answers.append(1e3 * (time.perf_counter() - begun))
        charge()
        pasts = measure("recorder: a look after a charge of every cell", history.look)
        measure("windows of 2,800 cells", lambda: pasts.windows(past.model.window, cells))  # noqa: B023
        measure("SOH of 2,800 cells from the past, interval and flag", lambda: health.assess(pasts))  # noqa: B023
        measure("remaining life of 2,800 cells, interval and flag", lambda: life.assess(pasts))  # noqa: B023
        measure("both again, no charge since", lambda: (health.assess(pasts), life.assess(pasts)))  # noqa: B023
        measure("readings of all levels, 64 draws each", lambda: (health.predict(pasts, state), life.predict(pasts)))  # noqa: B023
        image = _state(spec, number, 3.7, np.full(spec.n_cells, 2.0), random)
        measure("recorder: a step", lambda: history.observe(image, features))  # noqa: B023
    for name, values in taken.items():
        figures.add(f"{name}, median", float(np.median(values)), "ms of processor time")
    both = [
        a + b
        for a, b in zip(
            taken["SOH of 2,800 cells from the past, interval and flag"],
            taken["remaining life of 2,800 cells, interval and flag"],
            strict=True,
        )
    ]
    beside.shutdown()
    name = "SOH + remaining life + intervals of 2,800 cells"
    figures.add(f"{name}, median", float(np.median(answers)), "ms", target=25.0)
    figures.add(f"{name}, processor time, median", float(np.median(both)), "ms")
    figures.add("memory of the past of 2,800 cells", history.memory / 2**20, "MiB", target=20.0)


def _state(spec: PackSpec, step: int, voltage: float, current: Array, random: np.random.Generator) -> PackState:
    voltages = voltage + random.normal(0.0, VOLTAGE_NOISE, spec.n_groups)
    currents = current + random.normal(0.0, CURRENT_NOISE, spec.n_cells)
    now = step * PERIOD
    return PackState(time=now, step=step).updated(
        Reading.at(Kind.MEASURED, "voltage", Level.GROUP, voltages, now, provenance="bench"),
        Reading.at(Kind.MEASURED, "current", Level.CELL, -currents, now, provenance="bench"),
    )


def _simple_charge(now: float, spread: Array) -> tuple[float, Array]:
    after = max(now - 620.0, 0.0)
    if now > 2600.0:
        return 4.19, np.zeros_like(spread)
    current = 4.0 * (0.7 * np.exp(-after / (300.0 * spread)) + 0.3 * np.exp(-after / (700.0 * spread)))
    return min(3.8 + 0.4 * now / 620.0, 4.2), current


def _add_serving(figures: Figures, spec: PackSpec, data: Path, random: np.random.Generator) -> None:
    cycles = load_cycles(data)
    one_group = replace(
        spec,
        series=1,
        parallel=COPIES,
        layout=replace(spec.layout, rows=1),
        modules=spec.modules[:1],
        sensors=(),
        mappings=(),
    )
    predictor = SohPredictor(one_group)
    predictor.load()
    shift, scatter, flagged = [], [], []
    for cell in cycles.select(published_split(cycles).training):
        row = _typical_row(cell, random)
        direct = predictor.assess(_record(row[np.newaxis])).soh[0]
        voltage, current = _rebuild(dict(zip(FEATURE_NAMES, row, strict=True)), random)
        features = ChargeFeatures(one_group)
        for step, (v, i) in enumerate(zip(voltage, current, strict=True)):
            features.observe(_state(one_group, step, float(v), np.full(COPIES, i), random))
        prediction = predictor.assess(features.record())
        shift.append(np.nanmean(prediction.soh) - direct)
        scatter.append(np.nanstd(prediction.soh))
        flagged.append(np.mean(prediction.distance > predictor.model.threshold))
    figures.add("measured charges seen every 10 s: shift of SOH, mean", 100.0 * float(np.mean(shift)), "%")
    figures.add("measured charges seen every 10 s: shift of SOH, between cells", 100.0 * float(np.std(shift)), "%")
    figures.add("measured charges seen every 10 s: noise of SOH", 100.0 * float(np.mean(scatter)), "%")
    figures.add("measured charges seen every 10 s: declared unlike", 100.0 * float(np.mean(flagged)), "%")


def _typical_row(cell: CellCycles, random: np.random.Generator) -> Array:
    whole = cell.features[np.isfinite(cell.features).all(axis=1)]
    row: Array = whole[random.integers(3, len(whole))]
    return row


def _record(features: Array) -> ChargeRecord:
    size = len(features)
    return ChargeRecord(features=features, completed=np.zeros(size), doubts=np.zeros(size, dtype=np.uint8), under_way=0)


def _rebuild(row: dict[str, float], random: np.random.Generator) -> tuple[Array, Array]:
    """Return voltage [V] and charging current [A], sampled, of a charge with the statistics of a row."""
    from scipy.optimize import least_squares

    wanted = [np.array([row[f"{name} {what}"] for what in SHAPES]) for name in ("voltage", "current")]
    rise_time, fall_time = row["CC charge time"], row["CV charge time"]
    share = np.linspace(-1.0, 1.0, round(rise_time / REFERENCE_WINDOW.sample_period) + 1)
    rise = least_squares(
        lambda p: np.append((_shape(_rising(p, share)) - wanted[0]) * WEIGHTS, 30.0 * p[4]), [4.0, 0.194, 0.0, 0.0, 0.0]
    ).x
    part = np.linspace(0.0, 1.0, round(fall_time / REFERENCE_WINDOW.sample_period) + 1)
    fall = least_squares(lambda p: (_shape(_falling(p, part)) - wanted[1]) * WEIGHTS, [0.1, 0.0]).x
    share = np.linspace(-1.3, 1.05, 4000)
    voltage = _rising(rise, share)
    until = int(np.argmax(voltage >= 4.2)) or voltage.size
    times, voltage = (share[:until] + 1.0) / 2.0 * rise_time, voltage[:until]
    rate, between = 3600.0 * row["CC Q"] / rise_time, 350.0
    corner = times[-1]
    opening = corner + between * np.log(rate / 0.5)
    samples = np.arange(times[0] + random.uniform(0.0, PERIOD), opening + 1.2 * fall_time, PERIOD)
    past = (samples - opening) / fall_time
    tail = _falling(fall, np.clip(past, 0.0, 1.0)) * np.exp(-np.maximum(past - 1.0, 0.0) * fall_time / 700.0)
    current = np.where(samples < corner, rate, np.where(past < 0.0, rate * np.exp(-(samples - corner) / between), tail))
    return np.where(samples < corner, np.interp(samples, times, voltage), 4.2), current


SHAPES = ("mean", "std", "kurtosis", "skewness")
WEIGHTS = np.array([1e4, 1e4, 1e3, 1e3])


def _rising(p: Array, s: Array) -> Array:
    rising: Array = p[0] + p[1] / 2.0 * (1.0 + s + p[2] * (s**2 - 1.0) + p[3] * (s**3 - s) + p[4] * (s**4 - s**2))
    return rising


def _falling(p: Array, s: Array) -> Array:
    bent = s + p[0] * s * (1.0 - s) + p[1] * s * (1.0 - s) * (1.0 - 2.0 * s)
    falling: Array = 0.5 * np.exp(np.log(0.2) * bent)
    return falling


def _shape(signal: Array) -> Array:
    deviation, spread = signal - signal.mean(), signal.std()
    kurtosis = (deviation**4).mean() / spread**4 - 3.0
    return np.array([signal.mean(), spread, kurtosis, (deviation**3).mean() / spread**3])


if __name__ == "__main__":
    raise SystemExit(main(run))
