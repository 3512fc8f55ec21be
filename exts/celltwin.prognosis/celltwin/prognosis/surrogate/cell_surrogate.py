"""A trained surrogate in service: arrays in, arrays out, and no number where it was not trained."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, SettingsError, require_shape

from .cell_inputs import CellInputs
from .cell_laws import CellLaws
from .serving_kernel import ServingKernel
from .surrogate_folder import SurrogateModel, default_surrogate_folder, read_surrogate
from .surrogate_module import build_surrogate
from .surrogate_network import plain_network, serving_layers

if TYPE_CHECKING:
    import torch

__all__ = ["CellSurrogate", "SurrogateCourse"]

LONGEST_PERIOD = 10.0  # [s]


@dataclass(frozen=True, kw_only=True, eq=False)
class SurrogateCourse:
    """What cells show at the ends of steps, each of shape (n_steps, n_cells); not a number where not trusted.

    Attributes
    ----------
    voltage, anode_potential : ndarray
        Of the cell; lowest of the negative electrode against the electrolyte beside it: lithium may plate below 0 [V].
    temperature, heat : ndarray
        [K], [W].
    negative_surface, positive_surface : ndarray
        Surface stoichiometries, averaged over each electrode [-].
    soc : ndarray
        State of charge, by counting charge [-]; known everywhere.
    trusted : ndarray of bool
        False from the first step on that left what the surrogate was trained on.
    """

    voltage: Array
    temperature: Array
    negative_surface: Array
    positive_surface: Array
    anode_potential: Array
    heat: Array
    soc: Array
    trusted: NDArray[np.bool_]


class CellSurrogate:
    """A surrogate of the DFN for any number of cells at once.

    Parameters
    ----------
    folder : Path, optional
        A model; the newest of the project by default.

    Raises
    ------
    ModelError
        If the model is missing or damaged.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.model: SurrogateModel
        self.laws: CellLaws
        self.model, self.laws, layers, self._territory = read_surrogate(folder or default_surrogate_folder())
        self._layers = serving_layers(layers)

    @cached_property
    def module(self) -> torch.nn.Module:
        """The torch module, for gradients; it takes :func:`cell_tensors` and currents, and flags what it returns."""
        return build_surrogate(self.laws, plain_network(self._layers), self._territory).eval()

    @cached_property
    def _kernel(self) -> ServingKernel:
        return ServingKernel(self.laws, self._layers, self._territory)

    def within(self, inputs: CellInputs) -> NDArray[np.bool_]:
        """Return which cells' inputs lie in the ranges of the training, shape (n_cells,)."""
        known = np.ones(inputs.n_cells, dtype=bool)
        for name, (low, high) in self.model.ranges.items():
            value = getattr(inputs, name)
            known &= (value >= low) & (value <= high)
        return known

    def simulate(
        self,
        inputs: CellInputs,
        current: Array,
        current_end: Array | None = None,
        *,
        period: float = 10.0,
        keep_untrusted: bool = False,
    ) -> SurrogateCourse:
        """Return how cells that begin at rest answer currents, by a compiled kernel in one thread.

        The first call on a machine compiles it, which takes some seconds; later ones find it in Warp's cache.

        Parameters
        ----------
        inputs : CellInputs
            Of ``n_cells`` cells.
        current : ndarray of shape (n_steps, n_cells)
            Mean current of each step, positive on discharge [A].
        current_end : ndarray of shape (n_steps, n_cells), optional
            Current at the end of each step, where it is not the mean [A].
        period : float
            Length of a step, up to 10 s as trained [s].
        keep_untrusted : bool
            Return numbers that are not trusted too.

        Raises
        ------
        ShapeError
            If currents are not of shape (n_steps, n_cells).
        SettingsError
            If the period is not within (0, 10] s, or a number is not finite.
        """
        current = np.asarray(current, dtype=np.float64)
        shape = (current.shape[0] if current.ndim else 0, inputs.n_cells)
        ends = current if current_end is None else np.asarray(current_end, dtype=np.float64)
        require_shape("current", current, shape)
        require_shape("current_end", ends, shape)
        if not 0.0 < period <= LONGEST_PERIOD:
            raise SettingsError(f"period = {period:g} s", remedy=f"Give more than 0 and up to {LONGEST_PERIOD:g} s")
        values = [current, *(getattr(inputs, field.name) for field in fields(CellInputs))]
        if ends is not current:
            values.append(ends)
        if not all(np.isfinite(value).all() for value in values):
            raise SettingsError("a current or an input is not finite", remedy="Fill gaps before they are simulated")
        if np.any(inputs.conductance <= 0.0) or np.any(inputs.capacity_factor <= 0.0):
            raise SettingsError("conductance and capacity_factor must be above 0", remedy="Correct the inputs")

        found = self._kernel.run(
            inputs, current, ends, period=period, within=self.within(inputs), keep_untrusted=keep_untrusted
        )
        return SurrogateCourse(**found.shown, soc=found.soc, trusted=found.trusted)
