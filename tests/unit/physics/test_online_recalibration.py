"""Recalibration of running packs: known truth, refusals, and what is kept of a window."""

from __future__ import annotations

from concurrent.futures import wait
from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Kind, Level, ModelError, PackState, Reading, load_pack
from celltwin.physics import SimulatedPlant
from celltwin.physics.calibration.cell_population import fit_population
from celltwin.physics.calibration.cell_population_distribution import CellPopulationDistribution
from celltwin.physics.calibration.online_recalibration import (
    OnlineRecalibration,
    RecalibrationOptions,
    RecalibrationState,
    recalibrate_pack,
)
from celltwin.physics.calibration.online_recalibration_lanes import CandidateLanes
from celltwin.physics.calibration.online_recalibration_window import (
    TelemetryWindow,
    assess_window,
    grid_window,
    window_of_blocks,
    window_of_curves,
    window_of_states,
)
from celltwin.physics.measurements import list_cells, read_measured_set
from celltwin.physics.measurements.curve import MeasurementError
from celltwin.physics.simulated_plant import sensed_channels

TRUTH = np.array([[0.02, 0.12, 0.0], [0.0, 0.2, 0.1], [0.03, -0.15, -0.2], [-0.10, 0.35, 0.0]])
GROUPS = ("G1", "G2", "G3", "G4")
RESISTANCE = 0.03
QUICK = RecalibrationOptions(most_steps=400, most_rows=100)


def _profile(duration: int = 2400) -> np.ndarray:
    current = np.zeros(duration)
    current[60:] = 2.2
    current[700:800] = 0.0
    current[1400:1450] = 4.0
    current[1900:1950] = -1.5
    return current


@pytest.fixture(scope="module")
def window(cell_model) -> TelemetryWindow:
    """Return the telemetry of four known cells: a discharge of 2,400 s with steps, warming by 4 K."""
    current = np.tile(_profile()[:, np.newaxis], (1, 4))
    temperature = np.full(current.shape, 298.15) + np.linspace(0.0, 4.0, len(current))[:, np.newaxis]
    voltage = CandidateLanes(cell_model).simulate(
        1.0,
        current,
        temperature,
        capacity=np.exp(TRUTH[:, 0]),
        resistance=RESISTANCE * np.exp(TRUTH[:, 1]),
        diffusivity=np.exp(TRUTH[:, 2]),
        soc=np.array([0.9, 0.91, 0.89, 0.9]),
    )
    noise = 1e-3 * np.random.default_rng(8).standard_normal(voltage.shape)
    return TelemetryWindow(
        time=np.arange(len(current)) * 1.0,
        current=current,
        voltage=voltage + noise,
        temperature=temperature,
        group_ids=GROUPS,
        source="made up",
    )


@pytest.fixture(scope="module")
def learned(cell_model, window):
    recalibration = OnlineRecalibration(cell_model, GROUPS, resistance=RESISTANCE, options=QUICK)
    return recalibration, recalibration.update(window)


def _slice(window: TelemetryWindow, last: int, **changes) -> TelemetryWindow:
    parts = {name: getattr(window, name)[:last] for name in ("time", "current", "voltage", "temperature")}
    return replace(window, **(parts | changes))


def test_known_capacities_resistances_and_diffusivities_are_found_and_promoted(learned):
    _, result = learned

    assert result.promoted.all()
    np.testing.assert_allclose(result.candidate[:, 0], TRUTH[:, 0], atol=0.01)
    np.testing.assert_allclose(result.candidate[:, 1], TRUTH[:, 1], atol=0.03)
    assert np.all(np.abs(result.candidate - TRUTH) < 3.0 * result.candidate_deviations)
    assert np.all(result.error_after < result.error_before)
    assert np.all(result.misfit < 4e-3)
    assert "made up" in result.state.provenance


def test_groups_of_a_running_pack_become_a_distribution_about_its_parameter_set(learned):
    recalibration, result = learned
    population = fit_population(result.evidence, widths=recalibration.options.widths, trust=2.0)

    distribution = CellPopulationDistribution.of_population(
        population, cell="made up", resistance=recalibration.resistance, shifts=()
    )

    assert distribution.names == ("capacity_scale", "resistance", "diffusivity_scale")
    assert distribution.median[0] == pytest.approx(np.exp(TRUTH[:, 0].mean()), abs=0.01)
    assert distribution.median[1] == pytest.approx(RESISTANCE * np.exp(TRUTH[:, 1].mean()), rel=0.05)
    assert distribution.deviations[0] == pytest.approx(TRUTH[:, 0].std(ddof=1), rel=0.4)


def test_the_weak_group_is_named_with_its_loss(learned):
    _, result = learned
    weak = result.weak_groups()
    assert set(weak) == {"G4"}
    assert "less capacity than the median group" in weak["G4"]


def test_a_second_window_starts_from_the_first_and_is_surer(cell_model, learned, window):
    _, first = learned
    state = RecalibrationState.from_json(first.state.to_json())
    later = replace(window, time=window.time + 86400.0)

    warm = OnlineRecalibration(cell_model, GROUPS, resistance=RESISTANCE, options=QUICK, state=state)
    second = warm.update(later)

    assert np.all(second.candidate_deviations[:, :2] <= first.candidate_deviations[:, :2] * 1.001)
    np.testing.assert_allclose(second.candidate[:, 0], TRUTH[:, 0], atol=0.01)
    # It predicted well already, to within the model's error: the window confirms it.
    assert np.all(second.error_before < 5e-3)
    assert second.promoted.all()
    assert np.all(second.state.deviations[:, 0] < first.state.deviations[:, 0])


def test_what_was_learned_drifts_back_to_the_usual_with_time(learned):
    recalibration, result = learned
    memory = recalibration.options.memory

    mean, covariance = recalibration._drifted(result.state.time + memory)
    old, wide = recalibration._drifted(result.state.time + 40.0 * memory)

    np.testing.assert_allclose(mean, 0.5 * result.state.mean)
    assert np.all(np.diagonal(covariance, axis1=1, axis2=2) > result.state.deviations**2)
    np.testing.assert_allclose(old, 0.0, atol=1e-9)
    np.testing.assert_allclose(wide, np.tile(recalibration.usual, (4, 1, 1)), atol=1e-9)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda w: _slice(w, 300), "it lasts 299 s"),
        (lambda w: _slice(w, 2400, current=np.zeros((2400, 4))), "no step of a tenth of 1C"),
        (
            lambda w: _slice(w, 2400, voltage=np.where(w.time[:, None] % 2 > 0, np.nan, w.voltage)),
            "50 % of the voltages",
        ),
        (lambda w: _slice(w, 2400, temperature=np.full((2400, 4), np.nan)), "a group has no temperature"),
        (
            lambda w: _slice(w, 2400, current=np.where(w.time[:, None] == 900.0, np.nan, w.current)),
            "current is missing",
        ),
        (
            lambda w: TelemetryWindow(
                time=np.delete(w.time, np.s_[900:1100]),
                **{n: np.delete(getattr(w, n), np.s_[900:1100], 0) for n in ("current", "voltage", "temperature")},
                group_ids=GROUPS,
            ),
            "201 s under current are missing",
        ),
    ],
)
def test_windows_that_tell_nothing_are_refused_with_the_reason(cell_model, window, change, reason):
    recalibration = OnlineRecalibration(cell_model, GROUPS, resistance=RESISTANCE, options=QUICK)
    before = recalibration.state

    result = recalibration.update(change(window))

    assert result.refused
    assert reason in result.reasons[0]
    assert recalibration.state is before
    assert not result.promoted.any()
    assert result.cell_steps == 0


def test_a_window_with_steps_but_little_charge_tells_resistance_alone(cell_model, window):
    pulses = np.zeros(1200)
    pulses[100:130], pulses[500:530] = 3.0, -3.0
    excitation = assess_window(_slice(window, 1200, current=np.tile(pulses[:, np.newaxis], (1, 4))), 1.9)
    assert excitation.told == ("resistance",)
    assert excitation.steps == 4
    assert excitation.refusals == ()


def test_a_group_that_the_model_cannot_describe_is_not_promoted(cell_model, window):
    odd = np.array(window.voltage)
    odd[:, 2] += 0.3 * np.sin(np.arange(len(odd)) / 150.0)
    recalibration = OnlineRecalibration(cell_model, GROUPS, resistance=RESISTANCE, options=QUICK)

    result = recalibration.update(replace(window, voltage=odd))

    assert result.promoted.tolist() == [True, True, False, True]
    assert "the model leaves" in result.reasons[2] or "not explained better" in result.reasons[2]
    assert result.state.windows.tolist() == [1, 1, 0, 1]
    np.testing.assert_array_equal(result.state.mean[2], 0.0)


def test_a_grid_keeps_the_charge_of_the_window(window):
    grid = grid_window(window, 1.9, most_steps=300, most_rows=60)
    covered = window.time <= grid.step * len(grid.current)
    charge = np.trapezoid(window.current[covered, 0], window.time[covered])
    assert grid.step * len(grid.current) > 0.97 * window.duration
    assert grid.current[:, 0].sum() * grid.step == pytest.approx(charge, rel=1e-3)
    assert len(grid.current) == grid.stride * len(grid.voltage)
    assert grid.rested
    assert not grid.known.all()  # rows at sudden steps of current are not compared


def test_other_groups_and_damaged_states_are_refused(cell_model, window, learned):
    _, result = learned
    other = OnlineRecalibration(cell_model, ("X1", "X2", "X3", "X4"), resistance=RESISTANCE)
    with pytest.raises(ModelError, match="groups of another pack"):
        other.update(window)
    with pytest.raises(ModelError, match="groups of another pack"):
        OnlineRecalibration(cell_model, GROUPS[:2], resistance=RESISTANCE, state=result.state)
    with pytest.raises(ModelError, match="no state of a recalibration"):
        RecalibrationState.from_json("{}")


def test_process_images_become_a_window_of_mean_cells_without_what_is_not_good(small_pack):
    def image(time: float, voltage: float) -> PackState:
        def reading(quantity: str, level: Level, values: np.ndarray) -> Reading:
            return Reading.at(Kind.MEASURED, quantity, level, values, time, provenance="test")

        readings = (
            reading("current", Level.PACK, np.array([6.0])),
            reading("voltage", Level.GROUP, np.full(small_pack.n_groups, voltage)),
            reading("temperature", Level.MODULE, np.array([300.0, 302.0])),
        )
        return PackState(time=time, step=0).updated(*readings)

    window = window_of_states([image(0.0, 3.7), image(0.0, 3.7), image(1.0, np.nan)], small_pack)

    assert window.time.tolist() == [0.0, 1.0]
    np.testing.assert_allclose(window.current, 2.0)  # 6 A through three parallel cells
    np.testing.assert_allclose(window.temperature[0], [300.0, 300.0, 302.0, 302.0])
    assert np.isnan(window.voltage[1]).all()
    with pytest.raises(MeasurementError, match="never measured"):
        window_of_states([PackState(time=0.0, step=0), PackState(time=1.0, step=1)], small_pack)


def test_the_simulated_plant_gives_away_its_weak_group(small_pack, ask):
    """Telemetry as a battery management system sends it, refitted to the truth that only the plant knows."""
    plant = SimulatedPlant(small_pack, seed=5, initial_soc=0.9, weak_groups=1, block_duration=600.0, sample_period=5.0)
    try:
        blocks = plant.read(0.0)
        for current in (0.0, 6.0, 6.0, 9.0, 4.0):
            command = replace(ask(small_pack, current), time=blocks[-1].time[-1])
            plant.command(command)
            wait([plant._pending], timeout=120.0)
            blocks += plant.read(np.inf)
        truth = plant.truth.variation
    finally:
        plant.close()
    window = window_of_blocks(blocks, small_pack, sensed_channels(small_pack))
    recalibration = recalibrate_pack(small_pack, options=replace(QUICK, sensor_error=2e-3))

    result = recalibration.update(window)

    true = np.log(truth.capacity_scale.reshape(-1, small_pack.parallel).mean(axis=1))
    assert result.promoted.any()
    found = result.candidate[:, 0]
    assert np.all(np.abs(found - true) < np.maximum(3.0 * result.candidate_deviations[:, 0], 0.02))
    assert int(np.argmin(found)) == int(truth.weak_groups[0])


@pytest.mark.nightly
@pytest.mark.measured
def test_leafs_weak_groups_are_named_and_the_sound_ones_refitted(measured_data, repo_root):
    spec = load_pack(repo_root / "data/packs/leaf_3_modules.toml")
    folder = measured_data("leaf_modules")
    cells = list_cells(folder)
    recalibration = recalibrate_pack(spec)
    for name in ("0.3C", "1C"):
        curves = [read_measured_set(folder, cell=cell).curve(name) for cell in cells]
        result = recalibration.update(window_of_curves(curves, recalibration.state.group_ids))

        assert set(result.weak_groups()) == {recalibration.state.group_ids[0], recalibration.state.group_ids[3]}
        assert result.promoted.tolist() == [False, True, True, False, True, True]
        assert np.all(result.misfit[result.promoted] < 0.015)
