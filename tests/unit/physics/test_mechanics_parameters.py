"""Mechanics models from parameter sets and packs, published curves, gauges, and the measured thickness of a pouch."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import ModelError, ShapeError, load_pack
from celltwin.physics.engine.mechanics import evaluate_mechanics
from celltwin.physics.engine.mechanics_curves import VOLUME_CURVES, find_volume_curve
from celltwin.physics.engine.mechanics_gauge import calibrate_gauge, read_gauge
from celltwin.physics.engine.mechanics_model import CanForm, LayerForm
from celltwin.physics.engine.mechanics_parameters import build_mechanics_model, pack_mechanics
from celltwin.physics.engine.property_fit import evaluate_cubic_table


def test_published_curves_have_the_published_totals():
    totals = {"graphite": 0.130635, "LCO": -0.03636, "LFP": 0.068}
    for name, total in totals.items():
        ends = find_volume_curve(name).sample(np.array([0.0, 1.0]))
        assert ends[1] - ends[0] == pytest.approx(total)
    charged = find_volume_curve("layered oxide").sample(np.array([0.2, 0.4]))
    np.testing.assert_allclose(charged, [-0.051, -0.012])  # NCM811 and NCM111 at 4.3 V


@pytest.mark.parametrize("name", sorted(VOLUME_CURVES))
def test_published_curves_rise_or_fall_throughout(name):
    change = np.diff(find_volume_curve(name).sample(np.linspace(0.0, 1.0, 1001)))

    assert (change >= 0.0).all() or (change <= 0.0).all()


def test_a_set_keeps_its_own_volume_change():
    import pybamm

    values = pybamm.ParameterValues("Ai2020")
    model = build_mechanics_model(values, reference_stoichiometry=(0.5, 0.5))
    place = np.linspace(0.01, 0.99, 57)
    symbol = values.process_symbol(values["Negative electrode volume change"](pybamm.Vector(place)))

    np.testing.assert_allclose(
        evaluate_cubic_table(model.volume_change[:, :4], place), symbol.evaluate().reshape(-1), atol=1e-6
    )
    assert model.provenance["positive volume change"] == "'Positive electrode volume change' of the set"


def test_a_partial_molar_volume_that_no_crystal_survives_gives_way_to_lattice_data():
    model = build_mechanics_model("OKane2022")  # its positive electrode would change by 79 %

    change = evaluate_cubic_table(model.volume_change[:, 4:], np.array([0.2, 1.0]))
    assert np.diff(change)[0] == pytest.approx(0.051, abs=1e-4)
    assert "79 %" in model.provenance["positive volume change"]


def test_a_set_without_any_curve_must_be_told_one():
    import pybamm

    values = pybamm.ParameterValues("Chen2020")
    with pytest.raises(ModelError, match="no volume change is known for the negative electrode"):
        build_mechanics_model(values)
    model = build_mechanics_model(values, curves=("graphite", "layered oxide"))
    assert model.provenance["negative volume change"].startswith("graphite: P. Mohtat")
    with pytest.raises(ModelError, match=r"no volume curve of 'granite'.*graphite"):
        build_mechanics_model(values, curves=("granite", None))


def test_an_expansion_stated_for_another_cell_is_not_taken():
    # 1.1 um/K belongs to 6.2 mm of layers; LG M50 sets repeat it for a single pair of electrodes.
    one, many = build_mechanics_model("Chen2020"), build_mechanics_model("Ai2020")

    assert one.thermal_expansion / one.form.thickness == pytest.approx(many.thermal_expansion / many.form.thickness)


def test_the_cells_of_a_pack_get_the_form_that_the_pack_declares(repo_root):
    reference = pack_mechanics(load_pack(repo_root / "data/packs/reference.toml"))
    assert isinstance(reference.form, CanForm)
    assert reference.form.radius == pytest.approx(9.175e-3 - 0.125e-3)
    assert reference.stacks is None

    leaf = pack_mechanics(load_pack(repo_root / "data/packs/leaf_3_modules.toml"))
    assert isinstance(leaf.form, LayerForm)
    assert leaf.form.thickness == pytest.approx(7.1e-3)
    assert leaf.stacks is not None
    np.testing.assert_array_equal(leaf.stacks.stack, np.repeat(np.arange(3), 4))


def test_hashes_tell_models_apart():
    base = build_mechanics_model("Ai2020", reference_stoichiometry=(0.5, 0.7))
    same = build_mechanics_model("Ai2020", reference_stoichiometry=(0.5, 0.7))
    other = build_mechanics_model("Ai2020", reference_stoichiometry=(0.5, 0.7), curves=("graphite", None))

    assert base.hash == same.hash
    assert base.hash != other.hash
    assert len(base.hash) == 12


def test_a_gauge_shows_again_what_it_was_calibrated_with():
    place = np.linspace(0.9, 0.1, 4000)
    strain = 1e-4 * np.sin(6.0 * place)
    gauge = calibrate_gauge(place, strain, np.full(4000, 298.15))

    np.testing.assert_allclose(read_gauge(gauge, place, np.full(4000, 298.15)), strain, atol=4e-6)


def test_an_uncompensated_gauge_adds_the_expansion_of_the_can():
    place = np.linspace(0.9, 0.1, 400)
    gauge = calibrate_gauge(place, np.zeros(400), np.full(400, 298.15), expansion=1.2e-5)

    np.testing.assert_allclose(read_gauge(gauge, place, np.full(400, 308.15)), 1.2e-4)


def test_calibration_refuses_samples_with_holes():
    with pytest.raises(ModelError, match="steps of stoichiometry have no sample"):
        calibrate_gauge(np.array([0.1, 0.2, 0.9]), np.zeros(3), np.zeros(3), nodes=10)
    with pytest.raises(ShapeError, match="do not fit"):
        calibrate_gauge(np.zeros(3), np.zeros(4), np.zeros(3))


@pytest.mark.measured
@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0, 2.0])
def test_thickness_of_the_enertech_pouch_is_met_without_any_fit(measured_data, rate):
    recording = np.loadtxt(measured_data("enertech") / f"Enertech_cells/{rate:g}C_discharge_displacement.txt")
    time, thickness = recording[:, 0], recording[:, 1]
    drawn = 2.28 * rate * time / 3600.0  # [A.h]
    held = [96485.33212 * 0.051 * 0.047 * 34 * layer / 3600.0 for layer in (76.5e-6 * 0.61, 68e-6 * 0.62)]
    negative = 0.84 - drawn / (held[0] * 28700.0)
    positive = 0.435 + drawn / (held[1] * 49943.0)
    model = build_mechanics_model("Ai2020", reference_stoichiometry=(negative[0], positive[0]))

    result = evaluate_mechanics(
        model, negative[:, np.newaxis], positive[:, np.newaxis], np.full((time.size, 1), 298.15)
    )

    error = result.thickness_change[:, 0] - (thickness - thickness[0])
    assert np.sqrt(np.mean(error**2)) < 12e-6  # of 160 um
