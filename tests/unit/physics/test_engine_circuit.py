"""The engine's circuit: Kirchhoff's laws, sharing, switches, drives, strings, packs of packs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import CelltwinError
from celltwin.physics.engine import (
    CellPopulation,
    Circuit,
    Drive,
    DriveKind,
    EngineOptions,
    PackEngine,
    build_network,
    combine_networks,
)
from celltwin.physics.engine.pack_network import PARALLEL, SERIES

SPREAD = np.linspace(0.9, 1.1, 12)


@pytest.fixture
def start(cell_model):
    def build(network, *, options: EngineOptions | None = None, soc=0.8, **cells) -> PackEngine:
        return PackEngine(cell_model, network, cells=CellPopulation(soc=soc, **cells), options=options, device="cpu")

    return build


def test_cells_alike_in_parallel_share_equally(start, string_network):
    history = start(string_network(2, 5, weld=1e-3)).advance(10.0, 60.0)

    np.testing.assert_allclose(history.cell_current, 2.0, rtol=1e-9)


def test_groups_in_series_carry_the_current_of_the_pack(start, string_network):
    engine = start(string_network(3, 4), capacity_scale=SPREAD, resistance=0.02 * (SPREAD - 0.9))

    history = engine.advance(8.0, 60.0, sample_period=1.0)

    np.testing.assert_allclose(history.cell_current.reshape(60, 3, 4).sum(axis=2), 8.0, rtol=1e-9)
    assert np.ptp(history.cell_current[-1]) > 0.03


def test_cells_of_a_group_meet_in_one_voltage(start, string_network):
    weld = np.linspace(1e-3, 5e-3, 12)
    engine = start(string_network(3, 4, weld=weld), capacity_scale=SPREAD)

    history = engine.advance(8.0, 10.0)

    ends = (history.cell_voltage - weld * history.cell_current).reshape(3, 4)
    np.testing.assert_allclose(ends, np.tile(history.group_voltage.T, 4), atol=1e-9)


def test_voltages_of_groups_and_links_add_up(start, string_network):
    engine = start(string_network(3, 4, link=0.01), capacity_scale=SPREAD)

    history = engine.advance(8.0, 10.0)

    assert history.pack_voltage[0, 0] == pytest.approx(history.group_voltage.sum() - 0.01 * 8.0, abs=1e-9)


def test_large_outer_resistances_divide_the_current(start, string_network):
    engine = start(string_network(1, 2, weld=np.array([10.0, 30.0])))

    current = engine.advance(0.04, 1.0).cell_current[0]

    # The cells' own resistance of some 0.05 ohm lies in series with the welds.
    assert current[0] / current[1] == pytest.approx(30.05 / 10.05, rel=2e-3)
    assert current.sum() == pytest.approx(0.04, abs=1e-12)


def test_a_fuller_cell_charges_an_emptier_one_at_rest(start, string_network):
    engine = start(string_network(1, 2, weld=0.01), soc=np.array([0.9, 0.6]))

    first = engine.advance(0.0, 1.0)
    last = engine.advance(0.0, 6 * 3600.0)

    assert first.cell_current[0, 0] > 0.5
    assert first.cell_current[0].sum() == pytest.approx(0.0, abs=1e-9)
    assert abs(last.cell_current[0, 0]) < 0.02
    np.testing.assert_allclose(last.cell_soc[0], 0.75, atol=5e-3)


def test_an_open_cell_carries_nothing_and_keeps_its_charge(start, string_network):
    engine = start(string_network(2, 3))
    engine.set_cells("connected", 0.0, np.array([4]))

    history = engine.advance(6.0, 60.0)

    np.testing.assert_allclose(history.cell_current[0], [2.0, 2.0, 2.0, 3.0, 0.0, 3.0], atol=1e-9)
    assert history.cell_soc[0, 4] == pytest.approx(0.8, abs=1e-12)


def test_a_cell_comes_back_when_it_is_connected_again(start, string_network):
    engine = start(string_network(1, 2))
    engine.set_cells("connected", 0.0, np.array([1]))
    engine.advance(2.0, 300.0)
    engine.set_cells("connected", 1.0)

    current = engine.advance(0.0, 1.0).cell_current[0]

    assert current[1] > 0.1  # it is fuller now
    assert current.sum() == pytest.approx(0.0, abs=1e-9)


def test_a_bypass_carries_the_pack_past_an_open_group(start, string_network):
    engine = start(string_network(3, 2))
    engine.set_cells("connected", 0.0, np.array([2, 3]))
    engine.set_groups("bypass_conductance", 100.0, np.array([1]))

    history = engine.advance(4.0, 10.0)

    np.testing.assert_allclose(history.cell_current[0], [2.0, 2.0, 0.0, 0.0, 2.0, 2.0], atol=1e-9)
    assert history.group_voltage[0, 1] == pytest.approx(-4.0 / 100.0, abs=1e-9)


def test_a_bypass_beside_cells_takes_its_share(start, string_network):
    engine = start(string_network(2, 2))
    engine.set_groups("bypass_conductance", 0.5, np.array([0]))

    history = engine.advance(4.0, 10.0)

    through = 4.0 + 0.5 * history.group_voltage[0, 0]
    assert history.cell_current[0, :2].sum() == pytest.approx(through, abs=1e-8)
    assert history.cell_current[0, 2:].sum() == pytest.approx(4.0, abs=1e-8)


def test_a_group_without_cell_or_bypass_is_named(start, string_network):
    engine = start(string_network(3, 2))
    engine.set_cells("connected", 0.0, np.array([2, 3]))

    with pytest.raises(CelltwinError, match="group 2 has no connected cell"):
        engine.advance(4.0, 10.0)


def test_an_open_pack_rests(start, string_network):
    engine = start(string_network(2, 2))
    engine.set_nodes(False, engine.network.circuit.roots)

    history = engine.advance(0.0, 60.0)

    np.testing.assert_allclose(history.cell_current, 0.0, atol=1e-9)
    np.testing.assert_allclose(history.cell_soc, 0.8, atol=1e-12)
    with pytest.raises(CelltwinError, match="contactor"):
        engine.advance(1.0, 10.0)


def test_an_open_pack_takes_no_current_at_any_voltage(start, string_network):
    engine = start(string_network(2, 2))
    engine.set_nodes(False, engine.network.circuit.roots)

    history = engine.advance(Drive(kind=DriveKind.VOLTAGE, values=7.0), 10.0)

    np.testing.assert_allclose(history.cell_current, 0.0, atol=1e-9)


def test_balancing_current_is_drawn_beside_the_current_of_the_pack(start, string_network):
    engine = start(string_network(3, 2))
    engine.set_groups("balancing_current", np.array([0.0, 0.3, 0.0]))

    history = engine.advance(4.0, 10.0)

    np.testing.assert_allclose(history.cell_current.reshape(3, 2).sum(axis=1), [4.0, 4.3, 4.0], atol=1e-8)
    assert history.pack_current[0, 0] == pytest.approx(4.0)


@pytest.mark.parametrize("watts", [60.0, -45.0])
def test_power_is_met_exactly(start, string_network, watts):
    engine = start(string_network(3, 4, link=0.002), capacity_scale=SPREAD)

    history = engine.advance(Drive(kind=DriveKind.POWER, values=watts), 60.0, sample_period=1.0)

    np.testing.assert_allclose(history.pack_current * history.pack_voltage, watts, rtol=1e-9)


def test_voltage_is_met_exactly(start, string_network):
    engine = start(string_network(3, 4, link=0.002), capacity_scale=SPREAD)

    history = engine.advance(Drive(kind=DriveKind.VOLTAGE, values=12.0), 60.0, sample_period=1.0)

    np.testing.assert_allclose(history.pack_voltage, 12.0, atol=1e-9)
    groups = history.cell_current.reshape(60, 3, 4).sum(axis=2)
    np.testing.assert_allclose(groups, np.tile(history.pack_current, 3), atol=1e-8)


def test_more_power_than_the_pack_has_is_refused_with_the_time(start, string_network):
    engine = start(string_network(1, 1))

    with pytest.raises(CelltwinError, match=r"at \d+\.\d s"):
        engine.advance(Drive(kind=DriveKind.POWER, values=1e4), 10.0, sample_period=1.0)


def test_the_lowest_voltage_holds_the_discharge_back(start, string_network):
    engine = start(string_network(2, 2), soc=np.array([0.3, 0.3, 0.25, 0.25]))

    history = engine.advance(Drive(values=16.0, lowest_voltage=3.0), 600.0, sample_period=1.0)

    assert history.group_voltage.min() > 3.0 - 1e-3
    assert history.group_voltage[-1, 1] == pytest.approx(3.0, abs=1e-3)
    assert history.limited[-1, 0] == 2
    assert 0.0 < history.pack_current[-1, 0] < 16.0


def test_the_highest_voltage_tapers_the_charge(start, string_network):
    engine = start(string_network(2, 2), soc=0.9)

    history = engine.advance(Drive(values=-4.0, highest_voltage=4.2), 1800.0, sample_period=1.0)

    assert history.group_voltage.max() < 4.2 + 1e-3
    assert history.limited[-1, 0] > 0
    held = history.limited[:, 0] > 0
    assert np.all(np.diff(history.pack_current[held, 0]) > -1e-6)
    assert history.cell_soc.max() < 1.0


class TestStrings:
    @pytest.fixture
    def two_strings(self, string_network):
        def build(first: float = 0.0, second: float = 0.0):
            one = string_network(4, 2)
            circuit = one.circuit
            strings = Circuit(
                n_groups=4,
                parallel=2,
                connection_resistance=circuit.connection_resistance,
                rail_resistance=circuit.rail_resistance,
                opposite_feed=False,
                kind=np.array([SERIES] * 6 + [PARALLEL], dtype=np.int8),
                child_start=np.array([0, 0, 0, 0, 0, 2, 4, 6], dtype=np.int32),
                children=np.array([0, 1, 2, 3, 4, 5], dtype=np.int32),
                link_resistance=np.array([0.0, 0.0, 0.0, 0.0, first, second, 0.0]),
                roots=np.array([6], dtype=np.int32),
            )
            return replace(one, circuit=strings)

        return build

    def test_alike_share_equally(self, start, two_strings):
        history = start(two_strings()).advance(8.0, 30.0)

        np.testing.assert_allclose(history.cell_current, 2.0, rtol=1e-9)

    def test_cables_of_unlike_resistance_divide_the_current(self, start, two_strings):
        history = start(two_strings(2.0, 6.0)).advance(0.8, 1.0)

        first, second = history.cell_current[0, 0] * 2.0, history.cell_current[0, 4] * 2.0
        assert first + second == pytest.approx(0.8, abs=1e-9)
        assert history.group_voltage[0, :2].sum() - 2.0 * first == pytest.approx(
            history.group_voltage[0, 2:].sum() - 6.0 * second, abs=1e-9
        )
        assert first / second == pytest.approx(3.0, rel=0.03)

    def test_an_open_string_leaves_all_to_the_other(self, start, two_strings):
        engine = start(two_strings())
        engine.set_nodes(False, 4)

        history = engine.advance(8.0, 30.0)

        np.testing.assert_allclose(history.cell_current[0], [0.0] * 4 + [4.0] * 4, atol=1e-8)
        np.testing.assert_allclose(history.cell_soc[0, :4], 0.8, atol=1e-12)

    def test_an_open_cell_string_in_parallel_still_rests(self, start, two_strings):
        engine = start(two_strings(), soc=np.repeat([0.9, 0.7], 4))
        engine.set_nodes(False, 5)

        history = engine.advance(0.0, 30.0)

        np.testing.assert_allclose(history.cell_current, 0.0, atol=1e-9)

    def test_a_fuller_string_charges_the_other(self, start, two_strings):
        history = start(two_strings(), soc=np.repeat([0.9, 0.7], 4)).advance(0.0, 10.0)

        assert history.cell_current[0, 0] > 0.5
        np.testing.assert_allclose(history.cell_current[0, :4], -history.cell_current[0, 4:], atol=1e-8)


class TestPacksOfPacks:
    def test_two_in_parallel_halve_the_current_and_keep_the_voltage(self, start, small_pack):
        one = build_network(small_pack)
        alone = start(one).advance(6.0, 30.0)
        both = start(combine_networks([one, one], kind="parallel")).advance(12.0, 30.0)

        np.testing.assert_allclose(both.pack_voltage, alone.pack_voltage, atol=1e-8)
        np.testing.assert_allclose(both.cell_current[0], np.tile(alone.cell_current[0], 2), atol=1e-8)

    def test_two_in_series_double_the_voltage(self, start, small_pack):
        one = build_network(small_pack)
        alone = start(one).advance(6.0, 30.0)
        both = start(combine_networks([one, one], kind="series")).advance(6.0, 30.0)

        np.testing.assert_allclose(both.pack_voltage, 2.0 * alone.pack_voltage, atol=1e-8)

    def test_three_deep_agree_with_one_pack(self, start, small_pack):
        one = build_network(small_pack)
        pair = combine_networks([one, one], kind="parallel")
        deep = combine_networks([pair, pair], kind="series")

        alone, whole = start(one).advance(6.0, 30.0), start(deep).advance(12.0, 30.0)

        np.testing.assert_allclose(whole.cell_current[0], np.tile(alone.cell_current[0], 4), atol=1e-8)
        np.testing.assert_allclose(whole.pack_voltage, 2.0 * alone.pack_voltage, atol=1e-8)

    def test_packs_side_by_side_are_driven_apart(self, start, small_pack):
        engine = start(build_network(small_pack, copies=3))

        history = engine.advance(Drive(values=np.tile([6.0, 0.0, -3.0], (30, 1))), 30.0)

        np.testing.assert_allclose(history.pack_current[0], [6.0, 0.0, -3.0])
        for pack, current in enumerate((6.0, 0.0, -3.0)):
            alone = start(build_network(small_pack)).advance(current, 30.0)
            own = slice(pack * engine.n_cells // 3, (pack + 1) * engine.n_cells // 3)
            np.testing.assert_allclose(history.cell_current[0, own], alone.cell_current[0], atol=1e-8)
            np.testing.assert_allclose(history.cell_temperature[0, own], alone.cell_temperature[0], atol=1e-8)
            assert history.pack_voltage[0, pack] == pytest.approx(alone.pack_voltage[0, 0], abs=1e-8)
