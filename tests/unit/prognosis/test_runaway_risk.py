"""The risk of thermal runaway of a small pack: what raises it, what does not, and what it says."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Kind, Level, ModelError, PackState, Quality, Reading, load_pack
from celltwin.prognosis.runaway_risk import HORIZONS, RunawayRiskPredictor, parse_priors
from celltwin.prognosis.runaway_risk.risk_folder import default_risk_folder
from celltwin.prognosis.runaway_risk.risk_priors import SECONDS_PER_YEAR

WITHIN_HALF_AN_HOUR = HORIZONS.index(1800.0)
MIDDLE = 17
VOLTAGE = 3.95


@pytest.fixture(scope="module")
def spec(repo_root):
    """Return one module of the reference pack with 5 groups of 7 cells."""
    pack = load_pack(repo_root / "data/packs/reference.toml")
    layout = replace(pack.layout, rows=5)
    return replace(pack, series=5, parallel=7, layout=layout, modules=pack.modules[:1], sensors=(), mappings=())


def image(spec, time, temperature, *, leak=0.0, quality=Quality.GOOD, flow=0.05, doubt=0.1, soc=0.8):
    """Return a process image of a resting pack; ``leak`` flows in every cell of the middle group [A]."""
    current = np.zeros(spec.n_cells)
    group = MIDDLE // spec.parallel
    current[group * spec.parallel : (group + 1) * spec.parallel] = leak / spec.parallel

    def measured(quantity, level, values, uncertainty, grade=Quality.GOOD):
        return Reading.at(
            Kind.MEASURED, quantity, level, values, time, quality=grade, standard_uncertainty=uncertainty,
            provenance="test",
        )  # fmt: skip

    return PackState(time=time, step=int(time)).updated(
        measured("temperature", Level.CELL, temperature, doubt, quality),
        measured("current", Level.CELL, current, 5e-3),
        measured("current", Level.PACK, np.zeros(1), 0.1),
        measured("voltage", Level.GROUP, np.full(spec.n_groups, VOLTAGE), 1e-3),
        measured("coolant_flow", Level.MODULE, np.full(1, flow), 1e-3),
        measured("coolant_temperature", Level.MODULE, np.full(1, 298.15), 0.2),
        Reading.at(Kind.ESTIMATED, "soc", Level.CELL, np.full(spec.n_cells, soc), time, provenance="test"),
    )


def watch(spec, course, **options):
    """Show a course of temperatures, one entry every 10 s, and return the predictor and its assessment."""
    predictor = RunawayRiskPredictor(spec, priors=options.pop("priors", None))
    predictor.load()
    for step, temperature in enumerate(course):
        predictor.observe(image(spec, 10.0 * step, temperature, **options))
    return predictor, predictor.assess()


def without_fires(**changes):
    """Return the shipped priors, but for heat from outside, which all cells share."""
    return replace(parse_priors(default_risk_folder() / "priors.toml"), outside_rate=1e-15, **changes)


def quiet(spec, celsius=25.0, steps=8):
    return [np.full(spec.n_cells, 273.15 + celsius)] * steps


def with_middle(spec, celsius, others=25.0, steps=8):
    """Return a course in which one cell is at another temperature from the start."""
    temperature = np.full(spec.n_cells, 273.15 + others)
    temperature[MIDDLE] = 273.15 + celsius
    return [temperature] * steps


def shorted(spec, conductance, steps=12):
    """Return the course of a cell that a short has begun to heat, by its heat balance."""
    capacity = spec.cell.mass * spec.cell.heat_capacity
    course, temperature = [], np.full(spec.n_cells, 298.15)
    for _ in range(steps):
        course.append(temperature.copy())
        loss = 0.45 * (temperature[MIDDLE] - 298.15)  # [W]
        temperature[MIDDLE] += 10.0 / capacity * (VOLTAGE**2 * conductance - loss)
    return course


def test_a_quiet_cell_has_a_tiny_risk_that_is_not_zero(spec):
    _, assessment = watch(spec, quiet(spec))

    risk = assessment.risk.probability[:, WITHIN_HALF_AN_HOUR]
    assert (risk > 1e-14).all()
    assert (risk < 1e-6).all()
    assert (assessment.quality == Quality.GOOD).all()


def test_risk_rises_with_the_horizon(spec):
    for course in (quiet(spec), with_middle(spec, 120.0), shorted(spec, 2.0)):
        _, assessment = watch(spec, course)

        assert (np.diff(assessment.risk.probability, axis=1) >= 0.0).all()


def test_risk_rises_with_the_temperature_of_a_cell(spec):
    risks = []
    for celsius in (25.0, 60.0, 100.0, 130.0, 160.0, 200.0):
        _, assessment = watch(spec, with_middle(spec, celsius))
        risks.append(assessment.risk.probability[MIDDLE, WITHIN_HALF_AN_HOUR])

    assert (np.diff(risks) >= -1e-12).all()
    assert risks[-1] > 1e3 * risks[0]


def test_a_cell_past_its_onset_is_nearly_certain(spec):
    _, assessment = watch(spec, with_middle(spec, 205.0, others=60.0))

    assert assessment.risk.probability[MIDDLE, 0] > 0.95


def test_a_cell_whose_vent_has_opened_has_run_away(spec):
    predictor, assessment = watch(spec, with_middle(spec, 240.0))

    assert assessment.risk.probability[MIDDLE, 0] == 1.0
    assert "has run away" in predictor.explain(assessment, MIDDLE)


def test_risk_rises_with_the_conductance_of_a_short(spec):
    risks = []
    for conductance in (0.0, 0.1, 0.5, 2.0, 5.0):
        _, assessment = watch(spec, shorted(spec, conductance), leak=VOLTAGE * conductance)
        risks.append(assessment.risk.probability[MIDDLE, WITHIN_HALF_AN_HOUR])

    assert (np.diff(risks) > 0.0).all()
    assert risks[-1] > 0.5


def test_heat_that_nothing_explains_is_named_with_its_power_and_leak(spec):
    predictor, assessment = watch(spec, shorted(spec, 1.0), leak=VOLTAGE)

    reason = predictor.explain(assessment, MIDDLE)
    assert assessment.risk.short_probability[MIDDLE] > 0.5
    assert "internal short" in reason
    assert "W unexplained heat" in reason
    assert "A leak in its group" in reason
    heat = assessment.evidence.unexplained[MIDDLE]
    assert heat == pytest.approx(VOLTAGE**2, rel=0.2)


def test_heat_without_a_leak_is_doubted(spec):
    _, with_leak = watch(spec, shorted(spec, 1.0), leak=VOLTAGE)
    _, without = watch(spec, shorted(spec, 1.0), leak=0.0)

    assert without.risk.short_probability[MIDDLE] < with_leak.risk.short_probability[MIDDLE]


def test_a_hot_neighbour_raises_the_risk_and_is_named(spec):
    _, calm = watch(spec, with_middle(spec, 110.0))
    predictor, assessment = watch(spec, with_middle(spec, 190.0), flow=0.0)
    neighbours = predictor._loaded[1][0].neighbours[:, MIDDLE]
    beside = int(neighbours[neighbours != MIDDLE][0])

    assert assessment.risk.probability[beside, -1] > calm.risk.probability[beside, -1]
    reason = predictor.explain(assessment, beside)
    assert spec.element_ids(Level.CELL)[MIDDLE] in reason
    assert "through" in reason
    assert "cooling at 5 %" in reason


def test_the_risk_of_a_module_is_that_any_of_its_cells_goes(spec):
    predictor = RunawayRiskPredictor(spec, priors=without_fires())
    predictor.load()
    for step, temperature in enumerate(quiet(spec)):
        predictor.observe(image(spec, 10.0 * step, temperature))

    cells, groups, modules, pack = predictor.predict(image(spec, 80.0, temperature))

    assert [reading.level for reading in (cells, groups, modules, pack)] == [
        Level.CELL, Level.GROUP, Level.MODULE, Level.PACK,
    ]  # fmt: skip
    assert modules.values[0] == pytest.approx(cells.values.sum(), rel=1e-3)
    assert pack.values[0] == pytest.approx(modules.values[0], rel=1e-6)
    for reading in (cells, groups, modules, pack):
        assert reading.kind is Kind.PREDICTED
        assert reading.quantity == "runaway_risk"
        assert (reading.standard_uncertainty > 0.0).all()
        assert "30 min" in reading.reason
        assert "priors" in reading.provenance


def test_the_interval_holds_the_range_of_the_priors(spec):
    _, assessment = watch(spec, quiet(spec))

    low, high = assessment.interval()
    value = assessment.risk.probability[:, WITHIN_HALF_AN_HOUR]
    assert (low <= value).all()
    assert (high >= value).all()
    assert (high > 5.0 * low).all()


def test_edited_priors_move_the_risk_of_quiet_cells(spec):
    _, usual = watch(spec, quiet(spec), priors=without_fires())
    frequent = without_fires(short_rate=1e-4, short_rate_high=1e-3, short_rate_low=1e-5)
    _, worse = watch(spec, quiet(spec), priors=frequent)

    np.testing.assert_allclose(worse.risk.probability, 100.0 * usual.risk.probability, rtol=1e-6)


def test_a_fire_outside_is_a_risk_that_all_cells_share_and_that_counts_once(spec):
    fires = replace(without_fires(), outside_rate=10.0, outside_delay=600.0, outside_burns=0.5)
    predictor = RunawayRiskPredictor(spec, priors=fires)
    predictor.load()
    for step, temperature in enumerate(quiet(spec)):
        predictor.observe(image(spec, 10.0 * step, temperature))

    cells, _, _, pack = predictor.predict(image(spec, 80.0, temperature))

    expected = 0.5 * (1800.0 - 600.0) * 10.0 / SECONDS_PER_YEAR
    np.testing.assert_allclose(cells.values, expected, rtol=1e-3)
    assert pack.values[0] == pytest.approx(expected, rel=1e-3)


def test_unknown_temperatures_give_no_number_but_leave_the_others(spec):
    temperature = np.full(spec.n_cells, 298.15)
    temperature[3] = np.nan
    predictor, assessment = watch(spec, [temperature] * 8)

    assert np.isnan(assessment.risk.probability[3]).all()
    assert assessment.quality[3] == Quality.BAD
    assert np.isfinite(np.delete(assessment.risk.probability, 3, axis=0)).all()
    cells = predictor.predict(image(spec, 80.0, temperature))[0]
    assert np.isnan(cells.values[3])
    assert "1 cells without a temperature" in cells.reason


def test_stale_temperatures_give_a_stale_risk(spec):
    _, assessment = watch(spec, quiet(spec), quality=Quality.STALE, doubt=3.0)

    assert (assessment.quality == Quality.STALE).all()


def test_a_risk_that_is_not_renewed_becomes_stale(spec):
    predictor, _ = watch(spec, quiet(spec))

    cells = predictor.predict(PackState(time=600.0, step=600))[0]

    assert (cells.quality >= Quality.STALE).all()


def test_before_any_temperature_there_is_no_number_but_a_reason(spec):
    predictor = RunawayRiskPredictor(spec)

    assert "being loaded" in predictor.predict(PackState(time=0.0, step=0))[0].reason
    predictor.load()
    readings = predictor.predict(PackState(time=0.0, step=0))
    for reading in readings:
        assert np.isnan(reading.values).all()
        assert (reading.quality == Quality.BAD).all()
        assert "no temperature" in reading.reason


def test_other_chemistries_are_refused_with_the_reason(spec):
    other = replace(spec, cell=replace(spec.cell, chemistry="LFP"))
    predictor = RunawayRiskPredictor(other)
    predictor.load()

    cells = predictor.predict(PackState(time=0.0, step=0))[0]

    assert np.isnan(cells.values).all()
    assert "NMC523" in cells.reason


def test_an_unknown_horizon_is_refused(spec):
    with pytest.raises(ModelError, match="600, 1800, 7200"):
        RunawayRiskPredictor(spec, horizon=60.0)


def test_a_damaged_network_is_refused(spec, tmp_path):
    folder = tmp_path / "risk_9"
    shutil.copytree(default_risk_folder(), folder)
    (folder / "risk.onnx").write_bytes(b"nothing")

    with pytest.raises(ModelError, match=r"risk\.onnx is not what"):
        RunawayRiskPredictor(spec, folder).load()


def test_impossible_priors_are_refused(spec, tmp_path):
    folder = tmp_path / "risk_9"
    shutil.copytree(default_risk_folder(), folder)
    text = (folder / "priors.toml").read_text(encoding="utf-8")
    (folder / "priors.toml").write_text(text.replace("growing = 0.5", "growing = 1.5"), encoding="utf-8")

    with pytest.raises(ModelError, match="growing"):
        RunawayRiskPredictor(spec, folder).load()


def test_serving_imports_no_heavy_library(spec):
    code = (
        "import sys\n"
        "from celltwin.prognosis.runaway_risk import RunawayRiskPredictor\n"
        "from celltwin.core import load_pack\n"
        f"p = RunawayRiskPredictor(load_pack({str(default_risk_folder().parents[1] / 'packs/reference.toml')!r}))\n"
        "p.load()\n"
        "print([n for n in ('torch', 'physicsnemo', 'warp', 'pybamm', 'scipy') if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
