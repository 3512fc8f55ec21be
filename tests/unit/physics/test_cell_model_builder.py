"""Cell models from PyBaMM sets, our files and BPX: against PyBaMM's functions and its SPMe; refusals; the cache."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.physics import load_cell_parameters, open_circuit_voltage
from celltwin.physics.engine import build_cell_model
from celltwin.physics.engine.equivalent_circuit import open_circuit
from celltwin.physics.engine.property_fit import (
    PropertyScale,
    evaluate_cubic_table,
    evaluate_property,
    evaluate_temperature_factor,
)

SETS = ("Chen2020", "Marquis2019", "ORegan2022")
BPX = Path(__file__).with_name("bpx_cell.json")


@pytest.fixture(scope="module", params=SETS)
def pair(request):
    """Return a model and PyBaMM's own evaluation of the same set."""
    import pybamm

    from celltwin.physics.engine.pybamm_properties import read_properties

    return build_cell_model(request.param), read_properties(pybamm.ParameterValues(request.param), request.param)


def scale_of(model):
    return PropertyScale(concentration=model.electrolyte_concentration, temperature=model.reference_temperature)


def test_potentials_follow_pybamm_at_other_temperatures(pair):
    model, properties = pair
    for electrode, published in ((model.negative, properties.negative), (model.positive, properties.positive)):
        low, high = sorted((electrode.stoichiometry_empty, electrode.stoichiometry_full))
        place = np.linspace(max(low, 2e-3), min(high, 1.0 - 2e-3), 333)
        warm = evaluate_cubic_table(electrode.potential[:, :4], place) + 20.0 * evaluate_cubic_table(
            electrode.potential[:, 4:], place
        )
        np.testing.assert_allclose(warm, published.potential(place, model.reference_temperature + 20.0), atol=2e-5)


def test_exchange_currents_and_diffusivities_follow_pybamm(pair):
    model, properties = pair
    scale = scale_of(model)
    for electrode, published in ((model.negative, properties.negative), (model.positive, properties.positive)):
        place = np.linspace(0.05, 0.95, 91)
        for salt, temperature in ((500.0, 283.15), (2000.0, 318.15)):
            exchange = (
                evaluate_cubic_table(electrode.exchange_current, place)
                * np.sqrt(place * (1.0 - place))
                * (salt / model.electrolyte_concentration) ** electrode.exchange_current_exponent
                * evaluate_temperature_factor(electrode.exchange_current_temperature, scale, temperature)
            )
            np.testing.assert_allclose(exchange, published.exchange_current(salt, place, temperature), rtol=1e-3)
            diffusivity = evaluate_cubic_table(electrode.diffusivity, place) * evaluate_temperature_factor(
                electrode.diffusivity_temperature, scale, temperature
            )
            np.testing.assert_allclose(diffusivity, published.diffusivity(place, temperature), rtol=1e-3)


def test_electrolyte_follows_pybamm_near_its_mean_concentration(pair):
    model, properties = pair
    salt, temperature = np.meshgrid(
        model.electrolyte_concentration * np.linspace(0.85, 1.15, 7), np.linspace(273.15, 333.15, 7)
    )
    scale = scale_of(model)
    for name, symbol, relative in (
        ("electrolyte_diffusivity", "D_e", 0.04),
        ("electrolyte_conductivity", "kappa_e", 0.006),
    ):
        fitted = np.exp(evaluate_property(getattr(model, name), scale, salt, temperature))
        np.testing.assert_allclose(fitted, properties.electrolyte(symbol, salt, temperature), rtol=relative)
    for name, symbol in (("transference", "t_plus"), ("concentration_factor", "chi")):
        fitted = evaluate_property(getattr(model, name), scale, salt, temperature)
        published = properties.electrolyte(symbol, salt, temperature)
        np.testing.assert_allclose(fitted, published, atol=0.01 * np.abs(published).max())


def test_transference_follows_pybamm_through_starved_and_crowded_electrolyte(pair):
    model, properties = pair
    salt, temperature = np.meshgrid(np.linspace(300.0, 2500.0, 23), np.linspace(273.15, 333.15, 7))
    fitted = evaluate_property(model.transference, scale_of(model), salt, temperature)

    np.testing.assert_allclose(fitted, properties.electrolyte("t_plus", salt, temperature), atol=0.006)


def test_open_circuit_voltage_meets_the_limits_of_the_set(pair):
    model, properties = pair
    ends = open_circuit(model, np.array([0.0, 1.0]))
    limits = [properties.number(f"Open-circuit voltage at {soc}% SOC [V]") for soc in (0, 100)]

    np.testing.assert_allclose(ends, limits, atol=0.03)  # the upper end of ORegan2022 lies on PyBaMM's asymptote
    assert model.provenance["fits"]["negative potential [V]"]["worst"] < 0.03


def test_capacity_is_the_same_for_both_electrodes(pair):
    model, _ = pair
    charges = [
        electrode.thickness
        * electrode.active_fraction
        * electrode.maximum_concentration
        * abs(electrode.stoichiometry_full - electrode.stoichiometry_empty)
        * model.electrode_area
        * 96485.33212
        / 3600.0
        for electrode in (model.negative, model.positive)
    ]

    np.testing.assert_allclose(charges, model.capacity, rtol=1e-4)


def test_heat_capacity_follows_its_temperature():
    model = build_cell_model("ORegan2022")
    import pybamm

    from celltwin.physics.engine.pybamm_properties import read_properties

    temperature = np.array([278.15, 298.15, 328.15])
    rise = temperature - model.reference_temperature
    a, b, c = model.thermal.heat_capacity_temperature
    fitted = model.thermal.heat_capacity * (1.0 + a * rise + b * rise**2 + c * rise**3)

    published = read_properties(pybamm.ParameterValues("ORegan2022"), "ORegan2022").heat_capacity(temperature)
    np.testing.assert_allclose(fitted, published, rtol=1e-9)


def test_our_own_files_keep_what_they_say_of_the_cell():
    cell, model = load_cell_parameters("xjtu_18650"), build_cell_model("xjtu_18650")

    assert model.capacity == pytest.approx(cell.capacity, rel=1e-6)
    assert model.contact_resistance == cell.resistance
    assert model.thermal.heat_capacity == cell.heat_capacity
    assert model.thermal.heat_transfer == pytest.approx(cell.heat_transfer * cell.surface)
    soc = np.linspace(0.01, 1.0, 100)
    np.testing.assert_allclose(open_circuit(model, soc), open_circuit_voltage(cell, soc), atol=5e-4)


def test_equations_of_the_model_solved_by_scipy_give_pybamms_voltage():
    from tools.bench.physics_cases import Case, PybammCell, Trace, compare
    from tools.bench.spme_reference import simulate_cell

    model = build_cell_model("Marquis2019")
    case = Case("Marquis2019", 1.0, 298.15)
    reference = PybammCell("Marquis2019", fine=True).run(case, model.capacity)

    mine = simulate_cell(model, model.capacity, np.linspace(0.0, 3600.0, 181), temperature=298.15, initial_soc=1.0)

    _, voltage, temperature = compare(Trace(mine.time[1:], mine.voltage[1:], mine.temperature[1:]), reference)
    assert np.sqrt(np.mean(voltage**2)) < 0.5e-3
    assert np.abs(temperature).max() < 0.01


def test_sets_that_the_engine_cannot_take_are_refused_by_name():
    with pytest.raises(ModelError, match="several materials"):
        build_cell_model("Chen2020_composite")
    with pytest.raises(ModelError, match="Negative particle diffusivity"):
        build_cell_model("Xu2019")  # a half-cell
    with pytest.raises(ModelError, match="neither a file in data/parameters nor a PyBaMM parameter set"):
        build_cell_model("Chen2200")
    with pytest.raises(ModelError, match="int is no source"):
        build_cell_model(7)


def test_parameters_that_are_not_physical_are_refused_by_name():
    import pybamm

    values = pybamm.ParameterValues("Marquis2019")
    for name, value, message in (
        ("Negative particle radius [m]", -1e-5, "particle_radius = -1e-05"),
        ("Separator porosity", lambda x: 0.5 + x, "'Separator porosity' is a function"),
        ("Negative particle diffusivity [m2.s-1]", -1e-14, "negative particle diffusivity is -1e-14"),
        ("Negative electrode exchange-current density [A.m-2]", _crooked, "not a power of the electrolyte"),
    ):
        wrong = values.copy()
        wrong.update({name: value})
        with pytest.raises(ModelError, match=message):
            build_cell_model(wrong)


def _crooked(salt, surface, full, temperature):
    del temperature
    return (1.0 + (salt / 1000.0) ** 3) * surface**0.5 * (full - surface) ** 0.5 / full


def test_a_set_in_memory_is_taken_as_it_is():
    import pybamm

    values = pybamm.ParameterValues("Marquis2019")
    values.update({"Contact resistance [Ohm]": 0.01})

    model = build_cell_model(values, name="mine")

    assert model.name == "mine"
    assert model.contact_resistance == 0.01
    assert model.hash != build_cell_model("Marquis2019").hash


def test_bpx_file_gives_a_cell():
    model = build_cell_model(BPX)

    assert model.name == "bpx_cell"
    assert model.electrode_area == pytest.approx(0.1)  # two pairs in parallel
    assert model.negative.active_fraction == pytest.approx(420000.0 * 5e-6 / 3.0)
    assert model.negative.transport_efficiency == pytest.approx(0.125)
    assert model.negative.conductivity == pytest.approx(200.0)
    assert model.thermal.heat_capacity == pytest.approx(2000.0 * 1000.0 * 2.42e-5)
    assert model.thermal.heat_transfer == pytest.approx(0.053)
    assert (model.lowest_voltage, model.highest_voltage) == (3.0, 4.2)
    np.testing.assert_allclose(open_circuit(model, np.array([0.0, 1.0])), [3.0, 4.2], atol=1e-3)
    assert "BPX file bpx_cell.json" in model.provenance["source"]


def test_bpx_files_that_break_the_standard_are_refused(tmp_path):
    content = json.loads(BPX.read_text())
    del content["Parameterisation"]["Negative electrode"]["Particle radius [m]"]
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="does not follow the standard"):
        build_cell_model(broken)
    content["Header"]["Model"] = "SPM"
    broken.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="lacks what an electrolyte needs"):
        build_cell_model(broken)
    with pytest.raises(ModelError, match="cannot be read"):
        build_cell_model(tmp_path / "absent.json")


def test_second_start_reads_the_cache_without_pybamm(compiled_equations):
    first = build_cell_model("xjtu_18650")
    code = (
        "import sys, time; from celltwin.physics.engine import build_cell_model; t = time.perf_counter();"
        "m = build_cell_model('xjtu_18650'); print(m.hash, time.perf_counter() - t, 'pybamm' in sys.modules)"
    )

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert told[0] == first.hash
    assert float(told[1]) < 0.5
    assert told[2] == "False"


def test_cache_gives_back_every_number_and_heals(compiled_equations, tmp_path, monkeypatch):
    monkeypatch.setenv("CELLTWIN_CACHE", str(tmp_path))
    built = build_cell_model("Marquis2019")
    begun = time.perf_counter()
    again = build_cell_model("Marquis2019")

    assert time.perf_counter() - begun < 0.5
    assert again.hash == built.hash
    assert again.provenance == built.provenance
    assert vars(again.thermal) == vars(built.thermal)
    np.testing.assert_array_equal(again.negative.potential, built.negative.potential)
    (stored,) = (tmp_path / "cells").iterdir()
    stored.write_bytes(stored.read_bytes()[:1000])
    assert build_cell_model("Marquis2019").hash == built.hash
