"""A small pack and its charge curves, for the tests of prognosis."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from celltwin.core import Kind, Level, PackState, Reading, load_pack
from celltwin.prognosis import ChargeFeatures

# The voltage rises by 0.4 V in 620 s at 2C; the current then decays in two modes.
RISE = 0.4 / 620.0  # [V/s]


@pytest.fixture(scope="session")
def small_pack(repo_root):
    """Two series groups of two parallel cells of the reference pack."""
    pack = load_pack(repo_root / "data" / "packs" / "reference.toml")
    return replace(
        pack,
        series=2,
        parallel=2,
        layout=replace(pack.layout, rows=1),
        modules=pack.modules[:1],
        sensors=(),
        mappings=(),
    )


def charge_curve(time, *, rate=4.0, start=3.8, top=4.2, tail=(350.0, 900.0)):
    """Return voltage [V] and charging current [A] of a cell charged at constant current, then voltage."""
    corner = (top - start) / RISE * 4.0 / rate
    share = np.clip(time / corner, 0.0, 1.0)
    voltage = start + (top - start) * (share + 0.03 * share * (share - 1.0))
    after = np.maximum(time - corner, 0.0)
    return voltage, rate * (0.7 * np.exp(-after / tail[0]) + 0.3 * np.exp(-after / tail[1]))


def image(spec, step, time, voltage, current, *, level=Level.CELL):
    """Return a process image; current is a charging magnitude of a cell."""
    share = 1 if level is Level.CELL else spec.parallel
    groups = np.broadcast_to(np.asarray(voltage, dtype=float), (spec.n_groups,))
    currents = np.broadcast_to(-share * np.asarray(current, dtype=float), (spec.size(level),))
    return PackState(time=time, step=step).updated(
        Reading.at(Kind.MEASURED, "voltage", Level.GROUP, groups, time, provenance="test"),
        Reading.at(Kind.MEASURED, "current", level, currents, time, provenance="test"),
    )


def watch(spec, time, voltage, current, *, features=None, **kwargs):
    """Show a whole charge to charge features and return them."""
    features = features or ChargeFeatures(spec)
    for step, (t, v, i) in enumerate(zip(time, voltage, current, strict=True)):
        features.observe(image(spec, step, float(t), v, i, **kwargs))
    return features


@pytest.fixture(scope="session")
def charging():
    """Curves, process images and watching, as one namespace."""
    return SimpleNamespace(curve=charge_curve, image=image, watch=watch)
