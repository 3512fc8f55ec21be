"""Fitted models as one torch module each, with everything inside that turns raw windows into SOH."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import ModelError

from .distilled_kind import FittedDistilled
from .exportable_description import masked_mean, scaled_features, window_description
from .kernel_regression import KernelRegression
from .kinds import FittedBlend, FittedKernel, FittedModel, FittedNetworks
from .window_inputs import AGE_SCALE, CHANGE_LENGTH, CHANGE_SCALE, LOGARITHM_SCALE

if TYPE_CHECKING:
    import torch

__all__ = ["exportable_module", "kernel_answer", "known_duties"]


def exportable_module(fitted: FittedModel) -> torch.nn.Module:
    """Return a fitted model as a module.

    It takes features (n, window, n_inputs), seen (n, window) as 0 or 1, beginning (n, n_inputs) and cycle (n,), all
    float64 and as in :class:`PastWindows`; values that are not finite are replaced inside. A fit that knows duties
    takes a fifth, duty (n, n_duties), 1 in the column of the one that a cell has. It returns the answers of the
    members, shape (n_members, n) [-]. Likenesses and networks are computed in single precision.

    Raises
    ------
    ModelError
        If the kind cannot be exported.
    """
    classes = _classes()
    module: torch.nn.Module
    if isinstance(fitted, FittedKernel):
        module = classes.kernel(fitted.members)
    elif isinstance(fitted, FittedNetworks):
        module = classes.networks(fitted)
    elif isinstance(fitted, FittedBlend):
        parts = [exportable_module(part) for part in fitted.parts]
        module = classes.blend(parts, fitted.windows, fitted.weights)
    else:
        raise ModelError(
            f"a fit of {type(fitted).__name__} cannot be exported",
            remedy="Choose kernel, blend or a kind of network",
        )
    return module.eval()


def kernel_answer(member: KernelRegression) -> torch.nn.Module:
    """Return a regression as a module from described windows, blocks by name, to SOH (n,), in single precision."""
    module: torch.nn.Module = _classes().answer(member)
    return module


def known_duties(fitted: FittedModel) -> tuple[str, ...]:
    """Return the duties that a fitted model tells apart; none where it does not look at them."""
    if isinstance(fitted, FittedKernel):
        found = [member.duties.names for member in fitted.members if member.duties is not None]
        return found[0] if found else ()
    if isinstance(fitted, FittedDistilled):
        return known_duties(fitted.teacher)
    if isinstance(fitted, FittedBlend):
        return next((names for names in map(known_duties, fitted.parts) if names), ())
    return ()


@cache
def _classes() -> SimpleNamespace:
    import torch

    class Answer(torch.nn.Module):
        """See :func:`kernel_answer`."""

        coefficients: torch.Tensor

        def __init__(self, member: KernelRegression) -> None:
            super().__init__()
            self.settings = member.settings
            self.mean = member.mean
            self.register_buffer("coefficients", torch.tensor(member.coefficients, dtype=torch.float32))
            for number, points in enumerate(member.points):
                scaled = member.settings.decay * points
                self.register_buffer(f"points_{number}", torch.tensor(scaled.T.copy(), dtype=torch.float32))
                self.register_buffer(f"squares_{number}", torch.tensor((scaled**2).sum(axis=1), dtype=torch.float32))

        def forward(self, described: dict[str, torch.Tensor]) -> torch.Tensor:
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

    class Kernel(torch.nn.Module):
        """All kernel regressions of a fit."""

        def __init__(self, members: tuple[KernelRegression, ...]) -> None:
            super().__init__()
            self.descriptions = torch.nn.ModuleList([window_description(each.scaling, each.duties) for each in members])
            self.answers = torch.nn.ModuleList([Answer(each) for each in members])

        def forward(
            self,
            windows: torch.Tensor,
            seen: torch.Tensor,
            beginning: torch.Tensor,
            cycle: torch.Tensor,
            duty: torch.Tensor | None = None,
        ) -> torch.Tensor:
            return torch.stack(
                [
                    answer(describe(windows, seen, beginning, cycle, duty))
                    for describe, answer in zip(self.descriptions, self.answers, strict=True)
                ]
            )

    class Networks(torch.nn.Module):
        """All networks of a fit."""

        def __init__(self, fitted: FittedNetworks) -> None:
            super().__init__()
            self.members = torch.nn.ModuleList(fitted.networks)
            self.scaled = scaled_features(fitted.inputs.scaling)
            self.target = fitted.inputs.target

        def forward(
            self,
            windows: torch.Tensor,
            seen: torch.Tensor,
            beginning: torch.Tensor,
            cycle: torch.Tensor,
            duty: torch.Tensor | None = None,  # noqa: ARG002  networks do not look at it
        ) -> torch.Tensor:
            values, seen, cycle = self.scaled(windows), seen.to(torch.float32), cycle.to(torch.float32)
            change = CHANGE_SCALE * (masked_mean(values, seen, CHANGE_LENGTH) - self.scaled(beginning))
            same = torch.cat(
                [change, (cycle / AGE_SCALE)[:, None], (torch.log1p(cycle) / LOGARITHM_SCALE)[:, None]], dim=1
            )
            repeated = same[:, None].expand(-1, values.shape[1], -1)
            channels = torch.cat([values, repeated, seen[:, :, None]], dim=2)
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

    return SimpleNamespace(answer=Answer, kernel=Kernel, networks=Networks, blend=Blend)
