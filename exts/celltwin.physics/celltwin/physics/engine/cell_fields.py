"""The fields of the engine: what a cell is, what it is in now, and what a step works with."""

from __future__ import annotations

from dataclasses import dataclass

from .fields import CellField, Grid, GroupField

__all__ = ["CellConstants", "CellState", "CircuitWork", "GroupConstants", "allocate_cells"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellConstants:
    """What a step reads of each cell and never changes; switches and resistances may be set between steps."""

    capacity_scale: CellField
    diffusivity_scale: CellField
    resistance: CellField
    connection: CellField
    connected: CellField
    short: CellField
    bleed: CellField
    shunt: CellField
    heat_capacity: CellField
    core_conductance: CellField


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupConstants:
    """What a step reads of each group."""

    inverse_capacity: GroupField
    bypass: GroupField
    balancing: GroupField
    rail: GroupField


@dataclass(frozen=True, kw_only=True, eq=False)
class CellState:
    """What every kind of cell is in at the start and at the end of a step; its profiles come with its model."""

    current: CellField
    branch_current: CellField
    voltage: CellField
    heat: CellField
    soc: CellField
    surface_temperature: CellField
    core_temperature: CellField
    temperature: CellField
    abuse_heat: CellField
    side_current: CellField
    film_resistance: CellField
    contact_factor: CellField
    active_negative: CellField
    active_positive: CellField


@dataclass(frozen=True, kw_only=True, eq=False)
class CircuitWork:
    """What one solution of the circuit works with and leaves."""

    source: CellField
    inner: CellField
    conductance: CellField
    change: CellField


def allocate_cells[Kind](
    kind: type[Kind], grid: Grid, *, rows: dict[str, int] | None = None, fill: dict[str, float] | None = None
) -> Kind:
    """Return a set of cell fields, with the numbers a cell of ``rows`` and the values of ``fill``, else one and 0."""
    rows, fill = rows or {}, fill or {}
    names = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return kind(**{name: CellField(grid, rows=rows.get(name), fill=fill.get(name, 0.0)) for name in names})
