"""Packs and process images for the models of the panels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from celltwin.core import Kind, Level, PackSpec, PackState, Quality, Reading, load_pack


@pytest.fixture(scope="session")
def leaf(repo_root: Path) -> PackSpec:
    return load_pack(repo_root / "data" / "packs" / "leaf_3_modules.toml")


@pytest.fixture(scope="session")
def reference(repo_root: Path) -> PackSpec:
    return load_pack(repo_root / "data" / "packs" / "reference.toml")


@pytest.fixture
def leaf_state(leaf: PackSpec) -> PackState:
    """Return what the real Leaf pack measures: six group voltages, three module temperatures, one current."""

    def measured(quantity: str, level: Level, values: list[float], **more: object) -> Reading:
        return Reading.at(Kind.MEASURED, quantity, level, np.array(values), 90.0, provenance="test", **more)

    readings = (
        measured("voltage", Level.GROUP, [3.91, 3.92, 3.85, 3.90, 3.93, 3.89]),
        measured("temperature", Level.MODULE, [298.15, 303.15, 300.15]),
        measured("current", Level.PACK, [-32.5], quality=Quality.GOOD),
    )
    return PackState(time=90.0, step=90, readings={reading.key: reading for reading in readings})
