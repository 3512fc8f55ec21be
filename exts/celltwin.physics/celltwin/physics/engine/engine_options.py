"""What a user chooses of the engine: cells that differ, numerics, and how the pack is driven."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from celltwin.core import Array, SettingsError

__all__ = ["CellPopulation", "Drive", "DriveKind", "EngineOptions"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellPopulation:
    """How the cells of a pack differ; each a number for all cells or an array of shape (n_cells,).

    Attributes
    ----------
    capacity_scale : float or ndarray
        Electrode area, and so capacity, over that of the model [-].
    resistance : float or ndarray
        Ohmic resistance inside the cell beside the model's [ohm].
    diffusivity_scale : float or ndarray
        Diffusivity in both particles over that of the model [-].
    soc : float or ndarray
        State of charge at the start, at rest [-].
    temperature : float or ndarray
        At the start [K]; the ambient's where absent.
    """

    capacity_scale: Array | float = 1.0
    resistance: Array | float = 0.0
    diffusivity_scale: Array | float = 1.0
    soc: Array | float = 1.0
    temperature: Array | float | None = None

    def __post_init__(self) -> None:
        """Check that everything is physical."""
        for name, low, high in (
            ("capacity_scale", 1e-6, np.inf),
            ("resistance", 0.0, np.inf),
            ("diffusivity_scale", 1e-6, np.inf),
            ("soc", 0.0, 1.0),
            ("temperature", 150.0, 2000.0),
        ):
            values = getattr(self, name)
            if values is None:
                continue
            values = np.asarray(values, dtype=np.float64)
            wrong = np.flatnonzero(~(np.isfinite(values) & (values >= low) & (values <= high)))
            if wrong.size:
                where = f"cell {int(wrong[0])}" if values.ndim else "all cells"
                raise SettingsError(
                    f"{name} = {float(values.reshape(-1)[wrong[0]]):g} of {where} is not between {low:g} and {high:g}",
                    remedy="Correct the population of the pack",
                )


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Numerics of the engine, and the physics beside electrochemistry and heat.

    Attributes
    ----------
    step : float
        Time step [s].
    shells : int
        Shells of a particle, each thinner than the one within.
    salt_nodes : tuple of int
        Finite volumes of the electrolyte in negative electrode, separator and positive electrode.
    volumes : tuple of int or None
        Finite volumes of negative electrode, separator and positive electrode in which reaction, potentials and salt
        are resolved, with a particle in each of the electrodes' (a DFN-class cell); None for one particle an electrode.
    current_tolerance : float
        Error of a cell's current at which the circuit is solved, over its 1C current [-].
    most_iterations : int
        Iterations of the circuit after which a step is given up.
    heat_of_mixing : bool
        Whether the heat of relaxing concentration profiles counts; published models leave it out.
    ageing, abuse, mechanics : object or None
        Models of ageing, thermal runaway and mechanics; None leaves each out.
    """

    step: float = 1.0
    shells: int = 11
    salt_nodes: tuple[int, int, int] = (10, 1, 5)
    volumes: tuple[int, int, int] | None = None
    current_tolerance: float = 1e-6
    most_iterations: int = 20
    heat_of_mixing: bool = False
    ageing: Any = None
    abuse: Any = None
    mechanics: Any = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not (np.isfinite(self.step) and 0.0 < self.step <= LONGEST_STEP):
            raise SettingsError(
                f"step = {self.step:g} s must be greater than 0 and at most {LONGEST_STEP:g} s",
                remedy="Longer steps lose the dynamics of the electrolyte",
            )
        negative, separator, positive = self.salt_nodes
        if self.shells < 3 or min(negative, positive) < 2 or separator < 1:
            raise SettingsError(
                f"shells = {self.shells} and salt_nodes = {self.salt_nodes} are too coarse",
                remedy="Give at least 3 shells, 2 finite volumes in each electrode and 1 in the separator",
            )
        if self.volumes is not None and (len(self.volumes) != 3 or min(self.volumes) < 1):
            raise SettingsError(
                f"volumes = {self.volumes} are not one or more in each of three layers",
                remedy="Give volumes of negative electrode, separator and positive electrode, such as (5, 2, 5)",
            )

    def time_steps(self, duration: float) -> Array:
        """Return the lengths of the steps that a time takes [s]; the last is shortened to meet it.

        Raises
        ------
        SettingsError
            If the time is not positive.
        """
        if not (np.isfinite(duration) and duration > 0.0):
            raise SettingsError(f"duration = {duration:g} s must be greater than 0", remedy="Give a positive time")
        count = int(np.ceil(duration / self.step - 1e-9))
        steps = np.full(count, self.step)
        steps[-1] = duration - (count - 1) * self.step
        return steps


LONGEST_STEP = 60.0  # [s]


class DriveKind(StrEnum):
    """What holds at a pack's terminals."""

    CURRENT = "current"
    POWER = "power"
    VOLTAGE = "voltage"


@dataclass(frozen=True, kw_only=True, eq=False)
class Drive:
    """What is asked of a pack.

    Attributes
    ----------
    kind : DriveKind
        Current [A], power [W] or voltage [V] at the terminals; current and power are positive on discharge.
    values : float or ndarray of shape (n_steps,) or (n_steps, n_packs)
        One for all the time, or one a time step.
    lowest_voltage, highest_voltage : float or None
        Group voltages that the current is held back at [V], as a power converter does; None: not held back.
    """

    kind: DriveKind = DriveKind.CURRENT
    values: Array | float = 0.0
    lowest_voltage: float | None = None
    highest_voltage: float | None = None

    def __post_init__(self) -> None:
        """Check that every value is a number."""
        try:
            object.__setattr__(self, "kind", DriveKind(self.kind))
        except ValueError:
            kinds = ", ".join(kind.value for kind in DriveKind)
            raise SettingsError(f"a pack is not driven by {self.kind!r}", remedy=f"Choose one of {kinds}") from None
        values = np.atleast_1d(np.asarray(self.values, dtype=np.float64))
        wrong = np.argwhere(~np.isfinite(values))
        if wrong.size:
            raise SettingsError(
                f"the {self.kind.value} asked for at step {int(wrong[0][0])} is no number",
                remedy="Fill the gaps of the profile",
            )

    def table(self, n_steps: int, n_packs: int) -> Array:
        """Return the values of shape (n_steps, n_packs).

        Raises
        ------
        SettingsError
            If there are too few or too many of them.
        """
        values = np.asarray(self.values, dtype=np.float64)
        if values.ndim == 1:
            values = values[:, np.newaxis]
        if values.ndim and values.shape[0] != n_steps:
            raise SettingsError(
                f"the drive has {values.shape[0]} values for {n_steps} time steps",
                remedy="Give one value a time step, or one for all",
            )
        try:
            return np.array(np.broadcast_to(values, (n_steps, n_packs)))
        except ValueError:
            raise SettingsError(
                f"the drive has values for {values.shape[-1]} packs; the engine has {n_packs}",
                remedy="Give one value a pack, or one for all",
            ) from None
