"""State of health of a running pack: from the past of each cell where enough of it is known, else from one charge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, Flags, Kind, Level, PackSpec, PackState, Quality, Reading, find_quantity

from .charge_features import charge_causes
from .charge_history import CellPasts
from .pack_health import combine_uncertain
from .served_models import same_cell
from .soh_predictor import OTHER_CAPACITY, SohPredictor
from .trust.trust_model import FEWEST_CYCLES, FRESH
from .window_predictor import WindowPredictor

__all__ = ["PackSoh"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _CellSoh:
    """SOH of all cells, each of shape (n_cells,), and what there is to say of it."""

    soh: Array
    standard_uncertainty: Array
    quality: Flags
    provenance: str
    reason: str


class PackSoh:
    """Predict the SOH of every cell of a pack, and of groups, modules and pack.

    A cell whose first charges are known, and that has had three of them, is judged by the model of past windows and its
    trust; any other by the model of one charge, whose interval is wider.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    one_charge : SohPredictor
        Model of one charge.
    past : WindowPredictor
        Model of past windows.
    """

    def __init__(self, spec: PackSpec, one_charge: SohPredictor, past: WindowPredictor) -> None:
        self._spec, self._one_charge, self._past = spec, one_charge, past
        self._source: object = None
        self._answer: tuple[int, _CellSoh] | None = None
        self._levels: tuple[int, Reading | None, tuple[Reading, ...]] | None = None
        self._forget()

    def _forget(self) -> None:
        """Begin anew, with another history."""
        n = self._spec.n_cells
        self._answer, self._levels = None, None
        self._judged = np.zeros(n, dtype=np.int64)  # charges of each cell that its answer rests on
        self._lowest, self._soh, self._uncertainty = np.full((3, n), np.nan)
        self._quality = np.full(n, Quality.BAD, dtype=np.uint8)
        self._reasons: dict[str, NDArray[np.bool_]] = {}

    def load(self) -> None:
        """Load both models; may be called from any thread.

        Raises
        ------
        ModelError
            If a model is missing or damaged.
        """
        self._one_charge.load()
        self._past.load()

    def predict(self, pasts: CellPasts, state: PackState) -> tuple[Reading, ...]:
        """Return the predicted SOH of cells, groups, modules and pack, and what follows for energy and resistance.

        Parameters
        ----------
        pasts : CellPasts
            What is known of the cells' charges.
        state : PackState
            Process image, for the resistances of the groups.
        """
        refusal = self._one_charge.refusal()
        if refusal is None and not pasts.held.any():
            refusal = self._one_charge.waiting()
        if refusal is not None:
            return self._one_charge.absent(refusal)
        answer = self.assess(pasts)
        cells = Reading(
            kind=Kind.PREDICTED,
            quantity="soh",
            level=Level.CELL,
            values=answer.soh,
            time=pasts.completed,
            quality=answer.quality,
            standard_uncertainty=answer.standard_uncertainty,
            provenance=answer.provenance,
            reason=answer.reason,
        )
        grown = state.get(Kind.ESTIMATED, "resistance_factor", Level.GROUP)
        if self._levels is None or self._levels[0] != pasts.revision or self._levels[1] is not grown:
            self._levels = (pasts.revision, grown, combine_uncertain(cells, self._spec, state))
        return (cells, *self._levels[2])

    def assess(self, pasts: CellPasts) -> _CellSoh:
        """Return the SOH of all cells; computed anew only for those whose charge has ended since the last answer."""
        if pasts.source is not self._source:
            self._source = pasts.source
            self._forget()
        if self._answer is not None and self._answer[0] == pasts.revision:
            return self._answer[1]
        n = self._spec.n_cells
        soh, uncertainty = np.full((2, n), np.nan)
        quality = np.full(n, Quality.BAD, dtype=np.uint8)
        causes: dict[str, int] = {}
        model = self._past.model
        known = self._spec.cell.chemistry == model.chemistry
        with_past = known & pasts.begun & (pasts.count >= FEWEST_CYCLES)
        cells, others = np.flatnonzero(with_past), np.flatnonzero(~with_past & (pasts.held > 0))
        sources = []
        if cells.size:
            soh[cells], uncertainty[cells], quality[cells], found = self._from_past(pasts, cells)
            sources.append(f"{model.provenance}, {cells.size} cells")
            causes |= found
        if others.size:
            single = self._one_charge.assess(pasts.record(others))
            soh[others], uncertainty[others], quality[others] = single.soh, single.standard_uncertainty, single.quality
            sources.append(f"{self._one_charge.model.provenance}, {others.size} cells")
            for cause, count in single.causes.items():
                causes[cause] = causes.get(cause, 0) + count
        answer = _CellSoh(
            soh=soh,
            standard_uncertainty=uncertainty,
            quality=quality,
            provenance="; ".join(sources),
            reason=_describe(n, cells.size, others.size, causes),
        )
        self._answer = (pasts.revision, answer)
        return answer

    def _from_past(self, pasts: CellPasts, cells: NDArray[np.intp]) -> tuple[Array, Array, Flags, dict[str, int]]:
        """Return SOH, standard uncertainty, quality, and how many cells are suspect, by cause."""
        new = cells[pasts.count[cells] != self._judged[cells]]
        if new.size:
            self._judge(pasts, new)
        counts = {cause: int(np.count_nonzero(rows[cells])) for cause, rows in self._reasons.items()}
        return (
            self._soh[cells],
            self._uncertainty[cells],
            self._quality[cells],
            {cause: count for cause, count in counts.items() if count},
        )

    def _judge(self, pasts: CellPasts, cells: NDArray[np.intp]) -> None:
        """Ask the model of past windows about some cells, and keep what it says."""
        model = self._past.model
        found = self._past.assess(pasts.windows(model.window, cells))
        bounds = find_quantity("soh")
        possible = (found.soh >= bounds.lowest) & (found.soh <= bounds.highest)
        reasons = {
            **found.reasons,
            **charge_causes(pasts.doubts[cells]),
            "health rises": found.soh - self._lowest[cells] > found.half_width,
            OTHER_CAPACITY: np.full(cells.size, not same_cell(self._spec, model.nominal_capacity)),
        }
        doubted = np.logical_or.reduce(list(reasons.values()))
        quality = np.where(possible, np.where(doubted, Quality.SUSPECT, Quality.GOOD), Quality.BAD).astype(np.uint8)
        grown = (quality == Quality.GOOD) & (pasts.count[cells] > FRESH)
        self._lowest[cells] = np.fmin(self._lowest[cells], np.where(grown, found.soh, np.nan))
        self._judged[cells] = pasts.count[cells]
        self._soh[cells] = np.where(possible, found.soh, np.nan)
        self._uncertainty[cells] = np.where(possible, found.standard_uncertainty, np.nan)
        self._quality[cells] = quality
        for cause, rows in reasons.items():
            self._reasons.setdefault(cause, np.zeros(self._spec.n_cells, dtype=np.bool_))[cells] = rows & possible


def _describe(n_cells: int, from_past: int, from_one: int, causes: dict[str, int]) -> str:
    parts = []
    if from_past:
        parts.append(f"From the past charges of {from_past} of {n_cells} cells")
    if from_one:
        parts.append(f"from the newest whole charge of {from_one} of {n_cells} cells")
    if causes:
        parts.append("suspect: " + ", ".join(f"{count} {cause}" for cause, count in causes.items()))
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]
