"""Everything at once: random packs keep Kirchhoff's laws, and no switch or fault upsets what must be conserved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.physics.engine import (
    CellPopulation,
    Drive,
    DriveKind,
    EngineOptions,
    PackEngine,
    ThermalModel,
    build_network,
    build_pack_engine,
    combine_networks,
)
from tools.bench.pack_energy import balance_cycle


@pytest.mark.parametrize("seed", range(6))
def test_random_packs_keep_the_laws_of_kirchhoff(cell_model, small_pack, seed):
    random = np.random.default_rng(seed)
    feed = str(random.choice(["plate", "same", "opposite"]))
    network = build_network(replace(small_pack, busbar=replace(small_pack.busbar, feed=feed)))
    for _ in range(int(random.integers(0, 3))):
        network = combine_networks([network, network], kind=str(random.choice(["series", "parallel"])))
    n_cells = network.circuit.n_cells
    engine = PackEngine(
        cell_model,
        network,
        cells=CellPopulation(
            soc=random.uniform(0.5, 0.7, n_cells),
            capacity_scale=random.uniform(0.8, 1.2, n_cells),
            resistance=random.uniform(0.0, 0.05, n_cells),
        ),
        device="cpu",
    )
    engine.set_cells("connected", 0.0, random.choice(n_cells, 1))
    kind = DriveKind(str(random.choice(["current", "power"])))

    history = engine.advance(Drive(kind=kind, values=random.uniform(-30.0, 30.0, 20)), 20.0, sample_period=1.0)

    circuit = network.circuit
    current = history.cell_current.reshape(20, circuit.n_groups, -1).sum(axis=2)
    voltage = np.empty((20, circuit.n_nodes))
    through = np.empty((20, circuit.n_nodes))
    voltage[:, : circuit.n_groups], through[:, : circuit.n_groups] = history.group_voltage, current
    for node in range(circuit.n_groups, circuit.n_nodes):
        below = circuit.children[circuit.child_start[node] : circuit.child_start[node + 1]]
        if circuit.kind[node]:
            np.testing.assert_allclose(voltage[:, below], voltage[:, below[:1]].repeat(below.size, 1), atol=1e-6)
            voltage[:, node], through[:, node] = voltage[:, below[0]], through[:, below].sum(axis=1)
        else:
            np.testing.assert_allclose(through[:, below], through[:, below[:1]].repeat(below.size, 1), atol=1e-7)
            voltage[:, node], through[:, node] = voltage[:, below].sum(axis=1), through[:, below[0]]
        voltage[:, node] -= circuit.link_resistance[node] * through[:, node]
    root = circuit.roots[0]
    np.testing.assert_allclose(voltage[:, root], history.pack_voltage[:, 0], atol=1e-7)
    np.testing.assert_allclose(through[:, root], history.pack_current[:, 0], atol=1e-7)


@pytest.mark.parametrize("two_nodes", [False, True])
def test_switches_faults_and_exchanges_break_no_conservation(cell_model, small_pack, two_nodes):
    thermal = replace(cell_model.thermal, surface_share=0.3, core_conductance=1.5) if two_nodes else cell_model.thermal
    engine = PackEngine(
        replace(cell_model, thermal=thermal),
        build_network(small_pack),
        cells=CellPopulation(soc=0.6, capacity_scale=np.linspace(0.9, 1.1, 12)),
        options=EngineOptions(heat_of_mixing=two_nodes),
        device="cpu",
    )
    events = [
        lambda: engine.set_cells("internal_short_conductance", 0.5, np.array([3])),
        lambda: engine.set_cells("bleed_conductance", 0.03, np.arange(6)),
        lambda: engine.set_groups("bypass_conductance", 0.2, np.array([1])),
        lambda: engine.set_groups("balancing_current", 0.1, np.array([2])),
        lambda: engine.set_cells("connected", 0.0, np.array([7])),
        lambda: engine.set_coolant(flow=0.0),
        lambda: engine.set_ambient(310.0),
        lambda: engine.set_cells("capacity_scale", 0.8, np.array([4])),
        lambda: engine.set_cells("soc", 0.5, np.array([5])),
        lambda: engine.set_cells("temperature", 320.0, np.array([8])),
        lambda: engine.replace_cells(np.array([3, 4]), CellPopulation(soc=0.6, capacity_scale=1.02)),
        lambda: engine.set_coolant(flow=0.1, inlet_temperature=290.0),
        lambda: engine.set_cells("connected", 1.0),
        lambda: engine.restore(engine.state()),
        lambda: engine.set_nodes(False, engine.network.circuit.roots),
        lambda: engine.set_nodes(True, engine.network.circuit.roots),
    ]

    for number, event in enumerate(events):
        event()
        closed = number != 14
        current = (-1.0) ** number * 4.0 if closed else 0.0
        history = engine.advance(current, 30.0, sample_period=1.0)  # checks itself at every sample
        assert np.isfinite(history.cell_voltage).all()
        assert np.isfinite(history.cell_temperature).all()


def test_the_engines_own_balance_is_what_is_seen_from_outside(small_pack):
    cells = CellPopulation(soc=0.8, resistance=np.linspace(0.0, 0.02, small_pack.n_cells))
    engine = build_pack_engine(small_pack, cells=cells, options=EngineOptions(heat_of_mixing=True), device="cpu")

    seen = balance_cycle(engine, small_pack, ((300.0, 1.0), (120.0, -1.0)))
    own = engine.balance()

    assert own.electrical.sum() - seen.links == pytest.approx(seen.electrical, rel=1e-9)
    assert own.to_coolant.sum() == pytest.approx(seen.coolant, rel=1e-3)
    assert own.to_ambient.sum() == pytest.approx(seen.ambient, rel=1e-3, abs=1e-6)
    assert own.generated.sum() == pytest.approx(seen.heat, rel=1e-3)
    assert own.conducted.sum() == pytest.approx(0.0, abs=1e-8 * own.generated.sum())


def test_replaced_cells_start_new_and_the_rest_goes_on(small_pack):
    engine = build_pack_engine(small_pack, cells=CellPopulation(soc=0.8, capacity_scale=0.8), device="cpu")
    before = engine.advance(6.0, 300.0)

    engine.replace_cells(np.array([2]), CellPopulation(soc=0.9, capacity_scale=1.0, temperature=300.0))

    soc = engine.read_cells("soc")
    assert soc[2] == 0.9
    np.testing.assert_allclose(np.delete(soc, 2), np.delete(before.cell_soc[-1], 2), atol=1e-12)
    assert engine.read_cells("capacity_scale")[2] == 1.0
    assert engine.read_cells("temperature")[2] == pytest.approx(300.0)


def test_a_weak_cell_gives_less_and_ends_emptier_by_share(small_pack):
    scale = np.ones(small_pack.n_cells)
    scale[4] = 0.7
    engine = build_pack_engine(small_pack, cells=CellPopulation(soc=0.9, capacity_scale=scale), device="cpu")

    history = engine.advance(6.0, 1200.0)

    group = history.cell_current[0].reshape(small_pack.n_groups, -1)[1]
    assert group[1] < 0.85 * group[0]
    assert history.cell_soc[0, 4] < history.cell_soc[0, 0]


def test_two_node_cells_show_their_core_to_their_electrochemistry(cell_model, string_network):
    thermal = ThermalModel(heat_capacity=43.2, surface_share=0.3, core_conductance=0.3)
    engine = PackEngine(
        replace(cell_model, thermal=thermal), string_network(ambient=0.5), cells=CellPopulation(soc=0.9), device="cpu"
    )

    history = engine.advance(6.0, 600.0)

    core = engine.read_cells("core_temperature")[0]
    assert core > history.cell_temperature[0, 0] > history.cell_surface_temperature[0, 0] > 298.15
