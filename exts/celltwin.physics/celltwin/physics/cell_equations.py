"""The discretised equations of one cell, from PyBaMM: the adapter that knows PyBaMM's names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array, SettingsError

from .parameter_sets import parameter_values
from .parameters import CellParameters
from .table_functions import replace_tables

if TYPE_CHECKING:
    import casadi

__all__ = ["CELL_INPUTS", "FIDELITIES", "CellEquations", "Mesh", "discretise_cell"]

FIDELITIES = ("SPM", "SPMe", "DFN")

# What may differ between the cells of one model, in this order.
CELL_INPUTS = (
    "capacity scale",  # electrode area over that of the parameter set [-]
    "series resistance",  # beside the porous electrodes [ohm]
    "surroundings temperature",  # [K]
    "surroundings conductance",  # [W/K]
    "heat capacity",  # [J/K]
)
_INITIAL_INPUTS = ("initial negative stoichiometry", "initial positive stoichiometry", "initial temperature")


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """Finite volumes of one cell.

    Attributes
    ----------
    electrode, separator : int
        Volumes across each electrode, and across the separator.
    particle : int
        Shells of each particle; they thin out towards the surface.
    """

    electrode: int = 5
    separator: int = 4
    particle: int = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class CellEquations:
    """One cell as casadi functions of its state ``y``, current ``i`` and inputs ``u``.

    Attributes
    ----------
    n_differential, n_algebraic : int
        Number of states.
    residual : casadi.Function
        ``(y, i, u) -> [dy/dt of the differential states, residuals of the algebraic ones, voltage]``.
    initial : casadi.Function
        ``(u, [x_n, x_p, T]) -> y`` at rest.
    observe : casadi.Function
        ``(y, i, u) -> [voltage, temperature, negative stoichiometry, anode potential at the separator]``.
    temperature_row, stoichiometry_row : ndarray of shape (n_differential,)
        Weights by which temperature and mean negative stoichiometry follow from the differential states.
    temperature_offset, stoichiometry_offset : float
        Constants to add to them.
    """

    n_differential: int
    n_algebraic: int
    residual: casadi.Function
    initial: casadi.Function
    observe: casadi.Function
    temperature_row: Array
    temperature_offset: float
    stoichiometry_row: Array
    stoichiometry_offset: float


def discretise_cell(
    parameters: CellParameters, fidelity: str, mesh: Mesh, *, exact_tables: bool = False
) -> CellEquations:
    r"""Return the discretised equations of a cell with a lumped temperature.

    .. math:: C \dot T = Q(y, I) + R I^2 - G (T - T_\mathrm{surroundings})

    Parameters
    ----------
    parameters : CellParameters
        The cell.
    fidelity : {"SPM", "SPMe", "DFN"}
        PyBaMM's model.
    mesh : Mesh
        Finite volumes.
    exact_tables : bool
        Keep every knot of tables, in place of those that matter: many times slower.

    Raises
    ------
    SettingsError
        If the fidelity is unknown.

    References
    ----------
    .. [1] V. Sulzer et al., Python Battery Mathematical Modelling (PyBaMM), J. Open Research Software 9 (2021) 14.
    .. [2] S. G. Marquis et al., An asymptotic derivation of a single particle model with electrolyte,
       J. Electrochem. Soc. 166 (2019) A3693.
    """
    import casadi
    import pybamm

    if fidelity not in FIDELITIES:
        raise SettingsError(f"fidelity = {fidelity!r} is unknown", remedy=f"Use one of {', '.join(FIDELITIES)}")
    options = {"thermal": "lumped", "contact resistance": "true", "cell geometry": "arbitrary"}
    model = getattr(pybamm.lithium_ion, fidelity)(options)
    values = _with_inputs(parameters, exact_tables=exact_tables)
    values.process_model(model)
    geometry = model.default_geometry
    values.process_geometry(geometry)
    points = {"x_n": mesh.electrode, "x_s": mesh.separator, "x_p": mesh.electrode}
    points |= {"r_n": mesh.particle, "r_p": mesh.particle}
    # Thin shells at the surface, where the diffusion layer of a current step lives.
    submeshes = dict(model.default_submesh_types)
    for domain in ("negative particle", "positive particle"):
        submeshes[domain] = pybamm.MeshGenerator(
            pybamm.Exponential1DSubMesh, submesh_params={"side": "right", "stretch": 1.5}
        )
    discretisation = pybamm.Discretisation(
        pybamm.Mesh(geometry, submeshes, points), model.default_spatial_methods, check_model=False
    )
    built = discretisation.process_model(model, inplace=False)
    middle = 0.5 * (parameters.negative_empty + parameters.negative_full)
    other = 0.5 * (parameters.positive_empty + parameters.positive_full)
    return _as_functions(built, casadi, (middle, other, float(values["Reference temperature [K]"])))


def _with_inputs(parameters: CellParameters, *, exact_tables: bool) -> Any:
    """Return the PyBaMM values with the inputs of a cell in place of numbers."""
    import pybamm

    values = parameter_values(parameters.base_set, parameters.overrides)
    replace_tables(values, thinned=not exact_tables)
    named = {name: pybamm.InputParameter(name) for name in (*CELL_INPUTS, *_INITIAL_INPUTS)}
    heat = {}
    for layer in (
        "Negative current collector",
        "Negative electrode",
        "Separator",
        "Positive electrode",
        "Positive current collector",
    ):
        # With a cell volume and surface of one, PyBaMM's heat balance per volume is that of the whole cell.
        heat[f"{layer} density [kg.m-3]"] = 1.0
        heat[f"{layer} specific heat capacity [J.kg-1.K-1]"] = named["heat capacity"]
    values.update(
        {
            "Current function [A]": pybamm.InputParameter("current"),
            "Electrode width [m]": values["Electrode width [m]"] * named["capacity scale"],
            "Contact resistance [Ohm]": named["series resistance"],
            "Ambient temperature [K]": named["surroundings temperature"],
            "Total heat transfer coefficient [W.m-2.K-1]": named["surroundings conductance"],
            "Cell cooling surface area [m2]": 1.0,
            "Cell volume [m3]": 1.0,
            "Initial temperature [K]": named["initial temperature"],
            "Initial concentration in negative electrode [mol.m-3]": (
                values["Maximum concentration in negative electrode [mol.m-3]"]
                * named["initial negative stoichiometry"]
            ),
            "Initial concentration in positive electrode [mol.m-3]": (
                values["Maximum concentration in positive electrode [mol.m-3]"]
                * named["initial positive stoichiometry"]
            ),
            **heat,
        }
    )
    return values


def _as_functions(model: Any, casadi: Any, reference: tuple[float, float, float]) -> CellEquations:
    differential, algebraic = int(model.len_rhs), int(model.len_alg)
    time, y = casadi.MX.sym("t"), casadi.MX.sym("y", differential + algebraic)
    current, u = casadi.MX.sym("i"), casadi.MX.sym("u", len(CELL_INPUTS))
    start = casadi.MX.sym("s", len(_INITIAL_INPUTS))
    inputs = {"current": current} | {name: u[index] for index, name in enumerate(CELL_INPUTS)}
    initial_inputs = inputs | {name: start[index] for index, name in enumerate(_INITIAL_INPUTS)}

    # PyBaMM scales some states about their initial values; here the reference state is the same for all cells.
    reference_inputs = inputs | {name: reference[index] for index, name in enumerate(_INITIAL_INPUTS)}

    def convert(symbol: Any, known: dict[str, Any] = reference_inputs) -> Any:
        return symbol.to_casadi(time, y, inputs=known)

    def variable(name: str) -> Any:
        return convert(model.get_processed_variable(name))

    voltage = variable("Voltage [V]")
    temperature = variable("Volume-averaged cell temperature [K]")
    stoichiometry = variable("Negative electrode stoichiometry")
    potential = variable("Negative electrode surface potential difference at separator interface [V]")
    rows = [convert(model.concatenated_rhs)]
    if algebraic:
        rows.append(convert(model.concatenated_algebraic))
    residual = _function(casadi, "cell_residual", [y, current, u], casadi.vertcat(*rows, voltage))
    observed = casadi.vertcat(voltage, temperature, stoichiometry, potential)
    observe = _function(casadi, "cell_observe", [y, current, u], observed)
    initial = _function(casadi, "cell_initial", [u, start], _initial(model, casadi, convert, y, initial_inputs))
    temperature_row, temperature_offset = _linear(casadi, temperature, y, differential)
    stoichiometry_row, stoichiometry_offset = _linear(casadi, stoichiometry, y, differential)
    return CellEquations(
        n_differential=differential,
        n_algebraic=algebraic,
        residual=residual,
        initial=initial,
        observe=observe,
        temperature_row=temperature_row,
        temperature_offset=temperature_offset,
        stoichiometry_row=stoichiometry_row,
        stoichiometry_offset=stoichiometry_offset,
    )


def _function(casadi: Any, name: str, arguments: list[Any], result: Any) -> Any:
    """Return a function of scalar operations, which is fastest; of matrices where it looks up a table."""
    function = casadi.Function(name, arguments, [result])
    try:
        return function.expand()
    except RuntimeError:  # an interpolant: casadi knows none for scalars
        return function


def _initial(model: Any, casadi: Any, convert: Any, y: Any, inputs: dict[str, Any]) -> Any:
    """Return the state at rest, scaled about the reference state instead of about itself."""
    scaled = convert(model.concatenated_initial_conditions, inputs)
    keys = sorted((*model.rhs, *model.algebraic), key=lambda key: model.y_slices[key][0].start)
    names = [key.name for key in keys]
    symbols = [model.get_processed_variable(name) for name in names]
    physical = casadi.vertcat(*[convert(symbol, inputs) for symbol in symbols])
    about_reference = casadi.vertcat(*[convert(symbol) for symbol in symbols])
    scale = casadi.diag(casadi.jacobian(about_reference, y))
    shift = (physical - about_reference) / scale
    return casadi.substitute(scaled + shift, y, casadi.MX(np.zeros(y.numel())))


def _linear(casadi: Any, expression: Any, y: Any, differential: int) -> tuple[Array, float]:
    """Return weights and constant of an expression that is linear in the differential states."""
    function = casadi.Function("linear", [y], [casadi.jacobian(expression, y), expression])
    weights, constant = function(np.zeros(y.numel()))
    row = np.asarray(casadi.DM(weights).full(), dtype=np.float64).reshape(-1)
    if np.any(row[differential:] != 0.0):
        raise AssertionError("temperature and stoichiometry must follow from the differential states")
    return row[:differential], float(constant)
