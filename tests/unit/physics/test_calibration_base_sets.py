"""Published sets scaled to a cell: their laws kept, their balance found from a discharge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.physics.calibration import BASE_SETS
from celltwin.physics.calibration.base_sets import choose_base_set
from celltwin.physics.calibration.base_sets_balance import electrode_potentials
from celltwin.physics.calibration.base_sets_laws import ShapeCorrections, published_values, with_laws
from celltwin.physics.calibration.cell_simulation import CellModel, CellSimulation, ModelOptions
from celltwin.physics.calibration.parameter_space_cell import cell_parameter_space, cell_shapes, shape_parameter_space
from celltwin.physics.measurements import CellDescription, CurveSource, MeasuredCurve

CELL = CellDescription(name="made up", chemistry="NMC-graphite-SiOx", format="21700", capacity=5.0)


def _values(name="Chen2020"):
    import pybamm

    values = pybamm.ParameterValues(name)
    for domain in ("Negative", "Positive"):
        values.update({f"{domain} electrode OCP entropic change [V.K-1]": 0.0}, check_already_exists=False)
    return values


@pytest.mark.parametrize("name", ["Chen2020", "Mohtat2020", "Ai2020", "Prada2013"])
def test_laws_with_the_published_numbers_are_the_published_laws(name):
    import pybamm

    published = _values(name)
    numbers = published_values(published)
    laws = with_laws(published, ShapeCorrections())
    inputs = {**numbers, "Charge missing at start [C]": 0.0}
    symbols = pybamm.LithiumIonParameters()
    at = pybamm.Scalar(298.15)
    salt = pybamm.Scalar(800.0)
    for domain in (symbols.n.prim, symbols.p.prim):
        surface = 0.3 * domain.c_max
        for symbol in (domain.D(surface, at), domain.j0(salt, surface, at), domain.U(pybamm.Scalar(0.3), at)):
            expected = np.ravel(published.process_symbol(symbol).evaluate())
            found = np.ravel(laws.process_symbol(symbol).evaluate(inputs=inputs))
            np.testing.assert_allclose(found, expected, rtol=1e-9)
    for symbol in (symbols.kappa_e(salt, at), symbols.D_e(salt, at)):
        expected = np.ravel(published.process_symbol(symbol).evaluate())
        np.testing.assert_allclose(np.ravel(laws.process_symbol(symbol).evaluate(inputs=inputs)), expected, rtol=1e-9)


def test_activation_energies_are_read_from_the_sets_functions():
    numbers = published_values(_values())

    assert numbers["Negative electrode reaction activation energy [J.mol-1]"] == pytest.approx(35000.0, rel=1e-3)
    assert numbers["Positive electrode reaction activation energy [J.mol-1]"] == pytest.approx(17800.0, rel=1e-3)


def test_every_chemistry_spans_the_capacity_that_was_described():
    for chemistry in BASE_SETS:
        cell = replace(CELL, chemistry=chemistry, lower_voltage=0.0, upper_voltage=0.0)
        base = choose_base_set(cell)
        x = base.numbers["Negative electrode initial stoichiometry"]
        y = base.numbers["Positive electrode initial stoichiometry"]
        negative, positive = electrode_potentials(base.values, np.array([x]), np.array([y]))

        assert float(positive[0] - negative[0]) == pytest.approx(cell.upper_voltage, abs=0.02), chemistry
        assert base.rest_slope > 0.0


def _discharge(base, *, drop: float) -> MeasuredCurve:
    """Return the set's own open-circuit curve, shifted by a constant, as if measured at C/2."""
    values, numbers = base.values, base.numbers
    share = np.linspace(0.0, 1.0, 401)
    area = numbers["Electrode width [m]"] * float(values["Electrode height [m]"])
    charge = 0.97 * 5.0 * 3600.0
    stoichiometry = {}
    for domain, sign in (("Negative", -1.0), ("Positive", 1.0)):
        lattice = 96485.33212 * float(values[f"Maximum concentration in {domain.lower()} electrode [mol.m-3]"])
        lattice *= area * float(values[f"{domain} electrode thickness [m]"])
        lattice *= numbers[f"{domain} electrode active material volume fraction"]
        start = numbers[f"{domain} electrode initial stoichiometry"]
        stoichiometry[domain] = start + sign * share * charge / lattice
    negative, positive = electrode_potentials(values, stoichiometry["Negative"], stoichiometry["Positive"])
    time = share * charge / 2.5
    return MeasuredCurve(
        name="0.5C",
        time=time,
        current=np.full(time.size, 2.5),
        voltage=positive - negative - drop,
        scored=np.ones(time.size, dtype=bool),
        rest_voltage=float(positive[0] - negative[0]),
        source=CurveSource(path="made up", sha256="0", rows=time.size),
    )


def test_balance_and_area_are_found_from_a_discharge():
    truth = choose_base_set(CELL)
    curve = _discharge(truth, drop=0.05)

    found = choose_base_set(CELL, base_set="Chen2020", curve=curve)

    assert found.balance_error < 2e-3
    for name in ("Negative electrode initial stoichiometry", "Positive electrode initial stoichiometry"):
        assert found.numbers[name] == pytest.approx(truth.numbers[name], abs=0.02)
    assert found.numbers["Electrode width [m]"] == pytest.approx(truth.numbers["Electrode width [m]"], rel=0.05)


def test_the_set_whose_open_circuit_curve_fits_is_chosen():
    truth = choose_base_set(CELL)

    found = choose_base_set(replace(CELL, chemistry="NMC-graphite"), curve=_discharge(truth, drop=0.03))

    assert found.name == "Chen2020" != BASE_SETS["NMC-graphite"][0]


def test_a_lower_voltage_at_rest_is_charge_that_is_missing():
    truth = choose_base_set(CELL)
    curve = _discharge(truth, drop=0.05)
    base = choose_base_set(CELL, base_set="Chen2020", curve=curve)

    lower = replace(curve, rest_voltage=curve.rest_voltage - 0.01)

    assert base.charge_missing(curve) == 0.0
    assert 0.0 < base.charge_missing(lower) < 0.03 * 5.0 * 3600.0


def test_corrections_are_smooth_and_vanish_with_their_coefficients():
    shapes = cell_shapes(choose_base_set(CELL))
    at = np.linspace(0.0, 1.0, 101)
    nothing = dict.fromkeys(shapes.input_names(), 0.0)
    something = dict.fromkeys(shapes.input_names(), 0.01)

    for field in ("open_circuit_negative", "open_circuit_positive", "entropic_positive", "diffusivity_positive"):
        np.testing.assert_array_equal(shapes.sum(field, at, nothing) + 0.0 * at, 0.0)
        bent = shapes.sum(field, at, something)
        assert np.max(np.abs(np.diff(bent))) < 0.01


def test_coefficients_have_priors_that_hold_them_at_zero():
    for item in shape_parameter_space(cell_shapes(choose_base_set(CELL))):
        assert item.start == 0.0
        assert item.spread is not None
        assert item.low == -item.high


def test_a_dfn_has_24_free_parameters_and_an_spm_fewer():
    base = choose_base_set(CELL)

    assert cell_parameter_space(base).size == 24
    assert cell_parameter_space(base, model="SPM").size < cell_parameter_space(base, model="SPMe").size


def test_what_has_no_physical_range_cannot_be_free():
    with pytest.raises(ModelError, match="no physical range"):
        cell_parameter_space(choose_base_set(CELL), names=("Colour of the can",))


def test_a_missing_bpx_file_is_named():
    with pytest.raises(ModelError, match="no such BPX file"):
        choose_base_set(CELL, base_set="nowhere.json")


@pytest.mark.parametrize("chemistry", sorted(BASE_SETS))
def test_a_cell_of_every_chemistry_discharges(chemistry):
    cell = CellDescription(name="made up", chemistry=chemistry, format="18650", capacity=2.0)
    model = CellModel(choose_base_set(cell), ModelOptions(model="SPM"))
    time = np.arange(0.0, 601.0, 60.0)
    curve = MeasuredCurve(
        name="1C",
        time=time,
        current=np.where(time > 0.0, 2.0, 0.0),
        voltage=np.full(time.size, 3.2),
        scored=np.ones(time.size, dtype=bool),
        ambient_temperature=298.15,
        source=CurveSource(path="1C.csv", sha256="", rows=time.size),
    )

    found = CellSimulation(model, curve, np.arange(time.size)).solve({})

    assert found.complete
    assert cell.lower_voltage < found.voltage[-1] < found.voltage[0] < cell.upper_voltage + 0.1
    assert 0.1 < found.temperature[-1] - 298.15 < 10.0
