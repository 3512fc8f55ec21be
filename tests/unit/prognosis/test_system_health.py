from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Level, load_pack
from celltwin.prognosis.system_health import CellEstimates, SystemHealthError, assess_system_health


def make_pack(repo_root, *, modules=1, series=2, parallel=2, strings=1, **busbar):
    pack = load_pack(repo_root / "data" / "packs" / "reference.toml")
    bare = {"weld_resistance": 0.0, "link_resistance": 0.0, "string_resistance": 0.0}
    return replace(
        pack,
        series=series,
        parallel=parallel,
        strings=strings,
        layout=replace(pack.layout, rows=1),
        modules=pack.modules[:modules],
        busbar=replace(pack.busbar, **(bare | busbar)),
        sensors=(),
        mappings=(),
    )


def certain(values):
    values = np.asarray(values, dtype=float)
    return CellEstimates(values=values, standard_uncertainty=np.zeros(values.size))


def test_parallel_capacities_add_and_a_series_string_has_its_weakest_group(repo_root):
    health = assess_system_health(make_pack(repo_root), certain([0.9, 1.0, 0.8, 0.9]), draws=4).capacity

    np.testing.assert_allclose(health[Level.GROUP].values, [0.95, 0.85])
    np.testing.assert_allclose(health[Level.MODULE].values, [0.85])
    assert (health[Level.MODULE].weakest[0], health[Level.MODULE].weakest_probability[0]) == (1, 1.0)
    np.testing.assert_allclose(health[Level.PACK].standard_uncertainty, 0.0, atol=1e-12)


def test_parallel_strings_add_what_each_can_give(repo_root):
    pack = make_pack(repo_root, modules=2, strings=2)

    health = assess_system_health(pack, certain([0.9, 1.0, 0.8, 0.9, 0.7, 0.7, 1.0, 1.0]), draws=4)

    assert health.capacity[Level.PACK].values[0] == pytest.approx((0.85 + 0.7) / 2)


def test_parallel_resistances_combine_as_conductances_and_series_ones_add(repo_root):
    pack = make_pack(repo_root)

    health = assess_system_health(pack, certain([1.0] * 4), certain([1.0, 3.0, 2.0, 2.0]), draws=4).resistance

    np.testing.assert_allclose(health[Level.GROUP].values, [2.0 / (1.0 + 1.0 / 3.0), 2.0])
    np.testing.assert_allclose(health[Level.MODULE].values, [(1.5 + 2.0) / 2.0])


def test_connections_that_do_not_age_dilute_the_growth_of_resistance(repo_root):
    fresh = load_pack(repo_root / "data" / "packs" / "reference.toml").cell.resistance
    pack = make_pack(repo_root, series=1, parallel=1, weld_resistance=fresh)

    health = assess_system_health(replace(pack, series=2), certain([1.0, 1.0]), certain([2.0, 2.0]), draws=4).resistance

    np.testing.assert_allclose(health[Level.PACK].values, [1.5])


def test_energy_is_the_weakest_charge_at_the_mean_voltage_under_load(repo_root):
    pack = make_pack(repo_root, series=2, parallel=1)
    drop = 0.5 * pack.cell.capacity * pack.cell.resistance  # [V] of a fresh cell at C/2
    fresh = pack.cell.nominal_voltage - drop

    health = assess_system_health(pack, certain([0.9, 0.8]), certain([1.0, 2.0]), rate=0.5, draws=4).energy

    assert health[Level.PACK].values[0] == pytest.approx(0.8 * (2.0 * fresh - drop) / (2.0 * fresh))


def test_the_weakest_of_many_uncertain_groups_is_not_taken_at_its_face_value(repo_root):
    pack = make_pack(repo_root, modules=10, series=10, parallel=1)
    random = np.random.default_rng(5)
    error, plain, corrected, inside = 0.02, [], [], []
    for _ in range(40):
        true = random.normal(0.9, 0.01, pack.n_cells)
        seen = true + random.normal(0.0, error, pack.n_cells)
        estimates = CellEstimates(values=seen, standard_uncertainty=np.full(seen.size, error), common_share=0.0)
        health = assess_system_health(pack, estimates, draws=128).capacity[Level.PACK]
        plain.append(health.plain[0] - true.min())
        corrected.append(health.values[0] - true.min())
        inside.append(health.lowest[0] <= true.min() <= health.highest[0])

    assert np.mean(plain) < -0.02, "the face value is lower than the truth by more than a standard error"
    assert abs(np.mean(corrected)) < 0.006
    assert np.mean(inside) >= 0.75


def test_an_error_that_all_cells_share_does_not_average_out(repo_root):
    pack = make_pack(repo_root, series=2, parallel=28)
    values = np.full(pack.n_cells, 0.9)
    alike = CellEstimates(values=values, standard_uncertainty=np.full(values.size, 0.02), common_share=1.0)
    apart = replace(alike, common_share=0.0)

    together, alone = (
        assess_system_health(pack, estimates, draws=512).capacity[Level.GROUP].standard_uncertainty[0]
        for estimates in (alike, apart)
    )

    assert together == pytest.approx(0.02, rel=0.1)
    assert alone < 0.2 * together


def test_a_cell_without_a_value_is_drawn_from_the_population_and_counted(repo_root):
    values = np.array([0.9, 0.92, np.nan, 0.88])
    estimates = CellEstimates(values=values, standard_uncertainty=np.full(4, 0.001))

    health = assess_system_health(make_pack(repo_root), estimates).capacity[Level.GROUP]

    np.testing.assert_allclose(health.known, [1.0, 0.5])
    assert health.standard_uncertainty[1] > 3.0 * health.standard_uncertainty[0]
    assert health.values[1] == pytest.approx((0.9 + 0.88) / 2, abs=0.01)


@pytest.mark.parametrize(
    ("values", "error", "share", "message"),
    [
        ([0.9] * 3, [0.01] * 3, 0.5, "The pack has 4 cells"),
        ([0.9, np.nan, np.nan, np.nan], [0.01] * 4, 0.5, "at least two cells"),
        ([0.9] * 4, [0.01, np.nan, 0.01, 0.01], 0.5, "uncertainty"),
        ([0.9] * 4, [0.01] * 4, 1.5, "common share"),
    ],
)
def test_estimates_that_cannot_be_combined_are_refused(repo_root, values, error, share, message):
    estimates = CellEstimates(values=np.array(values), standard_uncertainty=np.array(error), common_share=share)

    with pytest.raises(SystemHealthError, match=message):
        assess_system_health(make_pack(repo_root), estimates)


def test_predictions_are_what_to_expect_of_each_cell_where_measurements_are_drawn_to_the_mean(repo_root):
    spec = make_pack(repo_root, parallel=1, series=40)
    values = np.random.default_rng(3).normal(0.9, 0.01, spec.n_cells)

    def weakest(predicted):
        cells = CellEstimates(
            values=values, standard_uncertainty=np.full(values.size, 0.02), common_share=0.0, predicted=predicted
        )
        return assess_system_health(spec, cells, draws=2000).capacity[Level.PACK].values[0]

    # Errors as large as all differences: measured, the cells may be alike; predicted, they differ by that much more.
    assert weakest(True) < values.min() < weakest(False)
