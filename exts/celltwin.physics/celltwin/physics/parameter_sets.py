"""The adapter to PyBaMM's parameter sets: overrides in, stoichiometry limits and tables out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array, ModelError

from .parameters import CellParameters, Override, parse_cell_parameters

if TYPE_CHECKING:
    import pybamm

__all__ = ["build_cell_parameters", "parameter_values", "published_cell_parameters", "rebuild_cell_parameters"]

_POINTS = 401


def parameter_values(base_set: str, overrides: tuple[Override, ...]) -> pybamm.ParameterValues:
    """Return a published PyBaMM set with overrides applied.

    Parameters
    ----------
    base_set : str
        PyBaMM's name of the set, or the path of a calibrated set or a BPX file.
    overrides : tuple of Override
        Values that replace published ones, and factors on published values and functions.

    Raises
    ------
    ModelError
        If the set, or the parameter of an override, does not exist.
    """
    import pybamm

    try:
        values = _from_file(base_set) if base_set.endswith(".json") else pybamm.ParameterValues(base_set)
    except ValueError:
        raise ModelError(
            f"{base_set!r} is neither a file in data/parameters nor a PyBaMM parameter set",
            remedy=f"Use xjtu_18650, leaf_pouch or one of {', '.join(sorted(pybamm.parameter_sets))}",
        ) from None
    changes: dict[str, Any] = {}
    for override in overrides:
        source = values if override.from_set is None else pybamm.ParameterValues(override.from_set)
        if override.parameter not in source:
            raise ModelError(
                f"the override of {override.parameter!r} names no parameter of {override.from_set or base_set}",
                remedy="Use PyBaMM's name of the parameter, unit included",
            )
        changes[override.parameter] = _changed(source[override.parameter], override)
    values.update(changes)
    return values


def build_cell_parameters(
    name: str,
    base_set: str,
    overrides: tuple[Override, ...],
    *,
    lowest_voltage: float,
    highest_voltage: float,
    resistance: float,
    heat_capacity: float,
    heat_transfer: float,
    surface: float,
    describe: Mapping[str, Any] | None = None,
) -> CellParameters:
    """Return cell parameters with stoichiometry limits, capacity and tables computed from the set.

    Parameters
    ----------
    name : str
        Name of the cell parameters.
    base_set : str
        PyBaMM's name of the published set.
    overrides : tuple of Override
        Departures from it.
    lowest_voltage, highest_voltage : float
        Open-circuit voltage at 0 and 100 % state of charge [V].
    resistance : float
        Ohmic resistance beside the porous electrodes [ohm].
    heat_capacity : float
        Heat capacity of the whole cell [J/K].
    heat_transfer : float
        Heat transfer coefficient in the air of the test [W/(m^2.K)].
    surface : float
        Outer surface [m^2].
    describe : mapping, optional
        ``title``, ``chemistry``, ``provenance`` and ``limits``.
    """
    import pybamm

    values = parameter_values(base_set, overrides)
    values.update({"Lower voltage cut-off [V]": lowest_voltage, "Upper voltage cut-off [V]": highest_voltage})
    values.update(
        {"Open-circuit voltage at 0% SOC [V]": lowest_voltage, "Open-circuit voltage at 100% SOC [V]": highest_voltage}
    )
    symbols = pybamm.LithiumIonParameters()
    health = pybamm.lithium_ion.ElectrodeSOHSolver(values, symbols)
    lithium = float(values.evaluate(symbols.Q_Li_particles_init))
    found = health.solve(
        {
            "Q_n": float(values.evaluate(symbols.n.Q_init)),
            "Q_p": float(values.evaluate(symbols.p.Q_init)),
            "Q_Li": lithium,
        }
    )
    limits = {key: float(found[symbol]) for key, symbol in _STOICHIOMETRIES.items()}
    soc = np.unique(np.concatenate([np.linspace(0.0, 1.0, _POINTS), np.linspace(0.0, 0.02, 41)]))
    negative = limits["negative_empty"] + soc * (limits["negative_full"] - limits["negative_empty"])
    positive = limits["positive_empty"] + soc * (limits["positive_full"] - limits["positive_empty"])
    reference = float(values["Reference temperature [K]"])
    voltage = _open_circuit(values, symbols, positive, negative, reference)
    warmer = _open_circuit(values, symbols, positive, negative, reference + 1.0)
    data = {
        "name": name,
        "base_set": base_set,
        "overrides": [
            {key: value for key, value in vars(override).items() if value is not None} for override in overrides
        ],
        "cell": {
            "capacity": float(found["Q"]),
            "lowest_voltage": lowest_voltage,
            "highest_voltage": highest_voltage,
            "resistance": resistance,
            "heat_capacity": heat_capacity,
            "heat_transfer": heat_transfer,
            "surface": surface,
            **limits,
        },
        "open_circuit": {
            "soc": soc,
            "voltage": np.maximum.accumulate(voltage + 1e-9 * np.arange(voltage.size)),
            "entropic_coefficient": warmer - voltage,
        },
        **(describe or {}),
    }
    table = data["open_circuit"]
    data["open_circuit"] = {
        "soc": [round(float(value), 6) for value in table["soc"]],
        "voltage": [round(float(value), 7) for value in table["voltage"]],
        "entropic_coefficient": [round(float(value), 9) for value in table["entropic_coefficient"]],
    }
    return parse_cell_parameters(data, name)


def rebuild_cell_parameters(parameters: CellParameters) -> CellParameters:
    """Return the parameters with everything computed anew from set, overrides and cell data.

    The files in ``data/parameters`` hold what this gives: run it after a change of an override, and write
    :meth:`CellParameters.content` back.

    Raises
    ------
    ModelError
        If the parameters are those of a calibrated set, which states its tables itself.
    """
    if parameters.base_set.endswith(".json"):
        raise ModelError(
            "the set is calibrated, not built from overrides",
            where=parameters.name,
            remedy="Calibrate it again with celltwin calibrate; its provenance names data and options",
        )
    given = ("lowest_voltage", "highest_voltage", "resistance", "heat_capacity", "heat_transfer", "surface")
    return build_cell_parameters(
        parameters.name,
        parameters.base_set,
        parameters.overrides,
        describe={name: getattr(parameters, name) for name in ("title", "chemistry", "provenance", "limits")},
        **{name: getattr(parameters, name) for name in given},
    )


def published_cell_parameters(base_set: str) -> CellParameters:
    """Return a PyBaMM set as it was published, with its tables computed.

    Raises
    ------
    ModelError
        If PyBaMM has no set of that name.
    """
    values = parameter_values(base_set, ())
    volume = float(values["Cell volume [m3]"]) if "Cell volume [m3]" in values else _stack_volume(values)
    surface = float(values["Cell cooling surface area [m2]"]) if "Cell cooling surface area [m2]" in values else 0.01
    # Most sets state layers, not cells: 2.5 MJ/(m3.K) is the middle of published whole-cell figures.
    return build_cell_parameters(
        base_set,
        base_set,
        (),
        lowest_voltage=float(values["Lower voltage cut-off [V]"]),
        highest_voltage=float(values["Upper voltage cut-off [V]"]),
        resistance=float(values["Contact resistance [Ohm]"]) if "Contact resistance [Ohm]" in values else 0.0,
        heat_capacity=2.5e6 * volume,
        heat_transfer=10.0,
        surface=surface,
        describe={"title": f"PyBaMM {base_set}", "provenance": {"source": f"PyBaMM parameter set {base_set}"}},
    )


_STOICHIOMETRIES = {
    "negative_empty": "x_0",
    "negative_full": "x_100",
    "positive_empty": "y_0",
    "positive_full": "y_100",
}


def _from_file(path: str) -> pybamm.ParameterValues:
    from .calibration.calibrated_set import calibrated_values

    return calibrated_values(path)


def _changed(published: Any, override: Override) -> Any:
    if override.value is not None:
        return override.value
    if override.tanh_series is not None:
        return _tanh_series(override.tanh_series)
    if override.factor is None:
        return published
    return _scaled(published, override.factor) if callable(published) else published * override.factor


def _tanh_series(series: Mapping[str, Any]) -> Any:
    import pybamm

    def function(stoichiometry: Any) -> Any:
        result = series["offset"] + series["slope"] * stoichiometry
        for amplitude, centre, width in zip(series["amplitude"], series["centre"], series["width"], strict=True):
            result = result + amplitude * pybamm.tanh((stoichiometry - centre) / width)
        return result

    return function


def _scaled(function: Any, factor: float) -> Any:
    def scaled(*arguments: Any) -> Any:
        return factor * function(*arguments)

    scaled.__name__ = f"{getattr(function, '__name__', 'function')}_scaled"
    return scaled


def _stack_volume(values: pybamm.ParameterValues) -> float:
    layers = ("Negative electrode", "Separator", "Positive electrode")
    thickness = sum(float(values[f"{layer} thickness [m]"]) for layer in layers)
    return thickness * float(values["Electrode height [m]"]) * float(values["Electrode width [m]"])


def _open_circuit(
    values: pybamm.ParameterValues, symbols: Any, positive: Array, negative: Array, temperature: float
) -> Array:
    import pybamm

    at = pybamm.Scalar(temperature)
    high = values.evaluate(symbols.p.prim.U(pybamm.Vector(positive), at))
    low = values.evaluate(symbols.n.prim.U(pybamm.Vector(negative), at))
    return np.asarray(high - low, dtype=np.float64).reshape(-1)
