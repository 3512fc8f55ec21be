"""Remaining life of a running pack: cycles, and days at present use, of cells, groups, modules and the pack."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, Flags, Kind, Level, PackSpec, Quality, Reading, SettingsError

from .charge_features import charge_causes
from .charge_history import LONGEST_PAST, SHORTEST_USE, CellPasts
from .pack_health import combine_uncertain
from .remaining_life import LifeInputs, LifePredictor, days_at_present_use, describe_past
from .remaining_life.life_folder import LifeModel
from .remaining_life.life_prediction import LIFE_DOUBTS
from .served_models import absent_readings, same_cell
from .soh_predictor import OTHER_CAPACITY

__all__ = ["PackLife", "refuse_unknown_use"]

SECONDS_PER_DAY = 86400.0


class PackLife:
    """Predict the cycles that every cell has left, from its charge features, and how long they last.

    The model without measured SOH is asked: a running pack measures no capacity. A cell whose first charges are not
    known gets no number, since its age counts.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    used_like : str
        Cycling protocol of the training cells that the pack is used like; where empty it is like none: intervals are
        twice as wide and every answer is flagged.
    predictor : LifePredictor, optional
        What predicts; the newest model of ``data/models`` where absent.
    """

    def __init__(self, spec: PackSpec, used_like: str = "", predictor: LifePredictor | None = None) -> None:
        self._spec, self._used_like = spec, used_like
        self._predictor = predictor or LifePredictor()
        self._source: object = None
        self._cycles: tuple[int, tuple[Reading, ...]] | None = None
        self._forget()

    def _forget(self) -> None:
        """Begin anew, with another history."""
        n = self._spec.n_cells
        self._cycles = None
        self._judged = np.zeros(n, dtype=np.int64)  # charges of each cell that its answer rests on
        self._median, self._uncertainty = np.full((2, n), np.nan)
        self._doubts = np.zeros(n, dtype=np.uint8)

    def load(self) -> None:
        """Load the model; may be called from any thread.

        Raises
        ------
        ModelError
            If it is missing or damaged.
        SettingsError
            If no training cell was used like the pack's.
        """
        self._predictor.load()
        refuse_unknown_use(self._used_like, self._predictor.model)

    def predict(self, pasts: CellPasts) -> tuple[Reading, ...]:
        """Return the readings ``rul`` and ``rul_time`` of cells, groups, modules and pack.

        Groups are as their cells on average, since capacities add; modules and the pack as their weakest group.

        Parameters
        ----------
        pasts : CellPasts
            What is known of the cells' charges and use.
        """
        if not self._predictor.ready:
            return self._absent("model of remaining life", "the model is still being loaded")
        model = self._predictor.model
        if self._spec.cell.chemistry != model.chemistry:
            return self._absent(
                model.provenance,
                f"the model was trained on {model.chemistry} cells; this pack has {self._spec.cell.chemistry}",
            )
        if not pasts.begun.any():
            return self._absent(
                model.provenance, "the first charges of the cells are not known; give their past with --past"
            )
        cells = self.assess(pasts)
        if not cells.size:
            return self._absent(model.provenance, "no charge is complete yet")
        if self._cycles is None or self._cycles[0] != pasts.revision:
            self._cycles = (pasts.revision, self._readings(pasts, cells))
        cycles = self._cycles[1]
        return (*cycles, *self._days(cycles, pasts))

    def assess(self, pasts: CellPasts) -> NDArray[np.intp]:
        """Return the cells that have an answer; computed anew only for those whose charge has ended since the last."""
        if pasts.source is not self._source:
            self._source = pasts.source
            self._forget()
        cells = np.flatnonzero(pasts.begun & (pasts.count > 0))
        new = cells[pasts.count[cells] != self._judged[cells]]
        if new.size:
            life = self._predictor.assess(self._inputs(pasts, new))
            self._median[new], self._uncertainty[new] = life.median, life.standard_uncertainty
            self._doubts[new], self._judged[new] = life.doubts, pasts.count[new]
        return cells

    def _inputs(self, pasts: CellPasts, cells: NDArray[np.intp]) -> LifeInputs:
        features, seen = pasts.newest(LONGEST_PAST, cells)
        if not seen.all():
            features = np.where(seen[:, :, np.newaxis], features, np.float32(np.nan))
        cycle = pasts.count[cells].astype(np.float64)
        values = describe_past(features, pasts.first[cells], cycle)
        return LifeInputs(
            values=values,
            cycle=cycle,
            cell=cells.astype(np.str_),
            duty=np.full(cells.size, self._used_like or "unknown"),
            history=False,
        )

    def _readings(self, pasts: CellPasts, cells: NDArray[np.intp]) -> tuple[Reading, ...]:
        n, model = self._spec.n_cells, self._predictor.model
        knowledge = model.knowledge[False]
        causes = {text: (self._doubts[cells] & bit) != 0 for bit, text in LIFE_DOUBTS.items()}
        causes |= charge_causes(pasts.doubts[cells])
        causes[OTHER_CAPACITY] = np.full(cells.size, not same_cell(self._spec, model.nominal_capacity))
        suspect = np.logical_or.reduce(list(causes.values()))
        values, uncertainty = np.full((2, n), np.nan)
        quality: Flags = np.full(n, Quality.BAD, dtype=np.uint8)
        values[cells], uncertainty[cells] = self._median[cells], self._uncertainty[cells]
        quality[cells] = np.where(suspect, Quality.SUSPECT, Quality.GOOD)
        like = f"used like {self._used_like}" if self._used_like else "used like no training cell"
        reason = f"To {100.0 * knowledge.levels[knowledge.end]:.0f} % of nominal capacity, {like}"
        if cells.size < n:
            reason += f"; the past of {n - cells.size} cells is not known"
        told = [f"{np.count_nonzero(rows)} {text}" for text, rows in causes.items() if rows.any()]
        reading = Reading(
            kind=Kind.PREDICTED,
            quantity="rul",
            level=Level.CELL,
            values=values,
            time=pasts.completed,
            quality=quality,
            standard_uncertainty=uncertainty,
            provenance=model.provenance,
            reason=reason + ("; suspect: " + ", ".join(told) if told else ""),
        )
        levels = combine_uncertain(reading, self._spec)
        return (reading, *(replace(one, reason=f"{one.reason}; {reason[0].lower()}{reason[1:]}") for one in levels))

    def _days(self, cycles: tuple[Reading, ...], pasts: CellPasts) -> tuple[Reading, ...]:
        """Return how long the cycles last, at the use of the cells so far [s]."""
        if pasts.watched < SHORTEST_USE:
            return absent_readings(
                self._spec,
                "rul_time",
                cycles[0].provenance,
                f"No time: the cells' use has been seen for {pasts.watched / 60.0:.0f} min, and an hour is needed",
            )
        found = []
        for reading in cycles:
            used = pasts.used.reshape(reading.values.size, -1).mean(axis=1)
            values, uncertainty = (
                _finite(days_at_present_use(each, used, pasts.watched, self._spec.cell.capacity) * SECONDS_PER_DAY)
                for each in (reading.values, reading.standard_uncertainty)
            )
            known = np.isfinite(values)
            hours = pasts.watched / 3600.0
            span = f"{hours:.1f} h" if hours < 48.0 else f"{hours / 24.0:.0f} days"
            found.append(
                replace(
                    reading,
                    quantity="rul_time",
                    values=values,
                    standard_uncertainty=uncertainty,
                    quality=np.where(known, reading.quality, Quality.BAD).astype(np.uint8),
                    reason=f"At the use of the last {span}; {reading.reason[0].lower()}{reading.reason[1:]}",
                )
            )
        return tuple(found)

    def _absent(self, provenance: str, reason: str) -> tuple[Reading, ...]:
        text = f"No remaining life: {reason}"
        return (
            *absent_readings(self._spec, "rul", provenance, text),
            *absent_readings(self._spec, "rul_time", provenance, text),
        )


def refuse_unknown_use(used_like: str, model: LifeModel) -> None:
    """Refuse a duty that no training cell of a model had; an empty one is that of a pack which is like none.

    Raises
    ------
    SettingsError
        If there is no such duty.
    """
    duties = model.knowledge[False].duties
    if used_like and used_like not in duties:
        raise SettingsError(
            f"used_like = {used_like!r}: no training cell of {model.name} was used like that",
            remedy=f"Give --used-like one of {', '.join(duties)}, or leave it out",
        )


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, np.nan)
