"""Parameter files: what they hold, that it is PyBaMM's, and what is said of a wrong one."""

import json

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.physics import (
    Override,
    load_cell_parameters,
    open_circuit_voltage,
    open_circuit_voltage_slope,
    rebuild_cell_parameters,
)

NAMES = ("xjtu_18650", "leaf_pouch")
OF_OVERRIDES = ("leaf_pouch",)  # the others are calibrated, not built


@pytest.mark.parametrize("name", NAMES)
def test_open_circuit_voltage_rises_from_its_lowest_to_its_highest(name):
    parameters = load_cell_parameters(name)
    soc = np.linspace(0.0, 1.0, 1001)

    voltage = open_circuit_voltage(parameters, soc)

    assert np.all(np.diff(voltage) > 0.0)
    assert voltage[0] == pytest.approx(parameters.lowest_voltage, abs=1e-4)
    assert voltage[-1] == pytest.approx(parameters.highest_voltage, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_slope_integrates_back_to_the_voltage(name):
    parameters = load_cell_parameters(name)
    soc = np.linspace(0.05, 1.0, 20001)

    rise = np.trapezoid(open_circuit_voltage_slope(parameters, soc), soc)

    ends = open_circuit_voltage(parameters, soc[[0, -1]])
    assert rise == pytest.approx(ends[1] - ends[0], abs=1e-3)


def test_voltage_stays_at_its_ends_outside_the_range_of_charge():
    parameters = load_cell_parameters("xjtu_18650")

    voltage = open_circuit_voltage(parameters, np.array([-0.1, 1.1]))

    np.testing.assert_allclose(voltage, [parameters.lowest_voltage, parameters.highest_voltage], atol=1e-4)


@pytest.mark.parametrize("name", OF_OVERRIDES)
def test_tables_of_a_file_are_what_pybamm_gives(name):
    stored = load_cell_parameters(name)

    rebuilt = rebuild_cell_parameters(stored)

    np.testing.assert_allclose(rebuilt.voltage, stored.voltage, atol=1e-4)
    np.testing.assert_allclose(rebuilt.entropic_coefficient, stored.entropic_coefficient, atol=1e-6)
    assert rebuilt.capacity == pytest.approx(stored.capacity, rel=1e-5)


def test_a_calibrated_set_is_not_built_anew():
    with pytest.raises(ModelError, match="xjtu_18650: the set is calibrated, not built"):
        rebuild_cell_parameters(load_cell_parameters("xjtu_18650"))


@pytest.mark.parametrize("name", OF_OVERRIDES)
def test_every_override_names_its_source_and_the_file_its_limits(name):
    parameters = load_cell_parameters(name)

    assert all(override.source for override in parameters.overrides)
    assert parameters.limits
    assert {"base_set", "citation", "licence", "measurements"} <= set(parameters.provenance)


def test_capacities_are_those_of_the_cells():
    assert load_cell_parameters("xjtu_18650").capacity == pytest.approx(1.89, abs=0.02)  # at C/2 1.883 A.h were drawn
    assert load_cell_parameters("leaf_pouch").capacity == pytest.approx(32.5, abs=0.1)


def test_a_published_set_is_found_by_its_bare_name():
    parameters = load_cell_parameters("Chen2020")

    assert parameters.capacity == pytest.approx(5.0, rel=0.05)
    assert np.all(np.diff(parameters.voltage) > 0.0)


def test_hash_follows_the_content(tmp_path):
    content = load_cell_parameters("xjtu_18650").content()
    content["cell"]["resistance"] *= 1.1
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(content))

    assert load_cell_parameters(str(changed)).hash != load_cell_parameters("xjtu_18650").hash


def test_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ModelError, match=r"'NoSuchSet' is neither a file .* xjtu_18650, leaf_pouch"):
        load_cell_parameters("NoSuchSet")


def test_damaged_file_is_named(tmp_path):
    damaged = tmp_path / "cell.json"
    damaged.write_text("{")
    with pytest.raises(ModelError, match=r"cell\.json: the parameter file cannot be read"):
        load_cell_parameters(str(damaged))


def test_file_without_a_table_is_named(tmp_path):
    content = load_cell_parameters("xjtu_18650").content()
    del content["open_circuit"]
    incomplete = tmp_path / "cell.json"
    incomplete.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"incomplete.*open_circuit"):
        load_cell_parameters(str(incomplete))


def test_falling_voltage_table_is_refused(tmp_path):
    content = load_cell_parameters("xjtu_18650").content()
    content["open_circuit"]["voltage"][10] = 4.0
    falling = tmp_path / "cell.json"
    falling.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"voltage .* does not increase"):
        load_cell_parameters(str(falling))


def test_override_must_say_one_thing():
    with pytest.raises(ModelError, match="one of value, factor"):
        Override(parameter="Electrode width [m]", value=1.0, factor=2.0, source="test")
