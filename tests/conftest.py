"""Fixtures that every suite shares, and the environment that tests run in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

# Once VTK has rendered, Mesa's LLVM is loaded, and Triton's own (which training imports) crashes on loading. The other
# order works. Outside tests, pictures are drawn in processes of their own.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

REPO_ROOT = Path(__file__).resolve().parents[1]

# Repeated in repo.toml for the processes that ./repo.sh starts; here for a plain `pytest`.
TEST_ENVIRONMENT = {
    "MPLBACKEND": "Agg",
    "OMP_NUM_THREADS": "1",
    "PYBAMM_DISABLE_TELEMETRY": "true",
    "PYVISTA_OFF_SCREEN": "true",
}
for _name, _value in TEST_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

# Features of 2C cells on average, at 98 % of nominal capacity and, 280 charges later, at 86.5 %; entropies are missing.
FRESH = (4.096, 0.05661, -1.212, 0.01815, 0.338, 304.2, 0.0006484, np.nan)
FRESH += (0.2306, 0.1094, -0.5191, 0.769, 0.05412, 844.9, -0.001088, np.nan)
AGED = (4.096, 0.05696, -1.224, 0.03168, 0.3424, 308.1, 0.0006476, np.nan)
AGED += (0.2272, 0.1083, -0.4329, 0.8123, 0.08283, 1313.0, -0.0007404, np.nan)

# How a user obtains each set of measured data; none of it is part of the project.
DATA_SOURCES = {
    "enertech": "the PyBaMM repository (BSD-3): Enertech cells of Ai et al., text columns time, value",
    "leaf_modules": "the BatterySim repository of ORNL (MIT): CSV files of three Nissan Leaf modules in series",
    "lgm50": "the PyBOP repository (BSD-3): LGM50_5Ah_RateTest.mat and the LG M50 pulse and OCV files",
    "mit_cycles": "the PINN4SOH repository of Wang et al. (Nature Communications 15, 4332, 2024): its MIT data",
    "samsung_21700": "the PyBOP repository (BSD-3): the HPPC and drive-cycle spreadsheets",
    "samsung_30q": "the ARTS-Lab data set of Samsung 30Q discharge tests (CC BY-SA 4.0): cells S001 and S002",
    "xjtu_cycles": "the PINN4SOH repository of Wang et al. (Nature Communications 15, 4332, 2024): its XJTU data",
    "xjtu_discharge": "the Battery-dataset-preprocessing-code-library of Wang: its discharge figure, digitised to CSV",
}


# Suites whose tests share what there is one of, such as Kit's cores' time; each runs in one process, in order.
SERIAL_SUITES = ("integration", "kit", "ui")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave nightly tests out unless ``-m`` speaks of them, and keep serial suites together."""
    for item in items:
        suite = item.path.relative_to(REPO_ROOT).parts[1]
        if suite in SERIAL_SUITES:
            item.add_marker(pytest.mark.xdist_group(suite))
    if "nightly" in config.option.markexpr:
        return
    nightly = [item for item in items if item.get_closest_marker("nightly")]
    if nightly:
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """Return the folder that holds ``exts``, ``app`` and ``data``."""
    return REPO_ROOT


@pytest.fixture(scope="session")
def measured_data() -> Callable[[str], Path]:
    """Return a function that finds a set of measured data by name, or skips saying how to obtain it."""
    folder = Path(os.environ.get("CELLTWIN_DATA") or REPO_ROOT.parent / "shared" / "data").resolve()

    def find(name: str) -> Path:
        source = DATA_SOURCES[name]  # a KeyError here is a typing error in the test
        if not (folder / name).is_dir():
            pytest.skip(
                f"no measured data at {folder / name}: get it from {source}; point CELLTWIN_DATA at its parent folder"
            )
        return folder / name

    return find


@pytest.fixture(scope="session")
def charges() -> Callable[[int], np.ndarray]:
    """Return a function of a number that gives the features of so many first charges of a cell that ages evenly."""

    def make(count: int) -> np.ndarray:
        share = np.arange(count)[:, np.newaxis] / 280.0
        return np.array(FRESH) + share * (np.array(AGED) - np.array(FRESH))

    return make
