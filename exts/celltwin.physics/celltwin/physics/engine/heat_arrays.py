"""The heat paths on the device, and the launches that spread heat."""

from __future__ import annotations

from typing import Any

import numpy as np

from celltwin.core import Array

from .cell_fields import CellConstants, CellState
from .cell_model import ThermalModel
from .fields import CellField, Grid
from .heat_paths import film_share
from .launching import Launcher, Sharing
from .pack_network import PackNetwork
from .thermal_kernels import ThermalKernels, make_thermal_kernels

__all__ = ["HeatArrays", "exchange_heat", "pass_coolant"]

_THERMAL_REACH = 0.5  # largest share of a temperature difference that one explicit exchange may take


class HeatArrays:
    """The heat paths on the device.

    Parameters
    ----------
    network : PackNetwork
        The pack.
    grid : Grid
        How cells lie in memory.
    thermal : ThermalModel
        Nodes of a cell, and how its heat capacity goes with temperature.
    reference_temperature : float
        That the heat capacity holds for [K].
    """

    def __init__(self, network: PackNetwork, grid: Grid, thermal: ThermalModel, reference_temperature: float) -> None:
        import warp as wp

        heat = network.heat
        self.grid, self.network, self.heat, self.thermal = grid, network, heat, thermal
        self.reference_temperature = reference_temperature
        self.kernels: ThermalKernels = make_thermal_kernels(grid.lanes, two_nodes=thermal.surface_share > 0.0)
        size = grid.parallel * grid.padded
        places = grid.inside(np.arange(grid.n_cells))
        rows = heat.neighbours.shape[0]
        neighbours = np.tile(np.arange(size, dtype=np.int32), (rows, 1))
        neighbours[:, places] = grid.inside(heat.neighbours.reshape(-1).astype(np.int64)).reshape(rows, -1)
        segment = np.zeros(size, dtype=np.int32)
        segment[places] = heat.segment
        self.n_channels = heat.design_flow.size
        self.n_segments = max(1, int(heat.segment_start[-1]))
        order = np.argsort(heat.segment, kind="stable")
        members = places[order]
        starts = np.searchsorted(heat.segment[order], np.arange(self.n_segments + 1))

        def whole(values: Any) -> Any:
            return wp.array(np.ascontiguousarray(values, dtype=np.int32), dtype=wp.int32, device=grid.device)

        def reals(values: Any) -> Any:
            return wp.array(np.ascontiguousarray(values, dtype=np.float64), dtype=wp.float64, device=grid.device)

        self._fastest: float | None = None
        self.rows = rows
        self.neighbours, self.segment = whole(neighbours), whole(segment)
        self.segment_start, self.member_start, self.members = whole(heat.segment_start), whole(starts), whole(members)
        self.conductance = CellField(grid, rows=rows)
        self.conductance.write(heat.conductance)
        self.coolant_conductance, self.ambient_conductance = CellField(grid), CellField(grid)
        self.coolant_conductance.write(heat.coolant_conductance)
        self.ambient_conductance.write(heat.ambient_conductance)
        self.capacity_flow = reals(heat.design_flow * heat.coolant_heat_capacity)
        self.film = reals((heat.design_flow > 0.0).astype(np.float64))
        self.inlet = reals(heat.inlet_temperature)
        self.ambient = reals([heat.ambient_temperature])

    def stream(self) -> tuple[Any, Any, Any]:
        """Return the arrays that a pass of the coolant leaves: leaving and mean temperature, share of the film."""
        import warp as wp

        grid = self.grid
        leaving, stream, share = (
            wp.zeros(self.n_segments, dtype=wp.float64, device=grid.device, requires_grad=grid.gradient)
            for _ in range(3)
        )
        return leaving, stream, share

    def parts(self, step: float) -> int:
        """Return into how many parts an exchange of heat must divide a step; odd, to end in the other state."""
        if self._fastest is None:
            self._fastest = self._fastest_exchange()
        parts = int(np.ceil(step * self._fastest / _THERMAL_REACH))
        return max(1, parts + 1 - parts % 2)

    def set_flow(self, flow: Array) -> None:
        """Set the mass flow of each coolant channel, of shape (n_channels,) [kg/s]."""
        self.capacity_flow.assign(flow * self.heat.coolant_heat_capacity)
        self.film.assign(film_share(flow, self.heat.design_flow))
        self._fastest = None

    def _fastest_exchange(self) -> float:
        """Return the largest rate at which a node gives away its difference in temperature [1/s]."""
        heat, thermal, capacity = self.heat, self.thermal, self.network.heat_capacity
        channel = np.searchsorted(heat.segment_start, heat.segment, side="right") - 1
        film = self.film.numpy()[channel] if self.n_channels else 0.0
        total = heat.conductance.sum(axis=0) + heat.ambient_conductance + heat.coolant_conductance * film
        outer = capacity * (thermal.surface_share or 1.0)
        rate = (total + thermal.core_conductance) / outer
        if thermal.core_conductance:
            rate = np.maximum(rate, thermal.core_conductance / (capacity - outer))
        return float(rate.max())


def pass_coolant(launcher: Launcher, heat: HeatArrays, before: CellState, stream: tuple[Any, Any, Any]) -> None:
    """Launch the coolant's pass through its channels; it reads nothing but the temperatures of surfaces."""
    launcher.launch(
        heat.kernels.pass_coolant,
        heat.n_channels,
        [
            heat.segment_start,
            heat.member_start,
            heat.members,
            heat.coolant_conductance.flat,
            before.surface_temperature.flat,
            heat.capacity_flow,
            heat.film,
            heat.inlet,
        ],
        list(stream),
    )


def exchange_heat(
    launcher: Launcher,
    heat: HeatArrays,
    step: float,
    before: CellState,
    constants: CellConstants,
    solved: CellState,
    energy: CellField,
    stream: tuple[Any, Any, Any],
    after: CellState,
) -> None:
    """Launch the exchange of heat over one step, or part of one, with the coolant as it has passed."""
    grid = heat.grid
    launcher.launch(
        heat.kernels.exchange_heat,
        grid.bundles,
        [
            step,
            heat.rows,
            heat.neighbours,
            heat.conductance.bundles,
            heat.ambient_conductance.bundles,
            heat.coolant_conductance.bundles,
            heat.segment,
            stream[1],
            stream[2],
            heat.ambient,
            constants.heat_capacity.bundles,
            heat.thermal.surface_share,
            heat.reference_temperature,
            *heat.thermal.heat_capacity_temperature,
            constants.core_conductance.bundles,
            solved.heat.bundles,
            solved.abuse_heat.bundles,
            solved.branch_current.bundles,
            solved.current.bundles,
            solved.side_current.bundles,
            solved.voltage.bundles,
            constants.connection.bundles,
            constants.bleed.bundles,
            before.surface_temperature.flat,
            before.surface_temperature.bundles,
            before.core_temperature.bundles,
        ],
        [
            energy.bundles,
            after.surface_temperature.bundles,
            after.core_temperature.bundles,
            after.temperature.bundles,
        ],
        Sharing.AROUND,
    )
