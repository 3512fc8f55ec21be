"""Packs and process images that the autonomy tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import Command, Kind, Level, PackSpec, PackState, Quality, Reading, load_pack


@pytest.fixture(scope="session")
def pack(repo_root: Path) -> PackSpec:
    """Return two modules of the reference pack: 20 groups, 560 cells, 56 A.h."""
    reference = load_pack(repo_root / "data/packs/reference.toml")
    return reference.with_modules(reference.modules[:2])


@pytest.fixture(scope="session")
def measured() -> Callable[..., PackState]:
    """Return a function that builds a process image of measured voltages, temperatures and current."""

    def build(
        spec: PackSpec,
        *,
        voltage: float | np.ndarray = 3.7,
        temperature: float | np.ndarray = 298.15,
        current: float = 0.0,
        time: float = 100.0,
        sampled: float | None = None,
        quality: Quality = Quality.GOOD,
    ) -> PackState:
        sampled = time if sampled is None else sampled
        return PackState(time=time, step=0).updated(
            *(
                Reading.at(
                    Kind.MEASURED,
                    quantity,
                    level,
                    np.broadcast_to(np.asarray(values, dtype=np.float64), (spec.size(level),)),
                    sampled,
                    quality=quality,
                    provenance="test",
                )
                for quantity, level, values in (
                    ("voltage", Level.GROUP, voltage),
                    ("temperature", Level.CELL, temperature),
                    ("current", Level.PACK, current),
                )
            )
        )

    return build


@pytest.fixture(scope="session")
def ask() -> Callable[..., Command]:
    """Return a function that builds a command."""

    def build(spec: PackSpec, current: float, *, flow: float = 0.05, balancing: float = 0.0) -> Command:
        return Command(
            time=100.0,
            pack_current=current,
            coolant_flow=np.full(spec.n_modules, flow),
            balancing_current=np.full(spec.n_groups, balancing),
            origin="duty",
        )

    return build
