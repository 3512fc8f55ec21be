"""Recalibrate a running pack from windows of its telemetry: warm-started, bounded, and only what the window shows."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array, Level, ModelError, PackSpec, PlantError

from .cell_population import CellEvidence
from .online_recalibration_fit import GroupFit, fit_groups
from .online_recalibration_lanes import CandidateLanes
from .online_recalibration_state import COORDINATES, RecalibrationOptions, RecalibrationState
from .online_recalibration_window import Excitation, TelemetryWindow, assess_window, grid_window

if TYPE_CHECKING:
    from ..engine import CellModel

__all__ = [
    "OnlineRecalibration",
    "RecalibrationOptions",
    "RecalibrationResult",
    "RecalibrationState",
    "recalibrate_pack",
]

_LOG = logging.getLogger(__name__)

_STAND_IN = 0.15  # a parameter set stands in for a cell of another size beyond this difference of capacity


@dataclass(frozen=True, kw_only=True, eq=False)
class RecalibrationResult:
    """What one window brought.

    Attributes
    ----------
    state : RecalibrationState
        After the window; the one before for groups that were not promoted.
    excitation : Excitation
        What the window could tell.
    promoted : ndarray of bool of shape (n_groups,)
        Groups whose new values are kept.
    reasons : tuple of str
        Of each group: why not; empty where promoted.
    error_before, error_after : ndarray of shape (n_groups,)
        Of the part held back, with values from before and from the rest of the window [V]; not a number where
        nothing was fitted.
    misfit : ndarray of shape (n_groups,)
        Root mean square error over the whole window with the new values [V].
    candidate, candidate_deviations : ndarray of shape (n_groups, 3)
        The new values, kept or not.
    undetermined : tuple of tuple of str
        Of each group: coordinates that the window hardly narrows.
    evidence : tuple of CellEvidence
        What the window says of each group without a prior, for :func:`fit_population`; none where refused.
    cell_steps : int
        Steps of candidate cells simulated.
    seconds : float
        Time taken.
    provenance : str
        Model and window.
    """

    state: RecalibrationState
    excitation: Excitation
    promoted: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    reasons: tuple[str, ...]
    error_before: Array
    error_after: Array
    misfit: Array
    candidate: Array
    candidate_deviations: Array
    undetermined: tuple[tuple[str, ...], ...]
    evidence: tuple[CellEvidence, ...]
    cell_steps: int
    seconds: float
    provenance: str

    @property
    def refused(self) -> bool:
        """Whether nothing was fitted."""
        return bool(self.excitation.refusals)

    @property
    def undescribed(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Whether a mean cell describes or predicts each group much worse than the others, shape (n_groups,)."""
        if self.refused:
            return np.zeros(self.misfit.size, dtype=bool)
        usual, foreseen = float(np.median(self.misfit)), float(np.median(self.error_after))
        left = self.misfit > max(1.5 * usual, usual + 5e-3)
        return np.asarray(left | (self.error_after > 3.0 * foreseen + 5e-3))

    def weak_groups(self, *, least: float = 0.02) -> dict[str, str]:
        """Return the groups that stand out among all, each with the reason.

        A group stands out whose capacity lies below the median by more than ``least``, three of its own standard
        deviations and twice the robust scatter of all; or that a mean cell describes or predicts much worse than the
        others, as where one of its parallel cells is weak.

        Parameters
        ----------
        least : float
            Share of capacity below which a difference is none.
        """
        if self.refused:
            return {}
        capacity, found, undescribed = self.candidate[:, 0], {}, self.undescribed
        middle = float(np.median(capacity))
        scatter = 1.4826 * float(np.median(np.abs(capacity - middle)))
        usual, foreseen = float(np.median(self.misfit)), float(np.median(self.error_after))
        for group, name in enumerate(self.state.group_ids):
            below = middle - capacity[group]
            if below > max(least, 3.0 * self.candidate_deviations[group, 0], 2.0 * scatter):
                found[name] = f"{100.0 * -np.expm1(-below):.1f} % less capacity than the median group"
            elif self.misfit[group] > max(1.5 * usual, usual + 5e-3):
                found[name] = (
                    f"a mean cell leaves {1e3 * self.misfit[group]:.0f} mV, {1e3 * usual:.0f} mV in the median group"
                )
            elif undescribed[group]:
                found[name] = (
                    f"a mean cell misses what was held back by {1e3 * self.error_after[group]:.0f} mV, "
                    f"{1e3 * foreseen:.0f} mV in the median group"
                )
        return found


class OnlineRecalibration:
    """Keeps what windows of telemetry have told of the groups of a pack.

    Each group is seen as a mean cell: parallel cells share its current. Values are factors on those of the cell's
    parameter set.

    Parameters
    ----------
    model : CellModel
        The cell type, as the pack engine takes it.
    group_ids : tuple of str
        Groups.
    resistance : float
        Whole series resistance of a cell with a factor of 1, without welds [ohm].
    capacity_scale : float
        Capacity of a cell with a factor of 1 over the model's [-].
    connection : float
        Resistance of the welds of a cell [ohm].
    options : RecalibrationOptions, optional
        Priors, checks and bounds.
    state : RecalibrationState, optional
        What was learned before; the priors where absent.
    device : str, optional
        Warp's name of the device.

    Raises
    ------
    ModelError
        If the state is of other groups.
    """

    def __init__(
        self,
        model: CellModel,
        group_ids: tuple[str, ...],
        *,
        resistance: float,
        capacity_scale: float = 1.0,
        connection: float = 0.0,
        options: RecalibrationOptions | None = None,
        state: RecalibrationState | None = None,
        device: str | None = None,
    ) -> None:
        self.options = options or RecalibrationOptions()
        self.lanes = CandidateLanes(model, connection=connection, device=device)
        self.resistance = resistance
        self.capacity_scale = capacity_scale
        self.capacity = model.capacity * capacity_scale
        size = len(group_ids)
        self.usual = np.diag(np.square(self.options.widths))
        fresh = RecalibrationState(
            group_ids=tuple(group_ids),
            time=float("-inf"),
            mean=np.zeros((size, 3)),
            covariance=np.tile(self.usual, (size, 1, 1)),
            windows=np.zeros(size, dtype=np.int64),
            provenance=f"{model.name}@{model.hash}",
        )
        if state is not None and state.group_ids != fresh.group_ids:
            raise ModelError("the state is of the groups of another pack", remedy="Begin with none")
        if state is not None and state.model != fresh.model:
            raise ModelError(
                f"the state was learned with the cell model {state.model}, the pack's cells are {fresh.model} now",
                remedy="Begin with none",
            )
        self.state = state or fresh

    def update(self, window: TelemetryWindow) -> RecalibrationResult:
        r"""Learn from a window: refused where it tells nothing, promoted group by group where it predicts better.

        Before it, what was known drifts back to the usual (an Ornstein-Uhlenbeck process), so that old windows are
        forgotten,

        .. math:: m \leftarrow \varphi m, \qquad P \leftarrow \varphi^2 P + (1 - \varphi^2) \Sigma, \qquad
           \varphi = 2^{-\Delta t / \tau}.

        State of charge at the start and an offset of the sensor are fitted for each window and group anew.

        Raises
        ------
        ModelError
            If the window is of other groups.
        """
        begun, steps = time.monotonic(), self.lanes.cell_steps
        if window.group_ids != self.state.group_ids:
            raise ModelError("the window is of the groups of another pack", remedy="Give windows of one pack")
        options = self.options
        excitation = assess_window(window, self.capacity, shortest=options.shortest, least_swing=options.least_swing)
        if excitation.refusals:
            return self._refusal(excitation, window, begun, steps)
        mean, covariance = self._drifted(float(window.time[-1]))
        grid = grid_window(window, self.capacity, most_steps=options.most_steps, most_rows=options.most_rows)
        free = tuple(name in excitation.told for name in COORDINATES)
        deadline = begun + options.seconds
        try:
            before, part, whole = fit_groups(self, grid, mean, covariance, free, deadline)
        except PlantError as error:
            refused = replace(excitation, refusals=(f"the model cannot follow it: {error.message}",))
            return self._refusal(refused, window, begun, steps)
        return self._judge(window, excitation, before, part, whole, (mean, covariance), begun, steps)

    def _drifted(self, now: float) -> tuple[Array, Array]:
        if not np.isfinite(self.state.time):
            return np.array(self.state.mean), np.array(self.state.covariance)
        kept = 0.5 ** (max(now - self.state.time, 0.0) / self.options.memory)
        covariance = kept**2 * self.state.covariance + (1.0 - kept**2) * self.usual
        return kept * self.state.mean, covariance

    def _judge(
        self,
        window: TelemetryWindow,
        excitation: Excitation,
        before: GroupFit,
        part: GroupFit,
        whole: GroupFit,
        prior: tuple[Array, Array],
        begun: float,
        steps: int,
    ) -> RecalibrationResult:
        options = self.options
        reasons = []
        for group in range(len(window.group_ids)):
            reason = ""
            if whole.misfit[group] > options.worst_misfit:
                reason = (
                    f"the model leaves {1e3 * whole.misfit[group]:.0f} mV; at most "
                    f"{1e3 * options.worst_misfit:.0f} mV may be"
                )
            elif not (
                part.held_error[group] < (1.0 - options.least_gain) * before.held_error[group]
                # As well as before, and as well as the model can: the window makes the old values surer.
                or max(part.held_error[group], whole.misfit[group]) < options.voltage_error
            ):
                reason = (
                    f"the part held back is not explained better: {1e3 * part.held_error[group]:.1f} mV after, "
                    f"{1e3 * before.held_error[group]:.1f} mV before"
                )
            reasons.append(reason)
        promoted = np.array([not reason for reason in reasons])
        state = self.state
        if promoted.any():
            source = f"{window.source or 'window'} {window.time[0]:.0f} to {window.time[-1]:.0f} s"
            state = RecalibrationState(
                group_ids=state.group_ids,
                time=float(window.time[-1]),
                mean=np.where(promoted[:, np.newaxis], whole.mean, prior[0]),
                covariance=np.where(promoted[:, np.newaxis, np.newaxis], whole.covariance, prior[1]),
                windows=state.windows + promoted,
                provenance=f"{state.provenance}; {source}: {int(promoted.sum())} of {promoted.size} groups",
            )
        self.state = state
        widths = np.sqrt(np.diagonal(prior[1], axis1=1, axis2=2))
        hardly = whole.deviations > 0.8 * widths
        _LOG.info("recalibrated %d of %d groups", int(promoted.sum()), promoted.size)
        return RecalibrationResult(
            state=state,
            excitation=excitation,
            promoted=promoted,
            reasons=tuple(reasons),
            error_before=before.held_error,
            error_after=part.held_error,
            misfit=whole.misfit,
            candidate=whole.mean,
            candidate_deviations=whole.deviations,
            undetermined=tuple(
                tuple(name for name, weak in zip(COORDINATES, row, strict=True) if weak) for row in hardly
            ),
            evidence=tuple(
                CellEvidence(cell=name, names=COORDINATES, precision=precision, pull=pull)
                for name, precision, pull in zip(window.group_ids, whole.precision, whole.pull, strict=True)
            ),
            cell_steps=self.lanes.cell_steps - steps,
            seconds=time.monotonic() - begun,
            provenance=f"{self.lanes.model.name}@{self.lanes.model.hash}; {window.source}",
        )

    def _refusal(
        self, excitation: Excitation, window: TelemetryWindow, begun: float, steps: int
    ) -> RecalibrationResult:
        size = len(window.group_ids)
        nothing = np.full(size, np.nan)
        return RecalibrationResult(
            state=self.state,
            excitation=excitation,
            promoted=np.zeros(size, dtype=bool),
            reasons=("; ".join(excitation.refusals),) * size,
            error_before=nothing,
            error_after=nothing,
            misfit=nothing,
            candidate=np.array(self.state.mean),
            candidate_deviations=self.state.deviations,
            undetermined=(COORDINATES,) * size,
            evidence=(),
            cell_steps=self.lanes.cell_steps - steps,
            seconds=time.monotonic() - begun,
            provenance=f"{self.lanes.model.name}@{self.lanes.model.hash}; {window.source}",
        )


def recalibrate_pack(
    spec: PackSpec,
    *,
    options: RecalibrationOptions | None = None,
    state: RecalibrationState | None = None,
    device: str | None = None,
) -> OnlineRecalibration:
    """Return the recalibration of a declared pack; a factory for a worker process as well.

    Factors refer to what a simulated plant calls 1: capacity and series resistance of the cell's parameter set, for a
    cell of another size scaled to it.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    options, state, device
        As for :class:`OnlineRecalibration`.

    Examples
    --------
    ``BackgroundWorker("celltwin.physics.calibration.online_recalibration:recalibrate_pack", spec)`` and
    ``worker.submit("update", window)``, as the twin's other slow tiers do.
    """
    from ..engine import build_cell_model
    from ..parameters import load_cell_parameters

    parameters = load_cell_parameters(spec.cell.parameter_set)
    ratio = spec.cell.capacity / parameters.capacity
    size = ratio if abs(ratio - 1.0) > _STAND_IN else 1.0
    return OnlineRecalibration(
        build_cell_model(spec.cell.parameter_set),
        spec.element_ids(Level.GROUP),
        resistance=parameters.resistance / size,
        capacity_scale=size,
        connection=spec.busbar.weld_resistance,
        options=options,
        state=state,
        device=device,
    )
