"""The engine's cell equations by the method of lines in SciPy: slow, plain, and independent of the engine's kernels.

Bench and tests compare it with PyBaMM to tell errors of a :class:`CellModel` from errors of the engine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import FARADAY, GAS_CONSTANT, Array
from celltwin.physics.engine import CellModel, ElectrodeModel
from celltwin.physics.engine.property_fit import (
    PropertyScale,
    evaluate_cubic_table,
    evaluate_property,
    evaluate_temperature_factor,
)

__all__ = ["CellTrace", "simulate_cell"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellTrace:
    """One cell over time.

    Attributes
    ----------
    time, voltage, temperature : ndarray of shape (n_samples,)
        [s, V, K].
    """

    time: Array
    voltage: Array
    temperature: Array


class _Cell:
    """Right-hand side and voltage of one cell on a mesh; the state is [particles -, particles +, salt, temperature]."""

    def __init__(self, model: CellModel, current: float, ambient: float, shells: int, layer: int) -> None:
        self.model, self.current, self.ambient = model, current, ambient
        self.scale = PropertyScale(
            concentration=model.electrolyte_concentration, temperature=model.reference_temperature
        )
        self.shells, self.layer = shells, layer
        edges = np.linspace(0.0, 1.0, shells + 1)
        self.faces = edges[1:-1] ** 2
        self.volumes = (edges[1:] ** 3 - edges[:-1] ** 3) / 3.0
        widths = np.array([model.negative.thickness, model.separator_thickness, model.positive.thickness])
        self.widths = np.repeat(widths / layer, layer)
        self.porosity = np.repeat([model.negative.porosity, model.separator_porosity, model.positive.porosity], layer)
        self.efficiency = np.repeat(
            [
                model.negative.transport_efficiency,
                model.separator_transport_efficiency,
                model.positive.transport_efficiency,
            ],
            layer,
        )
        share = np.arange(1, layer) / layer
        self.ionic = np.concatenate([share, [1.0], np.ones(layer - 1), [1.0], share[::-1]])  # at inner faces
        source = np.concatenate([np.full(layer, 1.0 / widths[0]), np.zeros(layer), np.full(layer, -1.0 / widths[2])])
        self.source = source
        self.density = current / model.electrode_area  # [A/m^2]

    def start(self, soc: float) -> Array:
        """Return the state at rest."""
        parts = [
            np.full(
                self.shells,
                electrode.stoichiometry_empty + soc * (electrode.stoichiometry_full - electrode.stoichiometry_empty),
            )
            for electrode in (self.model.negative, self.model.positive)
        ]
        return np.concatenate([*parts, np.ones(3 * self.layer), [self.ambient]])

    def flux(self, electrode: ElectrodeModel) -> float:
        """Return the interfacial current density [A/m^2], positive for lithium that leaves the particle."""
        sign = 1.0 if electrode is self.model.negative else -1.0
        return sign * self.density / (electrode.thickness * electrode.interface_area)

    def diffusivity(self, electrode: ElectrodeModel, stoichiometry: Array, temperature: float) -> Array:
        """Return the diffusivity in the particle [m^2/s]."""
        at_reference = evaluate_cubic_table(electrode.diffusivity, np.clip(stoichiometry, 0.0, 1.0))
        return at_reference * evaluate_temperature_factor(electrode.diffusivity_temperature, self.scale, temperature)

    def surface(self, electrode: ElectrodeModel, particle: Array, temperature: float) -> float:
        """Return the surface stoichiometry: a parabola through the last shell with the flux at the surface."""
        slope = -self.flux(electrode) * electrode.particle_radius / FARADAY / electrode.maximum_concentration
        width = 1.0 / self.shells
        face = 1.0 - width
        inner = (particle[-1] - particle[-2]) / width  # slope at the inner face
        outer = slope / float(self.diffusivity(electrode, particle[-1:], temperature)[0])
        # s1 + outer (r - 1) + bend (r - 1)^2 has the inner slope at the face and the given mean over the shell.
        bend = (outer - inner) / (2.0 * width)
        volume = (1.0 - face**3) / 3.0
        # Means of (r - 1) and (r - 1)^2 over the shell, weighted by r^2.
        points, weights = np.polynomial.legendre.leggauss(4)
        radius = face + 0.5 * width * (points + 1.0)
        weight = 0.5 * width * weights * radius**2 / volume
        shift = float(np.sum(weight * (outer * (radius - 1.0) + bend * (radius - 1.0) ** 2)))
        return float(particle[-1]) - shift

    def split(self, state: Array) -> tuple[Array, Array, Array, float]:
        """Return particles, salt over its mean, temperature."""
        shells = self.shells
        return state[:shells], state[shells : 2 * shells], state[2 * shells : -1], float(state[-1])

    def particle_rate(self, electrode: ElectrodeModel, particle: Array, temperature: float) -> Array:
        """Return the rate of the shells' stoichiometries [1/s]."""
        radius = electrode.particle_radius
        middle = 0.5 * (particle[1:] + particle[:-1])
        inner = self.diffusivity(electrode, middle, temperature) / radius * np.diff(particle) * self.shells
        outwards = np.concatenate(
            [[0.0], -inner * self.faces, [self.flux(electrode) / FARADAY / electrode.maximum_concentration]]
        )
        return -np.diff(outwards) / (self.volumes * radius)

    def rate(self, _: float, state: Array) -> Array:
        """Return the rate of the state."""
        model = self.model
        negative, positive, salt, temperature = self.split(state)
        concentration = salt * model.electrolyte_concentration
        held = np.clip(concentration, *model.electrolyte_range)
        kept = float(np.clip(temperature, *model.temperature_range))
        bulk = np.exp(evaluate_property(model.electrolyte_diffusivity, self.scale, held, kept))
        resistance = 0.5 * self.widths / (bulk * self.efficiency)
        transference = evaluate_property(model.transference, self.scale, held, kept)
        at_faces = 0.5 * (transference[1:] + transference[:-1])
        flux = -np.diff(concentration) / (resistance[1:] + resistance[:-1])
        flux = flux + at_faces * self.ionic * self.density / FARADAY
        flux = np.concatenate([[0.0], flux, [0.0]])
        source = self.source * self.density / FARADAY
        salt_rate = (-np.diff(flux) / self.widths + source) / self.porosity / model.electrolyte_concentration
        heat = self.observe(state)[1]
        thermal = model.thermal
        rise = temperature - model.reference_temperature
        a, b, c = thermal.heat_capacity_temperature
        capacity = thermal.heat_capacity * (1.0 + ((c * rise + b) * rise + a) * rise)
        warming = (heat - thermal.heat_transfer * (temperature - self.ambient)) / capacity
        return np.concatenate(
            [
                self.particle_rate(model.negative, negative, kept),
                self.particle_rate(model.positive, positive, kept),
                salt_rate,
                [warming],
            ]
        )

    def observe(self, state: Array) -> tuple[float, float]:
        """Return terminal voltage [V] and heat [W]."""
        model = self.model
        negative, positive, salt, temperature = self.split(state)
        kept = float(np.clip(temperature, *model.temperature_range))
        thermal_voltage = GAS_CONSTANT * temperature / FARADAY
        potential, entropic, kinetic = {}, {}, {}
        layer = self.layer
        for name, electrode, particle, local in (
            ("n", model.negative, negative, salt[:layer]),
            ("p", model.positive, positive, salt[2 * layer :]),
        ):
            at_surface = self.surface(electrode, particle, kept)
            entropic[name] = float(evaluate_cubic_table(electrode.potential[:, 4:], at_surface))
            rise = temperature - model.reference_temperature
            potential[name] = (
                float(evaluate_cubic_table(electrode.potential[:, :4], at_surface)) + rise * entropic[name]
            )
            held = np.clip(at_surface, 1e-9, 1.0 - 1e-9)
            exchange = (
                float(evaluate_cubic_table(electrode.exchange_current, held))
                * np.sqrt(held * (1.0 - held))
                * np.maximum(local, 1e-6) ** electrode.exchange_current_exponent
                * evaluate_temperature_factor(electrode.exchange_current_temperature, self.scale, kept)
            )
            kinetic[name] = 2.0 * thermal_voltage * float(np.mean(np.arcsinh(0.5 * self.flux(electrode) / exchange)))
        weight = self.widths / self.widths.sum()
        mean = float(np.clip(weight @ salt * model.electrolyte_concentration, *model.electrolyte_range))
        bulk = float(np.exp(evaluate_property(model.electrolyte_conductivity, self.scale, mean, kept)))
        factor = float(evaluate_property(model.concentration_factor, self.scale, mean, kept))
        logarithm = np.log(np.maximum(salt, 1e-9))
        concentration_drop = factor * thermal_voltage * (logarithm[2 * layer :].mean() - logarithm[:layer].mean())
        electrolyte = (
            model.negative.thickness / (3.0 * model.negative.transport_efficiency)
            + model.separator_thickness / model.separator_transport_efficiency
            + model.positive.thickness / (3.0 * model.positive.transport_efficiency)
        ) / bulk
        solid = sum(
            electrode.thickness
            / (
                3.0
                * electrode.conductivity
                * evaluate_temperature_factor(electrode.conductivity_temperature, self.scale, kept)
            )
            for electrode in (model.negative, model.positive)
        )
        open_circuit = potential["p"] - potential["n"]
        voltage = (
            open_circuit
            - kinetic["n"]
            + kinetic["p"]
            + concentration_drop
            - self.density * (electrolyte + solid)
            - self.current * model.contact_resistance
        )
        reversible = self.current * temperature * (entropic["p"] - entropic["n"])
        return float(voltage), float(self.current * (open_circuit - voltage) - reversible)


def simulate_cell(
    model: CellModel,
    current: float,
    time: Array,
    *,
    temperature: float,
    initial_soc: float,
    shells: int = 30,
    layer: int = 20,
) -> CellTrace:
    """Return a cell at constant current, from rest until a cut-off voltage or the end of time.

    Parameters
    ----------
    model : CellModel
        The cell.
    current : float
        [A], positive on discharge.
    time : ndarray of shape (n_samples,)
        When to sample [s], starting at 0.
    temperature : float
        Of the surroundings, and of the cell at first [K].
    initial_soc : float
        [-].
    shells, layer : int
        Finite volumes of each particle, and across each layer.
    """
    from scipy.integrate import solve_ivp

    cell = _Cell(model, current, temperature, shells, layer)
    limit = model.lowest_voltage if current > 0.0 else model.highest_voltage

    def reaches_limit(_: float, state: Array) -> float:
        return (cell.observe(state)[0] - limit) * float(np.sign(current))

    reaches_limit.terminal = True  # type: ignore[attr-defined]
    solution = solve_ivp(
        cell.rate,
        (0.0, float(time[-1])),
        cell.start(initial_soc),
        method="BDF",
        t_eval=time,
        events=reaches_limit,
        rtol=1e-5,
        atol=1e-7,
        first_step=1e-3,
    )
    voltage = np.array([cell.observe(state)[0] for state in solution.y.T])
    return CellTrace(time=solution.t, voltage=voltage, temperature=solution.y[-1])
