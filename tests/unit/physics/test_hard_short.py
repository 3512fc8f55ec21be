"""Hard internal shorts: cells that are exhausted, and those that feed them."""

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import ScenarioPlayer, load_pack, parse_scenario
from celltwin.physics import ScenarioRun, build_engine, load_cell_parameters, open_circuit_voltage, simulate_scenario
from celltwin.physics.engine import EngineOptions

ALIKE = "soc_spread = 0\ncapacity_spread = 0\nresistance_spread = 0\nageing = 0\n"


@pytest.fixture(scope="module")
def spec(repo_root):
    """Return the reference pack's cell in 2 modules of 1 group of 4."""
    whole = load_pack(repo_root / "data/packs/reference.toml")
    layout = replace(whole.layout, rows=4)
    return replace(whole, name="small", series=1, parallel=4, layout=layout, modules=whole.modules[:2])


def short(resistance, soc=1.0, *, physics="", steps='[[steps]]\nkind = "rest"\nlongest = "20 min"\n'):
    return parse_scenario(
        f'name = "short"\n[initial]\nsoc = {soc}\n{ALIKE}{physics}{steps}[[faults]]\nkind = "internal_short"\n'
        f'target = "cell:1"\nat = "10 s"\nresistance = {resistance}\n'
    )


@pytest.mark.parametrize("resistance", [0.1, 0.01, 0.001])
@pytest.mark.parametrize("fidelity", ["SPMe", "ECM"])
def test_a_short_empties_its_whole_group_and_the_run_goes_on(spec, resistance, fidelity):
    result = simulate_scenario(spec, short(resistance, soc=0.3), fidelity=fidelity, device="cpu")

    assert result.ended == "finished", result.failure
    soc, voltage = result.history("cell_soc"), result.history("group_voltage")
    assert np.isfinite(result.history("cell_temperature")).all()
    assert (np.diff(soc[:, :4].mean(axis=1)) <= 1e-12).all()
    cell = load_cell_parameters(spec.cell.parameter_set)
    empty = -cell.negative_empty / (cell.negative_full - cell.negative_empty)  # below the voltage limit lithium is left
    assert soc[-1, :4].min() > empty - 1e-3
    assert soc[-1, :4].max() < 0.02
    assert voltage[-1, 0] == pytest.approx(0.0, abs=0.05)
    np.testing.assert_allclose(soc[-1, 4:], 0.3, atol=1e-6)  # the other group rests


def test_neighbours_feed_the_short_and_all_charge_ends_in_it(spec):
    engine = build_engine(player := ScenarioPlayer(short(0.01), spec), device="cpu")
    run = ScenarioRun(engine, player)
    while engine.time < 40.0:
        sample = run.advance()

    neighbours = sample.cell_current[[0, 2, 3]]
    through = sample.group_voltage[0] / 0.01
    assert (neighbours > 0.0).all()
    assert sample.current == pytest.approx(0.0, abs=1e-9)
    assert sample.cell_current[1] > neighbours.max()
    # the voltage at the shorted cell is that of the group less its weld
    assert neighbours.sum() + sample.cell_current[1] == pytest.approx(through, rel=0.25)


@pytest.mark.parametrize("resistance", [0.05, 0.001])
def test_the_heat_of_a_short_is_the_energy_that_the_cells_held(spec, resistance):
    options = EngineOptions(heat_of_mixing=True)
    engine = build_engine(player := ScenarioPlayer(short(resistance), spec), device="cpu", options=options)
    run = ScenarioRun(engine, player)
    while not run.finished:
        run.advance()

    charge = np.linspace(0.0, 1.0, 2001)
    volts = open_circuit_voltage(load_cell_parameters(spec.cell.parameter_set), charge)
    held = 3600.0 * engine.model.capacity * np.trapezoid(volts, charge)
    soc = engine.read_cells("soc")[:4]
    assert soc.max() < 0.02
    assert engine.balance().generated.sum() == pytest.approx((4.0 - soc.sum()) * held, rel=0.015)


def test_an_emptied_cell_limits_what_a_pack_can_give(spec):
    steps = (
        '[[steps]]\nkind = "discharge"\nrate = 1\nlongest = "60 min"\n[[steps]]\nkind = "rest"\nlongest = "10 min"\n'
    )
    result = simulate_scenario(spec, short(0.02, steps=steps), device="cpu")

    assert result.ended == "finished", result.failure
    assert any("discharge current is held back" in event.message for event in result.events)


def test_a_hard_short_with_reactions_runs_away_and_lets_go(spec):
    result = simulate_scenario(spec, short(0.002, physics='[physics]\nabuse = "hu_2020_nmc"\n'), device="cpu")

    assert result.ended == "finished", result.failure
    assert any(event.kind == "runaway" and event.element == "M01.G01.C02" for event in result.events)
    assert result.history("cell_temperature").max() > 500.0


def test_a_fifth_of_the_step_gives_the_same_run(spec):
    coarse, fine = (
        simulate_scenario(spec, short(0.02, soc=0.5), options=EngineOptions(step=step), device="cpu")
        for step in (1.0, 0.2)
    )

    hottest = [run.history("cell_temperature").max(axis=0) for run in (coarse, fine)]
    np.testing.assert_allclose(hottest[0], hottest[1], rtol=0.01)
    np.testing.assert_allclose(coarse.samples[-1].cell_soc, fine.samples[-1].cell_soc, atol=1e-3)
