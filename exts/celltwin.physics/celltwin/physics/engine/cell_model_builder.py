"""Cell models from parameter sets: PyBaMM's functions sampled, fitted, and kept on disk for later starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from celltwin.core import FARADAY, SECONDS_PER_HOUR, Array, ModelError

from .cell_model import CellModel, ElectrodeModel, ThermalModel
from .cell_model_cache import hash_cell_model, load_cell_model, store_cell_model
from .parameter_source import ParameterSource, resolve_source
from .property_fit import (
    PropertyScale,
    build_cubic_table,
    extend_falling,
    fit_power_law,
    fit_property,
    fit_temperature_factor,
    refine_cubic_table,
)
from .pybamm_properties import ElectrodeProperties, PybammProperties, read_properties

__all__ = ["build_cell_model"]

TEMPERATURE_RANGE = (253.15, 373.15)  # [K]
ELECTROLYTE_RANGE = (50.0, 4000.0)  # [mol/m^3]
ELECTROLYTE_CORE = (300.0, 2500.0)  # where fits of electrolyte properties must be best [mol/m^3]

_POTENTIAL_TOLERANCE = 2e-5  # [V]
_ENTROPIC_TOLERANCE = 2e-7  # [V/K]
_EXCHANGE_TOLERANCE = 1e-3  # relative; 2RT/F times it is 0.05 mV
_DIFFUSIVITY_TOLERANCE = 2e-3  # relative
_KINETIC_EDGE = 3e-4  # stoichiometry; nearer to empty or full, the kinetic factor is held at its value here
_COLD, _HOT = 268.15, 338.15  # outside, electrolyte properties may be fitted less well [K]
_NOTED = 0.05  # relative error of a fitted electrolyte property that is stated as a note
_REPORTED, _REFUSED = 0.02, 0.2  # of an approximation's relative error: stated as a note; refused


def build_cell_model(source: Any, *, name: str | None = None) -> CellModel:
    """Return the engine's model of a cell from a parameter set.

    Functions are sampled through PyBaMM as its single-particle model with electrolyte sees them, and fitted. The
    result is kept in ``CELLTWIN_CACHE``, so that a second start does not import PyBaMM.

    Parameters
    ----------
    source : str, Path, CellParameters or pybamm.ParameterValues
        Name of a file in ``data/parameters`` (``"xjtu_18650"``), path of such a file or of a BPX file, name of a
        PyBaMM set (``"Chen2020"``), or a set in memory, which is not cached.
    name : str, optional
        Name of the model; that of the set by default.

    Raises
    ------
    ModelError
        If there is no such set; if it is of a half-cell or has several materials in an electrode; if a parameter is
        missing or not physical, or a function is too far from the form that the engine takes.

    References
    ----------
    .. [1] V. Sulzer et al., Python Battery Mathematical Modelling (PyBaMM), J. Open Research Software 9 (2021) 14.
    .. [2] S. G. Marquis et al., An asymptotic derivation of a single particle model with electrolyte,
       J. Electrochem. Soc. 166 (2019) A3693.
    """
    found = resolve_source(source)
    model = load_cell_model(found.name, found.key)
    if model is None:
        model = _build(found)
        store_cell_model(model, found.key)
    return model if name is None else replace(model, name=name)


def _build(source: ParameterSource) -> CellModel:
    properties = read_properties(source.load(), source.where)
    cell = source.cell
    reference = properties.number("Reference temperature [K]")
    salt = properties.number("Initial concentration in electrolyte [mol.m-3]")
    scale = PropertyScale(concentration=salt, temperature=reference)
    fits: dict[str, Any] = {}
    if cell is None:
        limits = properties.stoichiometry_limits()
        voltages = tuple(properties.number(f"{side} voltage cut-off [V]") for side in ("Lower", "Upper"))
    else:
        limits = {
            "negative": (cell.negative_empty, cell.negative_full),
            "positive": (cell.positive_empty, cell.positive_full),
        }
        voltages = (cell.lowest_voltage, cell.highest_voltage)
    negative, positive = (
        _electrode(electrode, scale, limits[electrode.domain], fits)
        for electrode in (properties.negative, properties.positive)
    )
    electrolyte = _electrolyte(properties, scale, fits)
    area = properties.evaluate(properties.symbols.A_cc)
    charge = FARADAY * area * negative.thickness * negative.active_fraction * negative.maximum_concentration
    model = CellModel(
        name=source.name,
        negative=negative,
        positive=positive,
        thermal=_thermal(properties, source, reference, fits),
        electrode_area=area,
        separator_thickness=properties.number("Separator thickness [m]"),
        separator_porosity=properties.number("Separator porosity"),
        separator_transport_efficiency=properties.transport_efficiency("Separator", "electrolyte"),
        electrolyte_concentration=salt,
        electrolyte_diffusivity=electrolyte["electrolyte_diffusivity"],
        electrolyte_conductivity=electrolyte["electrolyte_conductivity"],
        transference=electrolyte["transference"],
        concentration_factor=electrolyte["concentration_factor"],
        electrolyte_range=ELECTROLYTE_RANGE,
        temperature_range=TEMPERATURE_RANGE,
        reference_temperature=reference,
        contact_resistance=properties.contact_resistance(reference) if cell is None else cell.resistance,
        lowest_voltage=voltages[0],
        highest_voltage=voltages[1],
        capacity=charge * (negative.stoichiometry_full - negative.stoichiometry_empty) / SECONDS_PER_HOUR,
        provenance={**source.provenance, "fits": fits, "notes": list(dict.fromkeys(properties.notes))},
    )
    return replace(model, hash=hash_cell_model(model))


def _electrode(
    electrode: ElectrodeProperties, scale: PropertyScale, limits: tuple[float, float], fits: dict[str, Any]
) -> ElectrodeModel:
    layer = f"{electrode.domain.capitalize()} electrode"
    used = (max(min(limits) - 0.05, 1e-3), min(max(limits) + 0.05, 1.0 - 1e-3))
    middle = 0.5 * sum(limits)
    potential = _potential(electrode, scale, (min(limits), max(limits)), used, fits)
    diffusivity, constant, diffusivity_temperature = _diffusivity(electrode, scale, used, fits)
    exchange, exponent, exchange_temperature = _exchange_current(electrode, scale, used, fits)
    efficiency = electrode.source.transport_efficiency(layer, "electrode")
    temperature = _temperatures()
    conductivity = electrode.conductivity(middle, scale.temperature)
    factor = electrode.conductivity(np.full(temperature.size, middle), temperature) / conductivity
    conductivity_temperature, worst = fit_temperature_factor(scale, temperature, factor[:, np.newaxis])
    fits[f"{electrode.domain} conductivity, temperature"] = worst
    return ElectrodeModel(
        thickness=electrode.number("electrode thickness [m]"),
        particle_radius=electrode.number("particle radius [m]"),
        active_fraction=electrode.number("electrode active material volume fraction"),
        porosity=electrode.number("electrode porosity"),
        transport_efficiency=electrode.source.transport_efficiency(layer, "electrolyte"),
        conductivity=float(conductivity) * efficiency,
        conductivity_temperature=conductivity_temperature,
        maximum_concentration=electrode.maximum_concentration(),
        stoichiometry_empty=limits[0],
        stoichiometry_full=limits[1],
        potential=potential,
        diffusivity=diffusivity,
        constant_diffusivity=constant,
        diffusivity_temperature=diffusivity_temperature,
        exchange_current=exchange,
        exchange_current_exponent=exponent,
        exchange_current_temperature=exchange_temperature,
    )


def _potential(
    electrode: ElectrodeProperties,
    scale: PropertyScale,
    limits: tuple[float, float],
    used: tuple[float, float],
    fits: dict[str, Any],
) -> Array:
    def published(stoichiometry: Array) -> Array:
        return electrode.potential(stoichiometry, scale.temperature)

    reference_potential, kept = extend_falling(published, limits)
    if kept != (0.0, 1.0):
        electrode.source.notes.append(
            f"{electrode.domain} open-circuit potential: kept in [{kept[0]:.4g}, {kept[1]:.4g}], straight beyond"
        )

    def entropic_change(stoichiometry: Array) -> Array:
        return electrode.entropic_change(np.clip(stoichiometry, *kept))

    used = (max(used[0], kept[0]), min(used[1], kept[1]))
    voltage = refine_cubic_table(
        reference_potential, tolerance=_POTENTIAL_TOLERANCE, window=used, reported=limits, monotone=True
    )
    entropic = refine_cubic_table(entropic_change, tolerance=_ENTROPIC_TOLERANCE, window=used, reported=limits)
    size = max(voltage.coefficients.shape[0], entropic.coefficients.shape[0])
    fits[f"{electrode.domain} potential [V]"] = {
        "intervals": size,
        "worst": voltage.worst,
        "worst outside": voltage.worst_outside,
    }
    fits[f"{electrode.domain} entropic change [V/K]"] = entropic.worst
    return np.hstack(
        [
            build_cubic_table(reference_potential, size, monotone=True),
            build_cubic_table(entropic_change, size),
        ]
    )


def _diffusivity(
    electrode: ElectrodeProperties, scale: PropertyScale, used: tuple[float, float], fits: dict[str, Any]
) -> tuple[Array, bool, Array]:
    def at_reference(stoichiometry: Array) -> Array:
        return electrode.diffusivity(stoichiometry, scale.temperature)

    place = np.linspace(0.01, 0.99, 99)
    values = at_reference(place)
    _require_positive(electrode, "particle diffusivity", values)
    constant = bool(np.ptp(values) <= 1e-9 * values.max())
    if constant:
        table = np.array([[values[0], 0.0, 0.0, 0.0]])
    else:
        found = refine_cubic_table(at_reference, tolerance=_DIFFUSIVITY_TOLERANCE, window=used, size=np.abs)
        table = found.coefficients
        fits[f"{electrode.domain} diffusivity"] = {"intervals": table.shape[0], "worst": found.worst}
    inside = place[(place > used[0]) & (place < used[1])][::5]
    temperature = _temperatures()
    grid = electrode.diffusivity(inside[np.newaxis, :], temperature[:, np.newaxis])
    factor, worst = fit_temperature_factor(scale, temperature, grid / at_reference(inside))
    _judge(electrode, "particle diffusivity", "one factor of temperature for every stoichiometry", worst)
    fits[f"{electrode.domain} diffusivity, temperature"] = worst
    return table, constant, factor


def _exchange_current(
    electrode: ElectrodeProperties, scale: PropertyScale, used: tuple[float, float], fits: dict[str, Any]
) -> tuple[Array, float, Array]:
    salt, reference = scale.concentration, scale.temperature

    def kinetic_factor(stoichiometry: Array) -> Array:
        place = np.clip(stoichiometry, _KINETIC_EDGE, 1.0 - _KINETIC_EDGE)
        return electrode.exchange_current(salt, place, reference) / np.sqrt(place * (1.0 - place))

    place = np.linspace(max(used[0], 0.05), min(used[1], 0.95), 10)
    _require_positive(electrode, "electrode exchange-current density", kinetic_factor(place))
    found = refine_cubic_table(kinetic_factor, tolerance=_EXCHANGE_TOLERANCE, window=used, size=np.abs)
    concentration = np.geomspace(*ELECTROLYTE_CORE, 41)
    exponent, crooked = fit_power_law(
        concentration, electrode.exchange_current(concentration, np.full(41, place.mean()), reference)
    )
    _judge(electrode, "electrode exchange-current density", "a power of the electrolyte concentration", crooked)
    temperature = _temperatures()
    grid = electrode.exchange_current(salt, place[np.newaxis, :], temperature[:, np.newaxis])
    factor, worst = fit_temperature_factor(
        scale, temperature, grid / electrode.exchange_current(salt, place, reference)
    )
    _judge(electrode, "electrode exchange-current density", "one factor of temperature", worst)
    fits[f"{electrode.domain} exchange current"] = {
        "intervals": found.coefficients.shape[0],
        "worst": found.worst,
        "power of concentration": crooked,
        "temperature": worst,
    }
    return found.coefficients, exponent, factor


def _electrolyte(properties: PybammProperties, scale: PropertyScale, fits: dict[str, Any]) -> dict[str, Array]:
    concentration = np.unique(
        np.concatenate([np.linspace(*ELECTROLYTE_CORE, 34), np.geomspace(*ELECTROLYTE_RANGE, 26)])
    )
    grid = np.meshgrid(concentration, _temperatures(), indexing="ij")
    salt, temperature = (axis.reshape(-1) for axis in grid)
    core = (salt >= ELECTROLYTE_CORE[0]) & (salt <= ELECTROLYTE_CORE[1])
    near = np.abs(salt / scale.concentration - 1.0) <= 0.2
    wide = (salt >= 100.0) & (salt <= 3500.0)
    # Diffusivity and transference act everywhere; the others act at the mean concentration, which hardly moves.
    usual = (temperature >= _COLD) & (temperature <= _HOT)
    relaxed = np.where(usual, 1.0, 0.02)  # some laws have a pole not far below, and some polynomials grow apart
    everywhere = np.where(core, 1.0, np.where(wide, 0.2, 0.02)) * relaxed
    at_mean = np.where(near, 5.0, np.where(core, 1.0, 0.02)) * relaxed
    coefficients = {}
    for field, symbol, is_logarithm in (
        ("electrolyte_diffusivity", "D_e", True),
        ("electrolyte_conductivity", "kappa_e", True),
        ("transference", "t_plus", False),
        ("concentration_factor", "chi", False),
    ):
        values = properties.electrolyte(symbol, salt, temperature)
        if is_logarithm and values.min() <= 0.0:
            worst_place = int(values.argmin())
            raise ModelError(
                f"{field.replace('_', ' ')} is {values.min():.3g} at {salt[worst_place]:.0f} mol/m3 "
                f"and {temperature[worst_place]:.1f} K; it must be positive",
                where=properties.where,
                remedy="Correct the function in the parameter set",
            )
        size = 1.0 if is_logarithm else np.maximum(np.abs(values), 0.1)
        wanted = np.log(values) if is_logarithm else values
        importance = (everywhere if symbol in {"D_e", "t_plus"} else at_mean) / size
        coefficients[field], errors = fit_property(scale, salt, temperature, wanted, importance=importance)
        left = np.abs(errors) / size
        missed = float(left[(core if symbol == "D_e" else near) & usual].max())
        if missed > _NOTED:
            properties.notes.append(f"{field.replace('_', ' ')}: fitted within {missed:.1%}")
        fits[field.replace("_", " ")] = {
            "worst near the mean": float(left[near & usual].max()),
            "worst": float(left[core & usual].max()),
            "worst outside": float(left[~(core & usual)].max()),
        }
    return coefficients


def _thermal(
    properties: PybammProperties, source: ParameterSource, reference: float, fits: dict[str, Any]
) -> ThermalModel:
    if source.cell is not None:
        return ThermalModel(
            heat_capacity=source.cell.heat_capacity, heat_transfer=source.cell.heat_transfer * source.cell.surface
        )
    temperature = _temperatures()
    values = properties.heat_capacity(np.append(temperature, reference))
    rise = (temperature - reference)[:, np.newaxis] ** np.arange(1, 4)
    factor = values[:-1] / values[-1] - 1.0
    shape = np.zeros(3)
    if np.ptp(factor) > 1e-12:
        shape = np.linalg.lstsq(rise, factor, rcond=None)[0]
    fits["heat capacity, temperature"] = float(np.abs(rise @ shape - factor).max())
    return ThermalModel(
        heat_capacity=float(values[-1]),
        heat_capacity_temperature=(float(shape[0]), float(shape[1]), float(shape[2])),
        heat_transfer=properties.heat_transfer(),
    )


def _temperatures() -> Array:
    return np.linspace(*TEMPERATURE_RANGE, 21)


def _require_positive(electrode: ElectrodeProperties, what: str, values: Array) -> None:
    if values.min() <= 0.0:
        raise ModelError(
            f"the {electrode.domain} {what} is {values.min():.3g}; it must be positive",
            where=electrode.source.where,
            remedy="Correct the function in the parameter set",
        )


def _judge(electrode: ElectrodeProperties, what: str, form: str, worst: float) -> None:
    if worst > _REFUSED:
        raise ModelError(
            f"the {electrode.domain} {what} is not {form}: off by {worst:.0%}, at most {_REFUSED:.0%} can be taken",
            where=electrode.source.where,
            remedy="Replace the function by one of that form",
        )
    if worst > _REPORTED:
        electrode.source.notes.append(f"{electrode.domain} {what}: off by {worst:.1%} taken as {form}")
