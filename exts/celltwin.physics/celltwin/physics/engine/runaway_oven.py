"""Oven tests: cells that are put into a hot oven and watched, each by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import Array, ModelError, ShapeError, freeze

from .abuse_kernels import ABUSE_ROWS, abuse_constants, fresh_abuse_rows, make_abuse_kernels
from .abuse_model import AbuseModel
from .lanes import lane_functions
from .start_warp import start_warp

__all__ = ["ONSET_RATE", "OvenCell", "OvenHistory", "find_onset", "oven_cell_cylindrical", "simulate_oven_test"]

ONSET_RATE = 1.0  # [K/s]
_STEFAN_BOLTZMANN = 5.670374419e-8  # [W/(m^2.K^4)]
_REACTIONS = ABUSE_ROWS[:5]
_GROWS = np.array([-1.0, 1.0, 1.0, 1.0, -1.0])


@dataclass(frozen=True, kw_only=True)
class OvenCell:
    """A cell in an oven: one node, or a core and a surface.

    Attributes
    ----------
    heat_capacity : float
        Of the cell [J/K].
    surface_area : float
        That meets the oven [m^2].
    heat_transfer : float
        By convection [W/(m^2.K)].
    emissivity : float
        Of the surface, to the oven's walls all around [-].
    initial_temperature : float
        [K].
    surface_share : float
        Share of the heat capacity in the surface node [-]; 0 for a cell of one temperature.
    core_conductance : float
        Between core and surface [W/K]; 0 for a cell of one temperature.
    charge : float
        That a molten separator can discharge [A.s].
    voltage : float
        While it does [V].
    """

    heat_capacity: float
    surface_area: float
    heat_transfer: float
    emissivity: float
    initial_temperature: float
    surface_share: float = 0.0
    core_conductance: float = 0.0
    charge: float = 0.0
    voltage: float = 0.0

    def __post_init__(self) -> None:
        """Check that the numbers are physical."""
        for name in ("heat_capacity", "surface_area", "initial_temperature"):
            if not getattr(self, name) > 0.0:
                raise ModelError(
                    f"OvenCell.{name} = {getattr(self, name):g} is not physical: it must be greater than 0",
                    remedy="Correct the oven test",
                )
        if not (0.0 <= self.emissivity <= 1.0 and self.heat_transfer >= 0.0 and 0.0 <= self.surface_share < 1.0):
            raise ModelError(
                f"OvenCell: heat_transfer = {self.heat_transfer:g} W/(m^2.K), emissivity = {self.emissivity:g}, "
                f"surface_share = {self.surface_share:g} are not physical",
                remedy="Give a heat transfer of at least 0, and shares in [0, 1)",
            )
        if (self.surface_share > 0.0) != (self.core_conductance > 0.0):
            raise ModelError(
                f"OvenCell: surface_share = {self.surface_share:g} and core_conductance = "
                f"{self.core_conductance:g} W/K: two nodes need both",
                remedy="Give both, or neither for a cell of one temperature",
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class OvenHistory:
    """What happened in ovens side by side.

    Attributes
    ----------
    time : ndarray of shape (n_times,)
        [s].
    oven_temperature : ndarray of shape (n_ovens,)
        [K].
    core_temperature, surface_temperature : ndarray of shape (n_times, n_ovens)
        [K].
    reaction_heat : ndarray of shape (n_times, n_ovens, 5)
        Mean power of each reaction since the sample before, in the order of ``reactions`` [W].
    short_heat : ndarray of shape (n_times, n_ovens)
        Mean power of the internal short since the sample before [W].
    released, vented, from_oven, shorted : ndarray of shape (n_ovens,)
        Heat of reactions, heat that left through the vent, heat that came in from the oven, heat of the internal
        short, over the whole test [J].
    balance : ndarray of shape (n_ovens,)
        What is missing in the balance of all these with the heat stored, over the heat turned over [-].
    states : ndarray of shape (len(ABUSE_ROWS), n_ovens)
        At the end.
    reactions : tuple of str
        Names of the reactions.
    """

    time: Array
    oven_temperature: Array
    core_temperature: Array
    surface_temperature: Array
    reaction_heat: Array
    short_heat: Array
    released: Array
    vented: Array
    from_oven: Array
    shorted: Array
    balance: Array
    states: Array
    reactions: tuple[str, ...] = _REACTIONS

    @property
    def onset(self) -> Array:
        """Time of thermal runaway of each cell [s]; NaN for one that does not run away. See :func:`find_onset`."""
        return find_onset(self.time, self.core_temperature, self.oven_temperature)


def find_onset(time: Array, temperature: Array, surroundings: Array | float) -> Array:
    """Return when each cell, hotter than its surroundings, first warms by ``ONSET_RATE`` = 1 K/s.

    Parameters
    ----------
    time : ndarray of shape (n_times,)
        [s], strictly increasing.
    temperature : ndarray of shape (n_times, n_cells)
        [K].
    surroundings : float or ndarray of shape (n_cells,)
        What heats the cells from outside [K].

    Returns
    -------
    ndarray of shape (n_cells,)
        Time at the start of the first sample period of that rate [s]; NaN where there is none.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    """
    if temperature.ndim != 2 or temperature.shape[0] != time.size:
        raise ShapeError(f"temperature has shape {temperature.shape}, expected ({time.size}, n_cells)")
    fast = np.diff(temperature, axis=0) >= ONSET_RATE * np.diff(time)[:, np.newaxis]
    fast &= temperature[:-1] > surroundings
    return np.where(fast.any(axis=0), time[fast.argmax(axis=0)], np.nan)


def oven_cell_cylindrical(
    *,
    diameter: float = 0.018,
    height: float = 0.065,
    density: float = 2580.0,
    specific_heat: float = 830.0,
    conductivity: float = 3.4,
    heat_transfer: float = 7.17,
    emissivity: float = 0.8,
    initial_temperature: float = 301.15,
    surface_share: float = 0.0,
    charge: float = 0.0,
    voltage: float = 0.0,
) -> OvenCell:
    r"""Return a cylindrical cell in an oven; by default an 18650 as the publications describe it.

    With a surface node the core conductance is that of a uniformly heated cylinder from its mean to its surface,
    :math:`8 \pi k L`.

    Parameters
    ----------
    diameter, height : float
        [m].
    density, specific_heat, conductivity : float
        Of the cell [kg/m^3, J/(kg.K)], and radially [W/(m.K)].
    heat_transfer, emissivity, initial_temperature, surface_share, charge, voltage : float
        As in :class:`OvenCell`.

    References
    ----------
    .. [1] T. D. Hatchard et al., J. Electrochem. Soc. 148 (2001) A755-A761.
    .. [2] C. F. Lopez, J. A. Jeevarajan, P. P. Mukherjee, J. Electrochem. Soc. 162 (2015) A2163-A2173.
    """
    radius = 0.5 * diameter
    return OvenCell(
        heat_capacity=density * specific_heat * math.pi * radius**2 * height,
        surface_area=2.0 * math.pi * radius * (height + radius),
        heat_transfer=heat_transfer,
        emissivity=emissivity,
        initial_temperature=initial_temperature,
        surface_share=surface_share,
        core_conductance=8.0 * math.pi * conductivity * height if surface_share > 0.0 else 0.0,
        charge=charge,
        voltage=voltage,
    )


def simulate_oven_test(
    model: AbuseModel,
    cell: OvenCell,
    oven_temperature: Array | float,
    *,
    duration: float = 7200.0,
    step: float = 1.0,
    lithium: float = 1.0,
) -> OvenHistory:
    r"""Put a cell into ovens of constant temperature, with the kernel that the pack engine runs.

    .. math::
        C \dot T = Q_\mathrm{abuse} + Q_\mathrm{short} - A\,[h (T_s - T_\mathrm{oven})
        + \varepsilon \sigma (T_s^4 - T_\mathrm{oven}^4)]

    Heat exchange is implicit, with radiation linearised at the start of a step.

    Parameters
    ----------
    model : AbuseModel
        The reactions.
    cell : OvenCell
        The cell.
    oven_temperature : float or ndarray of shape (n_ovens,)
        [K].
    duration, step : float
        [s].
    lithium : float
        In the negative electrode, over that of the full cell [-].

    Raises
    ------
    ModelError
        If duration, step or an oven's temperature is not positive.
    """
    ovens = np.atleast_1d(np.asarray(oven_temperature, dtype=np.float64))
    if not (np.isfinite(ovens).all() and (ovens > 0.0).all() and duration > 0.0 and 0.0 < step <= duration):
        raise ModelError(
            f"an oven test of {duration:g} s in steps of {step:g} s at {ovens} K is not possible",
            remedy="Give positive temperatures in kelvin, and a step of at most the duration",
        )
    reactor = _Reactor(model, cell, ovens.size, step)
    n_steps = round(duration / step)
    core, surface = np.full((2, n_steps + 1, ovens.size), cell.initial_temperature)
    states = np.empty((n_steps + 1, len(ABUSE_ROWS), ovens.size))
    states[0] = fresh_abuse_rows(model, ovens.size)
    short = np.zeros((n_steps + 1, ovens.size))
    charge, from_oven = np.full(ovens.size, cell.charge), np.zeros(ovens.size)
    conductance = np.zeros(ovens.size)
    for i in range(n_steps):
        current = np.minimum(cell.voltage * conductance, charge / step)
        charge = charge - current * step
        short[i + 1] = cell.voltage * current
        left = lithium * (charge / cell.charge if cell.charge > 0.0 else np.ones(ovens.size))
        outside = short[i + 1] + _exchange(cell, core[i], surface[i], ovens)
        abuse, conductance, states[i + 1] = reactor.advance(left, core[i], outside)
        core[i + 1], surface[i + 1], given = _conduct(cell, core[i], surface[i], ovens, abuse + short[i + 1], step)
        from_oven += given * step
    return _history(model, cell, step, ovens, core, surface, states, short, from_oven)


class _Reactor:
    """The kernel, for a handful of cells; its arrays are written and read where they lie."""

    def __init__(self, model: AbuseModel, cell: OvenCell, n_cells: int, step: float) -> None:
        import warp as wp

        start_warp()
        self._warp, self._n_cells = wp, n_cells
        lanes = lane_functions(8)
        self._kernel = make_abuse_kernels(lanes).advance_abuse
        self._n_bundles = -(-n_cells // lanes.width)
        padded = self._n_bundles * lanes.width
        values = {
            "content": np.ones(padded),
            "lithium": np.ones(padded),
            "temperature": np.full(padded, cell.initial_temperature),
            "heat_capacity": np.full(padded, cell.heat_capacity),
            "other_heat": np.zeros(padded),
            "rows": np.repeat(fresh_abuse_rows(model, 1), padded, axis=1),
            "abuse_heat": np.zeros(padded),
            "short_conductance": np.zeros(padded),
        }
        fields: dict[str, Any] = {
            name: wp.array(
                value.reshape(*value.shape[:-1], self._n_bundles, lanes.width), dtype=lanes.vector, device="cpu"
            )
            for name, value in values.items()
        }
        self._views = {name: field.numpy().reshape(values[name].shape) for name, field in fields.items()}
        constants = wp.array(abuse_constants(model), dtype=lanes.real, device="cpu")
        share = lanes.real(1.0 - cell.surface_share)
        first = [fields[name] for name in ("content", "lithium", "temperature", "heat_capacity")]
        last = [fields[name] for name in ("other_heat", "rows", "rows", "abuse_heat", "short_conductance")]
        self._inputs = [lanes.real(step), constants, *first, share, *last]

    def advance(self, lithium: Array, temperature: Array, other_heat: Array) -> tuple[Array, Array, Array]:
        for name, value in (("lithium", lithium), ("temperature", temperature), ("other_heat", other_heat)):
            self._views[name][: self._n_cells] = value
        self._warp.launch(self._kernel, dim=self._n_bundles, inputs=self._inputs, device="cpu")
        heat, conductance, rows = (self._views[name] for name in ("abuse_heat", "short_conductance", "rows"))
        return heat[: self._n_cells], conductance[: self._n_cells].copy(), rows[:, : self._n_cells]


def _film(cell: OvenCell, surface: Array, oven: Array) -> Array:
    """Conductance from the surface to the oven [W/K], radiation at the present temperature."""
    radiation = cell.emissivity * _STEFAN_BOLTZMANN * (surface**2 + oven**2) * (surface + oven)
    return cell.surface_area * (cell.heat_transfer + radiation)


def _exchange(cell: OvenCell, core: Array, surface: Array, oven: Array) -> Array:
    """Heat into the reacting node [W]."""
    if cell.surface_share > 0.0:
        return cell.core_conductance * (surface - core)
    return _film(cell, surface, oven) * (oven - surface)


def _conduct(
    cell: OvenCell, core: Array, surface: Array, oven: Array, made: Array, step: float
) -> tuple[Array, Array, Array]:
    """Return core and surface after a step [K], and the heat that came from the oven [W]; implicit."""
    film = _film(cell, surface, oven)
    if cell.surface_share == 0.0:
        stores = cell.heat_capacity / step
        after = (stores * core + made + film * oven) / (stores + film)
        return after, after, film * (oven - after)
    within = cell.heat_capacity * (1.0 - cell.surface_share) / step
    outer = cell.heat_capacity * cell.surface_share / step
    between = cell.core_conductance
    # core: (within + between) T_c - between T_s = ...; surface: (outer + between + film) T_s - between T_c = ...
    first, second = within * core + made, outer * surface + film * oven
    determinant = (within + between) * (outer + between + film) - between**2
    core_after = ((outer + between + film) * first + between * second) / determinant
    surface_after = ((within + between) * second + between * first) / determinant
    return core_after, surface_after, film * (oven - surface_after)


def _history(
    model: AbuseModel,
    cell: OvenCell,
    step: float,
    ovens: Array,
    core: Array,
    surface: Array,
    states: Array,
    short: Array,
    from_oven: Array,
) -> OvenHistory:
    released, vented = states[-1, ABUSE_ROWS.index("released")], states[-1, ABUSE_ROWS.index("vented")]
    shorted: Array = short.sum(axis=0) * step
    mean = (1.0 - cell.surface_share) * core + cell.surface_share * surface
    stored = cell.heat_capacity * (mean[-1] - mean[0])
    missing = np.abs(released + shorted + from_oven - vented - stored)
    turned_over: Array = np.maximum(released + shorted + np.abs(from_oven), 1e-12)
    balance: Array = missing / turned_over
    change = np.diff(states[:, :5], axis=0, prepend=states[:1, :5]) * _GROWS[:, np.newaxis]
    heats = np.array(list(model.heats.values()))
    # electrolyte that evaporates has not reacted: what the reactions released tells which part did
    power = change * heats[:, np.newaxis] / step
    total = np.diff(states[:, ABUSE_ROWS.index("released")], axis=0, prepend=0.0) / step
    power[:, 4] = np.maximum(total - power[:, :4].sum(axis=1), 0.0)
    return OvenHistory(
        time=freeze(np.arange(core.shape[0], dtype=np.float64) * step),
        oven_temperature=freeze(ovens),
        core_temperature=freeze(core),
        surface_temperature=freeze(surface),
        reaction_heat=freeze(np.ascontiguousarray(power.transpose(0, 2, 1))),
        short_heat=freeze(short),
        released=freeze(released),
        vented=freeze(vented),
        from_oven=freeze(from_oven),
        shorted=freeze(shorted),
        balance=freeze(balance),
        states=freeze(states[-1]),
    )
