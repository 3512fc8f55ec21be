"""The ageing state of cells as arrays in pack order, and what it means: lithium lost, capacity left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import FARADAY, SECONDS_PER_HOUR, Array, ModelError, freeze

from .ageing import AgeingModel
from .ageing_kernels import AGEING_ROWS
from .cell_model import CellModel
from .property_fit import evaluate_cubic_table

__all__ = [
    "AgeingState",
    "LithiumLoss",
    "film_resistance",
    "host_capacity",
    "lithium_loss",
    "new_ageing_state",
    "remaining_capacity",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class AgeingState:
    """How far cells have aged.

    Attributes
    ----------
    sei_thickness : ndarray of shape (n_cells,)
        Film on the negative particles [m].
    plated_lithium, dead_lithium : ndarray of shape (n_cells,)
        On the negative particles, that can be stripped and that cannot [A.h].
    active_negative, active_positive : ndarray of shape (n_cells,)
        Active material over that of the new cell [-].
    lost_lithium : ndarray of shape (n_cells,)
        Within active material that was lost, of both electrodes [A.h].
    """

    sei_thickness: Array
    plated_lithium: Array
    dead_lithium: Array
    active_negative: Array
    active_positive: Array
    lost_lithium: Array

    def __post_init__(self) -> None:
        """Check shapes and ranges, and make the arrays read-only."""
        for name in AGEING_ROWS:
            values = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            if values.ndim != 1 or values.shape != np.shape(self.sei_thickness):
                raise ModelError(
                    f"{name} has the shape {values.shape}; expected {np.shape(self.sei_thickness)}",
                    remedy="Give one value a cell for every part of the ageing state",
                )
            low, high = {"sei_thickness": (1e-12, 1e-4), "active_negative": (1e-3, 1.0)}.get(name, (0.0, np.inf))
            low, high = (1e-3, 1.0) if name == "active_positive" else (low, high)
            wrong = np.flatnonzero(~(np.isfinite(values) & (values >= low) & (values <= high)))
            if wrong.size:
                raise ModelError(
                    f"{name} = {values[wrong[0]]:g} is not physical: it must be in [{low:g}, {high:g}]",
                    where=f"cell {int(wrong[0])}",
                    remedy="Correct the ageing state",
                )
            object.__setattr__(self, name, freeze(values))

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.sei_thickness.size)

    def rows(self) -> Array:
        """Return the state as one array of shape (6, n_cells), in the order of ``AGEING_ROWS``."""
        return np.stack([getattr(self, name) for name in AGEING_ROWS])

    @staticmethod
    def of(rows: Array) -> AgeingState:
        """Return the state that :meth:`rows` gives."""
        return AgeingState(**dict(zip(AGEING_ROWS, rows, strict=True)))


@dataclass(frozen=True, kw_only=True, eq=False)
class LithiumLoss:
    """Lithium that no longer cycles, by where it is.

    Attributes
    ----------
    sei, plated, dead, active_material : ndarray of shape (n_cells,)
        In the film beyond the new cell's, plated, dead, and within lost active material [A.h].
    """

    sei: Array
    plated: Array
    dead: Array
    active_material: Array

    @property
    def side_reactions(self) -> Array:
        """What left the particles through their surface [A.h]."""
        return self.sei + self.plated + self.dead

    @property
    def total(self) -> Array:
        """Loss of lithium inventory [A.h]."""
        return self.side_reactions + self.active_material


def new_ageing_state(model: AgeingModel, cell: CellModel, capacity_scale: Array) -> AgeingState:
    """Return the state of cells that have not aged.

    Parameters
    ----------
    model : AgeingModel
        The ageing model.
    cell : CellModel
        The cell type.
    capacity_scale : ndarray of shape (n_cells,)
        Capacity of each cell over that of the type [-].
    """
    scale = np.asarray(capacity_scale, dtype=np.float64)
    volume = cell.negative.thickness * cell.electrode_area
    return AgeingState(
        sei_thickness=np.full(scale.shape, model.sei.initial_thickness),
        plated_lithium=scale * model.plating.initial_concentration * FARADAY / SECONDS_PER_HOUR * volume,
        dead_lithium=np.zeros(scale.shape),
        active_negative=np.ones(scale.shape),
        active_positive=np.ones(scale.shape),
        lost_lithium=np.zeros(scale.shape),
    )


def lithium_loss(model: AgeingModel, cell: CellModel, state: AgeingState, capacity_scale: Array) -> LithiumLoss:
    r"""Return the lithium that each cell has lost, by where it is.

    The film holds :math:`z F a L_n A\, L / (3600\,V)`, with the surface a that is left.

    Parameters
    ----------
    model : AgeingModel
        The ageing model.
    cell : CellModel
        The cell type.
    state : AgeingState
        Of the cells.
    capacity_scale : ndarray of shape (n_cells,)
        Capacity of each cell over that of the type [-].
    """
    new = new_ageing_state(model, cell, capacity_scale)
    surface = cell.negative.interface_area * cell.negative.thickness * cell.electrode_area
    charge = surface * FARADAY * model.sei.lithium_ratio / (model.sei.partial_molar_volume * SECONDS_PER_HOUR)
    film = state.sei_thickness * state.active_negative - new.sei_thickness
    return LithiumLoss(
        sei=capacity_scale * charge * film,
        plated=state.plated_lithium - new.plated_lithium,
        dead=state.dead_lithium,
        active_material=state.lost_lithium,
    )


def film_resistance(model: AgeingModel, cell: CellModel, state: AgeingState, capacity_scale: Array) -> Array:
    r"""Return the resistance that ageing puts into each cell [ohm].

    .. math:: R = \frac{\rho L}{a L_n A} + \frac{g}{A}\,\frac{Q_\mathrm{side}}{Q_{n,0}}

    with the lithium that side reactions took, over what the negative electrode of the new cell can hold.

    Parameters
    ----------
    model : AgeingModel
        The ageing model.
    cell : CellModel
        The cell type.
    state : AgeingState
        Of the cells.
    capacity_scale : ndarray of shape (n_cells,)
        Capacity of each cell over that of the type [-].
    """
    surface = cell.negative.interface_area * cell.negative.thickness * cell.electrode_area * capacity_scale
    side = lithium_loss(model, cell, state, capacity_scale).side_reactions
    contact = model.contact_growth / (cell.electrode_area * capacity_scale)
    film = model.sei.resistivity * state.sei_thickness / (surface * state.active_negative)
    return np.asarray(film + contact * side / (host_capacity(cell, "negative") * capacity_scale))


def remaining_capacity(
    cell: CellModel,
    state: AgeingState,
    loss: LithiumLoss,
    capacity_scale: Array,
    *,
    lowest_voltage: float | None = None,
) -> Array:
    r"""Return what cells can give between their open-circuit voltage limits.

    The stoichiometries x and y at both limits follow from what active material and lithium are left,

    .. math:: x\,Q_n + y\,Q_p = Q_\mathrm{Li}, \qquad U_p(y) - U_n(x) = V,

    and the capacity is :math:`Q_n\,(x_{100} - x_0)`.

    Parameters
    ----------
    cell : CellModel
        The cell type.
    state : AgeingState
        Of the cells.
    loss : LithiumLoss
        Of the cells.
    capacity_scale : ndarray of shape (n_cells,)
        Capacity of each cell over that of the type [-].
    lowest_voltage : float, optional
        Voltage of the empty cell [V]; the cell's own limit without it.

    Returns
    -------
    ndarray of shape (n_cells,)
        Capacity [A.h].

    References
    ----------
    .. [1] P. Mohtat, S. Lee, J. B. Siegel, A. G. Stefanopoulou, J. Power Sources 427 (2019) 101-111.
    """
    scale = np.asarray(capacity_scale, dtype=np.float64)
    host = {side: host_capacity(cell, side) * scale for side in ("negative", "positive")}
    lithium = host["negative"] * cell.negative.stoichiometry_full + host["positive"] * cell.positive.stoichiometry_full
    lithium = lithium - loss.total
    negative, positive = host["negative"] * state.active_negative, host["positive"] * state.active_positive
    low = cell.lowest_voltage if lowest_voltage is None else lowest_voltage
    full = _balance(cell, lithium, negative, positive, cell.highest_voltage)
    empty = _balance(cell, lithium, negative, positive, low)
    return negative * np.maximum(full - empty, 0.0)


def host_capacity(cell: CellModel, side: str) -> float:
    """Return the lithium in a full electrode of the new cell [A.h]."""
    electrode = cell.negative if side == "negative" else cell.positive
    volume = electrode.active_fraction * electrode.thickness * cell.electrode_area
    return volume * electrode.maximum_concentration * FARADAY / SECONDS_PER_HOUR


def _balance(cell: CellModel, lithium: Array, negative: Array, positive: Array, voltage: float) -> Array:
    """Return the negative stoichiometry at an open-circuit voltage, by bisection: the voltage grows with it."""
    low = np.clip((lithium - positive) / negative, 0.0, 1.0)
    high = np.clip(lithium / negative, 0.0, 1.0)
    for _ in range(50):
        middle = 0.5 * (low + high)
        difference = evaluate_cubic_table(
            cell.positive.potential[:, :4], np.clip((lithium - middle * negative) / positive, 0.0, 1.0)
        ) - evaluate_cubic_table(cell.negative.potential[:, :4], middle)
        above = difference > voltage
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    return 0.5 * (low + high)
