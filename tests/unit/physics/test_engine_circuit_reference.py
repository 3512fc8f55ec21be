"""Currents of unlike cells against an independent solution: PyBaMM's cells and Kirchhoff's laws as one system."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.physics import CellParameters, load_cell_parameters
from celltwin.physics.cell_equations import Mesh
from celltwin.physics.engine import EngineOptions
from tools.bench.pack_circuit import compare, draw_pack, duty_of, simulate
from tools.bench.pack_circuit_reference import DutyPart, solve_reference

COARSE = Mesh(electrode=6, separator=3, particle=24)


@pytest.fixture(scope="module")
def cell() -> CellParameters:
    """Return a cell of formulas: the reference thins tables, and that would hide the error of the step."""
    return load_cell_parameters("Mohtat2020")


@pytest.fixture(scope="module")
def unlike(cell):
    pack, duty = draw_pack(cell, seed=5), duty_of(cell, scale=0.1)
    return pack, duty, solve_reference(cell, pack, duty, mesh=COARSE)


def test_currents_of_twelve_unlike_cells_agree_with_one_system_of_equations(cell, unlike):
    pack, duty, reference = unlike

    found = compare(cell, reference, simulate(cell, pack, duty), duty)

    assert np.ptp(reference.cell_current, axis=1).max() > 0.3 * cell.capacity  # there is something to share
    assert max(found.current.values()) < 5e-3
    assert found.voltage < 3e-3
    assert found.temperature < 0.05
    assert found.soc < 1e-4


def test_the_error_falls_with_the_step(cell, unlike):
    pack, duty, reference = unlike

    errors = [
        compare(cell, reference, simulate(cell, pack, duty, EngineOptions(step=step)), duty).current_rms
        for step in (1.0, 0.25)
    ]

    assert errors[1] < 0.6 * errors[0]


def test_busbars_fed_at_opposite_ends_agree_too(cell):
    pack = draw_pack(cell, seed=6, series=2, parallel=3, opposite_feed=True)
    duty = (DutyPart(name="discharge", duration=60.0, current=3.0 * cell.capacity),)
    reference = solve_reference(cell, pack, duty, mesh=COARSE)

    found = compare(cell, reference, simulate(cell, pack, duty), duty)

    assert max(found.current.values()) < 5e-3
    assert found.voltage < 3e-3
