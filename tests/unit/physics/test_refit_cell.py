"""Sister cells refitted from a calibrated one: single particles whose difference is known, then real cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.physics.calibration.base_sets import choose_base_set
from celltwin.physics.calibration.calibrate import CalibrationOptions, calibrate
from celltwin.physics.calibration.calibration_figures import simulate_curve
from celltwin.physics.calibration.cell_population import fit_population
from celltwin.physics.calibration.cell_simulation import LEAD_RESISTANCE, CellModel, ModelOptions
from celltwin.physics.calibration.refit_cell import RefitOptions, SharedCell, refit_cell
from celltwin.physics.calibration.refit_coordinates import CELL_TO_CELL, CellPrior, cell_prior
from celltwin.physics.measurements import read_measured_set
from celltwin.physics.measurements.cell_description import CellDescription
from celltwin.physics.measurements.curve import CurveSource, MeasuredCurve, MeasuredSet

CELL = CellDescription(name="made up", chemistry="NMC-graphite-SiOx", format="21700", capacity=5.0)
NAMES = ("capacity", "resistance", "lead resistance", "diffusivity", "heat transfer")
PRIOR = cell_prior(NAMES, capacity=5.0)
TRUE = {"capacity": 0.012, "resistance": 1e-3, "lead resistance": 3e-3, "diffusivity": -0.12, "heat transfer": 0.1}


@pytest.fixture(scope="module")
def shared() -> SharedCell:
    base = choose_base_set(CELL)
    values = CellModel(base, ModelOptions(model="SPM")).numbers({"Contact resistance [Ohm]": 0.01})
    return SharedCell(base=base, values=values, model="SPM", fine_mesh=False)


@pytest.fixture(scope="module")
def measure(shared) -> Callable[..., MeasuredSet]:
    """Return a function that measures a cell that differs from the shared one, all with the same model."""
    return partial(_measure, shared, shared.cell_model("coarse"))


def _measure(
    shared: SharedCell,
    model: CellModel,
    amounts: dict[str, float],
    cell: str,
    seed: int,
    names: tuple[str, ...] = ("1C", "2C"),
) -> MeasuredSet:
    values = {LEAD_RESISTANCE: 0.0, **shared.values}
    for item in CELL_TO_CELL:
        values |= item.moved(values, amounts.get(item.name, 0.0)) if item.name in amounts else {}
    random = np.random.default_rng(seed)
    curves = []
    for name in names:
        rate = float(name.removesuffix("C"))
        time = np.arange(0.0, 3000.0 / rate, 20.0 / rate)
        empty = np.zeros(time.size)
        curve = MeasuredCurve(
            name=name,
            time=time,
            current=np.where(time > 0.0, 5.0 * rate, 0.0),
            voltage=empty + 3.7,
            temperature=empty + 298.15,
            ambient_temperature=empty + 298.15,
            scored=np.ones(time.size, dtype=bool),
            temperature_noise=0.02,
            source=CurveSource(path=f"{cell}_{name}.csv", sha256=name, rows=time.size),
        )
        found = simulate_curve(model, curve, values)
        assert found.complete
        noise = random.standard_normal((2, time.size))
        curves.append(
            replace(curve, voltage=found.voltage + 1e-3 * noise[0], temperature=found.temperature + 0.02 * noise[1])
        )
    return MeasuredSet(cell=cell, curves=tuple(curves), nominal_capacity=5.0)


def test_a_known_difference_is_found_from_one_curve_and_predicts_the_other(shared, measure):
    sister = measure(TRUE, "sister", seed=1)

    refit = refit_cell(shared, sister, RefitOptions(curves=("1C",), prior=PRIOR))

    found = np.array([refit.amount(name) for name in NAMES])
    truth = np.array([TRUE[name] for name in NAMES])
    assert np.all(np.abs(found - truth) < 3.0 * refit.deviations)
    assert refit.amount("lead resistance") + refit.amount("resistance") == pytest.approx(4e-3, abs=1e-3)
    before, after = (next(f for f in figures if f.name == "2C") for figures in (refit.before, refit.figures))
    assert after.held_out
    assert after.voltage_mape < 0.25 * before.voltage_mape
    assert after.temperature_mape < before.temperature_mape
    assert refit.fitted == ("1C",)
    assert refit.at_bounds == ()


def test_the_shared_cell_itself_stays_where_it_is(shared, measure):
    own = measure({}, "same", seed=2, names=("1C",))

    refit = refit_cell(shared, own, RefitOptions(prior=PRIOR))

    assert np.all(np.abs(refit.amounts) < 2.5 * refit.deviations)
    assert refit.surprising == ()


def test_an_error_that_the_model_has_on_the_shared_cell_is_not_taken_for_a_difference(shared, measure):
    def bent(measured: MeasuredSet) -> MeasuredSet:
        curves = [
            replace(curve, voltage=curve.voltage + 0.02 * np.sin(6.0 * curve.time / curve.time[-1]))
            for curve in measured.curves
        ]
        return replace(measured, curves=tuple(curves))

    own = bent(measure({}, "own", seed=3, names=("1C",)))
    sister = bent(measure(TRUE, "sister", seed=4, names=("1C",)))
    options = RefitOptions(prior=PRIOR)
    truth = np.array([TRUE[name] for name in NAMES])

    blind = refit_cell(shared, sister, options)
    aware = refit_cell(replace(shared, curves=own.curves), sister, options)

    distance = [float(np.sum(((refit.amounts - truth) / PRIOR.widths) ** 2)) for refit in (blind, aware)]
    assert distance[1] < 0.3 * distance[0]


def test_without_temperatures_nothing_thermal_is_fitted_and_the_prior_speaks_for_what_is_not_seen(shared, measure):
    sister = measure(TRUE, "sister", seed=5, names=("1C",))
    bare = replace(sister, curves=tuple(replace(curve, temperature=None) for curve in sister.curves))

    refit = refit_cell(shared, bare, RefitOptions(prior=None, budget=60))

    assert not {"heat transfer", "lead resistance", "surroundings"} & set(refit.prior.names)
    assert "resistance" in refit.undetermined  # one rate alone does not tell it from kinetics


def test_cells_far_from_the_shared_one_are_named_surprising(shared, measure):
    far = measure({"capacity": 0.10}, "far", seed=6, names=("1C",))

    refit = refit_cell(shared, far, RefitOptions(prior=PRIOR))

    assert "capacity" in refit.surprising


def test_refits_of_several_cells_give_the_spread_of_capacity(shared, measure):
    amounts = (-0.02, 0.0, 0.02)
    prior = cell_prior(("capacity",), capacity=5.0)
    cells = [measure({"capacity": at}, f"C{n}", seed=10 + n, names=("1C",)) for n, at in enumerate(amounts)]

    evidence = [refit_cell(shared, cell, RefitOptions(prior=prior, score=())).evidence for cell in cells]
    population = fit_population(evidence, widths=prior.widths, trust=0.0)

    mean, deviation, doubt = population.marginal("capacity")
    assert mean == pytest.approx(0.0, abs=0.004)
    assert deviation == pytest.approx(np.std(amounts, ddof=1), abs=2.0 * doubt)
    np.testing.assert_allclose(population.estimates[:, 0], amounts, atol=0.004)


def test_nothing_to_fit_and_unknown_coordinates_are_refused(shared):
    with pytest.raises(ModelError, match="cell empty has no discharge"):
        refit_cell(shared, MeasuredSet(cell="empty", curves=()))
    with pytest.raises(ModelError, match="do not differ in colour"):
        cell_prior(("colour",))
    with pytest.raises(ModelError, match="not positive definite"):
        CellPrior(coordinates=PRIOR.coordinates[:1], mean=np.zeros(1), covariance=np.zeros((1, 1)))


@pytest.mark.nightly
@pytest.mark.measured
def test_s002_refitted_from_1c_alone_predicts_its_faster_discharges_better_than_s001_does(measured_data):
    description = CellDescription(
        name="Samsung 30Q", chemistry="NCA-graphite-SiOx", format="18650", capacity=3.0, mass=0.046
    )
    folder = measured_data("samsung_30q")
    options = CalibrationOptions(curves=("1C", "2C", "3C"), seconds=600.0)
    result = calibrate(description, read_measured_set(folder, cell="S001"), options)

    refit = refit_cell(result, read_measured_set(folder, cell="S002"), RefitOptions(curves=("1C",), score=("2C", "3C")))

    assert all(figure.held_out for figure in refit.figures)
    for before, after in zip(refit.before, refit.figures, strict=True):
        assert after.voltage_mape < 0.75 * before.voltage_mape
