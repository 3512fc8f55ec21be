"""Packs and process images that the estimation tests share."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import Array, Kind, Level, PackSpec, PackState, Quality, Reading, load_pack
from celltwin.estimation import OcvTable

UNCERTAINTY = {"current": 0.1, "voltage": 0.001, "temperature": 0.1, "balancing_current": 0.0}


@pytest.fixture(scope="session")
def reference(repo_root: Path) -> PackSpec:
    return load_pack(repo_root / "data/packs/reference.toml")


@pytest.fixture(scope="session")
def small(reference: PackSpec) -> PackSpec:
    """Return two modules of the reference pack: 20 groups, 560 cells."""
    return reference.with_modules(reference.modules[:2])


@pytest.fixture(scope="session")
def leaf(repo_root: Path) -> PackSpec:
    return load_pack(repo_root / "data/packs/leaf_3_modules.toml")


@pytest.fixture(scope="session")
def curve() -> OcvTable:
    soc = np.linspace(0.0, 1.0, 401)
    return OcvTable.from_samples(soc, 3.4 + 0.8 * soc - 0.4 * np.exp(-25.0 * soc), "test curve")


@pytest.fixture(scope="session")
def image() -> Callable[..., PackState]:
    """Return a function that builds a process image of measured readings."""

    def build(time: float, readings: dict[tuple[str, Level], Array], quality: Quality = Quality.GOOD) -> PackState:
        return PackState(time=time, step=0).updated(
            *(
                Reading.at(
                    Kind.MEASURED,
                    quantity,
                    level,
                    np.asarray(values, dtype=np.float64),
                    time,
                    quality=quality,
                    standard_uncertainty=UNCERTAINTY[quantity],
                    provenance="test",
                )
                for (quantity, level), values in readings.items()
            )
        )

    return build


@pytest.fixture(scope="session")
def with_sensors() -> Callable[..., PackSpec]:
    """Return a function that gives a pack temperature sensors on some elements of a level only."""

    def change(spec: PackSpec, level: Level, elements: tuple[int, ...]) -> PackSpec:
        sensor = next(sensor for sensor in spec.sensors if sensor.quantity == "temperature")
        others = tuple(other for other in spec.sensors if other is not sensor)
        mappings = tuple(mapping for mapping in spec.mappings if mapping.sensor != sensor.id)
        moved = replace(sensor, level=level, elements=elements, position=(0.0, 0.0, 0.0))
        return replace(spec, sensors=(*others, moved), mappings=mappings)

    return change


@pytest.fixture(scope="session")
def leaf_recording(measured_data: Callable[[str], Path]) -> Callable[[str], tuple[Array, Array, Array, Array]]:
    """Return a function that reads time, current, group voltages and module temperatures at a rate of discharge."""

    def read(rate: str) -> tuple[Array, Array, Array, Array]:
        path = measured_data("leaf_modules") / f"module123-irdischarge-65ah-{rate}.csv"
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            rows = list(csv.reader(file))
        header = next(number for number, row in enumerate(rows) if row and row[0] == "Total Time")
        current, first = rows[header].index("Current"), rows[header].index("Cell Voltage A1")
        columns = [0, current, *range(first, first + 9)]
        table = np.array(
            [[float(row[column]) for column in columns] for row in rows[header + 1 :] if len(row) > first + 9]
        )
        return table[:, 0], -table[:, 1], table[:, 2:8], table[:, 8:] + 273.15

    return read
