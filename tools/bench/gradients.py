"""Bench of gradients through the engine: 12 unlike cells, ten minutes of steps, against central finite differences."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array, PackSpec
from tools.bench.figures import Figures, main
from tools.bench.places import reference_pack

if TYPE_CHECKING:
    from celltwin.physics.engine import DriveGradient, PackEngine

__all__ = ["GradientCheck", "check_gradient", "draw_profile", "run"]

SERIES, PARALLEL = 3, 4
STEPS = 600  # of 1 s
PLACES = (0, 1, 100, 255, 256, 400, 598, 599)  # steps that are held against differences
CHANGE = 0.02  # of the current [A]
SOC = 0.7
SEED = 5
CELLS = "OKane2022"  # whose ageing is published with it
AGEING = "okane_2022"
TARGET = 1e-3
# What is weighted, what it is called, and how large its change is: weights are over the cells' own numbers.
QUANTITIES = (
    ("temperature", "final temperature"),
    ("soc", "final state of charge"),
    ("voltage", "final cell voltage"),
    ("sei_thickness", "thickness of the film"),
    ("plated_lithium", "plated lithium"),
    ("lost_lithium", "lithium lost with active material"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class GradientCheck:
    """A gradient held against differences.

    Attributes
    ----------
    error : float
        Largest relative difference of the two, over the steps that were compared [-].
    derivative_time, forward_time : float
        Time of one gradient, and of one simulation of the engine [s].
    """

    error: float
    derivative_time: float
    forward_time: float

    @property
    def difference_time(self) -> float:
        """Time of the same gradient by one simulation more than there are steps [s]."""
        return (STEPS + 1) * self.forward_time


def run() -> Figures:
    """Check the derivatives of everything that may be wanted with the current at each step, and time them."""
    figures = Figures("gradients")
    spec = twelve_cells()
    profile = draw_profile(spec.capacity)
    engine = build_engine(spec)
    figures.add("cells", engine.n_cells, "1")
    figures.add("steps of 1 s", STEPS, "1")
    begun = time.perf_counter()
    differentiate(engine, profile[:1], "soc")
    figures.add("first gradient, compiling kernels where no cache has them", time.perf_counter() - begun, "s")
    checks = {}
    for quantity, words in QUANTITIES:
        checks[quantity] = check_gradient(engine, profile, quantity)
        figures.add(f"{words}: worst relative difference", checks[quantity].error, "1", target=TARGET)
    ageing = checks["sei_thickness"]
    plain = check_gradient(build_engine(spec, ageing=False), profile, "temperature")
    figures.add("final temperature, without ageing: worst relative difference", plain.error, "1", target=TARGET)
    for words, found in (("with ageing", ageing), ("without ageing", plain)):
        figures.add(f"one simulation, {words}", found.forward_time, "s")
        figures.add(f"one gradient, {words}", found.derivative_time, "s")
        figures.add(f"gradient over simulation, {words}", found.derivative_time / found.forward_time, "1")
        ratio = found.difference_time / found.derivative_time
        figures.add(f"one-sided differences over gradient, {words}", ratio, "1")
    return figures


def twelve_cells() -> PackSpec:
    """Return the module of the comparison: 3 groups in series of 4 cells in parallel, cooled by a plate."""
    spec = reference_pack(1)
    layout = replace(spec.layout, rows=PARALLEL)
    cell = replace(spec.cell, parameter_set=CELLS)
    return replace(spec, cell=cell, series=SERIES, parallel=PARALLEL, layout=layout, sensors=(), mappings=())


def draw_profile(capacity: float) -> Array:
    """Return a current that swings between discharge and charge at up to 1C, of shape (STEPS,) [A]."""
    random = np.random.default_rng(SEED)
    at = np.arange(STEPS)
    swings = np.sum([np.sin(2.0 * np.pi * (at / period + random.uniform())) for period in (37.0, 90.0, 240.0)], axis=0)
    current: Array = capacity * (0.3 * swings + 0.05)
    return current


def build_engine(spec: PackSpec, *, ageing: bool = True) -> PackEngine:
    """Return an engine with unlike cells and heat between them, which ages or not."""
    from celltwin.physics.engine import CellPopulation, EngineOptions, ageing_model, build_pack_engine

    random = np.random.default_rng(SEED)
    cells = CellPopulation(
        soc=random.uniform(SOC - 0.01, SOC + 0.01, spec.n_cells),
        capacity_scale=random.normal(1.0, 0.02, spec.n_cells),
        resistance=random.uniform(0.0, 5e-3, spec.n_cells),
        temperature=random.uniform(293.0, 303.0, spec.n_cells),
    )
    options = EngineOptions(ageing=ageing_model(AGEING) if ageing else None)
    return build_pack_engine(spec, cells=cells, options=options, device="cpu")


def differentiate(engine: PackEngine, profile: Array, quantity: str) -> DriveGradient:
    """Return the derivative of the sum of a quantity, in its own scale, over unlike weights of the cells."""
    from celltwin.physics.engine import Drive, differentiate_drive

    weights = {quantity: weigh(engine, quantity)}
    return differentiate_drive(engine, Drive(values=profile), float(profile.size), weights=weights)


def weigh(engine: PackEngine, quantity: str) -> Array:
    """Return the weight of each cell."""
    unit = 1e-9 if quantity == "sei_thickness" else 1e-6 if quantity.endswith("_lithium") else 1.0
    weights: Array = np.linspace(0.5, 1.5, engine.n_cells) / unit
    return weights


def check_gradient(engine: PackEngine, profile: Array, quantity: str) -> GradientCheck:
    """Hold the derivatives of a quantity with the currents of some steps against central differences."""
    from celltwin.physics.engine import Drive

    weights, start = weigh(engine, quantity), engine.state()

    def final(place: int, change: float) -> float:
        moved = profile.copy()
        moved[place] += change
        engine.restore(start)
        engine.advance(Drive(values=moved), float(profile.size))
        return float(weights @ engine.read_cells(quantity))

    differences = np.array([(final(place, CHANGE) - final(place, -CHANGE)) / (2.0 * CHANGE) for place in PLACES])
    forward_time = _timed(lambda: final(0, 0.0))
    engine.restore(start)
    found = differentiate(engine, profile, quantity)
    derivative_time = _timed(lambda: differentiate(engine, profile, quantity))
    gap, size = np.abs(found.gradient[list(PLACES), 0] - differences), np.abs(differences)
    # ageing takes a cell as the step before left it: the last current does nothing to it, and both are zero
    error = np.divide(gap, size, out=np.zeros(size.size), where=gap > 0.0).max()
    return GradientCheck(error=float(error), derivative_time=derivative_time, forward_time=forward_time)


def _timed(work: Callable[[], object]) -> float:
    """Return the shorter time of two runs [s]."""
    times = []
    for _ in range(2):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


if __name__ == "__main__":
    raise SystemExit(main(run))
