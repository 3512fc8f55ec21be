"""The surrogate's steps as one compiled kernel: what :mod:`surrogate_module` computes, eight cells at a time.

Warp compiles the kernel for the processor of the machine at the first use, and keeps it in its cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import FARADAY, GAS_CONSTANT, SECONDS_PER_HOUR, Array

from .bundle_kernel import LANES, MODES, make_bundle_kernel
from .cell_inputs import CellInputs
from .cell_laws import CellLaws
from .surrogate_numbers import (
    BLOCK,
    GATE_SCALES,
    GATES,
    GUESSED_RESISTANCE,
    N_INPUTS,
    OUTPUT_SCALES,
    electrode_pieces,
    pole_rates,
    pole_shares,
    straight_pieces,
)

__all__ = ["SHOWN", "KernelCourse", "ServingKernel"]

SHOWN = ("voltage", "temperature", "negative_surface", "positive_surface", "anode_potential", "heat")
STEPS_AT_ONCE = 10 * BLOCK  # of all cells before the next: what they write stays within reach of a processor's caches


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelCourse:
    """What cells show at the ends of steps.

    Attributes
    ----------
    shown : dict of str to ndarray of shape (n_steps, n_cells)
        Of each of :data:`SHOWN`, in single precision; not a number where not trusted, unless it was asked for.
    soc : ndarray of shape (n_steps, n_cells)
        State of charge [-].
    trusted : ndarray of bool of shape (n_steps, n_cells)
        False from the first step on that left what the network was trained on.
    """

    shown: dict[str, Array]
    soc: Array
    trusted: NDArray[np.bool_]


class ServingKernel:
    """The kernel of one surrogate.

    Parameters
    ----------
    laws : CellLaws
        What is known without training.
    layers : dict of str to ndarray
        Of the network, as :func:`serving_layers` returns them.
    territory : dict of str to ndarray
        ``centre`` and ``spread`` of the network's inputs; ``low`` and ``high``, within which they are known.
    """

    def __init__(self, laws: CellLaws, layers: Mapping[str, Array], territory: Mapping[str, Array]) -> None:
        self._cell = laws
        weights, width = _weights(layers, territory, laws.reference_temperature)
        pieces = laws.negative.potential.size - 1
        self._kernel = make_bundle_kernel(width=width, layers=len(layers) // 2 - 1, pieces=pieces)
        self._laws = self._kernel.laws()
        numbers = {
            "reference_temperature": laws.reference_temperature,
            "warmth": 1.0 / (GAS_CONSTANT * laws.reference_temperature),
            "thermal_voltage": 2.0 * GAS_CONSTANT / FARADAY,
            "electrolyte_energy": laws.electrolyte_energy,
        }
        arrays = {
            "rates": np.concatenate([*pole_rates(), laws.electrolyte_rates[:1]]),
            "shares": np.concatenate([*pole_shares(laws), [1.0]]),
            "low": territory["low"],
            "high": territory["high"],
            "weights": weights,
        }
        for name, side in (("negative", laws.negative), ("positive", laws.positive)):
            numbers |= {
                f"{name}_empty": side.empty,
                f"{name}_span": side.full - side.empty,
                f"{name}_diffusion_energy": side.diffusion_energy,
                f"{name}_exchange_energy": side.exchange_energy,
            }
            arrays[f"{name}_diffusion"] = straight_pieces(side.diffusion)
            arrays[f"{name}_potential"] = electrode_pieces(side)
        for name, number in numbers.items():
            setattr(self._laws, name, number)
        for name, array in arrays.items():
            setattr(self._laws, name, _shared(np.array(array, dtype=np.float32).reshape(-1)))

    def run(
        self,
        inputs: CellInputs,
        current: Array,
        current_end: Array,
        *,
        period: float,
        within: NDArray[np.bool_],
        keep_untrusted: bool,
    ) -> KernelCourse:
        """Return how cells that begin at rest answer currents.

        Parameters
        ----------
        inputs : CellInputs
            Of ``n_cells`` cells.
        current, current_end : ndarray of shape (n_steps, n_cells)
            Mean current of each step and current at its end, positive on discharge [A].
        period : float
            Length of a step [s].
        within : ndarray of bool of shape (n_cells,)
            Cells that are trusted at the start.
        keep_untrusted : bool
            Return numbers that are not trusted too.
        """
        import warp as wp

        n_steps, n_cells = current.shape
        beside = -n_cells % LANES  # lanes without a cell: they repeat the last one

        def padded(array: NDArray[Any], dtype: type = np.float32) -> NDArray[Any]:
            wide = np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, beside)], mode="edge") if beside else array
            return np.ascontiguousarray(wide, dtype=dtype)

        laws = self._cell
        capacity = laws.capacity * inputs.capacity_factor
        resistance = laws.resistance * inputs.resistance_factor
        exponent = -period / laws.heat_capacity * inputs.conductance
        rows = (
            1.0 / inputs.capacity_factor,
            1.0 / capacity,
            resistance,
            resistance + GUESSED_RESISTANCE / inputs.capacity_factor,
            inputs.diffusivity_factor,
            np.exp(exponent),
            -np.expm1(exponent) / inputs.conductance,
            inputs.ambient,
        )
        state = np.zeros((MODES + 2, n_cells), dtype=np.float32)
        state[MODES] = inputs.temperature - inputs.ambient
        state[MODES + 1].view(np.int32)[:] = np.where(within, 0, -1)
        shape = (n_steps, n_cells + beside)
        shown = {name: np.empty(shape, dtype=np.float32) for name in SHOWN}
        soc, trusted = np.empty(shape), np.empty(shape, dtype=np.uint8)
        means = padded(current, np.float64)
        arrays = {
            "inputs": padded(np.stack(rows)),
            "charge_steps": padded(period / SECONDS_PER_HOUR / capacity, np.float64),
            "current": means,
            "current_end": means if current_end is current else padded(current_end, np.float64),
            "state": padded(state),
            "charges": padded(inputs.soc.copy(), np.float64),  # the kernel counts in it
            **shown,
            "soc": soc,
            "trusted": trusted,
        }
        course = self._kernel.course()
        for name, array in arrays.items():
            setattr(course, name, _shared(array))
        bundles = (n_cells + beside) // LANES
        for first in range(0, n_steps, STEPS_AT_ONCE):
            count = min(STEPS_AT_ONCE, n_steps - first)
            numbers = [self._laws, course, period, first, count, int(not keep_untrusted)]
            wp.launch(self._kernel.advance, dim=bundles, inputs=numbers, device="cpu")
        return KernelCourse(
            shown={name: values[:, :n_cells] for name, values in shown.items()},
            soc=soc[:, :n_cells],
            trusted=trusted.view(np.bool_)[:, :n_cells],
        )


def _shared(array: NDArray[Any]) -> Any:
    """Return an array of Warp on the memory of one of NumPy."""
    import warp as wp

    kinds = {"float32": wp.float32, "float64": wp.float64, "uint8": wp.uint8}
    return wp.array(array, dtype=kinds[array.dtype.name], device="cpu", copy=False)


def _weights(layers: Mapping[str, Array], territory: Mapping[str, Array], reference: float) -> tuple[Array, int]:
    """Return all layers in the order of the kernel, and the width of its hidden layers: a multiple of four.

    Scales of inputs, outputs and gates are in the weights; the second input is the temperature less ``reference`` [K].
    """
    count = len(layers) // 2
    matrices = [np.asarray(layers[f"weight_{number}"], dtype=np.float64) for number in range(count)]
    biases = [np.asarray(layers[f"bias_{number}"], dtype=np.float64) for number in range(count)]
    centre = np.array(territory["centre"], dtype=np.float64)
    centre[1] -= reference
    matrices[0] = matrices[0] / territory["spread"]
    biases[0] = biases[0] - matrices[0] @ centre
    quantities = biases[-1].size // GATES
    scales = np.outer(OUTPUT_SCALES[-quantities:], GATE_SCALES).reshape(-1)
    matrices[-1], biases[-1] = matrices[-1] * scales[:, np.newaxis], biases[-1] * scales
    width = -4 * (-max(bias.size for bias in biases[:-1]) // 4)
    flat = []
    for number, (matrix, bias) in enumerate(zip(matrices, biases, strict=True)):
        shape = (width if number < count - 1 else bias.size, 1 + (width if number else N_INPUTS))
        rows = np.zeros(shape)
        rows[: bias.size, 0] = bias
        rows[: bias.size, 1 : 1 + matrix.shape[1]] = matrix
        flat.append(rows.reshape(-1, 4, shape[1]).transpose(0, 2, 1).reshape(-1))
    return np.concatenate(flat), width
