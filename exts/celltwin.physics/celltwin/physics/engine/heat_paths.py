"""Where the heat of each cell goes: its neighbours, the coolant below it, the air around its module."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, PackSpec, lay_out

from .busbar_materials import find_conductor
from .cell_model import ThermalModel
from .pack_network import HeatPaths

__all__ = [
    "FILM_EXPONENT",
    "LEAST_FILM",
    "HeatExchange",
    "build_heat_paths",
    "cell_surface",
    "exchange_heat",
    "film_share",
    "pair_conductance",
    "thermal_model",
]

FILM_EXPONENT = 0.8  # of the flow, in turbulent and developing channel flow (Dittus and Boelter)
LEAST_FILM = 0.05  # share of the design film that is left without flow
_LEAST_GAP = 1e-4  # [m]
_LEAST_CAPACITY = 1e-9  # of a stream that stands [W/K]
_FACING_REACH = 0.6  # pitches beyond the nearest pair within which cells of two modules face each other
_FARTHEST_MODULE = 0.1  # gap beyond which modules are no neighbours [m]

type Pairs = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatExchange:
    """What the cells give and get at one moment, and the coolant's temperatures along its way.

    Attributes
    ----------
    neighbours, coolant, ambient : ndarray of shape (n_cells,)
        Heat into each cell's surface from its neighbours, the coolant and the ambient [W].
    segment_outlet : ndarray of shape (n_segments,)
        Temperature of the coolant where it leaves each segment [K].
    """

    neighbours: Array
    coolant: Array
    ambient: Array
    segment_outlet: Array


def build_heat_paths(spec: PackSpec) -> HeatPaths:
    r"""Return the heat paths that follow from a pack's layout, busbars and cooling.

    Neighbours conduct through what fills their gap and, where they share a busbar, through it: two rails between
    cells of one group, one between cells of linked groups, each :math:`k w t / d`. The coolant passes the cells of a
    module column by column along its flow. The housing gives heat to the ambient through its sides, shared by the
    outer cells, and its top, shared by all.

    Parameters
    ----------
    spec : PackSpec
        The pack.

    Returns
    -------
    HeatPaths
        One channel a module, or one in all where the coolant passes the modules in series.

    Raises
    ------
    SpecError
        If the busbar's material is unknown.
    """
    cooling = spec.cooling
    pairs, conductance = _join(_within_modules(spec), _between_modules(spec))
    neighbours, table = _tabulate(spec.n_cells, pairs, conductance)
    design = np.full(spec.n_cells, cooling.heat_transfer * cell_surface(spec))
    plate = cooling.method == "plate"
    column = _columns(spec)
    n_columns = int(column.max()) + 1
    segment = (np.arange(spec.n_modules)[:, np.newaxis] * n_columns + column).reshape(-1)
    n_channels = spec.n_modules if cooling.supply == "parallel" else 1
    starts = np.linspace(0, spec.n_modules * n_columns, n_channels + 1)
    return HeatPaths(
        neighbours=neighbours,
        conductance=table,
        ambient_conductance=np.tile(_housing(spec), spec.n_modules) if plate else design,
        coolant_conductance=design if plate else np.zeros(spec.n_cells),
        segment=segment.astype(np.int32),
        segment_start=np.rint(starts).astype(np.int32),
        design_flow=np.full(n_channels, cooling.flow if plate else 0.0),
        coolant_heat_capacity=cooling.coolant_heat_capacity,
        inlet_temperature=np.full(n_channels, cooling.inlet_temperature),
        ambient_temperature=cooling.air_temperature,
    )


def thermal_model(spec: PackSpec) -> ThermalModel:
    r"""Return the heat of one cell: one temperature, or core and surface where its conductivity is known.

    With uniform heat the mean of a cell lies above its surface by the heat times

    .. math:: R = \frac{1}{8 \pi k L} \quad\text{(cylinder)}, \qquad R = \frac{d}{12\, k A} \quad\text{(pouch, prism)}.

    All heat arises in the core node, which holds the share :math:`1 - s` of the heat capacity; its conductance to the
    surface, :math:`(1 - s) / R`, gives the same mean in the steady state.

    Parameters
    ----------
    spec : PackSpec
        The pack.

    References
    ----------
    .. [1] T. L. Bergman et al., Fundamentals of Heat and Mass Transfer, Wiley, 2011, sec. 3.5: uniform generation in
       a cylinder and in a plane wall; the means follow by integration.
    .. [2] X. Lin et al., A lumped-parameter electro-thermal model for cylindrical batteries, J. Power Sources 257
       (2014) 1-11: core and surface, heat in the core.
    """
    cell = spec.cell
    capacity = cell.mass * cell.heat_capacity
    transfer = spec.cooling.heat_transfer * cell_surface(spec)
    if cell.conductivity <= 0.0:
        return ThermalModel(heat_capacity=capacity, heat_transfer=transfer)
    if cell.format == "cylindrical":
        resistance = 1.0 / (8.0 * np.pi * cell.conductivity * cell.height)
    else:
        thickness = min(*cell.footprint, cell.height)
        area = cell.length * cell.width * cell.height / thickness
        resistance = thickness / (12.0 * cell.conductivity * area)
    return ThermalModel(
        heat_capacity=capacity,
        surface_share=cell.surface_share,
        core_conductance=float((1.0 - cell.surface_share) / resistance),
        heat_transfer=transfer,
    )


def cell_surface(spec: PackSpec) -> float:
    """Return the outer surface of a cell [m^2]."""
    cell = spec.cell
    if cell.format == "cylindrical":
        return float(np.pi * cell.diameter * (cell.height + 0.5 * cell.diameter))
    return 2.0 * (cell.length * cell.width + cell.length * cell.height + cell.width * cell.height)


def pair_conductance(spec: PackSpec) -> tuple[float, float, float]:
    r"""Return the conductance through the gap between neighbours apart along x, y and z [W/K].

    Two cylinders in a medium have the shape factor :math:`2 \pi L / \mathrm{arcosh}((4 w^2 - 2 D^2) / (2 D^2))`;
    flat faces conduct as a plane wall.

    References
    ----------
    .. [1] T. L. Bergman et al., Fundamentals of Heat and Mass Transfer, Wiley, 2011, table 4.1, case 4.
    """
    cell, gap = spec.cell, max(spec.layout.cell_gap, _LEAST_GAP)
    k = spec.layout.gap_conductivity
    size_x, size_y = cell.footprint
    if cell.format == "cylindrical":
        pitch = cell.diameter + gap
        ratio = (4.0 * pitch**2 - 2.0 * cell.diameter**2) / (2.0 * cell.diameter**2)
        side = float(2.0 * np.pi * k * cell.height / np.arccosh(ratio))
        return side, side, k * 0.25 * np.pi * cell.diameter**2 / gap
    return k * size_y * cell.height / gap, k * size_x * cell.height / gap, k * size_x * size_y / gap


def film_share(flow: Array, design_flow: Array) -> Array:
    """Return the film conductance of each channel over that at its design flow [-]; 0 where there is no coolant."""
    present = design_flow > 0.0
    ratio = np.maximum(flow, 0.0) / np.where(present, design_flow, 1.0)
    return np.where(present, np.maximum(ratio**FILM_EXPONENT, LEAST_FILM), 0.0)


def exchange_heat(
    heat: HeatPaths,
    temperature: Array,
    flow: Array,
    *,
    inlet_temperature: Array | None = None,
    ambient_temperature: float | None = None,
) -> HeatExchange:
    """Return the heat into every cell's surface at one moment: the engine's formulas, in plain arrays.

    Parameters
    ----------
    heat : HeatPaths
        The heat paths.
    temperature : ndarray of shape (n_cells,)
        Of the cells' surfaces [K].
    flow : ndarray of shape (n_channels,)
        Coolant mass flow [kg/s].
    inlet_temperature : ndarray of shape (n_channels,), optional
        [K]; the design's where absent.
    ambient_temperature : float, optional
        [K]; the design's where absent.
    """
    inlet = heat.inlet_temperature if inlet_temperature is None else inlet_temperature
    ambient = heat.ambient_temperature if ambient_temperature is None else ambient_temperature
    n_segments = int(heat.segment_start[-1])
    channel = np.repeat(np.arange(flow.size), np.diff(heat.segment_start))
    film = heat.coolant_conductance * film_share(flow, heat.design_flow)[channel[heat.segment]]
    total = np.bincount(heat.segment, film, n_segments)
    weighted = np.bincount(heat.segment, film * temperature, n_segments)
    mean = np.where(total > 0.0, weighted / np.where(total > 0.0, total, 1.0), 0.0)
    capacity = np.maximum(np.maximum(flow, 0.0) * heat.coolant_heat_capacity, _LEAST_CAPACITY)
    units = total / capacity[channel]
    outlet = np.empty(n_segments)
    entry = np.empty(n_segments)
    for start, end, first in zip(heat.segment_start[:-1], heat.segment_start[1:], inlet, strict=True):
        now = float(first)
        for place in range(start, end):
            entry[place] = now
            now = mean[place] + (now - mean[place]) * np.exp(-units[place]) if total[place] > 0.0 else now
            outlet[place] = now
    # Each cell of a segment has its own share of the stream, which approaches the cell's temperature on its way.
    reached = np.where(units > 1e-9, -np.expm1(-units) / np.maximum(units, 1e-300), 1.0)
    return HeatExchange(
        neighbours=(heat.conductance * (temperature[heat.neighbours] - temperature)).sum(axis=0),
        coolant=(film * reached[heat.segment]) * (entry[heat.segment] - temperature),
        ambient=heat.ambient_conductance * (ambient - temperature),
        segment_outlet=outlet,
    )


def _within_modules(spec: PackSpec) -> tuple[Pairs, Array]:
    pairs = lay_out(spec).neighbours
    if not pairs.size:
        return pairs, np.empty(0)
    local = lay_out(spec).cells_in_module
    apart = np.abs(local[pairs[:, 1] % local.shape[0]] - local[pairs[:, 0] % local.shape[0]])
    conductance = np.array(pair_conductance(spec))[np.argmax(apart, axis=1)]
    rails = np.array([2.0, 1.0, 0.0])[np.minimum(np.abs(np.diff(pairs // spec.parallel, axis=1)[:, 0]), 2)]
    section = find_conductor(spec.busbar.material).conductivity * spec.busbar.width * spec.busbar.thickness
    return pairs, conductance + rails * section / np.linalg.norm(apart, axis=1)


def _between_modules(spec: PackSpec) -> tuple[Pairs, Array]:
    """Return pairs of cells that face each other across the gap between two modules."""
    nothing = np.empty((0, 2), dtype=np.int64), np.empty(0)
    if spec.cooling.module_transfer <= 0.0 or spec.n_modules < 2:
        return nothing
    layout = lay_out(spec)
    cells = layout.cell_positions.reshape(spec.n_modules, -1, 3)
    per_module = cells.shape[1]
    size = np.array(layout.module_size)
    centres = np.array([module.position for module in spec.modules])
    widest = float(np.hypot(size[0], size[1])) + _FARTHEST_MODULE
    pitch = min(spec.cell.footprint) + spec.layout.cell_gap
    step = spec.cell.height + spec.layout.cell_gap
    found, conductance = [], []
    for first in range(spec.n_modules):
        for second in range(first + 1, spec.n_modules):
            if np.linalg.norm(centres[second] - centres[first]) > widest:
                continue
            apart = np.linalg.norm(cells[first][:, np.newaxis] - cells[second][np.newaxis], axis=2)
            if apart.min() > 2.0 * (spec.layout.housing_wall + max(spec.cell.footprint)) + _FARTHEST_MODULE:
                continue
            near_second, near_first = apart.argmin(axis=1), apart.argmin(axis=0)
            a = np.arange(per_module)
            mutual = (near_first[near_second] == a) & (apart[a, near_second] < apart.min() + _FACING_REACH * pitch)
            a, b = a[mutual], near_second[mutual]
            across = np.abs(cells[first][a] - cells[second][b])
            side = np.where(across[:, 0] >= across[:, 1], spec.cell.footprint[1], spec.cell.footprint[0])
            found.append(np.stack([first * per_module + a, second * per_module + b], axis=1))
            conductance.append(spec.cooling.module_transfer * (side + spec.layout.cell_gap) * step)
    return (np.concatenate(found), np.concatenate(conductance)) if found else nothing


def _join(*parts: tuple[Pairs, Array]) -> tuple[Pairs, Array]:
    return np.concatenate([pairs for pairs, _ in parts]), np.concatenate([values for _, values in parts])


def _tabulate(n_cells: int, pairs: Pairs, conductance: Array) -> tuple[NDArray[np.int32], Array]:
    """Return neighbours and conductance of shape (n_neighbours, n_cells), with at least one row."""
    source = np.concatenate([pairs[:, 0], pairs[:, 1]])
    target = np.concatenate([pairs[:, 1], pairs[:, 0]])
    values = np.concatenate([conductance, conductance])
    order = np.argsort(source, kind="stable")
    source, target, values = source[order], target[order], values[order]
    counts = np.bincount(source, minlength=n_cells)
    rank = np.arange(source.size) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = max(1, int(counts.max(initial=0)))
    neighbours = np.tile(np.arange(n_cells, dtype=np.int32), (rows, 1))
    table = np.zeros((rows, n_cells))
    neighbours[rank, source] = target
    table[rank, source] = values
    return neighbours, table


def _columns(spec: PackSpec) -> NDArray[np.int64]:
    """Return the place of each cell of a module along the flow, counted in columns across it."""
    direction = spec.cooling.flow_direction
    along = lay_out(spec).cells_in_module[:, "xy".index(direction[1])]
    along = along if direction[0] == "+" else -along
    _, column = np.unique(np.round(along, 9), return_inverse=True)
    return column.astype(np.int64)


def _housing(spec: PackSpec) -> Array:
    """Return the conductance to the ambient of each cell of a module [W/K]."""
    transfer, layout = spec.cooling.ambient_transfer, lay_out(spec)
    per_module = spec.series * spec.parallel
    size_x, size_y, size_z = layout.module_size
    stack = spec.layout.pattern == "stack"
    pairs = layout.neighbours[: layout.neighbours.shape[0] // spec.n_modules]
    inner = {"hexagonal": 6, "square": 4}.get(spec.layout.pattern, per_module)
    outer = np.bincount(pairs.reshape(-1), minlength=per_module) < inner
    sides = 2.0 * (size_x + size_y) * size_z * outer / outer.sum()
    below_top = np.zeros(per_module) if stack else np.full(per_module, 1.0 / per_module)
    if stack:
        below_top[-1] = 1.0
    return transfer * (sides + size_x * size_y * below_top)
