"""What the engine knows of a cell's mechanics: how its layers swell, what holds it, what pressure does to contacts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, ModelError, freeze

from .physical_ranges import require_ranges

__all__ = ["CanForm", "LayerForm", "MechanicsModel", "PressStacks"]


@dataclass(frozen=True, kw_only=True)
class LayerForm:
    """A pouch or prismatic cell: flat layers, pressed along their normal.

    Attributes
    ----------
    area : float
        Of the layers, on which the pressure acts [m^2].
    thickness : float
        Of all layers together at the reference state [m].
    modulus : float
        Pressure for each strain of the layers, around the preload [Pa].
    """

    area: float
    thickness: float
    modulus: float = 1.0e8

    def __post_init__(self) -> None:
        """Check that everything is physical."""
        require_ranges(self, "form", above_zero=("area", "thickness", "modulus"))

    @property
    def compliance(self) -> float:
        """Thickness lost for each pascal [m/Pa]."""
        return self.thickness / self.modulus


@dataclass(frozen=True, kw_only=True)
class CanForm:
    r"""A jelly roll in a thin-walled can with closed ends.

    Attributes
    ----------
    radius : float
        Mean radius of the can's wall [m].
    core_radius : float
        Of the hole in the jelly roll [m].
    wall : float
        Thickness of the can's wall [m].
    can_modulus, poisson_ratio, can_expansion : float
        Young's modulus [Pa], Poisson's ratio [-] and thermal expansion [1/K] of the can.
    roll_modulus : float
        Radial pressure for each radial strain of the jelly roll [Pa].
    assembly_pressure : float
        Of the roll on the can at the reference state [Pa]; 0 for a roll that just touches.
    """

    radius: float
    core_radius: float = 1.5e-3
    wall: float = 0.25e-3
    can_modulus: float = 2.0e11
    poisson_ratio: float = 0.3
    can_expansion: float = 1.2e-5
    roll_modulus: float = 1.0e8
    assembly_pressure: float = 1.0e6

    def __post_init__(self) -> None:
        """Check that everything is physical."""
        require_ranges(self, "form", above_zero=("radius", "wall", "can_modulus", "roll_modulus"))
        if not 0.0 <= self.core_radius < self.radius - self.wall:
            raise ModelError(
                f"a core of {self.core_radius:g} m radius leaves no jelly roll in a can of {self.radius:g} m",
                remedy="Correct the radii",
            )
        if not self.assembly_pressure >= 0.0:
            raise ModelError(
                f"assembly_pressure = {self.assembly_pressure:g} Pa must not be negative", remedy="Correct it"
            )

    @property
    def thickness(self) -> float:
        """Of the windings, from the core to the can [m]."""
        return self.radius - 0.5 * self.wall - self.core_radius

    @property
    def strain_compliance(self) -> float:
        """Hoop strain of the can for each pascal within [1/Pa]."""
        return self.radius * (1.0 - 0.5 * self.poisson_ratio) / (self.can_modulus * self.wall)

    @property
    def compliance(self) -> float:
        """Radial room for each pascal between roll and can [m/Pa]."""
        return self.radius * self.strain_compliance + self.thickness / self.roll_modulus


@dataclass(frozen=True, kw_only=True, eq=False)
class PressStacks:
    """Which cells press on each other, and what presses them.

    Attributes
    ----------
    stack : ndarray of int32, shape (n_cells,)
        Stack of each cell in pack order; -1 for a cell that stands free.
    preload : ndarray of shape (n_stacks,)
        Force at the reference state of all cells [N].
    housing_stiffness : ndarray of shape (n_stacks,)
        Force for each metre that straps, tie rods and end plates give way [N/m]; infinite for a rigid housing.
    pad_compliance : ndarray of shape (n_stacks,)
        Of all pads of a stack together [m/N].
    """

    stack: NDArray[np.int32]
    preload: Array
    housing_stiffness: Array
    pad_compliance: Array

    def __post_init__(self) -> None:
        """Check the stacks and make the arrays read-only."""
        stack = np.ascontiguousarray(self.stack, dtype=np.int32)
        object.__setattr__(self, "stack", freeze(stack))
        count = int(stack.max(initial=-1)) + 1
        if count == 0 or np.bincount(stack[stack >= 0], minlength=count).min() == 0:
            raise ModelError("a stack has no cells", remedy="Number the stacks 0, 1, … without gaps")
        for name, floor in (("preload", 0.0), ("housing_stiffness", np.finfo(float).tiny), ("pad_compliance", 0.0)):
            values = np.broadcast_to(np.asarray(getattr(self, name), dtype=np.float64), (count,)).copy()
            if np.isnan(values).any() or (values < floor).any():
                raise ModelError(
                    f"{name} of stack {int(np.argmin(values))} = {values.min():g} is not physical",
                    remedy="Correct the housing",
                )
            object.__setattr__(self, name, freeze(values))

    @property
    def n_stacks(self) -> int:
        """Number of stacks."""
        return int(self.preload.size)


@dataclass(frozen=True, kw_only=True, eq=False)
class MechanicsModel:
    r"""The mechanics of a cell type.

    Attributes
    ----------
    name : str
        Of the parameter set.
    form : LayerForm or CanForm
        Shape of the cell and what it withstands.
    volume_change : ndarray of shape (n_intervals, 8)
        Cubic coefficients over stoichiometry of the particles' volume change [-]: four negative, four positive.
    active_thickness : tuple of float
        Active material of the negative and the positive layers, put together as solid layers [m].
    reference_stoichiometry : tuple of float
        Mean stoichiometries of both electrodes at the reference state, where all changes are 0 [-].
    reference_temperature : float
        [K].
    thermal_expansion : float
        Free thickness of the layers for each kelvin [m/K].
    film_gain : float
        Free thickness for each metre of film on the negative particles: their surface over the area of a layer [-].
    contact_exponent : float
        :math:`m` of :math:`R_c = R_{c,0} (p_0 / p)^m` [-].
    contact_share : float
        Share of the resistance beside the porous electrodes that lies in contacts which the pressure holds [-]; 0 for a
        cell without any.
    lowest_pressure_ratio : float
        :math:`p / p_0` below which the contact resistance rises no further [-].
    stacks : PressStacks or None
        Which cells press on each other; None for cells that stand free.
    provenance : dict
        Source of each number.
    hash : str
        First 12 hexadecimal digits of the SHA-256 of the parameters.
    """

    name: str
    form: LayerForm | CanForm
    volume_change: Array
    active_thickness: tuple[float, float]
    reference_stoichiometry: tuple[float, float]
    reference_temperature: float
    thermal_expansion: float
    film_gain: float = 0.0
    contact_exponent: float = 0.5
    contact_share: float = 0.1
    lowest_pressure_ratio: float = 0.05
    stacks: PressStacks | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    hash: str = ""

    def __post_init__(self) -> None:
        """Check that everything is physical and make the table read-only."""
        table = np.ascontiguousarray(self.volume_change, dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != 8 or not np.isfinite(table).all():
            raise ModelError(
                f"volume_change has the shape {table.shape} or values that are not finite; expected (n, 8)",
                where=self.name,
                remedy="Build the model with celltwin.physics.engine.build_mechanics_model",
            )
        object.__setattr__(self, "volume_change", freeze(table))
        for name in ("thermal_expansion", "film_gain", "contact_exponent"):
            _require_finite(self, name, least=0.0)
        _require_finite(self, "reference_temperature", least=1.0)
        if min(self.active_thickness) <= 0.0 or sum(self.active_thickness) >= self.form.thickness:
            raise ModelError(
                f"active_thickness = {self.active_thickness} m does not fit in layers of {self.form.thickness:g} m",
                where=self.name,
                remedy="Correct thicknesses and volume fractions",
            )
        if not (0.0 < self.lowest_pressure_ratio <= 1.0 and 0.0 <= self.contact_share <= 1.0):
            raise ModelError(
                f"lowest_pressure_ratio = {self.lowest_pressure_ratio:g} must be in (0, 1], "
                f"contact_share = {self.contact_share:g} in [0, 1]",
                where=self.name,
                remedy="Give both as fractions",
            )
        if self.stacks is not None and isinstance(self.form, CanForm):
            raise ModelError(
                "cells in cans are not pressed in stacks", where=self.name, remedy="Give stacks to pouch cells only"
            )


def _require_finite(model: MechanicsModel, name: str, *, least: float) -> None:
    value = getattr(model, name)
    if not (np.isfinite(value) and value >= least):
        raise ModelError(
            f"{name} = {value:g} is not physical: it must be at least {least:g}",
            where=model.name,
            remedy="Correct the parameter set",
        )
