"""Repetitions of a scenario that are jumped over."""

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import RepeatStep, ScenarioPlayer, SpecError, load_pack, load_scenario, parse_scenario
from celltwin.physics import (
    build_engine,
    restore_checkpoint,
    save_checkpoint,
    simulate_scenario,
)
from celltwin.physics.engine import EngineOptions
from celltwin.physics.scenario_cycles import current_block

OPTIONS = EngineOptions(step=20.0)
MANY = 40  # repetitions
CYCLES = """
name = "cycles"
[initial]
soc = 1.0
ageing = 0
[physics]
ageing = "okane_2022"
mechanics = true
[[steps]]
kind = "rest"
longest = "2 min"
[[steps]]
kind = "repeat"
count = COUNT
jump = JUMP
tolerance = 0.1
[[steps.steps]]
kind = "discharge"
rate = 1
longest = "10 min"
[[steps.steps]]
kind = "charge"
rate = 1
longest = "20 min"
[[steps]]
kind = "rest"
longest = "2 min"
"""


@pytest.fixture(scope="module")
def spec(repo_root):
    """Return one module of pouch cells pressed together, 2s2p."""
    whole = load_pack(repo_root / "data/packs/leaf_3_modules.toml")
    return replace(whole, modules=whole.modules[:1])


def cycles(count, *, jump=True, more=""):
    return parse_scenario(CYCLES.replace("COUNT", str(count)).replace("JUMP", str(jump).lower()) + more)


def simulate(spec, scenario, **options):
    return simulate_scenario(spec, scenario, options=OPTIONS, sample_period=1200.0, device="cpu", **options)


@pytest.fixture(scope="module")
def jumped(spec):
    return simulate(spec, cycles(MANY))


@pytest.fixture(scope="module")
def every(spec):
    return simulate(spec, cycles(MANY, jump=False))


def test_jumps_arrive_where_all_cycles_do(jumped, every):
    assert jumped.ended == every.ended == "finished"
    assert jumped.figures.further["cycles_jumped"] >= 20
    assert jumped.time == pytest.approx(every.time)
    assert len(jumped.samples) < 0.7 * len(every.samples)
    lost = [1.0 - run.samples[-1].extra["soh"] / run.samples[0].extra["soh"] for run in (jumped, every)]
    assert lost[1].min() > 1e-3
    np.testing.assert_allclose(lost[0], lost[1], rtol=0.02)
    np.testing.assert_allclose(jumped.samples[-1].extra["pressure"], every.samples[-1].extra["pressure"], rtol=2e-3)


def test_charge_counts_the_cycles_that_were_jumped_over(jumped, every):
    for name in ("charged", "discharged"):
        assert jumped.figures.charge[name] == pytest.approx(every.figures.charge[name], rel=0.01)
        assert jumped.figures.energy[name] == pytest.approx(every.figures.energy[name], rel=0.01)


def test_samples_go_forward_and_what_was_taken_back_is_gone(jumped):
    time = jumped.history("time")

    assert (np.diff(time) > 0.0).all()
    told = [event for event in jumped.events if "jumped over" in event.message]
    assert sum(int(event.message.split()[0]) for event in told) == jumped.figures.further["cycles_jumped"]
    assert (
        told[-1].message.split(": ")[1].startswith(f"{MANY} of {MANY} done") or jumped.samples[-1].step == 2 * MANY + 1
    )
    assert [event.time for event in jumped.events] == sorted(event.time for event in jumped.events)


def test_figures_say_how_the_cells_aged_and_swelled(jumped):
    further, last = jumped.figures.further, jumped.samples[-1].extra

    assert further["mean_cell_soh_last"] < further["mean_cell_soh_first"]
    assert further["cell_soh_spread_last"] == pytest.approx(np.ptp(last["soh"]))
    # plated lithium counts as lost while it is there: the lowest is that of a charge
    assert 0.0 <= last["soh"].min() - jumped.figures.extremes["lowest_cell_soh"].value < 2e-3
    assert jumped.figures.extremes["highest_pressure_Pa"].value > last["pressure"].max()
    assert last["lithium_loss"].min() > 0.0


def test_a_run_goes_on_between_repetitions_from_its_checkpoint(spec, jumped, tmp_path):
    kept = []

    def keep(run):
        kept.append(run.progress.step)
        save_checkpoint(tmp_path, run)

    first = simulate(spec, cycles(MANY), keep=keep, cancelled=lambda: len(kept) > 4)
    second = simulate(spec, cycles(MANY), begin=lambda run: restore_checkpoint(tmp_path, run))

    assert first.ended == "cancelled"
    assert (second.ended, second.start) == ("finished", first.time)
    assert second.time == pytest.approx(jumped.time)
    lost = [1.0 - run.samples[-1].extra["soh"] for run in (second, jumped)]
    np.testing.assert_allclose(lost[0], lost[1], rtol=0.03)


def test_blocks_are_found_in_the_profile(spec):
    scenario = cycles(5)
    player = ScenarioPlayer(scenario, spec)

    assert [(block.start, block.length, block.count, block.end) for block in scenario.jumps] == [(1, 2, 5, 11)]
    assert len(scenario.profile) == 12
    assert player.start().step == 0
    assert isinstance(scenario.steps[1], RepeatStep)


def test_a_block_that_was_interrupted_has_fewer_repetitions(spec):
    from celltwin.physics import ScenarioRun

    player = ScenarioPlayer(cycles(5), spec)
    run = ScenarioRun(build_engine(player, options=OPTIONS, device="cpu"), player, sample_period=300.0)
    assert current_block(run) is None
    run.progress = replace(run.progress, step=7)
    assert current_block(run).count == 2
    run.progress = replace(run.progress, step=8)
    assert current_block(run) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace('ageing = "okane_2022"', ""), r"physics\.ageing is empty"),
        (lambda text: text.replace("mechanics = true", 'abuse = "kim_2007_lco"'), "cannot be jumped over"),
        (
            lambda text: text + '[[faults]]\nkind = "open_weld"\ntarget = "cell:0"\nat = 60\n',
            r"faults\[0\] \(open weld\) changes within the run",
        ),
        (lambda text: text.replace("tolerance = 0.1", "tolerance = 0.9"), "tolerance"),
    ],
)
def test_what_cannot_be_jumped_over_is_refused(change, words):
    with pytest.raises(SpecError, match=words):
        parse_scenario(change(CYCLES.replace("COUNT", "9").replace("JUMP", "true")))


@pytest.mark.parametrize("name", ["year_of_cycling", "swelling_cycle"])
def test_the_shipped_scenarios_fit_the_pressed_pack(repo_root, name):
    spec = load_pack(repo_root / "data/packs/leaf_3_modules.toml")
    scenario = load_scenario(name)

    ScenarioPlayer(scenario, spec)
    assert scenario.physics.mechanics
    if name == "year_of_cycling":
        assert scenario.longest == 365 * 86400.0
        assert scenario.jumps[0].count == 365
