"""Demands on a calibration beyond its curves: potentials that fall with lithium, and room in both electrodes."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.physics.calibration.base_sets import choose_base_set
from celltwin.physics.calibration.base_sets_laws import with_laws
from celltwin.physics.calibration.cell_simulation import CellModel, ModelOptions
from celltwin.physics.calibration.consistency_balance import BalanceLimits, check_potentials
from celltwin.physics.calibration.electrode_room import ElectrodeRoom
from celltwin.physics.calibration.parameter_space_cell import cell_shapes
from celltwin.physics.calibration.potential_rise import PotentialRise, potential_rises
from celltwin.physics.measurements.cell_description import CellDescription
from celltwin.physics.measurements.curve import CurveSource, MeasuredCurve

CELL = CellDescription(name="cell", chemistry="NMC-graphite", format="18650", capacity=2.0)


@pytest.fixture(scope="module")
def model() -> CellModel:
    base = choose_base_set(CELL)
    return CellModel(base, ModelOptions(model="SPM"), cell_shapes(base))


def _bump(model: CellModel, size: float) -> dict[str, float]:
    """Return values that lift the positive potential by a hump in its middle [V]."""
    names = model.shapes.names("open_circuit_positive")
    return {names[len(names) // 2]: size}


def test_published_potentials_have_nothing_to_answer_for(model):
    rise = PotentialRise(model.base, model.shapes, model.shapes.input_names())

    assert rise.size > 0
    assert not rise.residuals([{}]).any()


def test_a_hump_costs_the_more_the_higher_it_rises(model):
    rise = PotentialRise(model.base, model.shapes, model.shapes.input_names())

    costs = np.sum(rise.residuals([_bump(model, size) for size in (0.01, 0.05, 0.1)]) ** 2, axis=1)

    assert costs[0] < 1.0
    assert 100.0 < costs[1] < costs[2]


def test_a_hump_is_measured_in_volts_and_flagged(model):
    laws = with_laws(model.base.values, model.shapes)
    smooth, humped = (potential_rises(laws, model.numbers(values)) for values in ({}, _bump(model, 0.1)))

    assert smooth["Positive"] == 0.0
    assert 0.01 < humped["Positive"] < 0.1
    found = {check.name: check.outcome.value for check in check_potentials(humped, BalanceLimits())}
    assert found == {"negative open-circuit potential": "passed", "positive open-circuit potential": "flagged"}


def test_a_fit_without_corrections_has_no_such_residuals(model):
    assert PotentialRise(model.base, model.shapes, ("Electrode width [m]",)).size == 0


def test_electrodes_without_room_for_the_charge_drawn_cost(model):
    hours = np.linspace(0.0, 1.0, 50)
    curve = MeasuredCurve(
        name="1C",
        time=3600.0 * hours,
        current=np.full(50, 1.8),
        voltage=4.1 - hours,
        temperature=None,
        scored=np.ones(50, dtype=bool),
        source=CurveSource(path="1C.csv", sha256="1C", rows=50),
    )
    room = ElectrodeRoom(model.base, (curve,))
    numbers = model.numbers({})
    full = numbers | {"Positive electrode initial stoichiometry": 0.6}
    bare = numbers | {"Negative electrode initial stoichiometry": 0.3}

    found = room.residuals([numbers, full, bare])

    assert found.shape == (3, room.size)
    assert not found[0].any()
    assert found[1, 0] == 0.0 < found[1, 1]
    assert found[2, 1] == 0.0 < found[2, 0]
