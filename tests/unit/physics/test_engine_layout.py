"""How cells lie in the engine must not matter: bundles, their filling, the order of groups and cells."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.physics.engine import CellPopulation, PackEngine, pack_engine
from celltwin.physics.engine.lanes import lane_functions


@pytest.fixture
def start(cell_model):
    def build(network, **cells) -> PackEngine:
        return PackEngine(cell_model, network, cells=CellPopulation(**({"soc": 0.7} | cells)), device="cpu")

    return build


@pytest.mark.parametrize("series", [1, 3, 7, 8, 9, 17])
def test_any_number_of_groups_gives_each_group_what_one_gives(start, string_network, series):
    alone = start(string_network(1, 2, ambient=0.1)).advance(4.0, 30.0)
    whole = start(string_network(series, 2, ambient=0.1)).advance(4.0, 30.0)

    np.testing.assert_allclose(whole.group_voltage[0], alone.group_voltage[0, 0], rtol=1e-12)
    np.testing.assert_allclose(whole.cell_temperature[0], alone.cell_temperature[0, 0], rtol=1e-12)
    assert whole.pack_voltage[0, 0] == pytest.approx(series * alone.pack_voltage[0, 0], rel=1e-12)
    assert whole.cell_current.shape == (1, 2 * series)


def test_cells_come_back_in_pack_order(start, string_network):
    given = np.linspace(0.3, 0.9, 30)
    engine = start(string_network(10, 3, weld=1e3), soc=given, resistance=np.linspace(0.0, 0.01, 30))

    np.testing.assert_allclose(engine.advance(0.0, 1.0).cell_soc[0], given, atol=1e-6)
    np.testing.assert_array_equal(engine.read_cells("resistance"), np.linspace(0.0, 0.01, 30))


def test_setting_one_cell_changes_no_other(start, string_network):
    engine = start(string_network(11, 3))
    before = engine.read_cells("resistance")

    engine.set_cells("resistance", np.array([0.5, 0.25]), np.array([4, 32]))

    changed = engine.read_cells("resistance")
    assert changed[4] == 0.5
    assert changed[32] == 0.25
    np.testing.assert_array_equal(np.delete(changed, [4, 32]), np.delete(before, [4, 32]))


def test_the_order_of_groups_does_not_matter(start, string_network):
    random = np.random.default_rng(4)
    scale, soc = random.uniform(0.9, 1.1, (10, 3)), random.uniform(0.5, 0.8, 10)
    order = random.permutation(10)

    def run(places):
        engine = start(
            string_network(10, 3),
            capacity_scale=scale[places].reshape(-1),
            soc=np.repeat(soc[places], 3),
        )
        return engine.advance(6.0, 60.0)

    plain, shuffled = run(np.arange(10)), run(order)

    np.testing.assert_allclose(shuffled.group_voltage[0], plain.group_voltage[0, order], rtol=1e-12)
    np.testing.assert_allclose(
        shuffled.cell_current.reshape(10, 3), plain.cell_current.reshape(10, 3)[order], rtol=1e-9
    )


def test_the_order_of_cells_in_a_group_does_not_matter(start, string_network):
    scale = np.array([0.9, 1.0, 1.1, 1.05])

    plain = start(string_network(1, 4), capacity_scale=scale).advance(8.0, 60.0)
    turned = start(string_network(1, 4), capacity_scale=scale[::-1].copy()).advance(8.0, 60.0)

    np.testing.assert_allclose(turned.cell_current, plain.cell_current[:, ::-1], rtol=1e-9)
    assert turned.pack_voltage[0, 0] == pytest.approx(plain.pack_voltage[0, 0], rel=1e-12)


def test_rails_fed_from_either_end_mirror_each_other(start, string_network):
    # Fed at opposite ends, a group of cells alike is its own mirror image.
    history = start(string_network(1, 6, rail=2e-3, opposite=True)).advance(12.0, 10.0)

    current = history.cell_current[0]
    np.testing.assert_allclose(current, current[::-1], rtol=1e-9)
    assert current[0] > current[2] + 1e-3
    assert current.sum() == pytest.approx(12.0, abs=1e-8)


def test_rails_fed_at_one_end_favour_the_cells_beside_it(start, string_network):
    current = start(string_network(1, 6, rail=2e-3)).advance(12.0, 10.0).cell_current[0]

    assert np.all(np.diff(current) < 0.0)
    assert current.sum() == pytest.approx(12.0, abs=1e-8)


@pytest.mark.nightly
def test_one_lane_gives_the_numbers_of_eight(start, string_network, monkeypatch):
    scale = np.linspace(0.9, 1.1, 27)
    network = string_network(9, 3, weld=1e-3, conduction=0.1, ambient=0.05)
    eight = start(network, capacity_scale=scale).advance(6.0, 60.0)
    monkeypatch.setattr(pack_engine, "lane_functions", lambda width, **options: lane_functions(1, **options))

    engine = start(network, capacity_scale=scale)
    one = engine.advance(6.0, 60.0)

    assert engine.grid.lanes.width == 1
    for name in ("cell_voltage", "cell_current", "cell_temperature", "cell_soc", "pack_voltage"):
        np.testing.assert_allclose(getattr(one, name), getattr(eight, name), rtol=1e-10)
