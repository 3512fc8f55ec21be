"""Small packs, and a simulator that every test shares; compiled equations go to a folder of the session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from celltwin.core import Command, PackSpec, load_pack
from celltwin.physics import CellParameters, CellSimulator, PackSimulation, draw_variation, load_cell_parameters


@pytest.fixture(scope="session", autouse=True)
def compiled_equations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("equations")
    before = os.environ.get("CELLTWIN_CACHE")
    os.environ["CELLTWIN_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["CELLTWIN_CACHE"]
    else:
        os.environ["CELLTWIN_CACHE"] = before


@pytest.fixture(scope="session")
def cell() -> CellParameters:
    return load_cell_parameters("xjtu_18650")


@pytest.fixture(scope="session")
def simulator(cell: CellParameters) -> CellSimulator:
    return CellSimulator(cell)


@pytest.fixture(scope="session")
def small_pack(repo_root: Path) -> PackSpec:
    """Return two modules of two groups of three cells, cooled by a plate: 12 cells."""
    reference = load_pack(repo_root / "data/packs/reference.toml")
    layout = replace(reference.layout, rows=3)
    return replace(reference, name="small", series=2, parallel=3, layout=layout, modules=reference.modules[:2])


@pytest.fixture(scope="session")
def ask() -> Callable[..., Command]:
    """Return a function that builds a command for a pack."""

    def build(spec: PackSpec, current: float, *, bleed: float | np.ndarray = 0.0, flow: float | None = None) -> Command:
        return Command(
            time=0.0,
            pack_current=current,
            coolant_flow=np.full(spec.n_modules, spec.cooling.flow if flow is None else flow),
            balancing_current=np.broadcast_to(np.asarray(bleed, dtype=np.float64), (spec.n_groups,)),
            origin="duty",
        )

    return build


@pytest.fixture(scope="session")
def simulate(cell: CellParameters) -> Callable[..., PackSimulation]:
    """Return a function that starts a pack; without arguments its cells are all alike."""

    def start(spec: PackSpec, *, seed: int = 0, soc: float = 0.6, alike: bool = False, **kwargs: object):
        spread = {"capacity_spread": 0.0, "resistance_spread": 0.0, "soc_spread": 0.0, "ageing": 0.0} if alike else {}
        variation = draw_variation(spec, cell, seed=seed, initial_soc=soc, **spread)
        return PackSimulation(spec, variation, **kwargs)

    return start


@pytest.fixture(scope="session")
def cell_model(compiled_equations: Path) -> Any:
    """Return the engine's model of the reference pack's cell."""
    from celltwin.physics.engine import build_cell_model

    return build_cell_model("xjtu_18650")


@pytest.fixture(scope="session")
def string_network() -> Callable[..., Any]:
    """Return a function that builds a string of parallel groups; cells conduct heat to the next in pack order."""
    from celltwin.physics.engine.pack_network import Circuit, HeatPaths, PackNetwork

    def build(
        series: int = 1,
        parallel: int = 1,
        *,
        weld: float | np.ndarray = 0.0,
        rail: float = 0.0,
        opposite: bool = False,
        link: float = 0.0,
        heat_capacity: float | np.ndarray = 43.2,
        ambient: float | np.ndarray = 0.0,
        conduction: float = 0.0,
        ambient_temperature: float = 298.15,
    ) -> PackNetwork:
        n_cells = series * parallel
        index = np.arange(n_cells, dtype=np.int32)
        neighbours = np.stack([np.maximum(index - 1, 0), np.minimum(index + 1, n_cells - 1)]).astype(np.int32)
        circuit = Circuit(
            n_groups=series,
            parallel=parallel,
            connection_resistance=np.broadcast_to(np.asarray(weld, dtype=np.float64), n_cells).copy(),
            rail_resistance=np.full(series, rail),
            opposite_feed=opposite,
            kind=np.zeros(series + 1, dtype=np.int8),
            child_start=np.concatenate([np.zeros(series + 1), [series]]).astype(np.int32),
            children=np.arange(series, dtype=np.int32),
            link_resistance=np.concatenate([np.zeros(series), [link]]),
            roots=np.array([series], dtype=np.int32),
        )
        heat = HeatPaths(
            neighbours=neighbours,
            conductance=np.where(neighbours != index, conduction, 0.0),
            ambient_conductance=np.broadcast_to(np.asarray(ambient, dtype=np.float64), n_cells).copy(),
            coolant_conductance=np.zeros(n_cells),
            segment=np.zeros(n_cells, dtype=np.int32),
            segment_start=np.array([0, 1], dtype=np.int32),
            design_flow=np.zeros(1),
            coolant_heat_capacity=1.0,
            inlet_temperature=np.full(1, ambient_temperature),
            ambient_temperature=ambient_temperature,
        )
        capacities = np.broadcast_to(np.asarray(heat_capacity, dtype=np.float64), n_cells).copy()
        return PackNetwork(circuit=circuit, heat=heat, heat_capacity=capacities)

    return build
