"""The public names of every package, pinned; and that importing a package stays cheap and needs no Kit.

After a deliberate change: CELLTWIN_UPDATE_GOLDEN=1 ./repo.sh test packaging -- -n0 -k public
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests/golden/public_names.json"
PACKAGES = sorted(path.parent.name for path in (ROOT / "exts").glob("celltwin.*/celltwin/*/__init__.py"))

# What an import of celltwin must not bring: Kit, and libraries that take a second or more to load.
UNWANTED = [
    "carb",
    "matplotlib",
    "omni.ui",
    "omni.kit",
    "onnxruntime",
    "physicsnemo",
    "pybamm",
    "pyvista",
    "ray",
    "torch",
]

PROBE = """
import importlib, json, sys
package = importlib.import_module(sys.argv[1])
loaded = [name for name in sys.argv[2:] if name in sys.modules]
names = list(package.__all__)
for name in names:
    getattr(package, name)
print(json.dumps({"names": names, "loaded": loaded}))
"""


@pytest.fixture(scope="module")
def pinned() -> dict[str, list[str]]:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


def import_package(name: str) -> dict[str, list[str]]:
    command = [sys.executable, "-c", PROBE, f"celltwin.{name}", *UNWANTED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_without_kit_and_offers_its_pinned_names(package: str, pinned: dict[str, list[str]]):
    found = import_package(package)

    assert found["loaded"] == []
    assert len(found["names"]) == len(set(found["names"]))
    if os.environ.get("CELLTWIN_UPDATE_GOLDEN"):
        pinned[package] = found["names"]
        GOLDEN.write_text(json.dumps(dict(sorted(pinned.items())), indent=1) + "\n", encoding="utf-8")
    assert found["names"] == pinned[package]


def test_every_package_is_pinned_and_no_other(pinned: dict[str, list[str]]):
    assert sorted(pinned) == PACKAGES
