"""Packs whose declaration names the distribution that their cells are drawn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import ModelError, ScenarioPlayer, parse_scenario
from celltwin.physics import SimulatedPlant, draw_variation, load_cell_parameters
from celltwin.physics.calibration.cell_population_distribution import (
    CellPopulationDistribution,
    load_cell_distribution,
    pack_distribution,
    vary_pack,
)
from celltwin.physics.measurements import capacity_spread, read_capacities
from celltwin.physics.measurements.capacity import CellCapacities
from celltwin.physics.measurements.curve import CurveSource, MeasurementError
from celltwin.physics.scenario_engine import build_engine

WIDTHS = np.array([0.012, 0.05, 0.12])
CORRELATION = np.array([[1.0, -0.7, 0.0], [-0.7, 1.0, 0.2], [0.0, 0.2, 1.0]])
NEW = """
name = "new"
[initial]
soc = 0.5
ageing = 0.0
weak_groups = 0
[[steps]]
kind = "rest"
longest = 60.0
"""


def _distribution(**changes) -> CellPopulationDistribution:
    given = {
        "names": ("capacity_scale", "resistance", "diffusivity_scale"),
        "median": np.array([1.0, 0.03, 1.0]),
        "covariance": CORRELATION * WIDTHS * WIDTHS[:, np.newaxis],
        "low": np.array([0.95, 0.02, 0.5]),
        "high": np.array([1.05, 0.05, 2.0]),
        "cell": "made up",
    }
    return CellPopulationDistribution(**(given | changes))


@pytest.mark.measured
def test_the_shipped_distribution_is_the_one_that_xjtus_capacities_give(measured_data):
    cells = read_capacities(measured_data("xjtu_cycles"))
    spread = capacity_spread([cell for cell in cells if cell.name != "RW_battery-1"], within_groups=True)
    made = CellPopulationDistribution.of_capacities(spread, cell="xjtu_18650", source="")

    shipped = load_cell_distribution("xjtu_18650")

    assert len(spread.names) == 54
    assert spread.deviation < 0.8 * capacity_spread(cells, within_groups=True).deviation
    np.testing.assert_allclose(shipped.covariance, made.covariance, rtol=1e-9)
    assert shipped.provenance["citation"]
    assert "resistance and diffusivity" in shipped.provenance["unknown"]


def test_a_pack_that_names_a_distribution_is_drawn_from_it_by_simulation_and_plant(small_pack, tmp_path):
    _distribution(cell="xjtu_18650").save(tmp_path / "cells.json")
    spec = replace(small_pack, cell=replace(small_pack.cell, distribution=str(tmp_path / "cells.json")))
    scenario = parse_scenario(NEW)
    cell = load_cell_parameters(spec.cell.parameter_set)

    engine = build_engine(ScenarioPlayer(replace(scenario, seed=4), spec))
    plant = SimulatedPlant(spec, seed=4, initial_soc=0.5, ageing=0.0, weak_groups=0)
    variation, provenance = plant.truth.variation, plant.provenance
    plant.close()

    drawn = vary_pack(spec, cell, _distribution(cell="xjtu_18650"), seed=4, initial_soc=0.5)
    for name in ("capacity_scale", "resistance", "diffusivity_scale"):
        np.testing.assert_allclose(engine.read_cells(name), getattr(drawn, name))
        np.testing.assert_allclose(getattr(variation, name), getattr(drawn, name))
    assert f"cells drawn from xjtu_18650@{load_cell_distribution(tmp_path / 'cells.json').hash}" in provenance
    other = build_engine(ScenarioPlayer(replace(scenario, seed=5), spec))
    assert not np.allclose(other.read_cells("capacity_scale"), drawn.capacity_scale)


def test_spreads_that_a_scenario_states_come_before_the_packs_distribution(small_pack, cell):
    given = {"seed": 1, "initial_soc": 0.5, "ageing": 0.0, "distribution": _distribution()}

    alike = draw_variation(small_pack, cell, capacity_spread=0.0, **given)
    aged = draw_variation(small_pack, cell, **{**given, "ageing": 1.0}, weak_groups=1)
    new = draw_variation(small_pack, cell, **given)

    plain = draw_variation(small_pack, cell, capacity_spread=0.0, resistance_spread=0.0, **given)

    assert plain.diffusivity_scale is None
    assert np.ptp(plain.resistance) == 0.0
    assert plain.distribution == ""
    np.testing.assert_array_equal(alike.capacity_scale, 1.0)
    np.testing.assert_array_equal(alike.resistance, new.resistance)
    assert np.all(aged.capacity_scale < new.capacity_scale)
    assert np.all(aged.resistance > new.resistance)
    weak = aged.capacity_scale / new.capacity_scale
    assert int(np.argmin(weak.reshape(-1, small_pack.parallel).mean(axis=1))) == int(aged.weak_groups[0])


def test_what_a_distribution_does_not_hold_is_supposed_as_without_one(small_pack, cell):
    capacities = CellPopulationDistribution.of_capacities(
        capacity_spread(_fresh([1.9, 1.92, 1.88])), cell="x", source="made up"
    )

    drawn = draw_variation(small_pack, cell, seed=1, initial_soc=0.5, ageing=0.0, distribution=capacities)
    plain = draw_variation(small_pack, cell, seed=1, initial_soc=0.5, ageing=0.0)

    np.testing.assert_array_equal(drawn.resistance, plain.resistance)
    assert np.ptp(drawn.resistance) > 0.0
    assert not np.array_equal(drawn.capacity_scale, plain.capacity_scale)
    assert drawn.diffusivity_scale is None


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "no such distribution"),
        (lambda path: path.write_text('{"Parameterisation": {}}'), "schema None is not"),
        (lambda path: path.write_text("{"), "cannot be read"),
        (lambda path: _distribution(cell="LG M50").save(path), "of cells 'LG M50'; those of pack small"),
    ],
)
def test_a_missing_foreign_or_mismatching_distribution_is_refused_with_its_file(small_pack, tmp_path, write, message):
    path = tmp_path / "cells.json"
    write(path)
    spec = replace(small_pack, cell=replace(small_pack.cell, distribution=str(path)))

    with pytest.raises(ModelError, match=message) as caught:
        pack_distribution(spec)
    with pytest.raises(ModelError, match=message):
        SimulatedPlant(spec)

    assert caught.value.where == str(path)
    assert caught.value.remedy


def _fresh(capacities):
    return [
        CellCapacities(
            name=f"cell {number}",
            group="batch",
            cycle=np.arange(5),
            capacity=np.full(5, value),
            source=CurveSource(path="made up", sha256="", rows=5),
        )
        for number, value in enumerate(capacities)
    ]


def test_spreads_within_groups_leave_the_difference_of_groups_aside():
    low, high = _fresh([1.90, 1.92]), [replace(cell, group="other") for cell in _fresh([1.71, 1.728])]

    pooled, within = capacity_spread(low + high), capacity_spread(low + high, within_groups=True)

    assert within.deviation == pytest.approx(np.sqrt(2.0) * 0.01 / 1.91, rel=1e-3)
    assert pooled.deviation > 5.0 * within.deviation
    with pytest.raises(MeasurementError, match="a group of its own"):
        capacity_spread([low[0], high[0]], within_groups=True)
