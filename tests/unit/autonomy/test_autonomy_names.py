"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import celltwin.autonomy


def test_public_names():
    assert celltwin.autonomy.__all__ == [
        "Shield",
        "ShieldSettings",
        "decide",
    ]
    for name in celltwin.autonomy.__all__:
        assert hasattr(celltwin.autonomy, name)


def test_importing_loads_no_heavy_library_and_nothing_of_kit():
    code = (
        "import sys, celltwin.autonomy; "
        "heavy = ('pybamm', 'torch', 'casadi', 'scipy', 'pint', 'omni', 'carb', 'pxr'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
