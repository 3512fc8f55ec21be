"""Where benches find what they measure with, and where their pictures go."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from celltwin.core import PackSpec, load_pack

__all__ = ["PACKS", "PICTURES", "REPOSITORY", "measured_data", "reference_pack"]

REPOSITORY = Path(__file__).resolve().parents[2]
PACKS = REPOSITORY / "data" / "packs"
PICTURES = REPOSITORY / "docs" / "images"


def reference_pack(n_modules: int | None = None) -> PackSpec:
    """Return the reference pack, or its first modules."""
    spec = load_pack(PACKS / "reference.toml")
    return spec if n_modules is None else replace(spec, modules=spec.modules[:n_modules])


def measured_data() -> Path:
    """Return the folder of measured sets: ``CELLTWIN_DATA``, or the one beside the repository; it need not exist."""
    return Path(os.environ.get("CELLTWIN_DATA") or REPOSITORY.parent / "shared" / "data").resolve()
