"""Cells with porous electrodes: PyBaMM's DFN, limits, conservation, packs, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import PlantError, SettingsError
from celltwin.physics import open_circuit_voltage
from celltwin.physics.engine import (
    CellPopulation,
    Drive,
    EngineOptions,
    PackEngine,
    ageing_model,
    build_cell_model,
    build_pack_engine,
    differentiate_drive,
)
from tools.bench.pack_energy import balance_cycle
from tools.bench.physics_cases import Case, PybammCell, compare, run_engine

VOLUMES = (4, 2, 4)
FULL_CELL = EngineOptions(volumes=VOLUMES)


@pytest.fixture
def one_cell(cell_model, string_network):
    def start(*, soc: float = 0.8, volumes: tuple[int, int, int] | None = VOLUMES, step: float = 1.0, **cells):
        return PackEngine(
            cell_model,
            string_network(ambient=0.4),
            cells=CellPopulation(soc=soc, **cells),
            options=EngineOptions(volumes=volumes, step=step),
            device="cpu",
        )

    return start


@pytest.fixture
def small_engine(small_pack):
    def start(**options) -> PackEngine:
        random = np.random.default_rng(2)
        cells = CellPopulation(
            soc=random.uniform(0.75, 0.8, small_pack.n_cells),
            capacity_scale=random.uniform(0.95, 1.05, small_pack.n_cells),
            resistance=random.uniform(0.0, 0.01, small_pack.n_cells),
            temperature=random.uniform(295.0, 303.0, small_pack.n_cells),
        )
        return build_pack_engine(
            small_pack, cells=cells, options=EngineOptions(**options), fidelity="DFN", device="cpu"
        )

    return start


def test_a_fast_discharge_in_the_cold_follows_pybamms_dfn_where_one_particle_does_not():
    case = Case("Mohtat2020", 4.0, 278.15)
    model = build_cell_model("Mohtat2020")
    reference = PybammCell("Mohtat2020", fidelity="DFN").run(case, 4.0 * model.capacity)

    errors = {}
    for name, options in (("DFN", FULL_CELL), ("SPMe", EngineOptions())):
        _, voltage, temperature = compare(run_engine(model, case, 4.0 * model.capacity, options), reference)
        errors[name] = 1e3 * float(np.sqrt(np.mean(voltage**2))), float(np.sqrt(np.mean(temperature**2)))

    assert errors["DFN"][0] < 6.0
    assert errors["DFN"][1] < 0.1
    assert errors["SPMe"][0] > 15.0


def test_one_volume_a_layer_is_nearly_the_single_particle_model(one_cell):
    coarse, single = (one_cell(volumes=volumes).advance(1.0, 1200.0) for volumes in ((1, 1, 1), None))

    assert coarse.cell_voltage[-1, 0] == pytest.approx(single.cell_voltage[-1, 0], abs=2e-3)
    assert coarse.cell_temperature[-1, 0] == pytest.approx(single.cell_temperature[-1, 0], abs=0.02)


def test_more_volumes_converge(one_cell):
    voltage = [one_cell(volumes=(n, 2, n)).advance(4.0, 600.0).cell_voltage[0, 0] for n in (2, 4, 8)]

    assert abs(voltage[2] - voltage[1]) < 0.5 * abs(voltage[1] - voltage[0])
    assert voltage[1] == pytest.approx(voltage[2], abs=1e-3)


def test_reactions_of_an_electrode_sum_up_to_the_current(one_cell):
    engine = one_cell()
    negative, separator, _ = VOLUMES

    engine.advance(Drive(values=np.r_[np.full(40, 4.0), np.full(40, -3.0)]), 80.0)
    ionic = engine.read_cells("ionic")[:, 0]

    through = ionic[negative - 1 : negative + separator]
    np.testing.assert_allclose(through, -3.0, rtol=1e-12)
    reaction = np.diff(np.r_[0.0, ionic, 0.0])
    assert (reaction[:negative] < 0.0).all()
    assert (reaction[negative + separator :] > 0.0).all()
    assert reaction[negative - 1] < reaction[0]  # strongest at the separator, as the ionic path is the longer one


def test_salt_and_lithium_are_kept(one_cell, cell_model):
    engine = one_cell()
    thickness = (cell_model.negative.thickness, cell_model.separator_thickness, cell_model.positive.thickness)
    porosity = (cell_model.negative.porosity, cell_model.separator_porosity, cell_model.positive.porosity)
    room = np.repeat(np.array(thickness) * porosity / VOLUMES, VOLUMES)
    before = engine.read_cells("mean_negative")[0], engine.read_cells("mean_positive")[0]

    history = engine.advance(4.0, 300.0)

    assert room @ engine.read_cells("salt")[:, 0] == pytest.approx(room.sum(), rel=1e-12)
    for side, sign, start in (("negative", -1.0, before[0]), ("positive", 1.0, before[1])):
        electrode = getattr(cell_model, side)
        volume = cell_model.electrode_area * electrode.thickness * electrode.active_fraction
        held = 96485.33212 * electrode.maximum_concentration * volume
        assert engine.read_cells(f"mean_{side}")[0] == pytest.approx(start + sign * 1200.0 / held, abs=1e-12)
    assert history.cell_soc[-1, 0] == pytest.approx(0.8 - 1200.0 / 3600.0 / cell_model.capacity, abs=1e-12)


def test_rest_relaxes_to_equilibrium(one_cell, cell):
    engine = one_cell(step=5.0)
    engine.advance(4.0, 600.0)

    rested = engine.advance(0.0, 4 * 3600.0, sample_period=1800.0)

    for side in ("negative", "positive"):  # particles are even within; flat potentials leave volumes apart for days
        shells = engine.read_cells(f"shells_{side}").reshape(VOLUMES[0], -1)
        np.testing.assert_allclose(shells, shells.mean(axis=1, keepdims=True) * np.ones_like(shells), atol=5e-5)
    assert np.abs(engine.read_cells("ionic")).max() < 4e-3
    np.testing.assert_allclose(engine.read_cells("salt"), 1.0, atol=1e-3)
    expected = open_circuit_voltage(cell, rested.cell_soc[-1])
    np.testing.assert_allclose(rested.cell_voltage[-1], expected, atol=2e-3)


def test_a_jump_of_the_current_settles_within_its_step(one_cell, monkeypatch):
    drive = Drive(values=np.repeat([6.0, -3.0, 0.0, 8.0], 5))
    usual = one_cell().advance(drive, 20.0, sample_period=1.0)

    monkeypatch.setattr("celltwin.physics.engine.porous_electrode_cells._AGAIN", 8)
    settled = one_cell().advance(drive, 20.0, sample_period=1.0)

    np.testing.assert_allclose(usual.cell_voltage, settled.cell_voltage, atol=2e-4)


def test_energy_of_a_cycle_closes(small_engine, small_pack):
    balance = balance_cycle(small_engine(heat_of_mixing=True), small_pack, ((300.0, 1.0), (120.0, 0.0), (300.0, -1.0)))

    assert abs(balance.missing) < 1e-5 * balance.discharged
    assert balance.lithium < 1e-12
    assert balance.cell_charge < 1e-10


def test_parallel_cells_share_the_current_at_one_voltage(small_engine, small_pack):
    engine = small_engine()

    history = engine.advance(small_pack.parallel * 2.0, 60.0, sample_period=20.0)

    current = history.cell_current.reshape(-1, small_pack.n_groups, small_pack.parallel)
    np.testing.assert_allclose(current.sum(axis=2), small_pack.parallel * 2.0, rtol=1e-9)
    assert np.ptp(current[-1], axis=1).min() > 1e-3
    single = build_pack_engine(
        small_pack, cells=CellPopulation(soc=0.8, temperature=300.0), fidelity="DFN", device="cpu"
    )
    alike = single.advance(small_pack.parallel * 2.0, 10.0)
    np.testing.assert_allclose(alike.cell_current, 2.0, rtol=0.05)


def test_a_restored_state_goes_on_as_the_first_time(small_engine):
    engine = small_engine()
    engine.advance(5.0, 30.0)
    kept = engine.state()
    first = engine.advance(-4.0, 20.0, sample_period=10.0)

    engine.restore(kept)
    second = engine.advance(-4.0, 20.0, sample_period=10.0)

    np.testing.assert_array_equal(second.cell_voltage, first.cell_voltage)
    np.testing.assert_array_equal(second.cell_temperature, first.cell_temperature)


def test_a_hard_short_runs_a_cell_to_its_end(one_cell):
    engine = one_cell(soc=0.05)
    engine.set_cells("internal_short_conductance", 20.0)

    history = engine.advance(0.0, 900.0, sample_period=300.0)

    assert np.isfinite(history.cell_voltage).all()
    assert abs(history.cell_voltage[-1, 0]) < 0.5
    assert engine.read_cells("surfaces_negative").min() > -1e-3


def test_a_film_grows_as_in_the_single_particle_model_at_low_rate(small_pack):
    grown = []
    for fidelity in ("DFN", "SPMe"):
        engine = build_pack_engine(
            small_pack,
            cells=CellPopulation(soc=0.5, temperature=298.15),
            options=EngineOptions(ageing=ageing_model("okane_2022")),
            fidelity=fidelity,
            device="cpu",
        )
        before = engine.read_cells("sei_thickness")
        engine.advance(-0.5 * small_pack.parallel, 600.0)
        grown.append((engine.read_cells("sei_thickness") - before)[0])

    assert grown[0] > 0.0
    assert grown[0] == pytest.approx(grown[1], rel=0.02)


def test_gradients_and_contradictions_are_refused(small_pack, one_cell):
    with pytest.raises(SettingsError, match="porous electrodes cannot be differentiated"):
        differentiate_drive(one_cell(), Drive(values=1.0), 4.0, weights={"soc": 1.0})
    with pytest.raises(SettingsError, match="resolve porous electrodes"):
        build_pack_engine(small_pack, options=FULL_CELL, device="cpu")
    with pytest.raises(SettingsError, match="one or more in each of three layers"):
        EngineOptions(volumes=(3, 0, 3))


def test_a_state_of_other_volumes_is_refused(one_cell):
    state = one_cell().state()

    with pytest.raises(PlantError, match="shape"):
        one_cell(volumes=(3, 2, 3)).restore(state)
