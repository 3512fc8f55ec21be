"""What a recalibration has learned of the groups of a pack, and how it is told to learn."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, ModelError, freeze

__all__ = ["COORDINATES", "RecalibrationOptions", "RecalibrationState"]

COORDINATES = ("capacity", "resistance", "diffusivity")


@dataclass(frozen=True, kw_only=True)
class RecalibrationOptions:
    """How a pack is recalibrated.

    Attributes
    ----------
    widths : tuple of float
        Standard deviations between groups of the logarithms of capacity, resistance and diffusivity before anything
        is measured.
    memory : float
        Time after which what was learned counts by half [s].
    voltage_error : float
        What the model is off by on a sound pack [V].
    sensor_error : float
        Standard uncertainty of a group's voltage [V]: noise, and a constant offset of it.
    correlation : float
        Time over which the model's errors go together [s].
    blocks, held_every : int
        The window is cut into so many blocks, and every so manieth is held back, the last among them: a fit to the
        others must explain them better before it is kept, or to within ``voltage_error``.
    least_gain : float
        Share by which its error must fall there.
    worst_misfit : float
        Error over the whole window beyond which a group is not described by the model [V].
    shortest, least_swing
        See :func:`assess_window`.
    most_steps, most_rows
        See :func:`grid_window`.
    iterations : int
        Most steps of each fit.
    seconds : float
        Time after which no further iteration begins.
    """

    widths: tuple[float, float, float] = (0.06, 0.30, 0.30)
    memory: float = 30.0 * 86400.0
    voltage_error: float = 5e-3
    sensor_error: float = 1e-3
    correlation: float = 60.0
    blocks: int = 24
    held_every: int = 4
    least_gain: float = 0.02
    worst_misfit: float = 0.05
    shortest: float = 900.0
    least_swing: float = 0.1
    most_steps: int = 1500
    most_rows: int = 300
    iterations: int = 6
    seconds: float = 120.0


@dataclass(frozen=True, kw_only=True, eq=False)
class RecalibrationState:
    """What has been learned of the groups of a pack.

    Attributes
    ----------
    group_ids : tuple of str
        Groups.
    time : float
        End of the last window that was kept [s since the start of the run].
    mean : ndarray of shape (n_groups, 3)
        Logarithms of factors on capacity, resistance and diffusivity of a mean cell of each group.
    covariance : ndarray of shape (n_groups, 3, 3)
        Theirs.
    windows : ndarray of int of shape (n_groups,)
        Windows kept of each group.
    provenance : str
        Model, and the windows kept.
    """

    group_ids: tuple[str, ...]
    time: float
    mean: Array
    covariance: Array
    windows: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    provenance: str

    def __post_init__(self) -> None:
        """Check shapes and make the arrays read-only."""
        size = len(self.group_ids)
        if self.mean.shape != (size, 3) or self.covariance.shape != (size, 3, 3) or self.windows.shape != (size,):
            raise ModelError(f"mean {self.mean.shape} and covariance {self.covariance.shape} do not fit {size} groups")
        for name in ("mean", "covariance", "windows"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @property
    def model(self) -> str:
        """Name and hash of the cell model that factors refer to."""
        return self.provenance.split("; ", 1)[0]

    @property
    def deviations(self) -> Array:
        """Standard deviations, shape (n_groups, 3)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    def factors(self, name: str) -> Array:
        """Return the factors of ``capacity``, ``resistance`` or ``diffusivity``, shape (n_groups,)."""
        return np.asarray(np.exp(self.mean[:, COORDINATES.index(name)]))

    def to_json(self) -> str:
        """Return the state as text."""
        return json.dumps(
            {
                "schema": "celltwin.recalibration/1",
                "group_ids": self.group_ids,
                "time": self.time,
                "mean": self.mean.tolist(),
                "covariance": self.covariance.tolist(),
                "windows": self.windows.tolist(),
                "provenance": self.provenance,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> RecalibrationState:
        """Return the state of a text.

        Raises
        ------
        ModelError
            If the text is no such state.
        """
        try:
            content = json.loads(text)
            return cls(
                group_ids=tuple(content["group_ids"]),
                time=float(content["time"]),
                mean=np.array(content["mean"], dtype=np.float64),
                covariance=np.array(content["covariance"], dtype=np.float64),
                windows=np.array(content["windows"], dtype=np.int64),
                provenance=str(content["provenance"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"no state of a recalibration ({error!r})", remedy="Begin with none") from None
