"""The surrogate as a differentiable torch module: linear states stepped exactly, and a network for what they leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import FARADAY, GAS_CONSTANT, SECONDS_PER_HOUR, Array

from .cell_inputs import CellInputs
from .cell_laws import CellLaws, ElectrodeLaws
from .surrogate_numbers import (
    BLOCK,
    FASTEST,
    FLOOR,
    GATE_SCALES,
    GATES,
    GUESSED_RESISTANCE,
    LEAST,
    N_INPUTS,
    OUTPUT_SCALES,
    POLES,
    TINY,
    electrode_pieces,
    pole_rates,
    pole_shares,
    straight_pieces,
)

if TYPE_CHECKING:
    import torch

__all__ = [
    "CellTensors",
    "SurrogateOutputs",
    "SurrogateState",
    "build_surrogate",
    "cell_tensors",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellTensors:
    """:class:`CellInputs` as tensors of shape (n_cells,), through which gradients flow."""

    capacity_factor: torch.Tensor
    resistance_factor: torch.Tensor
    diffusivity_factor: torch.Tensor
    conductance: torch.Tensor
    ambient: torch.Tensor
    soc: torch.Tensor
    temperature: torch.Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class SurrogateState:
    """What cells carry from step to step.

    Attributes
    ----------
    soc : tensor of shape (n_cells,)
        State of charge in double precision [-].
    modes : tensor of shape (n_modes, n_cells)
        Departures of the negative, then of the positive surface [-], then of the electrolyte [1/h].
    temperature : tensor of shape (n_cells,)
        [K].
    trusted : tensor of bool of shape (n_cells,)
        Whether the cell has stayed within what the network was trained on.
    """

    soc: torch.Tensor
    modes: torch.Tensor
    temperature: torch.Tensor
    trusted: torch.Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class SurrogateOutputs:
    """What cells show at the ends of steps: tensors of shape (n_steps, n_cells).

    Attributes
    ----------
    voltage, anode_potential : tensor
        Of the cell; lowest of the negative electrode against the electrolyte beside it [V].
    temperature, heat : tensor
        [K], [W].
    negative_surface, positive_surface : tensor
        Surface stoichiometries, averaged over each electrode [-].
    soc : tensor
        State of charge, by counting charge [-].
    trusted : tensor of bool
        False from the first step on that left what the network was trained on.
    """

    voltage: torch.Tensor
    temperature: torch.Tensor
    negative_surface: torch.Tensor
    positive_surface: torch.Tensor
    anode_potential: torch.Tensor
    heat: torch.Tensor
    soc: torch.Tensor
    trusted: torch.Tensor


def cell_tensors(inputs: CellInputs, dtype: Any = None) -> CellTensors:
    """Return inputs as tensors; the state of charge in double precision, all else in ``dtype``, float32 by default."""
    import torch

    made = {
        field.name: torch.as_tensor(getattr(inputs, field.name), dtype=dtype or torch.float32)
        for field in fields(CellInputs)
    }
    return CellTensors(**{**made, "soc": torch.as_tensor(inputs.soc, dtype=torch.float64)})


def build_surrogate(
    laws: CellLaws, network: torch.nn.Module, territory: Mapping[str, Array] | None = None
) -> torch.nn.Module:
    """Return the surrogate of a cell.

    Parameters
    ----------
    laws : CellLaws
        What is known without training.
    network : torch.nn.Module
        Takes scaled inputs of shape (N_INPUTS, n) and returns (N_OUTPUTS, n).
    territory : mapping, optional
        ``centre`` and ``spread`` of the inputs; ``low`` and ``high``, within which they are known.
    """
    module: torch.nn.Module = _surrogate_class()(laws, network, territory or {})
    return module


@lru_cache(maxsize=1)
def _surrogate_class() -> Any:
    import torch

    class DfnSurrogate(torch.nn.Module):
        """Cells stepped by exact linear states and a network; see :func:`build_surrogate`."""

        negative_table: torch.Tensor
        positive_table: torch.Tensor
        centre: torch.Tensor
        spread: torch.Tensor
        low: torch.Tensor
        high: torch.Tensor
        output_scales: torch.Tensor
        gate_scales: torch.Tensor

        def __init__(self, laws: CellLaws, network: torch.nn.Module, territory: Mapping[str, Array]) -> None:
            super().__init__()
            self.laws = laws
            self.network = network
            rates, shares = pole_rates(), pole_shares(laws)
            for name, values in (
                ("negative_table", electrode_pieces(laws.negative)),
                ("positive_table", electrode_pieces(laws.positive)),
                ("negative_diffusion", straight_pieces(laws.negative.diffusion)),
                ("positive_diffusion", straight_pieces(laws.positive.diffusion)),
                ("negative_rates", rates[0]),
                ("positive_rates", rates[1]),
                ("negative_shares", shares[0]),
                ("positive_shares", shares[1]),
                ("centre", territory.get("centre", np.zeros(N_INPUTS))),
                ("spread", territory.get("spread", np.ones(N_INPUTS))),
                ("low", territory.get("low", np.full(N_INPUTS, -np.inf))),
                ("high", territory.get("high", np.full(N_INPUTS, np.inf))),
                ("output_scales", np.array(OUTPUT_SCALES)),
                ("gate_scales", np.array(GATE_SCALES)),
            ):
                self.register_buffer(name, torch.as_tensor(np.asarray(values), dtype=torch.float32))

        def start(self, cell: CellTensors) -> SurrogateState:
            """Return the state of cells at rest."""
            n_cells = cell.soc.shape[0]
            modes = torch.zeros((sum(POLES) + 1, n_cells), dtype=self.centre.dtype)
            trusted = torch.ones(n_cells, dtype=torch.bool)
            return SurrogateState(
                soc=cell.soc.double(), modes=modes, temperature=cell.temperature.to(modes.dtype), trusted=trusted
            )

        def forward(
            self,
            cell: CellTensors,
            current: torch.Tensor,
            current_end: torch.Tensor | None = None,
            *,
            period: float = 10.0,
            state: SurrogateState | None = None,
        ) -> tuple[SurrogateOutputs, SurrogateState]:
            """Step cells through currents.

            Parameters
            ----------
            cell : CellTensors
                Inputs of ``n_cells`` cells.
            current : tensor of shape (n_steps, n_cells)
                Mean current of each step, positive on discharge [A].
            current_end : tensor of shape (n_steps, n_cells), optional
                Current at the end of each step, where it is not the mean [A].
            period : float
                Length of a step [s].
            state : SurrogateState, optional
                Where to go on from; at rest by default.
            """
            state = state or self.start(cell)
            ends = current if current_end is None else current_end
            parts = []
            for first in range(0, current.shape[0], BLOCK):
                block = slice(first, first + BLOCK)
                part, state = self._block(cell, state, current[block], ends[block], period)
                parts.append(part)
            joined = {
                field.name: torch.cat([getattr(part, field.name) for part in parts])
                for field in fields(SurrogateOutputs)
            }
            return SurrogateOutputs(**joined), state

        def mode_course(
            self,
            cell: CellTensors,
            soc: torch.Tensor,
            warm: torch.Tensor,
            rate: torch.Tensor,
            modes: Any,
            period: float,
        ) -> torch.Tensor:
            """Return the modes at the ends of steps, shape (n_modes, n_steps, n_cells).

            Parameters
            ----------
            cell : CellTensors
                Inputs.
            soc, warm, rate : tensor of shape (n_steps, n_cells)
                State of charge [-]; inverse reference temperature less inverse temperature, over the gas constant
                [mol/J]; mean current over capacity [1/h].
            modes : tensor of shape (n_modes, n_cells)
                At the start.
            period : float
                Length of a step [s].
            """
            laws = self.laws
            decays, aims = [], []
            for side in ("negative", "positive"):
                electrode: ElectrodeLaws = getattr(laws, side)
                mean = electrode.empty + soc * (electrode.full - electrode.empty)
                speed = self._look_up(getattr(self, f"{side}_diffusion"), mean)[0] * cell.diffusivity_factor
                speed = speed * torch.exp(electrode.diffusion_energy * warm)
                decays.append(getattr(self, f"{side}_rates")[:, None, None] * (-period * speed))
                aims.append(getattr(self, f"{side}_shares")[:, None, None] * (rate / speed))
            decays.append((-period * laws.electrolyte_rates[0] * torch.exp(laws.electrolyte_energy * warm))[None])
            aims.append(rate[None])
            # Numbers too small to be normal would cost a processor a hundred times as long.
            decay, aim = torch.exp(torch.cat(decays).clamp_min(FASTEST)), torch.cat(aims) + TINY
            course = []
            for step in range(soc.shape[0]):
                modes = torch.lerp(aim[:, step], modes, decay[:, step])
                course.append(modes)
            return torch.stack(course, dim=1)

        def network_inputs(
            self, soc: torch.Tensor, temperature: torch.Tensor, rate: torch.Tensor, modes: torch.Tensor
        ) -> torch.Tensor:
            """Return what the network looks at, not scaled, shape (N_INPUTS, n); arguments are of shape (..., n)."""
            return torch.cat([torch.stack([soc, temperature, rate]), modes])

        def corrections(self, inputs: torch.Tensor) -> torch.Tensor:
            """Return the network's corrections, shape (QUANTITIES, n): each is 0 in a cell at rest."""
            found: torch.Tensor = self.network((inputs - self.centre[:, None]) / self.spread[:, None])
            negative = inputs[3 : 3 + POLES[0]].sum(0)
            positive = inputs[3 + POLES[0] : 3 + sum(POLES)].sum(0)
            gates = torch.stack([inputs[2], negative, positive, inputs[-1]]) * self.gate_scales[:, None]
            shaped = found.reshape(-1, GATES, inputs.shape[1])
            return (shaped * gates).sum(1) * self._scales(shaped.shape[0])[:, None]

        def respond(
            self, inputs: torch.Tensor, current: torch.Tensor, area: torch.Tensor, resistance: torch.Tensor
        ) -> dict[str, torch.Tensor]:
            """Return what cells show for the network's inputs.

            Parameters
            ----------
            inputs : tensor of shape (N_INPUTS, n)
                Not scaled.
            current, area, resistance : tensor of shape (n,)
                Current [A], capacity factor [-], series resistance [ohm].
            """
            laws = self.laws
            soc, temperature = inputs[0], inputs[1]
            correction = self.corrections(inputs)
            negative = laws.negative.empty + soc * (laws.negative.full - laws.negative.empty)
            positive = laws.positive.empty + soc * (laws.positive.full - laws.positive.empty)
            negative = _above_zero(negative, inputs[3 : 3 + POLES[0]].sum(0) + correction[:-3].sum(0))
            departure = inputs[3 + POLES[0] : 3 + sum(POLES)].sum(0) + correction[-3]
            positive = 1.0 - _above_zero(1.0 - positive, -departure)
            apart = temperature - laws.reference_temperature
            warm = apart / (GAS_CONSTANT * laws.reference_temperature * temperature)
            thermal = (2.0 * GAS_CONSTANT / FARADAY) * temperature
            half = 0.5 * current / area
            low, low_slope, low_exchange = self._look_up(self.negative_table, negative)
            high, high_slope, high_exchange = self._look_up(self.positive_table, positive)
            low = low + apart * low_slope
            high = high + apart * high_slope
            low_drive = thermal * _asinh(half * torch.exp(-low_exchange - laws.negative.exchange_energy * warm))
            high_drive = thermal * _asinh(half * torch.exp(-high_exchange - laws.positive.exchange_energy * warm))
            resting = high - low
            voltage = resting - low_drive - high_drive - resistance * current + correction[-2]
            heat = current * (resting - voltage - temperature * (high_slope - low_slope))
            return {
                "voltage": voltage,
                "negative_surface": negative,
                "positive_surface": positive,
                "anode_potential": low + low_drive + correction[-1],
                "heat": heat,
            }

        def _block(
            self, cell: CellTensors, state: SurrogateState, mean: torch.Tensor, end: torch.Tensor, period: float
        ) -> tuple[SurrogateOutputs, SurrogateState]:
            laws = self.laws
            dtype, shape = self.centre.dtype, mean.shape
            capacity = laws.capacity * cell.capacity_factor
            drawn = torch.cumsum(mean.double(), 0) * (period / SECONDS_PER_HOUR) / capacity.double()
            exact = state.soc - drawn
            soc = exact.to(dtype)
            resistance = laws.resistance * cell.resistance_factor
            exponent = (-period / laws.heat_capacity) * cell.conductance
            decay, gain = torch.exp(exponent), -torch.expm1(exponent) / cell.conductance
            guess = mean * mean * (resistance + GUESSED_RESISTANCE / cell.capacity_factor)
            temperature = _warm(state.temperature, guess, decay, gain, cell.ambient)
            apart = temperature - laws.reference_temperature
            warm = apart / (GAS_CONSTANT * laws.reference_temperature * temperature)
            course = self.mode_course(cell, soc, warm, mean / capacity, state.modes, period)
            inputs = self.network_inputs(
                soc.reshape(-1), temperature.reshape(-1), (end / capacity).reshape(-1), course.flatten(1)
            )
            found = self.respond(
                inputs,
                end.reshape(-1),
                cell.capacity_factor.expand(shape).reshape(-1),
                resistance.expand(shape).reshape(-1),
            )
            shaped = {name: values.reshape(shape) for name, values in found.items()}
            temperature = _warm(state.temperature, shaped["heat"], decay, gain, cell.ambient)
            inside = (inputs >= self.low[:, None]) & (inputs <= self.high[:, None])  # false for what is no number
            trusted = torch.cummin(inside.all(0).reshape(shape).to(torch.int8), 0).values.bool() & state.trusted
            outputs = SurrogateOutputs(**shaped, temperature=temperature, soc=exact, trusted=trusted)
            return outputs, SurrogateState(
                soc=exact[-1], modes=course[:, -1], temperature=temperature[-1], trusted=trusted[-1]
            )

        def _look_up(self, table: torch.Tensor, at: torch.Tensor) -> tuple[torch.Tensor, ...]:
            """Return values of straight pieces, each of the shape of ``at``; past its ends a table keeps its values."""
            pieces = table.shape[0]
            place = (at * pieces).clamp(0.0, float(pieces))
            index = place.detach().clamp_max(pieces - 1.0).to(torch.int64)
            beyond = place - index
            rows = table.index_select(0, index.reshape(-1)).T
            half = table.shape[1] // 2
            return tuple(
                torch.addcmul(rows[part].reshape(at.shape), rows[part + half].reshape(at.shape), beyond)
                for part in range(half)
            )

        def _scales(self, quantities: int) -> torch.Tensor:
            return self.output_scales[-quantities:]

    return DfnSurrogate


def _warm(first: Any, heat: Any, decay: Any, gain: Any, ambient: Any) -> Any:
    """Return temperatures at the ends of steps of constant heat: the lumped balance, exactly."""
    import torch

    course = []
    aim = heat * gain + ambient * (1.0 - decay)
    for step in range(heat.shape[0]):
        first = torch.addcmul(aim[step], first, decay)
        course.append(first)
    return torch.stack(course)


def _above_zero(mean: Any, departure: Any) -> Any:
    """Return a surface that is the mean and its departure, but for departures that would leave nothing."""
    import torch

    scale = FLOOR * mean.clamp_min(LEAST)
    value = mean + departure
    return 0.5 * (value + torch.sqrt(value * value + 4.0 * scale * scale))


def _asinh(value: Any) -> Any:
    """Return the inverse hyperbolic sine: several times faster than torch's, and exact enough below 1e3."""
    import torch

    return torch.log(value + torch.sqrt(value * value + 1.0))
