"""Advice from simulated candidates."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import BackgroundWorker, Kind, Level, PackState, Quality, Reading
from celltwin.prescription import Prescriber


def one(spec, level, element, value, others):
    values = np.full(spec.size(level), others)
    values[element] = value
    return values


@pytest.fixture(scope="module")
def usual(pack, prescriber, estimated):
    return prescriber.prescribe(estimated(pack))


def test_it_is_a_prescriber(prescriber):
    chosen: Prescriber = prescriber

    assert callable(chosen.prescribe)


def test_each_module_gets_a_current_and_a_flow_within_the_data_sheet(pack, usual):
    assert usual.charge_current.shape == usual.coolant_flow.shape == (2,)
    assert np.all((usual.charge_current > 0.2 * 56.0) & (usual.charge_current <= 168.0))
    assert np.all((usual.coolant_flow > 0.0) & (usual.coolant_flow <= pack.cooling.highest_flow))
    assert usual.time == 500.0


def test_the_chosen_candidate_holds_all_limits_and_the_next_larger_current_does_not(pack, usual):
    for module, current in zip(pack.modules, usual.charge_current, strict=True):
        tried = [entry for entry in usual.candidates if entry["module"] == module.id]
        chosen = [entry for entry in tried if entry["charge_current_A"] == current]
        beyond = [entry for entry in tried if entry["charge_current_A"] > current]
        assert all(entry["holds"] for entry in chosen[:1])
        assert beyond
        assert not any(entry["holds"] for entry in beyond)
        for entry in tried:
            if entry["holds"]:
                assert entry["highest_temperature_K"] <= 273.15 + 50.0
                assert entry["lowest_anode_potential_V"] >= 0.01


def test_the_smallest_flow_that_suffices_is_chosen(usual):
    assert np.all(usual.coolant_flow == pytest.approx(0.25 * 0.15))


def test_a_colder_pack_is_charged_more_slowly_for_fear_of_plating(pack, prescriber, estimated, usual):
    colder = prescriber.prescribe(estimated(pack, temperature=278.15))

    assert np.all(colder.charge_current < usual.charge_current)
    assert "plating" in colder.reasons[0]


def test_a_frozen_pack_is_not_charged(pack, prescriber, estimated):
    frozen = prescriber.prescribe(estimated(pack, temperature=270.0))

    np.testing.assert_array_equal(frozen.charge_current, 0.0)
    assert frozen.reasons[0].startswith("no charge: the coldest cell is at -3.2 °C, charging needs 0.0 °C")


def test_a_module_with_warm_coolant_needs_more_flow_or_less_current(pack, prescriber, estimated, usual):
    warm = np.where(np.arange(560) < 280, 298.15, 273.15 + 49.0)
    coolant = Reading.at(
        Kind.MEASURED,
        "coolant_temperature",
        Level.MODULE,
        np.array([298.15, 273.15 + 49.0]),
        500.0,
        provenance="test",
    )
    advice = prescriber.prescribe(estimated(pack, temperature=warm).updated(coolant))

    assert advice.coolant_flow[1] > advice.coolant_flow[0] or "hottest cell" in advice.reasons[1]
    assert advice.charge_current[0] == usual.charge_current[0]


def test_a_module_already_too_hot_is_not_charged(pack, prescriber, estimated):
    hot = one(pack, Level.CELL, 300, 273.15 + 52.0, 298.15)
    advice = prescriber.prescribe(estimated(pack, temperature=hot))

    assert advice.charge_current[1] == 0.0
    assert advice.coolant_flow[1] == pack.cooling.highest_flow
    assert "the hottest cell reaches" in advice.reasons[1]
    assert "M02 limits the pack to 0.0 A" in advice.reasons[0]


def test_weak_cells_slow_their_module_down(pack, prescriber, estimated, usual):
    weak = prescriber.prescribe(estimated(pack, soh=one(pack, Level.CELL, 300, 0.7, 1.0)))

    assert weak.charge_current[1] < weak.charge_current[0]


def test_a_group_of_high_resistance_tapers_its_module_s_current_earlier(pack, prescriber, estimated):
    resistance = one(pack, Level.GROUP, 15, 0.008, 0.0015)
    advice = prescriber.prescribe(estimated(pack, soc=0.92, temperature=308.15, resistance=resistance))

    assert advice.charge_current[1] < advice.charge_current[0]
    assert "reaches the voltage limit, which tapers the current" in advice.reasons[1]


def test_the_module_that_limits_the_pack_is_named(pack, prescriber, estimated):
    advice = prescriber.prescribe(estimated(pack, soc=one(pack, Level.GROUP, 15, 0.97, 0.3)))

    assert advice.charge_current[1] < advice.charge_current[0]
    assert "M02 limits the pack" in advice.reasons[0]
    assert "this module limits the pack: all are in series" in advice.reasons[1]


def test_a_nearly_full_pack_is_left_to_the_voltage_limit(pack, prescriber, estimated):
    advice = prescriber.prescribe(estimated(pack, soc=0.97))

    assert np.all(advice.charge_current <= 0.3 * 56.0)
    assert "tapers the current" in advice.reasons[0]


def test_a_larger_current_that_charges_no_faster_is_not_chosen(pack, prescriber, estimated):
    advice = prescriber.prescribe(estimated(pack, soc=0.97))
    tried = [entry for entry in advice.candidates if entry["module"] == "M01" and entry["holds"]]
    chosen = next(entry for entry in tried if entry["charge_current_A"] == advice.charge_current[0])
    speed = [entry["charged"] / entry["minutes"] for entry in tried]

    assert chosen["charged"] / chosen["minutes"] > max(speed) / 1.05


def test_the_expected_effect_is_told_in_minutes_and_degrees(usual):
    assert "the fullest group reaches 80 % in " in usual.expected[0]
    assert " min, hottest cell " in usual.expected[0]
    assert "mV above lithium" in usual.expected[0]


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.SUSPECT, Quality.BAD])
def test_on_values_that_are_not_good_nothing_is_recommended(pack, prescriber, estimated, quality):
    advice = prescriber.prescribe(estimated(pack, quality=quality))

    assert np.isnan(advice.charge_current).all()
    assert np.isnan(advice.coolant_flow).all()
    assert np.isnan(advice.balancing_current).all()
    assert advice.reasons[0] == "nothing recommended: no good state of charge for 10 of 10 groups of M01"


def test_nothing_is_recommended_for_an_empty_process_image(prescriber):
    advice = prescriber.prescribe(PackState(time=0.0, step=0))

    assert np.isnan(advice.charge_current).all()


def test_one_unknown_group_holds_the_pack_back_and_says_so(pack, prescriber, estimated):
    advice = prescriber.prescribe(estimated(pack, soc=one(pack, Level.GROUP, 15, np.nan, 0.3)))

    assert np.isfinite(advice.charge_current[0])
    assert np.isnan(advice.charge_current[1])
    assert "the pack waits for M02" in advice.reasons[0]


def test_a_module_under_heavy_load_gets_the_flow_that_carries_its_heat(pack, prescriber, estimated):
    state = estimated(pack, soc=0.97).updated(
        Reading.at(Kind.MEASURED, "current", Level.PACK, np.array([280.0]), 500.0, provenance="test")
    )
    resting = prescriber.prescribe(estimated(pack, soc=0.97))

    assert np.all(prescriber.prescribe(state).coolant_flow > resting.coolant_flow)


def test_the_same_image_gives_the_same_advice(pack, prescriber, estimated, usual):
    again = prescriber.prescribe(estimated(pack))

    np.testing.assert_array_equal(again.charge_current, usual.charge_current)
    assert again.reasons == usual.reasons
    assert again.expected == usual.expected


def test_a_worker_builds_the_prescriber_and_gives_the_same_advice(pack, estimated, usual):
    worker = BackgroundWorker("celltwin.prescription:CandidatePrescriber", pack)
    try:
        advice = worker.submit("prescribe", estimated(pack)).result(timeout=120.0)
    finally:
        worker.close()

    np.testing.assert_array_equal(advice.charge_current, usual.charge_current)
    assert advice.reasons == usual.reasons


def test_an_air_cooled_pack_is_advised_without_flow(repo_root, estimated):
    from celltwin.core import load_pack
    from celltwin.prescription import CandidatePrescriber

    leaf = load_pack(repo_root / "data/packs/leaf_3_modules.toml")
    advice = CandidatePrescriber(leaf).prescribe(estimated(leaf, soc=0.4))

    np.testing.assert_array_equal(advice.coolant_flow, 0.0)
    assert np.all((advice.charge_current > 0.0) & (advice.charge_current <= 130.0))
