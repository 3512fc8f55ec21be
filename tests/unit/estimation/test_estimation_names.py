"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import celltwin.estimation


def test_public_names():
    assert celltwin.estimation.__all__ == [
        "AlarmBands",
        "AlarmMonitor",
        "Assimilator",
        "Band",
        "FieldSettings",
        "FilterSettings",
        "GroupEvidence",
        "GroupRank",
        "OcvTable",
        "TemperatureField",
        "check_limits",
        "combine_series",
        "locate_sensors",
        "weakest_groups",
    ]
    for name in celltwin.estimation.__all__:
        assert hasattr(celltwin.estimation, name)


def test_importing_loads_no_heavy_library_and_nothing_of_kit():
    code = (
        "import sys, celltwin.estimation; "
        "heavy = ('pybamm', 'torch', 'casadi', 'scipy', 'pint', 'omni', 'carb', 'pxr'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
