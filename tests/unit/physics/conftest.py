"""Small packs, and a simulator that every test shares; compiled equations go to a folder of the session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

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
        return PackSimulation(spec, variation, threads=1, **kwargs)

    return start
