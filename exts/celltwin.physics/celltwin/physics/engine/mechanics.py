"""Mechanics of many cells at a time: on the arrays of the engine, and on arrays in pack order for any trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import Array, ModelError, ShapeError

from .fields import CellField, Grid
from .lanes import lane_functions
from .launching import Launcher, TapedLauncher
from .mechanics_kernels import make_mechanics_kernels, make_mechanics_structure
from .mechanics_model import CanForm, LayerForm, MechanicsModel, PressStacks
from .property_fit import evaluate_cubic_table

__all__ = ["CellMechanics", "MechanicsResult", "evaluate_mechanics", "share_mechanics", "stack_compliance"]


@dataclass(frozen=True, kw_only=True, eq=False)
class MechanicsResult:
    """What mechanics says of a trajectory.

    Attributes
    ----------
    thickness_change : ndarray of shape (n_steps, n_cells)
        Of a pouch cell under its pressure, or of a can's diameter, from the reference state [m].
    hoop_strain : ndarray of shape (n_steps, n_cells)
        Mean hoop strain of the can from the reference state [-]; 0 for layers.
    pressure : ndarray of shape (n_steps, n_cells)
        On the layers, or of the roll on the can [Pa].
    contact_factor : ndarray of shape (n_steps, n_cells)
        On contact resistances that the pressure holds together [-].
    """

    thickness_change: Array
    hoop_strain: Array
    pressure: Array
    contact_factor: Array


class CellMechanics:
    """The mechanics of the cells of an engine.

    Parameters
    ----------
    model : MechanicsModel
        The cell type, and its stacks.
    grid : Grid
        How cells lie in memory.
    new_film : float
        Film on the negative particles of the fresh cell [m].

    Attributes
    ----------
    thickness_change, hoop_strain, pressure, contact_factor : CellField
        As in :class:`MechanicsResult`, after :meth:`launch`.

    Raises
    ------
    ModelError
        If the stacks do not name every cell.
    """

    def __init__(self, model: MechanicsModel, grid: Grid, *, new_film: float = 0.0) -> None:
        self.model = model
        self.grid = grid
        self.thickness_change = CellField(grid)
        self.hoop_strain = CellField(grid)
        self.pressure = CellField(grid)
        self.contact_factor = CellField(grid, fill=1.0)
        self._free = CellField(grid)
        self._shared = share_mechanics(model, grid.device, new_film=new_film)
        self._kernels = make_mechanics_kernels(grid.lanes)
        self._stacks = _place_stacks(model, grid) if isinstance(model.form, LayerForm) else None

    def launch(self, launcher: Launcher, negative: Any, positive: Any, temperature: Any, film: Any) -> None:
        """Find thickness, strain, pressure and contact factor of every cell.

        Parameters
        ----------
        launcher : Launcher
            Launches at once, or records.
        negative, positive : Warp array of bundles
            Mean stoichiometries [-].
        temperature : Warp array of bundles
            [K].
        film : Warp array of bundles
            Film on the negative particles, that of the fresh cell included [m].
        """
        kernels, shared, grid = self._kernels, self._shared, self.grid
        free, thickness, pressure, contact = self._free, self.thickness_change, self.pressure, self.contact_factor
        launcher.launch(kernels.swell, grid.bundles, [shared, negative, positive, temperature, film], [free.bundles])
        if self._stacks is None:
            found = [thickness.bundles, self.hoop_strain.bundles, pressure.bundles, contact.bundles]
            launcher.launch(kernels.fill_cans, grid.bundles, [shared, temperature, free.bundles], found)
            return
        held = self._stacks
        launcher.launch(
            kernels.balance_stacks,
            held.count,
            [shared, held.start, held.places, held.compliance, held.preload, free.flat],
            [held.pressure, held.contact],
        )
        launcher.launch(
            kernels.press_layers,
            grid.parallel * grid.padded,
            [shared, held.stack, held.preload, held.pressure, held.contact, free.flat],
            [thickness.flat, pressure.flat, contact.flat],
        )


def evaluate_mechanics(
    model: MechanicsModel,
    stoichiometry_negative: Array,
    stoichiometry_positive: Array,
    temperature: Array,
    film: Array | float = 0.0,
    *,
    device: str = "cpu",
) -> MechanicsResult:
    """Return the mechanics along a trajectory.

    Parameters
    ----------
    model : MechanicsModel
        The cell type, and its stacks.
    stoichiometry_negative, stoichiometry_positive : ndarray of shape (n_steps, n_cells)
        Mean over the particles and the electrode [-].
    temperature : ndarray of shape (n_steps, n_cells)
        [K].
    film : ndarray of shape (n_steps, n_cells) or float
        Film on the negative particles, less that of the fresh cell [m].
    device : str
        Warp's name of the device.

    Raises
    ------
    ShapeError
        If the stoichiometries are not of two axes and alike.
    ModelError
        If the stacks do not name every cell, or an input is not finite.
    """
    shape = np.shape(stoichiometry_negative)
    if len(shape) != 2:
        raise ShapeError(f"stoichiometry_negative has the shape {shape}, expected (n_steps, n_cells)")
    fields = []
    # each step is a pack of its own: one launch for the whole trajectory
    lanes = lane_functions(8 if device == "cpu" else 1)
    grid = Grid(n_groups=shape[0] * shape[1], parallel=1, lanes=lanes, device=device)
    for name, values in (
        ("stoichiometry_negative", stoichiometry_negative),
        ("stoichiometry_positive", stoichiometry_positive),
        ("temperature", temperature),
        ("film", film),
    ):
        try:
            spread = np.broadcast_to(np.asarray(values, dtype=np.float64), shape)
        except ValueError:
            raise ShapeError(f"{name} has the shape {np.shape(values)}, expected {shape}") from None
        if not np.isfinite(spread).all():
            step, cell = (int(index) for index in np.argwhere(~np.isfinite(spread))[0])
            raise ModelError(f"{name} of cell {cell} is not finite at step {step}", remedy="Correct the trajectory")
        field = CellField(grid)
        field.write(spread.reshape(-1))
        fields.append(field.bundles)
    mechanics = CellMechanics(_repeated(model, shape[0], shape[1]), grid)
    mechanics.launch(TapedLauncher(device), *fields)
    found = (mechanics.thickness_change, mechanics.hoop_strain, mechanics.pressure, mechanics.contact_factor)
    thickness, strain, pressure, contact = (field.read().reshape(shape) for field in found)
    return MechanicsResult(thickness_change=thickness, hoop_strain=strain, pressure=pressure, contact_factor=contact)


def share_mechanics(model: MechanicsModel, device: str, *, new_film: float = 0.0) -> Any:
    """Return the Warp structure of a model on a device."""
    import warp as wp

    shared = make_mechanics_structure()()
    shared.volume_change = wp.array(model.volume_change, dtype=wp.float64, device=device)
    shared.layer_negative, shared.layer_positive = model.active_thickness
    negative, positive = model.reference_stoichiometry
    shared.change_negative = float(evaluate_cubic_table(model.volume_change[:, :4], negative))
    shared.change_positive = float(evaluate_cubic_table(model.volume_change[:, 4:], positive))
    shared.thermal_expansion = model.thermal_expansion
    shared.reference_temperature = model.reference_temperature
    shared.film_gain = model.film_gain
    shared.new_film = new_film
    shared.contact_exponent = model.contact_exponent
    shared.contact_share = model.contact_share
    shared.lowest_ratio = model.lowest_pressure_ratio
    shared.compliance = model.form.compliance
    if isinstance(model.form, CanForm):
        shared.assembly_pressure = model.form.assembly_pressure
        shared.strain_compliance = model.form.strain_compliance
        shared.can_expansion = model.form.can_expansion
        shared.radius = model.form.radius
    return shared


def stack_compliance(form: LayerForm, stacks: PressStacks) -> Array:
    """Return thickness gained for each pascal of the stacks with pads and housing [m/Pa], of shape (n_stacks,)."""
    cells = np.bincount(stacks.stack[stacks.stack >= 0], minlength=stacks.n_stacks)
    return np.asarray(
        cells * form.compliance + form.area * (stacks.pad_compliance + 1.0 / stacks.housing_stiffness),
        dtype=np.float64,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _PlacedStacks:
    """The stacks as Warp arrays, with places in memory for cells."""

    count: int
    stack: Any
    start: Any
    places: Any
    compliance: Any
    preload: Any
    pressure: Any
    contact: Any


def _place_stacks(model: MechanicsModel, grid: Grid) -> _PlacedStacks:
    import warp as wp

    assert isinstance(model.form, LayerForm)
    stacks = model.stacks
    count = 0 if stacks is None else stacks.n_stacks
    stack_of_place = np.full(grid.parallel * grid.padded, -1, dtype=np.int32)
    start = np.zeros(count + 1, dtype=np.int32)
    places = np.zeros(0, dtype=np.int32)
    compliance = preload = np.ones(1)
    if stacks is not None:
        if stacks.stack.size != grid.n_cells:
            raise ModelError(
                f"the stacks name {stacks.stack.size} cells, the pack has {grid.n_cells}",
                where=model.name,
                remedy="Give every cell of the pack its stack, or -1",
            )
        where = grid.inside(np.arange(grid.n_cells))
        stack_of_place[where] = stacks.stack
        order = np.argsort(stacks.stack, kind="stable")
        order = order[stacks.stack[order] >= 0]
        places = where[order].astype(np.int32)
        start[1:] = np.cumsum(np.bincount(stacks.stack[order], minlength=count))
        compliance = stack_compliance(model.form, stacks)
        preload = stacks.preload / model.form.area

    def reals(values: Array) -> Any:
        return wp.array(values, dtype=wp.float64, device=grid.device, requires_grad=grid.gradient)

    return _PlacedStacks(
        count=count,
        stack=wp.array(stack_of_place, dtype=wp.int32, device=grid.device),
        start=wp.array(start, dtype=wp.int32, device=grid.device),
        places=wp.array(places, dtype=wp.int32, device=grid.device),
        compliance=reals(compliance),
        preload=reals(preload),
        pressure=reals(np.zeros(max(count, 1))),
        contact=reals(np.ones(max(count, 1))),
    )


def _repeated(model: MechanicsModel, n_steps: int, n_cells: int) -> MechanicsModel:
    """Return the model with its stacks repeated for every step."""
    from dataclasses import replace

    stacks = model.stacks
    if stacks is None:
        return model
    if stacks.stack.size != n_cells:
        raise ModelError(
            f"the stacks name {stacks.stack.size} cells, the trajectory has {n_cells}",
            where=model.name,
            remedy="Give every cell its stack, or -1",
        )
    shifted = stacks.stack[np.newaxis] + stacks.n_stacks * np.arange(n_steps, dtype=np.int32)[:, np.newaxis]
    tiled = PressStacks(
        stack=np.where(stacks.stack >= 0, shifted, -1).reshape(-1),
        preload=np.tile(stacks.preload, n_steps),
        housing_stiffness=np.tile(stacks.housing_stiffness, n_steps),
        pad_compliance=np.tile(stacks.pad_compliance, n_steps),
    )
    return replace(model, stacks=tiled)
