"""Tables as straight pieces in closed form: what they keep, and how few knots they need."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.physics.table_functions import StraightPieces, replace_tables, thin_table


def test_straight_pieces_give_the_table_and_go_on_beyond_it():
    x = np.array([0.0, 0.1, 0.4, 1.0])
    y = np.array([4.2, 4.0, 3.7, 3.1])
    pieces = StraightPieces(x, y)
    np.testing.assert_allclose(pieces(x), y, atol=1e-13)
    inside = np.linspace(0.0, 1.0, 101)
    np.testing.assert_allclose(pieces(inside), np.interp(inside, x, y), atol=1e-13)
    assert pieces(-0.1) == pytest.approx(4.4)
    assert pieces(1.1) == pytest.approx(3.0)


def test_two_knots_are_a_line():
    assert StraightPieces(np.array([0.0, 2.0]), np.array([1.0, 5.0]))(0.5) == pytest.approx(2.0)


def test_casadi_gets_scalar_operations_with_the_same_values_and_slopes():
    import casadi

    x, y = np.array([0.0, 0.1, 0.4, 1.0]), np.array([4.2, 4.0, 3.7, 3.1])
    at = casadi.MX.sym("at", 3)
    function = casadi.Function("f", [at], [StraightPieces(x, y)(at)]).expand()
    np.testing.assert_allclose(np.asarray(function([0.05, 0.2, 0.9])).reshape(-1), np.interp([0.05, 0.2, 0.9], x, y))
    slope = np.diag(np.asarray(function.factory("j", ["i0"], ["jac:o0:i0"])([0.05, 0.2, 0.9])))
    np.testing.assert_allclose(slope, [-2.0, -1.0, -1.0])


def test_a_thinned_table_stays_within_its_tolerance_with_fewer_knots():
    x = np.linspace(0.0, 1.0, 500)
    y = np.exp(-30.0 * x) + 0.1 * np.tanh((x - 0.5) / 0.05)
    thin_x, thin_y = thin_table(x, y, 3e-4)
    assert thin_x.size < 100
    assert thin_x[0] == x[0]
    assert thin_x[-1] == x[-1]
    assert np.abs(np.interp(x, thin_x, thin_y) - y).max() <= 3e-4


def test_what_is_straight_needs_its_ends_alone():
    x = np.linspace(0.0, 1.0, 50)
    assert thin_table(x, 3.0 - x, 1e-6)[0].tolist() == [0.0, 1.0]


def test_tables_in_parameter_values_become_closed_forms_and_formulas_stay():
    import pybamm

    x = np.linspace(0.0, 1.0, 300)
    table = 4.2 - x + 0.05 * np.sin(6.0 * x)

    def diffusivity(stoichiometry, temperature):
        inner = pybamm.Interpolant(x, np.exp(-3.0 * x), stoichiometry)
        return 1e-14 * inner * pybamm.exp(0.01 * (temperature - 298.15))

    values = pybamm.ParameterValues(
        {
            "Potential [V]": lambda stoichiometry: pybamm.Interpolant(x, table, stoichiometry),
            "Diffusivity [m2.s-1]": diffusivity,
            "Formula [V]": lambda stoichiometry: 2.0 * stoichiometry,
            "Number": 3.0,
        }
    )
    replace_tables(values)

    at = pybamm.Vector(np.linspace(0.0, 1.0, 77))
    found = values["Potential [V]"](at)
    assert not any(isinstance(node, pybamm.Interpolant) for node in found.pre_order())
    exact = np.interp(np.linspace(0.0, 1.0, 77), x, table)
    np.testing.assert_allclose(found.evaluate().reshape(-1), exact, atol=3.1e-4)
    moved = values["Diffusivity [m2.s-1]"](at, pybamm.Scalar(308.15))
    assert not any(isinstance(node, pybamm.Interpolant) for node in moved.pre_order())
    exact = 1e-14 * np.exp(0.1) * np.exp(-3.0 * np.linspace(0.0, 1.0, 77))
    np.testing.assert_allclose(moved.evaluate().reshape(-1), exact, rtol=0.0101)
    assert values["Formula [V]"](1.5) == 3.0
    assert values["Number"] == 3.0


def test_tables_that_are_not_thinned_are_exact():
    import pybamm

    x = np.linspace(0.0, 1.0, 300)
    table = 4.2 - x + 0.05 * np.sin(6.0 * x)
    values = pybamm.ParameterValues({"Potential [V]": lambda at: pybamm.Interpolant(x, table, at)})
    replace_tables(values, thinned=False)

    found = values["Potential [V]"](pybamm.Vector(x)).evaluate().reshape(-1)

    np.testing.assert_allclose(found, table, atol=1e-11)


def test_two_tables_of_one_argument_stay_two():
    import pybamm

    x = np.linspace(0.0, 1.0, 5)
    values = pybamm.ParameterValues(
        {
            "Potential [V]": lambda at: pybamm.Interpolant(x, 4.0 - x, at),
            "Entropic change [V.K-1]": lambda at: pybamm.Interpolant(x, 1e-4 * x, at),
        }
    )
    replace_tables(values)
    at = pybamm.StateVector(slice(0, 1))
    both = values["Potential [V]"](at) + 10.0 * values["Entropic change [V.K-1]"](at)
    import casadi

    y = casadi.MX.sym("y", 1)
    function = casadi.Function("f", [y], [both.to_casadi(casadi.MX(0.0), y, inputs={})])
    assert float(function(0.5)) == pytest.approx(3.5005)
