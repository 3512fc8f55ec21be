"""What the bench of the pack engine measures: the reference pack through a duty, packs of all sizes, memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from celltwin.core import Array, PackSpec
from celltwin.physics import PackVariation, draw_variation, load_cell_parameters

if TYPE_CHECKING:
    from celltwin.physics.engine import EngineOptions, PackEngine

__all__ = [
    "DUTY",
    "SizeTiming",
    "array_bytes",
    "build_engine",
    "device_name",
    "duty_current",
    "reference_variation",
    "time_size",
    "time_windows",
]

SEED = 0
INITIAL_SOC = 0.6
STEP = 1.0  # [s]
# Seconds at a rate over 1C: a window of ten minutes that ends with the charge it began with.
DUTY = (
    (240, 1.0),
    *(((10, 2.0), (10, 0.0), (10, -2.0), (10, 0.0)) * 3),
    (120, 0.0),
    (120, -2.0),
)


@dataclass(frozen=True, kw_only=True)
class SizeTiming:
    """What packs of one size take.

    Attributes
    ----------
    n_cells : int
        Cells.
    median, worst : float
        Time of a cell and step, over the windows [s].
    array_bytes : float
        Bytes of the engine's arrays, for each cell.
    resident_bytes : float
        Growth of the process, for each cell; without meaning for few cells.
    build : float
        Time to build network and engine [s].
    """

    n_cells: int
    median: float
    worst: float
    array_bytes: float
    resident_bytes: float
    build: float


def reference_variation(spec: PackSpec, *, soc: float = INITIAL_SOC) -> PackVariation:
    """Return the differences between its cells: capacities, resistances, states of charge."""
    return draw_variation(spec, load_cell_parameters(spec.cell.parameter_set), seed=SEED, initial_soc=soc)


def build_engine(
    spec: PackSpec,
    *,
    copies: int = 1,
    device: str = "cpu",
    soc: float = INITIAL_SOC,
    options: EngineOptions | None = None,
) -> PackEngine:
    """Return the engine of as many copies of a pack, no cell of a copy like another; steps of 1 s by default."""
    from celltwin.physics.engine import CellPopulation, EngineOptions, PackEngine, build_cell_model, build_network
    from celltwin.physics.engine.heat_paths import thermal_model

    variation = reference_variation(spec, soc=soc)
    # The variation states all of a cell's ohmic resistance.
    model = build_cell_model(spec.cell.parameter_set)
    model = replace(model, contact_resistance=0.0, thermal=thermal_model(spec))
    population = CellPopulation(
        capacity_scale=np.tile(variation.capacity_scale, copies),
        resistance=np.tile(variation.resistance, copies),
        soc=np.tile(np.repeat(variation.initial_soc, spec.parallel), copies),
    )
    network = build_network(spec, copies=copies)
    return PackEngine(model, network, cells=population, options=options or EngineOptions(step=STEP), device=device)


def duty_current(spec: PackSpec, steps: int | None = None) -> Array:
    """Return the pack's current at each step of a window, or of the first steps of repeated windows [A]."""
    rates = np.concatenate([np.full(seconds, rate) for seconds, rate in DUTY])
    return np.resize(rates, steps or rates.size) * spec.capacity


def time_windows(engine: PackEngine, current: Array, windows: int) -> Array:
    """Return the time of each of several windows [s], of shape (windows,); one goes before, unmeasured."""
    from celltwin.physics.engine import Drive

    taken = np.empty(windows + 1)
    for window in range(windows + 1):
        begun = time.perf_counter()
        engine.advance(Drive(values=current), STEP * current.size)  # its one sample waits for the device
        taken[window] = time.perf_counter() - begun
    return taken[1:]


def time_size(
    spec: PackSpec, *, copies: int, cell_steps: float, windows: int, device: str = "cpu", least_steps: int = 40
) -> SizeTiming:
    """Time as many copies of a pack through the first steps of the duty.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    copies : int
        Copies of it.
    cell_steps : float
        Cell-steps of a window, about.
    windows : int
        Windows.
    device : str
        Warp's name of the device.
    least_steps : int
        Steps of a window at least.
    """
    gc.collect()
    before = psutil.Process().memory_info().rss
    begun = time.perf_counter()
    engine = build_engine(spec, copies=copies, device=device)
    build = time.perf_counter() - begun
    steps = max(least_steps, round(cell_steps / engine.n_cells))
    taken = time_windows(engine, duty_current(spec, steps), windows) / (engine.n_cells * steps)
    grown = psutil.Process().memory_info().rss - before
    return SizeTiming(
        n_cells=engine.n_cells,
        median=float(np.median(taken)),
        worst=float(taken.max()),
        array_bytes=array_bytes(engine) / engine.n_cells,
        resident_bytes=grown / engine.n_cells,
        build=build,
    )


def array_bytes(engine: PackEngine) -> int:
    """Return the bytes of all Warp arrays that an engine holds, each memory counted once."""
    held = {int(array.ptr): int(array.capacity) for array in _arrays(engine, set()) if array.ptr}
    return sum(held.values())


def device_name(device: str) -> str:
    """Return what a device is called."""
    import warp as wp

    found = wp.get_device(device)
    return str(found.name) if found.is_cuda else "CPU"


def _arrays(holder: Any, seen: set[int]) -> Iterator[Any]:
    import warp as wp

    if id(holder) in seen:
        return
    seen.add(id(holder))
    if isinstance(holder, wp.array):
        if getattr(holder, "_base", None) is None:
            yield holder
        else:
            yield from _arrays(holder._base, seen)
        return
    parts: list[Any] = []
    if isinstance(holder, (list, tuple)):
        parts = list(holder)
    elif isinstance(holder, dict):
        parts = list(holder.values())
    elif is_dataclass(holder) and not isinstance(holder, type):
        parts = [getattr(holder, entry.name) for entry in fields(holder)]
    elif type(holder).__module__.startswith("celltwin."):
        parts = list(vars(holder).values())
    for part in parts:
        yield from _arrays(part, seen)
