"""The description of past windows in torch: what :func:`describe_windows` says, from raw windows, for an export."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING

from ..features import feature_columns
from ..scaling import InputScaling
from .duty import LARGEST_RHYTHM, RHYTHM_FEATURE, Duties, rhythm_weights
from .window_description import AGE_SCALE, DESCRIBED_WINDOW, LOGARITHM_SCALE, RATIOS, SHORT, SMALLEST
from .window_inputs import LARGEST_INPUT

if TYPE_CHECKING:
    import torch

__all__ = ["masked_mean", "scaled_features", "window_description"]

RHYTHM_COLUMN = int(feature_columns((RHYTHM_FEATURE,))[0])


def scaled_features(scaling: InputScaling) -> torch.nn.Module:
    """Return a module that scales raw features (n, ..., n_inputs), in single precision.

    Values that are not finite are replaced, all are held within bounds; its ``whole`` only replaces.
    """
    module: torch.nn.Module = _classes().scaled(scaling)
    return module


def window_description(scaling: InputScaling, duties: Duties | None) -> torch.nn.Module:
    """Return a module that describes windows as :func:`describe_windows` does, in single precision.

    It takes features (n, window, n_inputs), seen (n, window) as 0 or 1, beginning (n, n_inputs), cycle (n,), and, where
    duties are known, duty (n, n_duties); it returns blocks (n, n_columns) by name.
    """
    module: torch.nn.Module = _classes().description(scaling, duties)
    return module


def masked_mean(values: torch.Tensor, seen: torch.Tensor, length: int) -> torch.Tensor:
    """Return the mean of the newest ``length`` cycles that were seen, shape (n, n_inputs).

    Parameters
    ----------
    values, seen : tensor of shape (n, window, n_inputs), tensor of shape (n, window)
        Features; 1 where the cell had had the cycle, else 0.
    length : int
        Cycles.
    """
    newest = seen[:, -length:]
    weights = newest / newest.sum(1, keepdim=True)
    return (weights[:, None] @ values[:, -length:])[:, 0]


@cache
def _classes() -> SimpleNamespace:
    import torch

    class Scaled(torch.nn.Module):
        """See :func:`scaled_features`."""

        stand_in: torch.Tensor
        mean: torch.Tensor
        per_spread: torch.Tensor

        def __init__(self, scaling: InputScaling) -> None:
            super().__init__()
            for name, values in (
                ("stand_in", scaling.stand_in),
                ("mean", scaling.mean),
                ("per_spread", 1.0 / scaling.spread),
            ):
                self.register_buffer(name, torch.tensor(values, dtype=torch.float32))

        def whole(self, values: torch.Tensor) -> torch.Tensor:
            return self._whole(_as_rows(values)).reshape(values.shape)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            rows = _as_rows(values)
            apart = self._whole(rows) - _repeated(self.mean, rows)
            scaled = (apart * _repeated(self.per_spread, rows)).clamp(-LARGEST_INPUT, LARGEST_INPUT)
            return scaled.reshape(values.shape)

        def _whole(self, rows: torch.Tensor) -> torch.Tensor:
            return torch.where(rows.abs() < torch.inf, rows, _repeated(self.stand_in, rows))

    class Description(torch.nn.Module):
        """See :func:`window_description`."""

        ratios: torch.Tensor
        columns: torch.Tensor
        folding: torch.Tensor

        def __init__(self, scaling: InputScaling, duties: Duties | None) -> None:
            super().__init__()
            self.scaled = Scaled(scaling)
            self.rhythm_cycles = 0
            if duties is not None and duties.period > 0:
                self.rhythm_cycles, matrix = rhythm_weights(duties.period)
                self.register_buffer("folding", torch.tensor(matrix / duties.typical, dtype=torch.float32))
            self.register_buffer("ratios", torch.tensor(list(RATIOS.values()), dtype=torch.float32))
            self.register_buffer("columns", torch.as_tensor(feature_columns(tuple(RATIOS))))

        def forward(
            self,
            windows: torch.Tensor,
            seen: torch.Tensor,
            beginning: torch.Tensor,
            cycle: torch.Tensor,
            duty: torch.Tensor | None = None,
        ) -> dict[str, torch.Tensor]:
            seen, cycle = seen.to(torch.float32), cycle.to(torch.float32)
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
                "ratio": self._ratio(windows, seen, beginning),
                "age": torch.stack([cycle / AGE_SCALE, torch.log1p(cycle) / LOGARITHM_SCALE], dim=1),
            }
            if duty is not None:
                duty = duty.to(torch.float32)
                unknown = 1.0 - duty.sum(dim=1, keepdim=True)
                described["duty"] = torch.cat([duty, unknown], dim=1)
                described["rhythm"] = self._rhythm(windows, seen)
            return described

        def _rhythm(self, windows: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
            if self.rhythm_cycles == 0:
                return torch.zeros_like(seen[:, :1])
            raw, known = (
                windows[:, -self.rhythm_cycles :, RHYTHM_COLUMN].to(torch.float32),
                seen[:, -self.rhythm_cycles :],
            )
            known = known * (raw.abs() < torch.inf)
            values = torch.where(known > 0.0, raw, 0.0)
            mean = values.sum(1, keepdim=True) / known.sum(1, keepdim=True).clamp_min(1.0)
            folded = ((values - mean) * known) @ self.folding
            return folded.clamp(-LARGEST_RHYTHM, LARGEST_RHYTHM)

        def _ratio(self, windows: torch.Tensor, seen: torch.Tensor, beginning: torch.Tensor) -> torch.Tensor:
            raw = masked_mean(self.scaled.whole(windows[:, -SHORT:]), seen, SHORT)[:, self.columns]
            start = self.scaled.whole(beginning)[:, self.columns]
            now, then = (values.abs().clamp_min(SMALLEST).log() for values in (raw, start))
            return ((now - then) / self.ratios).clamp(-LARGEST_INPUT, LARGEST_INPUT)

    return SimpleNamespace(scaled=Scaled, description=Description)


def _as_rows(values: torch.Tensor) -> torch.Tensor:
    """Return values as one row for each window: a runtime takes three times as long for rows of sixteen features."""
    return values.float().flatten(1)


def _repeated(constants: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return constants.repeat(rows.shape[1] // constants.shape[0])
