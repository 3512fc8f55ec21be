"""Oven tests: who runs away and when, against an independent solution of the published equations; energy."""

import numpy as np
import pytest

from celltwin.core import ModelError, ShapeError
from celltwin.physics.engine.abuse_model import SeparatorModel, VentModel
from celltwin.physics.engine.abuse_parameters import abuse_model
from celltwin.physics.engine.runaway_oven import OvenCell, find_onset, oven_cell_cylindrical, simulate_oven_test
from tools.bench.runaway import solve_published_equations

VOLUME = np.pi * 0.009**2 * 0.065  # [m^3]
OVENS = np.array([100.0, 145.0, 150.0, 155.0, 160.0]) + 273.15


@pytest.fixture(scope="module")
def lco():
    return abuse_model("kim_2007_lco", volume=VOLUME)


@pytest.fixture(scope="module")
def history(lco):
    return simulate_oven_test(lco, oven_cell_cylindrical(), OVENS, duration=3000.0)


def test_no_runaway_at_100_degrees_and_runaway_at_155(history):
    assert np.isnan(history.onset[OVENS < 420.0]).all()
    assert np.isfinite(history.onset[OVENS > 423.0]).all()
    assert history.core_temperature[-1, 0] == pytest.approx(OVENS[0], abs=2.0)
    assert history.core_temperature[:, 3].max() > 700.0


def test_a_hotter_oven_runs_away_sooner(history):
    assert (np.diff(history.onset[-3:]) < 0.0).all()


def test_the_curve_at_155_degrees_is_that_of_the_published_equations(lco, history):
    time, temperature = solve_published_equations(lco, oven_cell_cylindrical(), OVENS[3], 2000.0, volume=VOLUME)

    onset = find_onset(time, temperature[:, np.newaxis], OVENS[3])[0]
    assert history.onset[3] == pytest.approx(onset, rel=0.005)
    before = time < onset - 60.0
    np.testing.assert_allclose(history.core_temperature[: time.size, 3][before], temperature[before], atol=1.0)
    assert history.core_temperature[:, 3].max() == pytest.approx(temperature.max(), abs=10.0)


def test_iron_phosphate_bears_a_hotter_oven_than_cobalt_oxide_and_burns_less_hot(history):
    lfp = simulate_oven_test(
        abuse_model("lfp", volume=VOLUME), oven_cell_cylindrical(), np.array([155.0, 180.0, 200.0]) + 273.15
    )

    assert np.isnan(lfp.onset[:2]).all()
    assert np.isfinite(lfp.onset[2])
    assert lfp.core_temperature.max(axis=0)[2] < history.core_temperature.max(axis=0)[3] - 50.0
    assert lfp.balance.max() < 1e-9


def test_every_joule_is_accounted_for(lco, history):
    assert history.balance.max() < 1e-10
    np.testing.assert_allclose(history.reaction_heat.sum(axis=(0, 2)), history.released, rtol=1e-9)
    assert (history.released <= lco.energy).all()


def test_reactions_release_their_heat_in_the_order_of_their_onset(history):
    reached = [
        history.time[np.argmax(np.cumsum(power) > 0.5 * power.sum())]
        for power in history.reaction_heat[:, 3, [0, 1, 4]].T
    ]
    assert reached == sorted(reached)
    assert reached[0] < history.onset[3] - 300.0


def test_core_and_surface_run_away_when_the_whole_cell_does(lco, history):
    cell = oven_cell_cylindrical(surface_share=0.1)

    apart = simulate_oven_test(lco, cell, OVENS[3:4], duration=1700.0)

    assert apart.onset[0] == pytest.approx(history.onset[3], rel=0.02)
    assert apart.balance.max() < 1e-9
    heating = apart.time < 600.0
    assert (apart.surface_temperature[1:][heating[1:]] > apart.core_temperature[1:][heating[1:]]).all()


def test_half_the_step_gives_the_same_onset(lco, history):
    fine = simulate_oven_test(lco, oven_cell_cylindrical(), OVENS[3:4], duration=1600.0, step=0.5)

    assert fine.onset[0] == pytest.approx(history.onset[3], rel=0.005)


def test_a_molten_separator_releases_the_charge_of_the_cell_and_no_more(lco):
    from dataclasses import replace

    model = replace(lco, separator=SeparatorModel(conductance=5.0))
    cell = oven_cell_cylindrical(charge=7200.0, voltage=3.8)

    shorted = simulate_oven_test(model, cell, OVENS[1:2], duration=3000.0)

    assert shorted.shorted[0] == pytest.approx(7200.0 * 3.8)
    assert np.isfinite(shorted.onset[0])
    assert shorted.balance.max() < 1e-10


def test_venting_cools_before_the_runaway_and_delays_it(lco, history):
    from dataclasses import replace

    model = replace(lco, vent=VentModel(opening_pressure=3.0e5))

    vented = simulate_oven_test(model, oven_cell_cylindrical(), OVENS[3:4], duration=3000.0)

    assert vented.vented[0] > 0.0
    assert not vented.onset[0] <= history.onset[3]  # later, or never
    assert vented.balance.max() < 1e-10


def test_what_is_not_physical_is_refused_with_its_name(lco):
    with pytest.raises(ModelError, match=r"OvenCell\.heat_capacity = 0"):
        OvenCell(heat_capacity=0.0, surface_area=1.0, heat_transfer=1.0, emissivity=0.5, initial_temperature=300.0)
    with pytest.raises(ModelError, match="two nodes need both"):
        OvenCell(
            heat_capacity=1.0,
            surface_area=1.0,
            heat_transfer=1.0,
            emissivity=0.5,
            initial_temperature=300.0,
            surface_share=0.1,
        )
    with pytest.raises(ModelError, match="steps of 0 s"):
        simulate_oven_test(lco, oven_cell_cylindrical(), 400.0, step=0.0)
    with pytest.raises(ShapeError, match="n_cells"):
        find_onset(np.arange(3.0), np.zeros(3), 300.0)
