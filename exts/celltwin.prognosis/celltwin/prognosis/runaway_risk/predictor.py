"""Risk of thermal runaway of every cell of a running pack, by the exported surrogate, in the process that asks."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from celltwin.core import Array, Flags, Kind, Level, ModelError, PackSpec, PackState, Quality, Reading

from ..served_models import ServedModel, absent_readings, open_network
from .heat_evidence import CellEvidence, HeatEvidence
from .risk_folder import REMEDY, StoredRisk, default_risk_folder, read_risk
from .risk_model import CellRisk, RiskModel
from .risk_priors import RiskPriors
from .risk_reasons import describe_cell
from .rollout_campaign import HORIZONS

__all__ = ["RiskAssessment", "RunawayRiskPredictor"]

NAMED = 3  # cells whose reasons stand in a reading
WORTH_NAMING = 1e-6  # risk from which a cell is named
STALE_AFTER = 60.0  # s without a look after which what is said is stale
_LEVELS = (Level.CELL, Level.GROUP, Level.MODULE, Level.PACK)


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskAssessment:
    """Risk of every cell, with what it rests on.

    Attributes
    ----------
    time : float
        Of the evidence [s].
    risk : CellRisk
        Probabilities for the horizons of ``HORIZONS``.
    evidence : CellEvidence
        What is known of the cells.
    quality : ndarray of uint8, shape (n_cells,)
        BAD where there is no number, SUSPECT and STALE where it is not to be trusted.
    """

    time: float
    risk: CellRisk
    evidence: CellEvidence
    quality: Flags

    def interval(self, horizon: int = 1) -> tuple[Array, Array]:
        """Return lower and upper bound of each cell's risk within one of ``HORIZONS``, each of shape (n_cells,)."""
        return self.risk.lower[:, horizon], self.risk.upper[:, horizon]


class RunawayRiskPredictor(ServedModel[StoredRisk, tuple[HeatEvidence, RiskModel]]):
    """Serve the risk of thermal runaway to a running pack.

    The interface is that of :class:`SohPredictor`: ``load`` in any thread, ``observe`` every process image, ``predict``
    now and then.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    model : path, optional
        Folder of the model; the newest of ``data/models`` where absent.
    horizon : float
        Horizon of the readings, one of 600, 1800 and 7200 s.
    priors : RiskPriors, optional
        In place of those of the model's folder.

    Raises
    ------
    ModelError
        If the horizon is not one of the model's.
    """

    def __init__(
        self,
        spec: PackSpec,
        model: str | Path | None = None,
        *,
        horizon: float = 1800.0,
        priors: RiskPriors | None = None,
    ) -> None:
        if horizon not in HORIZONS:
            raise ModelError(
                f"there is no horizon of {horizon:g} s", remedy=f"Choose one of {', '.join(f'{h:g}' for h in HORIZONS)}"
            )
        super().__init__("model of runaway risk")
        self._spec, self._horizon, self._priors = spec, HORIZONS.index(horizon), priors
        self._folder = Path(model) if model is not None else None
        self._lock = threading.Lock()

    def observe(self, state: PackState) -> None:
        """Show a process image to the heat balance; before the model is loaded it is passed over."""
        loaded = self._loaded
        if loaded is not None and self._refusal(loaded[0]) is None:
            with self._lock:
                loaded[1][0].observe(state)

    @property
    def evidence(self) -> CellEvidence | None:
        """What is known of the cells at the last look; None before the first, and before the model is loaded."""
        loaded = self._loaded
        if loaded is None:
            return None
        with self._lock:
            return loaded[1][0].newest

    def predict(self, state: PackState, evidence: CellEvidence | None = None) -> tuple[Reading, ...]:
        """Return the predicted risk of cells, groups, modules and pack within the horizon.

        A group's, module's or pack's risk is that any of its cells runs away. Where no temperature is known there is
        no number: the value is NaN, its quality BAD, and the reason says why.

        Parameters
        ----------
        state : PackState
            Process image.
        evidence : CellEvidence, optional
            What was known when it was asked for; the process image is looked at where absent.
        """
        if self._loaded is None:
            return self._absent("runaway risk model", "the model is still being loaded")
        stored, (source, _) = self._loaded
        refusal = self._refusal(stored)
        if refusal is not None:
            return self._absent(stored.provenance, refusal)
        if evidence is None:
            with self._lock:  # held for a look only: the twin's loop must not wait for the networks
                source.observe(state)
                evidence = source.newest
        assessment = self._assess(evidence, state.time)
        if assessment is None:
            return self._absent(stored.provenance, "no temperature of a cell has been seen")
        return self._readings(assessment)

    def assess(self) -> RiskAssessment | None:
        """Return the risk at the last look, for all horizons; None before the first.

        Raises
        ------
        ModelError
            If no model has been loaded.
        """
        _, (source, _) = self._require()
        with self._lock:
            evidence = source.newest
        return self._assess(evidence, None)

    def explain(self, assessment: RiskAssessment, cell: int) -> str:
        """Return why a cell is at risk, in words."""
        _, (source, _) = self._require()
        return describe_cell(cell, self._spec, assessment.evidence, assessment.risk, source)

    def _assess(self, evidence: CellEvidence | None, now: float | None) -> RiskAssessment | None:
        _, (source, model) = self._require()
        if evidence is None or not np.isfinite(evidence.temperature).any():
            return None
        risk = model.assess(evidence, source, self._spec.parallel, self._spec.n_modules)
        known = np.isfinite(risk.probability[:, 0])
        quality = np.where(known, evidence.quality, Quality.BAD).astype(np.uint8)
        if now is not None and now - evidence.time > STALE_AFTER:
            quality = np.maximum(quality, np.uint8(Quality.STALE)).astype(np.uint8)
        return RiskAssessment(time=evidence.time, risk=risk, evidence=evidence, quality=quality)

    def _readings(self, assessment: RiskAssessment) -> tuple[Reading, ...]:
        stored, (_, model) = self._require()
        spec, risk, column = self._spec, assessment.risk, self._horizon
        reason = self._reason(assessment, model)
        readings = []
        for level in _LEVELS:
            count = spec.size(level)
            if level is Level.CELL:
                value, low, high = risk.probability[:, column], risk.lower[:, column], risk.upper[:, column]
                quality = assessment.quality
            else:
                # Own risks only: a cell that follows its neighbour makes no second event.
                common = risk.common[column]
                own = risk.own[:, column]
                ratio = np.maximum(risk.probability[:, column], 1e-300)
                value = _any_of(own, count, common)
                low = value * _mean_ratio(risk.lower[:, column] / ratio, own, count)
                high = np.minimum(value * _mean_ratio(risk.upper[:, column] / ratio, own, count), 1.0)
                quality = _worst(assessment.quality, count)
            readings.append(
                Reading(
                    kind=Kind.PREDICTED,
                    quantity="runaway_risk",
                    level=level,
                    values=value,
                    time=np.where(np.isfinite(value), assessment.time, np.nan),
                    quality=np.where(np.isfinite(value), quality, Quality.BAD).astype(np.uint8),
                    standard_uncertainty=0.5 * (high - low),
                    provenance=stored.provenance,
                    reason=reason,
                )
            )
        return tuple(readings)

    def _reason(self, assessment: RiskAssessment, model: RiskModel) -> str:
        minutes = HORIZONS[self._horizon] / 60.0
        values = np.nan_to_num(assessment.risk.probability[:, self._horizon], nan=-1.0)
        order = np.argsort(-values, kind="stable")[:NAMED]
        named = [int(cell) for cell in order if values[cell] >= WORTH_NAMING]
        ids = self._spec.element_ids(Level.CELL)
        text = f"Within {minutes:.0f} min, given {model.priors.short_rate:.0e} internal shorts a cell and year"
        unknown = int((values < 0.0).sum())
        if unknown:
            text += f"; {unknown} cells without a temperature"
        if not named:
            return f"{text}; no cell shows anything: what is left is the prior"
        return (
            text
            + "; "
            + "; ".join(f"{ids[cell]} {values[cell]:.1e}: {self.explain(assessment, cell)}" for cell in named)
        )

    def _open(self) -> tuple[StoredRisk, tuple[HeatEvidence, RiskModel]]:
        folder = self._folder or default_risk_folder()
        stored, network = read_risk(folder)
        session = open_network(network, str(folder), REMEDY)
        evidence = HeatEvidence(self._spec, stored.constants)

        def surrogate(inputs: Array) -> Array:
            return np.asarray(session.run(None, {"inputs": inputs})[0])

        return stored, (evidence, RiskModel(surrogate, stored.recalibration, self._priors or stored.priors))

    def _refusal(self, stored: StoredRisk) -> str | None:
        cell, constants = self._spec.cell, stored.constants
        if cell.chemistry != stored.chemistry:
            return f"the model holds for {stored.chemistry} cells; this pack has {cell.chemistry}"
        if abs(cell.capacity / constants.capacity - 1.0) > 0.2:
            return f"the model holds for cells of {constants.capacity:g} A.h; this pack has {cell.capacity:g} A.h"
        return None

    def _absent(self, provenance: str, reason: str) -> tuple[Reading, ...]:
        return absent_readings(self._spec, "runaway_risk", provenance, f"No risk of runaway: {reason}")


def _any_of(own: Array, count: int, common: float) -> Array:
    """Return the probability that any cell of each element runs away; NaN where none of its cells is known.

    ``common`` is what all cells share, the loss of the coolant: it counts once.
    """
    rows = own.reshape(count, -1)
    known = np.isfinite(rows)
    alone = np.clip((np.where(known, rows, 0.0) - common) / (1.0 - common), 0.0, 1.0)
    total = -np.expm1(np.log1p(-np.minimum(alone, 1.0 - 1e-16)).sum(axis=1))
    return np.where(known.any(axis=1), common + (1.0 - common) * total, np.nan)


def _mean_ratio(ratio: Array, own: Array, count: int) -> Array:
    """Return the mean of a ratio over the cells of each element, weighted by their risk."""
    weight = np.nan_to_num(own).reshape(count, -1)
    rows = np.nan_to_num(ratio).reshape(count, -1)
    mean: Array = (weight * rows).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-300)
    return mean


def _worst(quality: Flags, count: int) -> Flags:
    """Return the quality of each element: SUSPECT where a cell is unknown, else the worst of its cells."""
    rows = quality.reshape(count, -1)
    worst = np.where(rows == Quality.BAD, np.uint8(Quality.SUSPECT), rows).max(axis=1)
    return worst.astype(np.uint8)
