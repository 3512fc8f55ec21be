"""Thousands of candidate cells at once: each a pack of one cell in the pack engine, at measured temperatures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array, ModelError

if TYPE_CHECKING:
    from ..engine import CellModel, EngineOptions, PackEngine, PackNetwork

__all__ = ["CandidateLanes"]

_HEAT_CAPACITY = 1e9  # [J/K]: a cell that keeps the temperature that it is given
_WARMING = 0.25  # [K]: temperatures are set anew when one has changed by so much
_KEPT = 2  # engines: as many sizes and steps as one window takes
_BEYOND = 0.4  # [V] beyond the cell's limits, where current is held back


class CandidateLanes:
    """Candidates of one cell type, stepped together with currents and temperatures of their own.

    Parameters
    ----------
    model : CellModel
        The cell type; its contact resistance is replaced by each candidate's.
    connection : float
        Resistance of welds in series with each cell [ohm].
    device : str, optional
        Warp's name of the device.
    """

    def __init__(
        self,
        model: CellModel,
        *,
        connection: float = 0.0,
        device: str | None = None,
    ) -> None:
        self.model = replace(model, contact_resistance=0.0)
        self._connection = connection
        self._device = device
        self._engines: dict[tuple[int, float], PackEngine] = {}
        self.cell_steps = 0

    def open_circuit(self, temperature: float, points: int = 201) -> tuple[Array, Array]:
        """Return state of charge [-] and open-circuit voltage [V] at a temperature [K], each of shape (points,)."""
        soc = np.linspace(0.001, 0.999, points)
        ones = np.ones(points)
        current = np.zeros((1, points))
        warmth = np.full((1, points), temperature)
        voltage = self.simulate(1.0, current, warmth, capacity=ones, resistance=0.0 * ones, diffusivity=ones, soc=soc)
        return soc, voltage[0]

    def simulate(
        self,
        step: float,
        current: Array,
        temperature: Array,
        *,
        capacity: Array,
        resistance: Array,
        diffusivity: Array,
        soc: Array,
        stride: int = 1,
    ) -> Array:
        """Return the voltage of candidates that begin at rest.

        A candidate that leaves the cell's voltages by more than 0.4 V has its current held back there.

        Parameters
        ----------
        step : float
            [s].
        current, temperature : ndarray of shape (n_steps, n_candidates)
            [A, positive on discharge], [K].
        capacity, diffusivity : ndarray of shape (n_candidates,)
            Over those of the model [-].
        resistance : ndarray of shape (n_candidates,)
            Whole series resistance without welds [ohm].
        soc : ndarray of shape (n_candidates,)
            At the start [-].
        stride : int
            Steps from one voltage that is wanted to the next; divides their number.

        Returns
        -------
        ndarray of shape (n_steps / stride, n_candidates)
            At the end of every ``stride`` steps [V].

        Raises
        ------
        PlantError
            If a candidate leaves what its model can describe.
        """
        from ..engine import CellPopulation, Drive, PackEngine

        if current.shape != temperature.shape or current.shape[1] != capacity.size or len(current) % stride:
            raise ModelError(
                f"currents {current.shape} and temperatures {temperature.shape} of {capacity.size} cells, "
                f"read every {stride} steps"
            )
        count = capacity.size
        population = CellPopulation(
            capacity_scale=capacity,
            resistance=resistance,
            diffusivity_scale=diffusivity,
            soc=np.clip(soc, 0.0, 1.0),
            temperature=temperature[0],
        )
        held = self._engines.get((count, step))
        if held is None:
            held = PackEngine(
                self.model, self._network(count), cells=population, options=self._options(step), device=self._device
            )
            self._engines = dict([*self._engines.items(), ((count, step), held)][-_KEPT:])
        held.replace_cells(np.arange(count), population)
        low, high = self.model.lowest_voltage - _BEYOND, self.model.highest_voltage + _BEYOND
        voltage = []
        for first, last in _even_pieces(temperature, stride):
            held.set_cells("temperature", temperature[first])
            drive = Drive(values=current[first:last], lowest_voltage=low, highest_voltage=high)
            part = held.advance(drive, (last - first) * step, sample_period=stride * step)
            voltage.append(part.group_voltage)
        self.cell_steps += current.size
        return np.concatenate(voltage)

    @staticmethod
    def _options(step: float) -> EngineOptions:
        from ..engine import EngineOptions

        return EngineOptions(step=step)

    def _network(self, count: int) -> PackNetwork:
        from ..engine import Circuit, HeatPaths, PackNetwork

        places = np.arange(count, dtype=np.int32)
        nothing = np.zeros(count)
        return PackNetwork(
            circuit=Circuit(
                n_groups=count,
                parallel=1,
                connection_resistance=np.full(count, self._connection),
                rail_resistance=nothing,
                opposite_feed=False,
                kind=np.zeros(count, dtype=np.int8),
                child_start=np.zeros(count + 1, dtype=np.int32),
                children=np.empty(0, dtype=np.int32),
                link_resistance=nothing,
                roots=places,
            ),
            heat=HeatPaths(
                neighbours=places[np.newaxis],
                conductance=np.zeros((1, count)),
                ambient_conductance=nothing,
                coolant_conductance=nothing,
                segment=np.zeros(count, dtype=np.int32),
                segment_start=np.array([0, 1], dtype=np.int32),
                design_flow=np.zeros(1),
                coolant_heat_capacity=4180.0,
                inlet_temperature=np.full(1, self.model.reference_temperature),
                ambient_temperature=self.model.reference_temperature,
            ),
            heat_capacity=np.full(count, _HEAT_CAPACITY),
        )


def _even_pieces(temperature: Array, stride: int) -> list[tuple[int, int]]:
    """Return stretches of steps over which no temperature changes by more than is worth setting it anew."""
    pieces, first = [], 0
    for row in range(stride, len(temperature), stride):
        if np.abs(temperature[row] - temperature[first]).max() > _WARMING:
            pieces.append((first, row))
            first = row
    return [*pieces, (first, len(temperature))]
