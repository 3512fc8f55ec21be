"""A pack, its prescriber, and process images with estimates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import Kind, Level, PackSpec, PackState, Quality, Reading, load_pack
from celltwin.prescription import CandidatePrescriber


@pytest.fixture(scope="session")
def pack(repo_root: Path) -> PackSpec:
    """Return two modules of the reference pack: 20 groups, 560 cells, 56 A.h."""
    reference = load_pack(repo_root / "data/packs/reference.toml")
    return reference.with_modules(reference.modules[:2])


@pytest.fixture(scope="session")
def prescriber(pack: PackSpec) -> CandidatePrescriber:
    return CandidatePrescriber(pack)


@pytest.fixture(scope="session")
def estimated() -> Callable[..., PackState]:
    """Return a function that builds a process image of good estimates."""

    def build(
        spec: PackSpec,
        *,
        soc: float | np.ndarray = 0.3,
        temperature: float | np.ndarray = 298.15,
        soh: float | np.ndarray | None = None,
        resistance: np.ndarray | None = None,
        uncertainty: float = 0.01,
        quality: Quality = Quality.GOOD,
        time: float = 500.0,
    ) -> PackState:
        found = [
            (Kind.ESTIMATED, "soc", Level.GROUP, soc, uncertainty),
            (Kind.ESTIMATED, "temperature", Level.CELL, temperature, 0.1),
        ]
        if soh is not None:
            found.append((Kind.PREDICTED, "soh", Level.CELL, soh, 0.01))
        if resistance is not None:
            found.append((Kind.ESTIMATED, "resistance", Level.GROUP, resistance, 1e-4))
        return PackState(time=time, step=0).updated(
            *(
                Reading.at(
                    kind,
                    quantity,
                    level,
                    np.broadcast_to(np.asarray(values, dtype=np.float64), (spec.size(level),)),
                    time,
                    quality=quality,
                    standard_uncertainty=doubt,
                    provenance="test",
                )
                for kind, quantity, level, values, doubt in found
            )
        )

    return build
