"""The local abuse model: limits, conservation, the engine's oven, and what the library draws."""

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import GAS_CONSTANT, ShapeError, load_pack
from celltwin.prognosis.runaway_risk.abuse_constants import VENT_TEMPERATURE, AbuseConstants
from celltwin.prognosis.runaway_risk.library_cases import FAMILIES, draw_cases, library_pack
from celltwin.prognosis.runaway_risk.library_replay import ReplayedRun
from celltwin.prognosis.runaway_risk.risk_calibration import fit_recalibration, split_library
from celltwin.prognosis.runaway_risk.risk_model import Recalibration
from celltwin.prognosis.runaway_risk.risk_scores import alarm_figures, area_under_curve, proper_scores, reliability
from celltwin.prognosis.runaway_risk.rollout import RolloutCases, roll_out
from celltwin.prognosis.runaway_risk.rollout_campaign import HORIZONS, draw_inputs

HEAT_CAPACITY = 43.2


@pytest.fixture(scope="module")
def constants():
    """Return the constants of `hu_2020_nmc` in the reference pack's cell."""
    return AbuseConstants(
        name="hu_2020_nmc",
        frequency=(1.667e15, 2.5e13, 1.75e9, 1.077e12, 5.14e25),
        activation=(16246.4, 16246.4, 13825.3, 19108.9, 32954.6),
        heat=(43.0, 286.8, 17.7, 19.4, 15.4),
        lowest=(0.0, 0.0, 393.15, 393.15, 0.0),
        initial=(0.15, 0.75, 0.04, 0.04, 1.0),
        film_initial=0.033,
        film_reference=0.033,
        quiet_temperature=323.15,
        melting_temperature=408.15,
        melting_range=10.0,
        molten_conductance=5.0,
        heat_capacity=HEAT_CAPACITY,
        capacity=2.0,
        source_resistance=0.054,
        soc=(0.0, 0.5, 1.0),
        voltage=(2.5, 3.7, 4.2),
    )


def cells(count=1, **changes):
    """Return cells at rest at 25 °C that are cooled as the reference pack cools them."""
    values = {
        "temperature": 298.15,
        "shell_temperature": 298.15,
        "module_temperature": 298.15,
        "sink_temperature": 298.15,
        "sink_rate": 0.006,
        "shell_rate": 0.004,
        "shell_size": 6.0,
        "module_size": 280.0,
        "other_heating": 0.0,
        "short": 0.0,
        "short_growth": 0.0,
        "short_final": 0.0,
        "parallel": 28.0,
        "soc": 0.8,
        "film": 0.15,
        "reacted": 0.0,
        **changes,
    }
    return RolloutCases(**{name: np.broadcast_to(value, count).astype(float) for name, value in values.items()})


def test_a_cell_at_rest_stays_where_it_is(constants):
    found = roll_out(constants, cells(), 7200.0)

    assert np.isinf(found.onset[0])
    assert found.highest[0] == pytest.approx(298.15, abs=1e-9)


def test_a_soft_short_settles_where_heat_balances(constants):
    short = 0.2
    found = roll_out(constants, cells(short=short, short_final=short, shell_rate=1e-9), 3600.0)

    ocv = 3.7 + 0.5 * 0.3 / 0.5
    volts = ocv / (1.0 + short * 0.054 / 28.0)
    expected = 298.15 + volts**2 * short / HEAT_CAPACITY / 0.006
    assert found.highest[0] == pytest.approx(expected, rel=2e-3)


def test_onset_comes_earlier_the_harder_the_short_and_the_hotter_the_cell(constants):
    sizes = np.array([3.0, 5.0, 10.0])
    by_short = roll_out(constants, cells(3, short=sizes, short_final=sizes), 7200.0).onset
    starts = np.array([400.0, 430.0, 450.0])
    by_temperature = roll_out(constants, cells(3, temperature=starts), 7200.0).onset

    assert np.isfinite(by_short).all()
    assert (np.diff(by_short) < 0.0).all()
    assert np.isinf(by_temperature[0])
    assert np.isfinite(by_temperature[2])
    assert by_temperature[1] >= by_temperature[2]


@pytest.mark.nightly  # compiles the engine's kernel
def test_the_onset_in_an_oven_is_the_engines(constants):
    engine = pytest.importorskip("celltwin.physics.engine")
    volume, capacity, area, transfer = 1.65e-5, 35.4, 0.0042, 25.0
    model = engine.abuse_model("kim_2007_lco", volume=volume)
    cell = engine.OvenCell(
        heat_capacity=capacity, surface_area=area, heat_transfer=transfer, emissivity=0.0, initial_temperature=301.15
    )
    oven = 440.0
    expected = engine.simulate_oven_test(model, cell, oven, duration=5400.0).onset[0]
    reactions = list(model.reactions.values())
    ours = replace(
        constants,
        frequency=tuple(reaction.frequency for reaction in reactions),
        activation=tuple(reaction.activation_energy / GAS_CONSTANT for reaction in reactions),
        heat=tuple(heat / capacity for heat in model.heats.values()),
        lowest=tuple(reaction.lowest_temperature for reaction in reactions),
        initial=tuple(reaction.initial for reaction in reactions),
        molten_conductance=0.0,
        heat_capacity=capacity,
    )
    found = roll_out(
        ours,
        cells(
            temperature=301.15, sink_temperature=oven, sink_rate=area * transfer / capacity, shell_rate=1e-12, soc=1.0
        ),
        7200.0,
    ).onset[0]

    assert np.isfinite(expected)
    assert found == pytest.approx(expected, rel=0.02)


def test_a_cell_counts_as_lost_where_the_engines_vent_opens():
    from celltwin.physics.engine import VentModel

    vent = VentModel()
    latent = vent.molar_mass * vent.evaporation_heat / GAS_CONSTANT
    opens = 1.0 / (1.0 / vent.boiling_temperature - np.log(vent.opening_pressure / 101325.0) / latent)

    assert pytest.approx(opens, abs=1.0) == VENT_TEMPERATURE


def test_fields_of_unlike_shapes_are_refused():
    good = cells(3)

    with pytest.raises(ShapeError, match="soc"):
        replace(good, soc=np.ones(2))


def test_the_campaign_is_the_same_for_the_same_seed_and_possible():
    first, again = (draw_inputs(500, np.random.default_rng(3)) for _ in range(2))
    drawn = RolloutCases.from_matrix(first)

    np.testing.assert_array_equal(first, again)
    assert (drawn.short_final >= drawn.short).all()
    assert ((drawn.soc > 0.0) & (drawn.soc <= 1.0)).all()
    assert drawn.temperature.max() < 498.0


def test_the_first_cases_of_the_library_do_not_depend_on_how_many_follow(repo_root):
    few, many = draw_cases(5), draw_cases(60)
    pack = load_pack(repo_root / "data/packs/reference.toml")

    assert [case.scenario for case in few] == [case.scenario for case in many[:5]]
    assert {case.family for case in many} == set(FAMILIES)
    for case in many[:10]:
        case.parse()
        assert library_pack(pack, case).n_cells == 35


def replay(probability, onset, *, family="short", end=9000.0, short=1.0):
    """Return a replayed run of one cell that was asked every 100 s."""
    p = np.asarray(probability, dtype=float)
    cube = np.repeat(p[:, np.newaxis, np.newaxis], 3, axis=2)
    flat = np.zeros((p.size, 1))
    return ReplayedRun(
        name="x", family=family, kind=family, time=100.0 * np.arange(p.size), onset=np.array([onset]), end=end,
        begins=0.0, probability=cube, own=cube, short_probability=flat + short, with_short=cube,
        without_short=0.0 * cube, temperature=flat + 300.0, unexplained=flat, unexplained_score=flat,
        faulty=0 if family == "short" else -1,
    )  # fmt: skip


def test_labels_leave_out_what_is_over_and_what_nobody_knows():
    goes, known = replay([0.1, 0.2, 0.3], 150.0, end=500.0).labels(0)
    np.testing.assert_array_equal(goes[:, 0], [True, True, False])
    np.testing.assert_array_equal(known[:, 0], [True, True, False])
    assert not replay([0.1, 0.2], np.nan, end=500.0).labels(0)[1].any()


def test_scores_reward_the_truth():
    def said(run):
        return run.probability[:, :, 0]

    right = (replay([1.0, 1.0], 150.0), replay([0.0, 0.0], np.nan))
    wrong = (replay([0.0, 0.0], 150.0), replay([1.0, 1.0], np.nan))

    assert proper_scores(right, 0, said)[0] < 1e-6 < proper_scores(wrong, 0, said)[0]
    assert area_under_curve(right, 0, said) == 1.0
    assert area_under_curve(wrong, 0, said) == 0.0
    found = reliability(right, 0, said)
    assert found.seen[-1] == 1.0
    assert found.seen[0] == 0.0


def test_an_alarm_has_a_lead_and_false_ones_are_counted_by_the_hour():
    def said(run):
        return run.probability[:, :, 0]

    runs = (
        replay([0.0, 0.6, 0.9], 250.0),
        replay([0.0, 0.0, 0.0], 250.0),
        replay([0.0] * 36 + [0.7], np.nan, family="healthy"),
    )
    found = alarm_figures(runs, said, 0.5)

    assert found.caught == 0.5
    assert found.lead[0] == 150.0
    assert found.false_alarms == pytest.approx(1.0)


def test_recalibration_takes_back_what_is_said_too_loudly_and_keeps_the_order():
    random = np.random.default_rng(1)
    runs = []
    for _ in range(120):
        said = random.uniform(0.05, 0.95)
        odds = np.log(said / (1.0 - said))
        happens = random.uniform() < 1.0 / (1.0 + np.exp(-0.5 * odds))
        runs.append(replay([said], 50.0 if happens else np.nan))
    found = fit_recalibration(tuple(runs))

    assert found.slope[0] == pytest.approx(0.5, abs=0.3)
    p = np.repeat(np.linspace(0.01, 0.99, 9)[:, np.newaxis], 3, axis=1)
    assert (np.diff(found.apply(p), axis=0) > 0.0).all()
    assert (Recalibration().apply(np.zeros((1, 3))) == 0.0).all()


def test_the_first_runs_calibrate_and_none_does_both():
    names = tuple(f"risk_{number:04d}" for number in range(10))
    split = split_library(names)

    assert split.calibration == names[:4]
    assert set(split.calibration) | set(split.test) == set(names)
    assert len(HORIZONS) == 3
