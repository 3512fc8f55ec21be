r"""Kernel regression of the cycles that remain to every level of SOH: the mean of a Gaussian process on few centres.

.. math:: f(x) = \mu + k(x, C)\,(K_{XC}^T K_{XC} + \lambda K_{CC})^{-1} K_{XC}^T (Y - \mu), \qquad
          k = \tfrac12 \sum_p (1 + d_p)\,e^{-d_p}

with X all training pasts, C some of them, and one distance :math:`d_p` for how the cell began and one for what has
become of it since; duty and age are in both. Measured SOH is not: within a training cell its age explains what remains,
whatever its SOH, so that a distance which has both learns nothing of SOH. Near the end of life, where SOH tells more
than the beginning, a second regression takes over (``life_late.py``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..sequence.kernel_regression import draw_rows, matern_likeness
from .leave_out import JITTER, LeaveOut, first_rows
from .life_inputs import input_names
from .life_knowledge import AGE_PER_LIFE
from .life_late import LateRegression, LateSettings, NearEnd, fit_late
from .life_network import LifeRows

if TYPE_CHECKING:
    import torch

__all__ = ["LifeKernelSettings", "train_life_kernel"]

SCALE_OFFSET = 0.1  # [typical lives] added to what remains before its logarithm is taken
SMALLEST_ERROR = 0.005  # [typical lives]
DUTY_PENALTY = 2.0  # [cells] that pull the scale of a duty to that of all
FIRST_SPREAD = 0.1  # [typical lives]
SMALLEST_PROXY = 0.2


@dataclass(frozen=True, kw_only=True)
class LifeKernelSettings:
    """What the regression is made of.

    Attributes
    ----------
    first_features : tuple of str
        Features whose medians over the first cycles tell how a cell began.
    first : float
        What they are multiplied with, in spreads within a duty, before distances are taken.
    change, slope : float
        The same of the change since the first cycles and of the slope over 60 cycles, in spreads over all training
        cells.
    age : float
        The same of a typical life of age.
    duty : float
        Distance between duties, over the square root of 2.
    noise : float
        Variance of what is not told by the inputs relative to that of the process, lambda.
    centres : int
        Most training pasts that are kept as centres of the kernel; they are drawn at random.
    rounds : int
        How often censored arrivals are expected anew.
    late : LateSettings
        What the regression near the end of life is made of.
    """

    first_features: tuple[str, ...] = ("CC Q", "CV Q", "voltage kurtosis")
    first: float = 0.4
    change: float = 0.2
    slope: float = 0.1
    age: float = 1.5
    duty: float = 1.0
    noise: float = 0.2
    centres: int = 200
    rounds: int = 6
    late: LateSettings = field(default_factory=LateSettings)

    def as_dict(self) -> dict[str, object]:
        """Return the settings as JSON takes them."""
        return {**asdict(self), "first_features": list(self.first_features)}


def train_life_kernel(
    rows: LifeRows,
    cell: NDArray[np.str_],
    settings: LifeKernelSettings,
    *,
    end: int,
    n_duties: int,
    seed: tuple[int, ...],
    near_end: NearEnd | None = None,
) -> torch.nn.Module:
    r"""Fit the regression, and return it as a module that answers as the networks do.

    A cell that has not arrived at a level is given the arrival that is expected of it, from all other cells and from
    its having lived so long (Buckley and James):

    .. math:: E[D \mid D > 0] = d + s\,\varphi(d/s)/\Phi(d/s)

    with D the cycles from its last to the arrival, d what the other cells say of them, s the spread of the errors.
    The logarithm of the scale of errors is linear in the logarithm of what remains, and in the duty.

    Parameters
    ----------
    rows : LifeRows
        What to learn from; the rows of a cell lie together.
    cell : ndarray of str, shape (n,)
        Cell of each row.
    settings : LifeKernelSettings
        What the regression is made of.
    end : int
        Level that is the end of life.
    n_duties : int
        Number of duties.
    seed : tuple of int
        Draws the centres.
    near_end : NearEnd, optional
        How to read SOH, where that measured so far is among the inputs.

    Returns
    -------
    torch.nn.Module
        From inputs (n, n_shown) to median and scale of the arrival [typical lives] and resistance proxy,
        (1, 3, n, n_levels). The medians of falling levels do not fall.

    References
    ----------
    .. [1] J. Buckley, I. James, "Linear regression with censored data", Biometrika 66 (1979).
    .. [2] J. Quinonero-Candela, C. E. Rasmussen, "A unifying view of sparse approximate Gaussian process regression",
       Journal of Machine Learning Research 6 (2005): the subset of regressors.
    """
    from scipy.linalg import inv

    random = np.random.default_rng(seed)
    drawn = draw_rows(len(cell), settings.centres, random)
    duty = rows.inputs[:, -n_duties - 2 : -2]
    factors = _factors(rows.inputs, duty, settings, history=near_end is not None)
    maps = [np.diag(each)[:, each != 0.0] for each in factors]
    places = [rows.inputs @ each for each in maps]
    centres = [each[drawn] for each in places]
    likeness = np.mean([matern_likeness(*each) for each in zip(places, centres, strict=True)], axis=0)
    within = likeness[drawn] + JITTER * np.eye(drawn.size)
    inverse = inv(likeness.T @ likeness + settings.noise * within, overwrite_a=True)
    starts = first_rows(cell)
    targets, left_out = _complete(rows, starts, LeaveOut(starts, likeness, inverse), settings.rounds)
    late = None
    if near_end:
        late, left_out = fit_late(rows.inputs, cell, targets, left_out, settings.late, near_end, random)
    mean = targets.mean(axis=0)
    module: torch.nn.Module = _kernel_class()(
        maps=[_tensor(each) for each in maps],
        centres=[_tensor(each) for each in centres],
        coefficients=_tensor(inverse @ (likeness.T @ (targets - mean))),
        mean=_tensor(mean),
        scale=_tensor(_fit_scale(rows, left_out[:, : rows.remaining.shape[1]], duty, starts)),
        end=end,
        late=late,
    )
    return module.eval()


def _factors(inputs: Array, duty: Array, settings: LifeKernelSettings, *, history: bool) -> list[Array]:
    """Return what each column is multiplied with for the two distances, (n_shown,) each; 0 where it is not used."""
    names = input_names(history)
    apart = inputs - duty @ (duty.T @ inputs / np.maximum(duty.sum(axis=0), 1.0)[:, np.newaxis])
    within = apart.std(axis=0)
    first, since = np.zeros((2, inputs.shape[1]))
    for name in settings.first_features:
        column = names.index(f"beginning of {name}")
        first[column] = settings.first / max(within[column], 1e-9)
    for column, name in enumerate(names):
        if name.startswith("change of"):
            since[column] = settings.change
        elif name.startswith("slope over 60 of"):
            since[column] = settings.slope
    for factors in (first, since):
        factors[len(names) : -2] = settings.duty
        factors[-2] = settings.age / AGE_PER_LIFE
    return [first, since]


def _complete(rows: LifeRows, starts: NDArray[np.intp], leave_out: LeaveOut, rounds: int) -> tuple[Array, Array]:
    """Return what remains and the proxies, (n, 2 n_levels), nothing missing; and what other cells say of each cell."""
    from scipy.special import log_ndtr

    n_levels = rows.remaining.shape[1]
    counts = np.diff(np.r_[starts, len(rows.remaining)])
    cell = np.repeat(np.arange(starts.size), counts)
    known = np.isfinite(rows.resistance)
    usual = np.nanmean(np.where(known.any(axis=0), rows.resistance, 1.0), axis=0)
    targets = np.hstack([rows.remaining, np.where(known, rows.resistance, usual)])
    censored = ~rows.arrived
    scored = rows.arrived & (rows.remaining > 0.0)
    spread = FIRST_SPREAD
    for _ in range(rounds):
        left_out = leave_out(targets)
        if scored.any():
            spread = float(np.sqrt(np.mean((targets - left_out)[:, :n_levels][scored] ** 2)))
        beyond = left_out[:, :n_levels] - rows.remaining
        mean = np.add.reduceat(beyond, starts, axis=0) / counts[:, np.newaxis]
        z = mean / spread
        excess = mean + spread * np.exp(-(z**2) / 2.0 - log_ndtr(z)) / np.sqrt(2.0 * np.pi)
        targets[:, :n_levels] = rows.remaining + np.where(censored, excess[cell], 0.0)
        targets[:, n_levels:] = np.where(known, rows.resistance, left_out[:, n_levels:])
    return targets, leave_out(targets)


def _fit_scale(rows: LifeRows, left_out: Array, duty: Array, starts: NDArray[np.intp]) -> Array:
    """Return offset, slope and one offset for each duty of the logarithm of the error's scale, (2 + n_duties,)."""
    counts = np.diff(np.r_[starts, len(duty)])
    row, level = np.nonzero(rows.arrived & (rows.remaining > 0.0))
    error = np.abs(rows.remaining - left_out)[row, level]
    said = np.maximum(left_out[row, level], 0.0)
    design = np.column_stack([np.ones(row.size), np.log(said + SCALE_OFFSET), duty[row]])
    weight = (1.0 / np.repeat(counts, counts))[row] / rows.remaining.shape[1]
    penalty = np.diag([1e-9, 1e-3, *np.full(duty.shape[1], DUTY_PENALTY)])
    found: Array = np.linalg.solve(
        design.T @ (weight[:, np.newaxis] * design) + penalty,
        design.T @ (weight * np.log(error + SMALLEST_ERROR)),
    )
    return found


def _tensor(values: Array) -> torch.Tensor:
    import torch

    return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float32)


@cache
def _kernel_class() -> type[torch.nn.Module]:
    import torch

    class KernelLife(torch.nn.Module):
        """A fitted regression, in single precision."""

        coefficients: torch.Tensor
        mean: torch.Tensor
        scale: torch.Tensor
        late_coefficients: torch.Tensor
        late_mean: torch.Tensor

        def __init__(
            self,
            maps: list[torch.Tensor],
            centres: list[torch.Tensor],
            coefficients: torch.Tensor,
            mean: torch.Tensor,
            scale: torch.Tensor,
            end: int,
            late: LateRegression | None,
        ) -> None:
            super().__init__()
            self.end, self.levels, self.parts, self.late = end, len(mean) // 2, len(centres), late
            self.register_buffer("coefficients", coefficients / len(centres))
            self.register_buffer("mean", mean)
            self.register_buffer("scale", scale)
            if late:
                each = _tensor(np.diag(late.factors)[:, late.factors != 0.0])
                maps, centres = [*maps, each], [*centres, _tensor(late.centres) @ each]
                self.register_buffer("late_coefficients", _tensor(late.coefficients))
                self.register_buffer("late_mean", _tensor(late.mean))
            for part, (each, place) in enumerate(zip(maps, centres, strict=True)):
                self.register_buffer(f"map_{part}", each)
                squares = place.square().sum(dim=1)
                augmented = torch.vstack([-2.0 * place.T, torch.ones_like(squares), squares])
                self.register_buffer(f"centres_{part}", augmented)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            said = self.mean
            for part in range(self.parts):
                said = said + self._likeness(inputs, part) @ self.coefficients
            if self.late:
                near = self.late_mean + self._likeness(inputs, self.parts) @ self.late_coefficients
                by_soh = self.late.gain * inputs[:, self.late.soh, None] + self.late.offset
                share = torch.maximum(by_soh, self.late.age_gain * inputs[:, -2, None] + self.late.age_offset)
                said = near + share.clamp(0.0, 1.0) * (said - near)
            arrival = self._in_order(said[:, : self.levels])
            duty = inputs[:, -len(self.scale) : -2]
            logarithm = self.scale[0] + self.scale[1] * torch.log(arrival.relu() + SCALE_OFFSET)
            scale = torch.exp(logarithm + (duty @ self.scale[2:])[:, None])
            return torch.stack([arrival, scale, said[:, self.levels :].clamp_min(SMALLEST_PROXY)])[None]

        def _likeness(self, inputs: torch.Tensor, part: int) -> torch.Tensor:
            place = inputs @ getattr(self, f"map_{part}")
            square = place.square().sum(dim=1, keepdim=True)
            # All of |a|^2 - 2 a b + |b|^2 in one product: a pass over all pairs costs as much as it.
            augmented = torch.cat([place, square, torch.ones_like(square)], dim=1)
            distance = (augmented @ getattr(self, f"centres_{part}")).relu().sqrt()
            likeness: torch.Tensor = (1.0 + distance) / torch.exp(distance)
            return likeness

        def _in_order(self, said: torch.Tensor) -> torch.Tensor:
            """Return arrivals that do not come earlier at lower levels; that at the end of life stays as it is."""
            columns = list(said.unbind(dim=1))
            for level in range(self.end - 1, -1, -1):
                columns[level] = torch.minimum(columns[level], columns[level + 1])
            for level in range(self.end + 1, self.levels):
                columns[level] = torch.maximum(columns[level], columns[level - 1])
            return torch.stack(columns, dim=1)

    return KernelLife
