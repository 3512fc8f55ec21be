"""Derivatives of where a pack ends with respect to how it is driven: through every step, circuit and heat included.

The engine's own kernels are differentiated in reverse. The way forward keeps a state every so many steps; the way back
takes the stretches from last to first, repeats each on a tape, and carries the derivatives of its end to its start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np

from celltwin.core import Array, PlantError, SettingsError

from .ageing_kernels import AGEING_ROWS
from .engine_options import CellPopulation, Drive
from .engine_state import EngineState
from .fields import CellField, Grid
from .lanes import lane_functions
from .launching import TapedLauncher
from .pack_engine import PackEngine
from .pack_physics import PackPhysics, PackState

__all__ = ["DriveGradient", "differentiate_drive"]

_ATTEMPTS = 3  # solutions of the circuit in a step; violent changes of the drive take more
_STRETCH = 32  # steps between two kept states


@dataclass(frozen=True, kw_only=True, eq=False)
class DriveGradient:
    """How a weighted sum over a pack's final state depends on its drive.

    Attributes
    ----------
    objective : float
        The sum of weights times final values.
    final : dict of ndarray
        The final values that have weights, each of shape (n_cells,).
    gradient : ndarray of shape (n_steps, n_packs)
        Derivative of the objective with each value of the drive, per ampere, watt or volt.
    """

    objective: float
    final: dict[str, Array]
    gradient: Array


def differentiate_drive(
    engine: PackEngine, drive: Drive, duration: float, *, weights: Mapping[str, Array | float]
) -> DriveGradient:
    r"""Return the derivative of a weighted sum of the final state with every value of a drive.

    .. math:: J = \sum_q \sum_k w_{q,k}\, q_k(t_\mathrm{end}), \qquad \frac{\partial J}{\partial u_n}

    Parameters
    ----------
    engine : PackEngine
        The pack; it is left in the state that it is in.
    drive : Drive
        Values :math:`u_n`, one a time step or one for all.
    duration : float
        Time from now to the end [s].
    weights : dict
        Weights of quantities, each a number for all cells or an array of shape (n_cells,): ``temperature``,
        ``core_temperature``, ``surface_temperature`` [1/K], ``soc`` [-], ``voltage`` [1/V], ``current`` [1/A] and, with
        ageing, its rows such as ``sei_thickness`` [1/m].

    Raises
    ------
    SettingsError
        If a quantity is unknown or has several numbers a cell, or weights do not fit the cells; or if the engine has
        runaway, mechanics or porous electrodes, which cannot be differentiated.
    PlantError
        If the pack cannot be driven so.

    References
    ----------
    .. [1] A. Griewank, A. Walther, Evaluating Derivatives, SIAM, 2008, ch. 3 (reverse mode) and 12 (checkpoints).
    """
    if engine.options.abuse is not None or engine.options.mechanics is not None:
        raise SettingsError(
            "runaway and mechanics cannot be differentiated",
            remedy="Make the engine without EngineOptions.abuse, mechanics",
        )
    if engine.options.volumes is not None:
        raise SettingsError(
            "porous electrodes cannot be differentiated",
            remedy='Make the engine with fidelity="SPMe", or without EngineOptions.volumes',
        )
    if engine.options.ageing is not None and engine.options.heat_of_mixing:
        raise SettingsError(
            "the heat of mixing of ageing cells cannot be differentiated",
            remedy="Leave out EngineOptions.heat_of_mixing",
        )
    for name in weights:
        if engine.read_cells(name).ndim != 1:
            raise SettingsError(f"{name!r} has several numbers a cell", remedy="Weigh quantities with one, such as soc")
    spread = {name: _spread(name, weight, engine.n_cells) for name, weight in weights.items()}
    start = engine.state()
    steps = engine.options.time_steps(duration)
    table = drive.table(steps.size, engine.n_packs)
    bounds = [*range(0, steps.size, _STRETCH), steps.size]
    kept: list[EngineState] = []
    try:
        for low, high in pairwise(bounds):
            kept.append(engine.state())
            part = Drive(
                kind=drive.kind,
                values=table[low:high],
                lowest_voltage=drive.lowest_voltage,
                highest_voltage=drive.highest_voltage,
            )
            engine.advance(part, float(steps[low:high].sum()))
        final = {name: engine.read_cells(name) for name in weights}
        mirror = _Mirror(engine, min(_STRETCH, steps.size))
    finally:
        engine.restore(start)
    gradient = np.zeros(table.shape)
    carried: dict[str, Array] | None = None
    for low, high, state in reversed(list(zip(bounds[:-1], bounds[1:], kept, strict=True))):
        gradient[low:high], carried = mirror.back(state, table[low:high], steps[low:high], spread, carried)
    objective = float(sum(spread[name] @ final[name] for name in weights))
    return DriveGradient(objective=objective, final=final, gradient=gradient)


def _spread(name: str, weight: Array | float, n_cells: int) -> Array:
    """Return the weights of a quantity, one a cell."""
    given = np.asarray(weight, dtype=np.float64)
    if given.shape not in ((), (n_cells,)) or not np.isfinite(given).all():
        raise SettingsError(
            f"the weights of {name!r}, of shape {given.shape}, are not one number for each of {n_cells} cells",
            remedy="Give one finite number for all cells, or one for each",
        )
    return np.broadcast_to(given, n_cells)


class _Mirror:
    """The physics of an engine once more, on arrays that keep every step of a stretch and carry derivatives."""

    def __init__(self, engine: PackEngine, longest: int) -> None:
        circuit = engine.network.circuit
        grid = Grid(circuit.n_groups, circuit.parallel, lane_functions(1, backward=True), engine.device, gradient=True)
        self._physics = PackPhysics(engine.physics.given_model, engine.network, grid, engine.options, CellPopulation())
        for part in ("constants", "groups"):
            for name, field in vars(getattr(self._physics, part)).items():
                field.write(getattr(getattr(engine.physics, part), name).read())
        for part, names in (
            ("circuit", ("drive_kind", "limits")),
            ("heat", ("capacity_flow", "film", "inlet", "ambient")),
        ):
            for name in names:
                getattr(getattr(self._physics, part), name).assign(getattr(getattr(engine.physics, part), name).numpy())
        self._place_connections(engine)
        self._parts = self._physics.heat.parts(engine.options.step)
        self._tolerance = float(np.sqrt(engine.options.current_tolerance))
        self._most_attempts = max(engine.options.most_iterations, _ATTEMPTS)
        self._states = [self._physics.state() for _ in range(longest + 1)]
        self._steps = [
            self._physics.step_arrays(before, after, attempts=_ATTEMPTS, parts=self._parts)
            for before, after in pairwise(self._states)
        ]

    def back(
        self,
        state: EngineState,
        table: Array,
        steps: Array,
        weights: dict[str, Array],
        carried: dict[str, Array] | None,
    ) -> tuple[Array, dict[str, Array]]:
        """Return the derivatives with the drive of a stretch, and with the state at its start.

        ``carried`` are the derivatives with the state at its end; None at the very end, where the weights hold.
        """
        import warp as wp

        physics = self._physics
        self._load(state)
        physics.drive = wp.array(table, dtype=wp.float64, device=physics.grid.device, requires_grad=True)
        tape = self._record(steps)
        end = self._states[steps.size]
        for states in self._states:
            for field in _fields(states).values():
                field.flat.grad.zero_()
        if carried is None:
            for name, weight in weights.items():
                self._seed(end, name, weight)
        else:
            for name, field in _fields(end).items():
                field.flat.grad.assign(carried[name])
        tape.backward()
        gradient = np.array(physics.drive.grad.numpy())
        arrived = {name: np.array(field.flat.grad.numpy()) for name, field in _fields(self._states[0]).items()}
        tape.zero()
        return gradient, arrived

    def _record(self, steps: Array) -> Any:
        """Return a tape of a stretch, begun anew with more solutions of the circuit wherever they have not settled."""
        import warp as wp

        launcher = TapedLauncher(self._physics.grid.device)
        while True:
            with wp.Tape() as tape:
                unsettled = next(
                    (row for row, step in enumerate(steps) if not self._step(launcher, float(step), row)), None
                )
            if unsettled is None:
                return tape
            attempts = len(self._steps[unsettled].attempts) + 1
            if attempts > self._most_attempts:
                raise PlantError(
                    "the drive changes too violently for a derivative: the currents have not settled",
                    remedy="Smooth the drive, or shorten the step",
                )
            before, after = self._states[unsettled : unsettled + 2]
            self._steps[unsettled] = self._physics.step_arrays(before, after, attempts=attempts, parts=self._parts)

    def _step(self, launcher: TapedLauncher, step: float, row: int) -> bool:
        """Take a step of the stretch; False where its currents have not settled."""
        physics, arrays = self._physics, self._steps[row]
        physics.launch_beginning(launcher, step, arrays, row)
        for index in range(1, len(arrays.attempts)):
            physics.launch_attempt(launcher, arrays, index, row)
        if arrays.attempts[-1].tangents.change.peak() > self._tolerance:
            return False
        physics.launch_end(launcher, step, arrays, self._parts)
        return True

    def _load(self, state: EngineState) -> None:
        for name, field in _fields(self._states[0]).items():
            field.write(state.cells[name])

    def _seed(self, end: PackState, name: str, weight: Array) -> None:
        row = AGEING_ROWS.index(name) if end.ageing is not None and name in AGEING_ROWS else None
        field = _fields(end).get(name) if row is None else end.ageing
        if field is None:
            raise SettingsError(f"{name!r} cannot be differentiated", remedy=f"Choose of {', '.join(_fields(end))}")
        field.add_gradient(weight, row=row)

    def _place_connections(self, engine: PackEngine) -> None:
        """Put the connections of the circuit where this grid, with other padding, has its nodes."""
        own, other = self._physics.circuit, engine.physics.circuit
        connected = np.ones(own.tree.size)
        connected[: engine.n_groups] = other.connected.numpy()[: engine.n_groups]
        inner = own.tree.size - self._physics.grid.padded
        connected[self._physics.grid.padded :] = other.connected.numpy()[-inner:]
        own.connected.assign(connected)


def _fields(state: PackState) -> dict[str, CellField]:
    """Return all fields of a state by the names that an engine's state stores them under."""
    found: dict[str, Any] = {entry.name: getattr(state.common, entry.name) for entry in fields(state.common)}
    found |= {entry.name: getattr(state.profiles, entry.name) for entry in fields(state.profiles)}
    if state.ageing is not None:
        found["ageing"] = state.ageing
    return found
