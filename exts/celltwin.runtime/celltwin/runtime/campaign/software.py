"""Which software makes a result: versions of libraries, hashes of code, parameter sets and distributions of cells."""

from __future__ import annotations

import hashlib
import platform
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..settings import REPOSITORY
from ..versions import library_versions

__all__ = ["software_entry"]

LIBRARIES = ("celltwin", "numpy", "scipy", "warp-lang", "pybamm", "pyarrow", "ray")
# What a simulated run depends on.
PACKAGES = ("celltwin.core", "celltwin.physics")


@lru_cache(maxsize=1)
def software_entry() -> dict[str, Any]:
    """Return versions and hashes of all that figures depend on; equal entries make equal figures."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "libraries": library_versions(LIBRARIES),
        "code": _digest(file for package in PACKAGES for file in _package_files(package)),
        "parameters": _digest(
            file
            for kind in ("parameters", "distributions")
            for file in sorted((REPOSITORY / "data" / kind).glob("*.json"))
        ),
    }


def _package_files(package: str) -> list[Path]:
    found = find_spec(package)
    assert found is not None
    assert found.origin is not None
    return sorted(Path(found.origin).parent.rglob("*.py"))


def _digest(files: Any) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
