"""Populations of cells whose truth is known, and the packs that are drawn from them."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import ModelError, SettingsError
from celltwin.physics.calibration.cell_population import CellEvidence, fit_population
from celltwin.physics.calibration.cell_population_distribution import (
    CellPopulationDistribution,
    load_cell_distribution,
    vary_pack,
)
from celltwin.physics.measurements import capacity_spread, read_capacities
from celltwin.physics.varied_pack import build_varied_engine

NAMES = ("capacity", "resistance", "diffusivity")
WIDTHS = np.array([0.012, 0.05, 0.12])
CORRELATION = np.array([[1.0, -0.7, 0.0], [-0.7, 1.0, 0.2], [0.0, 0.2, 1.0]])
COVARIANCE = CORRELATION * WIDTHS * WIDTHS[:, np.newaxis]
MEAN = np.array([0.01, -0.02, 0.05])


def _cells(count: int, noise: np.ndarray, seed: int = 3) -> tuple[np.ndarray, list[CellEvidence]]:
    random = np.random.default_rng(seed)
    truth = random.multivariate_normal(MEAN, COVARIANCE, count)
    seen = truth + noise * random.standard_normal(truth.shape)
    return truth, [CellEvidence.of(f"C{at}", NAMES, row, np.diag(noise**2)) for at, row in enumerate(seen)]


def _distribution(**changes) -> CellPopulationDistribution:
    given = {
        "names": ("capacity_scale", "resistance", "diffusivity_scale"),
        "median": np.array([1.0, 0.03, 1.0]),
        "covariance": COVARIANCE,
        "low": np.array([0.95, 0.02, 0.5]),
        "high": np.array([1.05, 0.05, 2.0]),
        "cell": "made up",
    }
    return CellPopulationDistribution(**(given | changes))


def test_spread_and_correlation_of_many_cells_are_recovered_through_their_noise():
    noise = np.array([0.01, 0.03, 0.15])
    _, cells = _cells(400, noise)
    naive = np.std([cell.pull / np.diag(cell.precision) for cell in cells], axis=0)

    population = fit_population(cells)

    assert population.converged
    np.testing.assert_allclose(population.deviations, WIDTHS, atol=3.0 * population.deviation_uncertainties.max())
    assert np.all(np.abs(population.deviations - WIDTHS) < 3.0 * population.deviation_uncertainties)
    assert np.all(naive > 1.1 * WIDTHS)  # what a sample deviation would have said
    assert np.all(np.abs(population.mean - MEAN) < 3.5 * population.mean_uncertainty)
    correlation = population.covariance[0, 1] / np.prod(population.deviations[:2])
    assert correlation == pytest.approx(-0.7, abs=0.15)


def test_cells_known_exactly_give_the_sample_mean_and_the_unbiased_sample_covariance():
    truth, cells = _cells(8, np.full(3, 1e-5))

    population = fit_population(cells)

    np.testing.assert_allclose(population.mean, truth.mean(axis=0), atol=2e-5)
    np.testing.assert_allclose(population.covariance, np.cov(truth.T), rtol=2e-2, atol=1e-7)
    np.testing.assert_allclose(population.estimates, truth, atol=1e-4)


def test_shrunken_estimates_are_nearer_to_the_truth_and_their_uncertainties_are_honest():
    noise = np.array([0.02, 0.05, 0.3])
    truth, cells = _cells(300, noise, seed=11)
    own = np.array([cell.pull / np.diag(cell.precision) for cell in cells])

    population = fit_population(cells)

    before, after = (np.sqrt(np.mean((found - truth) ** 2, axis=0)) for found in (own, population.estimates))
    assert np.all(after < 0.85 * before)
    scaled = np.mean(((population.estimates - truth) / population.uncertainties) ** 2, axis=0)
    assert np.all((scaled > 0.5) & (scaled < 1.5))
    assert np.all((population.weight > 0.0) & (population.weight < 1.0))


def test_widths_that_five_cells_give_are_not_too_small_on_average():
    widths = []
    for seed in range(60):
        _, cells = _cells(5, np.array([0.004, 0.02, 0.05]), seed=seed)
        widths.append(fit_population(cells, iterations=400, tolerance=1e-4).deviations ** 2)
    np.testing.assert_allclose(np.mean(widths, axis=0), WIDTHS**2, rtol=0.25)


def test_a_cell_that_says_nothing_of_a_coordinate_gets_the_populations_word():
    _, cells = _cells(50, np.array([0.002, 0.01, 0.02]))
    silent = np.diag([1.0 / 0.002**2, 0.0, 0.0])
    cells.append(
        CellEvidence(cell="short", names=NAMES, precision=silent, pull=silent @ (MEAN + np.array([0.01, 0.0, 0.0])))
    )

    population = fit_population(cells)

    # Its high capacity speaks for a low resistance, as in the other cells.
    expected = population.mean[1] + population.covariance[0, 1] / population.covariance[0, 0] * (
        population.estimates[-1, 0] - population.mean[0]
    )
    assert population.estimates[-1, 1] == pytest.approx(expected, abs=2e-3)
    assert population.weight[-1, 2] < 0.1
    assert population.uncertainties[-1, 2] == pytest.approx(population.deviations[2], rel=0.1)


def test_a_coordinate_that_no_cell_tells_keeps_the_usual_width_and_is_named():
    precision = np.diag([1e6, 1e-9])
    cells = [
        CellEvidence(
            cell=f"C{at}", names=("capacity", "diffusivity"), precision=precision, pull=precision @ [0.01 * at, 0]
        )
        for at in range(6)
    ]
    population = fit_population(cells, widths=np.array([0.02, 0.1]), trust=2.0)

    assert population.undetermined == ("diffusivity",)
    assert population.deviations[1] == pytest.approx(0.1, rel=0.3)


def test_bad_populations_are_refused_with_the_cell_named():
    _, cells = _cells(3, np.full(3, 0.01))
    with pytest.raises(ModelError, match="1 cells are no population"):
        fit_population(cells[:1])
    other = CellEvidence.of("odd", ("capacity",), np.zeros(1), np.eye(1))
    with pytest.raises(ModelError, match="C0 and odd"):
        fit_population([*cells, other])
    with pytest.raises(ModelError, match="cell broken"):
        CellEvidence(cell="broken", names=("a",), precision=np.array([[np.nan]]), pull=np.zeros(1))
    silent = [CellEvidence(cell=n, names=("a",), precision=np.zeros((1, 1)), pull=np.zeros(1)) for n in "ab"]
    with pytest.raises(ModelError, match="no cell's data say anything about a"):
        fit_population(silent)


def test_drawn_cells_have_the_medians_widths_and_correlation_of_the_distribution_within_its_bounds():
    distribution = _distribution(low=np.array([0.5, 1e-3, 0.1]), high=np.array([1.3, 0.5, 10.0]))

    cells = distribution.sample(20000, seed=1)

    logs = np.log(np.stack([cells[name] / m for name, m in zip(distribution.names, distribution.median, strict=True)]))
    np.testing.assert_allclose(logs.std(axis=1), WIDTHS, rtol=0.03)
    np.testing.assert_allclose(np.corrcoef(logs), CORRELATION, atol=0.03)
    narrow = _distribution().sample(5000, seed=1)
    assert narrow["capacity_scale"].min() >= 0.95
    assert narrow["resistance"].max() <= 0.05


def test_the_same_seed_draws_the_same_cells_and_another_seed_others():
    distribution = _distribution()
    first, again, other = (distribution.sample(50, seed=seed)["resistance"] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.any(first == other)


def test_a_saved_distribution_draws_the_same_cells_and_keeps_its_provenance(tmp_path):
    distribution = _distribution(provenance={"cells": "C1, C2"})
    distribution.save(tmp_path / "cells.json")

    loaded = load_cell_distribution(tmp_path / "cells.json")

    assert loaded.provenance == {"cells": "C1, C2"}
    np.testing.assert_array_equal(loaded.sample(9, 2)["capacity_scale"], distribution.sample(9, 2)["capacity_scale"])


def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path):
    path = tmp_path / "cells.json"
    for text in ("{", '{"schema": "other/1"}', "[]"):
        path.write_text(text)
        with pytest.raises(ModelError, match=r"cells\.json"):
            load_cell_distribution(path)


def test_unphysical_distributions_and_draws_are_refused():
    with pytest.raises(ModelError, match="capacity_scale: bounds"):
        _distribution(high=np.array([0.99, 0.05, 2.0]))
    with pytest.raises(ModelError, match="not drawn in colour"):
        _distribution(names=("colour", "resistance", "diffusivity_scale"))
    with pytest.raises(ModelError, match="not positive"):
        _distribution(covariance=-np.eye(3))
    with pytest.raises(SettingsError, match="0 cells"):
        _distribution().sample(0, seed=1)
    tight = _distribution(low=np.array([1.0, 0.03, 1.0]), high=np.array([1.0, 0.03, 1.0]))
    with pytest.raises(SettingsError, match="lie within the bounds"):
        tight.sample(3, seed=1)


def test_a_fitted_population_becomes_a_distribution_about_the_shared_resistance():
    _, cells = _cells(30, np.array([0.001, 0.0005, 0.02]))
    population = fit_population(cells)

    logs = CellPopulationDistribution.of_population(population, cell="made up", resistance=0.03, shifts=())
    shifts = CellPopulationDistribution.of_population(population, cell="made up", resistance=0.5)

    np.testing.assert_allclose(logs.deviations, population.deviations)
    assert logs.median[1] == pytest.approx(0.03 * np.exp(population.mean[1]))
    assert shifts.median[1] == pytest.approx(0.5 + population.mean[1])
    assert shifts.deviations[1] == pytest.approx(population.deviations[1] / shifts.median[1])
    with pytest.raises(ModelError, match="resistance that factors refer to is missing"):
        CellPopulationDistribution.of_population(population, cell="made up")


def test_a_pack_is_drawn_whole_and_simulates_with_its_own_cells(small_pack, cell):
    variation = vary_pack(small_pack, cell, _distribution(), seed=2, initial_soc=0.6)

    engine = build_varied_engine(small_pack, variation)

    assert variation.capacity_scale.shape == (small_pack.n_cells,)
    np.testing.assert_allclose(engine.read_cells("diffusivity_scale"), variation.diffusivity_scale)
    np.testing.assert_allclose(engine.read_cells("capacity_scale"), variation.capacity_scale)
    np.testing.assert_allclose(engine.read_cells("resistance"), variation.resistance)
    population = _distribution().draw(4, seed=(2, 3), soc=0.5)
    np.testing.assert_allclose(population.capacity_scale, variation.capacity_scale[:4])


@pytest.mark.measured
def test_capacities_alone_give_the_marginal_of_capacity_and_leave_the_rest_alike(measured_data, small_pack, cell):
    spread = capacity_spread([item for item in read_capacities(measured_data("xjtu_cycles")) if item.group == "3C"])

    distribution = CellPopulationDistribution.of_capacities(spread, cell="XJTU", source="xjtu_cycles, 3C")

    assert distribution.names == ("capacity_scale",)
    assert distribution.deviations[0] == pytest.approx(0.0146, abs=0.0005)
    variation = vary_pack(small_pack, cell, distribution, seed=1, initial_soc=0.5)
    assert np.ptp(variation.resistance) == 0.0
    assert variation.diffusivity_scale is None
