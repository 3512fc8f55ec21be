"""Circuits from declarations: strings, modules, packs of packs, copies; rails from geometry."""

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import ModelError, SpecError, load_pack
from celltwin.physics.engine.network_builder import build_network, combine_networks, repeat_network
from celltwin.physics.engine.pack_network import PARALLEL, Circuit

SOURCE, RESISTANCE = 3.7, 2e-3  # of every group [V, ohm]


@pytest.fixture(scope="module")
def reference(repo_root):
    return load_pack(repo_root / "data/packs/reference.toml")


def reduce_circuit(circuit: Circuit, source, resistance):
    """Return source and resistance of every root, by Thevenin's theorem."""
    sources, resistances = np.empty(circuit.n_nodes), np.empty(circuit.n_nodes)
    for node in range(circuit.n_nodes):
        if node < circuit.n_groups:
            sources[node], resistances[node] = source[node], resistance[node]
        else:
            below = circuit.children[circuit.child_start[node] : circuit.child_start[node + 1]]
            if circuit.kind[node] == PARALLEL:
                conductance = 1.0 / resistances[below]
                resistances[node] = 1.0 / conductance.sum()
                sources[node] = (conductance * sources[below]).sum() * resistances[node]
            else:
                sources[node], resistances[node] = sources[below].sum(), resistances[below].sum()
        resistances[node] += circuit.link_resistance[node]
    return sources[circuit.roots], resistances[circuit.roots]


def alike(circuit: Circuit):
    return reduce_circuit(circuit, np.full(circuit.n_groups, SOURCE), np.full(circuit.n_groups, RESISTANCE))


def test_one_string_has_all_groups_and_one_link_less_in_series(reference):
    source, resistance = alike(build_network(reference).circuit)

    assert source == pytest.approx(100 * SOURCE)
    assert resistance == pytest.approx(100 * RESISTANCE + 99 * reference.busbar.link_resistance)


def test_strings_halve_the_voltage_and_share_the_current(reference):
    busbar = replace(reference.busbar, string_resistance=3e-3)
    spec = replace(reference, strings=2, busbar=busbar)

    source, resistance = alike(build_network(spec).circuit)

    assert spec.topology == "2x50s28p"
    assert spec.nominal_voltage == pytest.approx(180.0)
    assert spec.energy == pytest.approx(reference.energy)
    assert source == pytest.approx(50 * SOURCE)
    assert resistance == pytest.approx((50 * RESISTANCE + 49 * busbar.link_resistance + 3e-3) / 2)


def test_nodes_carry_the_names_of_modules_strings_and_pack(reference):
    circuit = build_network(replace(reference, strings=5)).circuit

    assert len(circuit.node_ids) == circuit.n_nodes - circuit.n_groups
    assert circuit.node_ids[-7:] == ("M10", "S01", "S02", "S03", "S04", "S05", "reference")
    assert circuit.group_ids[0] == "M01.G01"


def test_packs_combined_in_series_and_parallel_are_the_sum_and_the_share(reference):
    whole = build_network(reference)
    pair = combine_networks([whole, whole], kind="parallel")
    tower = combine_networks([pair, whole, pair], kind="series")
    source, resistance = alike(whole.circuit)

    of_pair, of_tower = alike(pair.circuit), alike(tower.circuit)

    assert of_pair == (pytest.approx(source), pytest.approx(resistance / 2))
    assert of_tower == (pytest.approx(3 * source), pytest.approx(2 * resistance))
    assert tower.circuit.n_cells == tower.heat.segment.size == tower.heat_capacity.size == 5 * reference.n_cells
    assert tower.cell_ids[0] == "P1.P1.M01.G01.C01"


def test_two_strings_of_one_pack_are_two_packs_in_parallel(reference):
    halves = replace(reference, modules=reference.modules[:5]), replace(reference, modules=reference.modules[5:])
    joined = combine_networks([build_network(half) for half in halves], kind="parallel")
    strings = build_network(replace(reference, strings=2))
    random = np.random.default_rng(1)
    source, resistance = 3.7 + 0.1 * random.random(100), 1e-3 + 1e-3 * random.random(100)

    np.testing.assert_allclose(
        reduce_circuit(joined.circuit, source, resistance), reduce_circuit(strings.circuit, source, resistance)
    )
    np.testing.assert_array_equal(joined.heat.neighbours, strings.heat.neighbours)
    np.testing.assert_array_equal(joined.heat.segment_start, strings.heat.segment_start)


def test_copies_are_packs_by_themselves(reference):
    pack = combine_networks([build_network(reference)] * 2, kind="parallel")
    batch = repeat_network(pack, 3)
    random = np.random.default_rng(2)
    source, resistance = 3.7 + 0.1 * random.random((3, 200)), 1e-3 + 1e-3 * random.random((3, 200))

    together = np.stack(reduce_circuit(batch.circuit, source.ravel(), resistance.ravel()))

    alone = [np.stack(reduce_circuit(pack.circuit, source[k], resistance[k]))[:, 0] for k in range(3)]
    np.testing.assert_allclose(together, np.stack(alone, axis=1))
    # No heat crosses from one copy to the next.
    copy = np.arange(batch.circuit.n_cells) // pack.circuit.n_cells
    assert np.all(copy[batch.heat.neighbours] == copy)
    assert batch.circuit.roots.size == 3


def test_many_copies_are_the_same_as_repeating_one(reference):
    direct, repeated = build_network(reference, copies=2), repeat_network(build_network(reference), 2)

    np.testing.assert_array_equal(direct.circuit.children, repeated.circuit.children)
    np.testing.assert_array_equal(direct.heat.segment, repeated.heat.segment)


def test_a_plate_has_no_rail_and_a_rail_has_the_resistance_of_its_metal(reference):
    layout = replace(reference.layout, rows=28)
    plate = build_network(replace(reference, layout=layout)).circuit
    railed = build_network(replace(reference, layout=layout, busbar=replace(reference.busbar, feed="opposite"))).circuit

    # Nickel of 8 mm x 0.2 mm, 19.35 mm from cell to cell.
    assert not plate.rail_resistance.any()
    np.testing.assert_allclose(railed.rail_resistance, 6.93e-8 * 19.35e-3 / (8e-3 * 0.2e-3))
    assert railed.opposite_feed
    assert not plate.opposite_feed


def test_what_does_not_go_together_is_refused(reference):
    pack = build_network(reference)
    thin = build_network(replace(reference, parallel=14, layout=replace(reference.layout, rows=14)))

    with pytest.raises(ModelError, match="network 1 has cells in a group = 14"):
        combine_networks([pack, thin], kind="series")
    with pytest.raises(ModelError, match="holds 2 packs"):
        combine_networks([build_network(reference, copies=2)], kind="series")
    with pytest.raises(ModelError, match="no network"):
        combine_networks([], kind="series")
    with pytest.raises(ModelError, match="neither series nor parallel"):
        combine_networks([pack], kind="both")
    with pytest.raises(ModelError, match="copies = 0"):
        build_network(reference, copies=0)
    with pytest.raises(SpecError, match="'gold'"):
        build_network(replace(reference, busbar=replace(reference.busbar, material="gold")))


def test_strings_must_share_the_modules_evenly(reference):
    with pytest.raises(SpecError, match="strings = 3 does not divide the 10 modules"):
        replace(reference, strings=3)
