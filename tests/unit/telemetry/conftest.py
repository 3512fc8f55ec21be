"""Packs and small recordings that the telemetry tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import Channel, PackSpec, SampleBlock, expand_channels, load_pack
from celltwin.telemetry import ReplaySource

COLUMNS = (
    "Current",
    "Voltage",
    *(f"Cell Voltage A{n}" for n in range(1, 7)),
    *(f"Temperature A{n}" for n in (1, 2, 3)),
)


@pytest.fixture(scope="session")
def leaf_pack(repo_root: Path) -> PackSpec:
    return load_pack(repo_root / "data" / "packs" / "leaf_3_modules.toml")


@pytest.fixture(scope="session")
def reference_pack(repo_root: Path) -> PackSpec:
    return load_pack(repo_root / "data" / "packs" / "reference.toml")


@pytest.fixture(scope="session")
def leaf_channels(leaf_pack: PackSpec) -> tuple[Channel, ...]:
    return expand_channels(leaf_pack)


@pytest.fixture(scope="session")
def leaf_columns() -> tuple[str, ...]:
    return COLUMNS


@pytest.fixture(scope="session")
def leaf_row() -> Callable[[float], list[float]]:
    """Return plausible values of all eleven columns at a time [s], in the units of the file."""

    def row(time: float) -> list[float]:
        return [-32.5, 24.0 - 0.01 * time, *(4.0 - 0.001 * time - 0.01 * n for n in range(6)), 22.0, 22.5, 23.0]

    return row


@pytest.fixture(scope="session")
def read_all() -> Callable[[ReplaySource], list[SampleBlock]]:
    """Return a function that reads a source to its end."""

    def read(source: ReplaySource) -> list[SampleBlock]:
        blocks: list[SampleBlock] = []
        while not source.finished:
            blocks += source.read(np.inf)
        return blocks

    return read


@pytest.fixture(scope="session")
def make_block() -> Callable[..., SampleBlock]:
    """Return a function that builds a block from times and rows; None stands for no value."""

    def make(
        time: list[float], rows: list[list[float | None]], channels: tuple[str, ...] = COLUMNS, origin: str = "test"
    ) -> SampleBlock:
        present = np.array([[cell is not None for cell in row] for row in rows], dtype=np.bool_)
        values = np.array([[np.nan if cell is None else cell for cell in row] for row in rows], dtype=np.float64)
        shape = (len(time), len(channels))
        return SampleBlock(
            channels=channels,
            time=np.array(time, dtype=np.float64),
            values=values.reshape(shape),
            present=present.reshape(shape),
            origin=tuple(f"{origin}:{number + 1}" for number in range(len(time))),
        )

    return make
