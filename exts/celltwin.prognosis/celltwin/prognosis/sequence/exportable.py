"""Fitted models as one torch module each, with everything inside that turns raw windows into SOH."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import ModelError

from ..features import feature_columns
from ..scaling import InputScaling
from .duty import LARGEST_RHYTHM, RHYTHM_FEATURE, rhythm_weights
from .kernel_regression import KernelRegression
from .kinds import FittedBlend, FittedKernel, FittedModel, FittedNetworks
from .window_description import AGE_SCALE, DESCRIBED_WINDOW, LOGARITHM_SCALE, RATIOS, SHORT, SMALLEST
from .window_inputs import AGE_SCALE as NETWORK_AGE
from .window_inputs import CHANGE_LENGTH, CHANGE_SCALE, LARGEST_INPUT
from .window_inputs import LOGARITHM_SCALE as NETWORK_LOGARITHM

if TYPE_CHECKING:
    import torch

RHYTHM_COLUMN = int(feature_columns((RHYTHM_FEATURE,))[0])

__all__ = ["exportable_module", "known_duties"]


def exportable_module(fitted: FittedModel) -> torch.nn.Module:
    """Return a fitted model as a module.

    It takes features (n, window, n_inputs), seen (n, window) as 0 or 1, beginning (n, n_inputs) and cycle (n,), all
    float64 and as in :class:`PastWindows`; values that are not finite are replaced inside. A fit that knows duties
    takes a fifth, duty (n, n_duties), 1 in the column of the one that a cell has. It returns the answers of the
    members, shape (n_members, n) [-]. Likenesses are taken in single precision.

    Raises
    ------
    ModelError
        If the kind cannot be exported.
    """
    module: torch.nn.Module
    if isinstance(fitted, FittedKernel):
        module = _classes().kernel(fitted.members)
    elif isinstance(fitted, FittedNetworks):
        module = _classes().networks(fitted)
    elif isinstance(fitted, FittedBlend):
        parts = [exportable_module(part) for part in fitted.parts]
        module = _classes().blend(parts, fitted.windows, fitted.weights)
    else:
        raise ModelError(
            f"a fit of {type(fitted).__name__} cannot be exported", remedy="Choose kernel, blend or a kind of network"
        )
    return module.eval()


def known_duties(fitted: FittedModel) -> tuple[str, ...]:
    """Return the duties that a fitted model tells apart; none where it does not look at them."""
    if isinstance(fitted, FittedKernel):
        found = [member.duties.names for member in fitted.members if member.duties is not None]
        return found[0] if found else ()
    if isinstance(fitted, FittedBlend):
        return next((names for names in map(known_duties, fitted.parts) if names), ())
    return ()


class _Classes:
    """The classes of modules, made when torch is there."""

    kernel: Any
    networks: Any
    blend: Any


@cache
def _classes() -> _Classes:
    import torch

    class Scaled(torch.nn.Module):
        """Raw features scaled, replaced where not finite, and held within bounds."""

        mean: torch.Tensor
        spread: torch.Tensor
        stand_in: torch.Tensor

        def __init__(self, scaling: InputScaling) -> None:
            super().__init__()
            for name in ("mean", "spread", "stand_in"):
                self.register_buffer(name, torch.tensor(getattr(scaling, name), dtype=torch.float64))

        def whole(self, values: torch.Tensor) -> torch.Tensor:
            return torch.where(values.abs() < torch.inf, values, self.stand_in)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return ((self.whole(values) - self.mean) / self.spread).clamp(-LARGEST_INPUT, LARGEST_INPUT)

    def masked_mean(values: torch.Tensor, seen: torch.Tensor, length: int) -> torch.Tensor:
        weights = seen[:, -length:, None]
        return (values[:, -length:] * weights).sum(1) / weights.sum(1)

    class Regression(torch.nn.Module):
        """One kernel regression."""

        coefficients: torch.Tensor
        ratios: torch.Tensor
        columns: torch.Tensor
        folding: torch.Tensor

        def __init__(self, member: KernelRegression) -> None:
            super().__init__()
            self.scaled = Scaled(member.scaling)
            self.settings = member.settings
            self.mean = member.mean
            self.register_buffer("coefficients", torch.tensor(member.coefficients, dtype=torch.float32))
            self.rhythm_cycles = 0
            if member.duties is not None and member.duties.period > 0:
                self.rhythm_cycles, matrix = rhythm_weights(member.duties.period)
                self.register_buffer("folding", torch.tensor(matrix / member.duties.typical))
            self.register_buffer("ratios", torch.tensor(list(RATIOS.values()), dtype=torch.float64))
            self.register_buffer("columns", torch.as_tensor(feature_columns(tuple(RATIOS))))
            for number, points in enumerate(member.points):
                scaled = member.settings.decay * points
                self.register_buffer(f"points_{number}", torch.tensor(scaled.T.copy(), dtype=torch.float32))
                squares = (scaled**2).sum(axis=1)
                self.register_buffer(f"squares_{number}", torch.tensor(squares, dtype=torch.float32))

        def forward(
            self,
            windows: torch.Tensor,
            seen: torch.Tensor,
            beginning: torch.Tensor,
            cycle: torch.Tensor,
            duty: torch.Tensor | None = None,
        ) -> torch.Tensor:
            values = self.scaled(windows[:, -DESCRIBED_WINDOW:])
            newest, start = values[:, -1], self.scaled(beginning)
            short = masked_mean(values, seen, SHORT)
            long = masked_mean(values, seen, DESCRIBED_WINDOW)
            described = {
                "newest": newest,
                "short": short,
                "long": long,
                "jump": newest - short,
                "trend": short - long,
                "beginning": start,
                "change": short - start,
                "ratio": self.ratio(windows, seen, beginning),
                "age": torch.stack([cycle / AGE_SCALE, torch.log1p(cycle) / LOGARITHM_SCALE], dim=1),
            }
            if duty is not None:
                unknown = 1.0 - duty.sum(dim=1, keepdim=True)
                described["duty"] = torch.cat([duty, unknown], dim=1)
                described["rhythm"] = self.rhythm(windows, seen)
            likeness: Any = 0.0
            for number, part in enumerate(self.settings.parts):
                blocks = [self.settings.decay * factor * described[name] for name, factor in part.blocks.items()]
                place = torch.cat(blocks, dim=1).to(torch.float32)
                points, squares = getattr(self, f"points_{number}"), getattr(self, f"squares_{number}")
                square = (place.square().sum(1, keepdim=True) + squares - 2.0 * place @ points).clamp_min(0.0)
                distance = square.sqrt()
                likeness = likeness + part.weight * (1.0 + distance) * torch.exp(-distance)
            soh: torch.Tensor = self.mean + (likeness @ self.coefficients).to(torch.float64)
            return soh

        def rhythm(self, windows: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
            if self.rhythm_cycles == 0:
                return torch.zeros_like(windows[:, -1, :1])
            raw, known = windows[:, -self.rhythm_cycles :, RHYTHM_COLUMN], seen[:, -self.rhythm_cycles :]
            known = known * (raw.abs() < torch.inf)
            values = torch.where(known > 0.0, raw, 0.0)
            mean = values.sum(1, keepdim=True) / known.sum(1, keepdim=True).clamp_min(1.0)
            folded = ((values - mean) * known) @ self.folding
            return folded.clamp(-LARGEST_RHYTHM, LARGEST_RHYTHM)

        def ratio(self, windows: torch.Tensor, seen: torch.Tensor, beginning: torch.Tensor) -> torch.Tensor:
            raw = masked_mean(self.scaled.whole(windows[:, -SHORT:]), seen, SHORT)[:, self.columns]
            start = self.scaled.whole(beginning)[:, self.columns]
            now, then = (values.abs().clamp_min(SMALLEST).log() for values in (raw, start))
            return ((now - then) / self.ratios).clamp(-LARGEST_INPUT, LARGEST_INPUT)

    class Kernel(torch.nn.Module):
        """All kernel regressions of a fit."""

        def __init__(self, members: tuple[KernelRegression, ...]) -> None:
            super().__init__()
            self.members = torch.nn.ModuleList([Regression(member) for member in members])

        def forward(
            self,
            windows: torch.Tensor,
            seen: torch.Tensor,
            beginning: torch.Tensor,
            cycle: torch.Tensor,
            duty: torch.Tensor | None = None,
        ) -> torch.Tensor:
            return torch.stack([member(windows, seen, beginning, cycle, duty) for member in self.members])

    class Networks(torch.nn.Module):
        """All networks of a fit."""

        def __init__(self, fitted: FittedNetworks) -> None:
            super().__init__()
            self.members = torch.nn.ModuleList(fitted.networks)
            self.scaled = Scaled(fitted.inputs.scaling)
            self.target = fitted.inputs.target

        def forward(
            self,
            windows: torch.Tensor,
            seen: torch.Tensor,
            beginning: torch.Tensor,
            cycle: torch.Tensor,
            duty: torch.Tensor | None = None,  # noqa: ARG002  networks do not look at it
        ) -> torch.Tensor:
            values = self.scaled(windows)
            change = CHANGE_SCALE * (masked_mean(values, seen, CHANGE_LENGTH) - self.scaled(beginning))
            same = torch.cat(
                [
                    change,
                    (cycle / NETWORK_AGE)[:, None],
                    (torch.log1p(cycle) / NETWORK_LOGARITHM)[:, None],
                ],
                dim=1,
            )
            repeated = same[:, None].expand(-1, values.shape[1], -1)
            channels = torch.cat([values, repeated, seen[:, :, None]], dim=2).to(torch.float32)
            scaled = torch.stack([member(channels)[:, 0] for member in self.members]).to(torch.float64)
            return scaled * self.target[1] + self.target[0]

    class Blend(torch.nn.Module):
        """The weighted mean of parts."""

        def __init__(self, parts: list[torch.nn.Module], windows: tuple[int, ...], weights: tuple[float, ...]) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleList(parts)
            self.windows = windows
            self.shares = tuple(float(weight) for weight in np.array(weights) / sum(weights))

        def forward(
            self,
            windows: torch.Tensor,
            seen: torch.Tensor,
            beginning: torch.Tensor,
            cycle: torch.Tensor,
            duty: torch.Tensor | None = None,
        ) -> torch.Tensor:
            total: Any = 0.0
            for part, length, share in zip(self.parts, self.windows, self.shares, strict=True):
                answers = part(windows[:, -length:], seen[:, -length:], beginning, cycle, duty)
                total = total + share * answers.mean(0, keepdim=True)
            soh: torch.Tensor = total
            return soh

    classes = _Classes()
    classes.kernel, classes.networks, classes.blend = Kernel, Networks, Blend
    return classes
