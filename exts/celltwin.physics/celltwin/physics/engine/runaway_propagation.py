"""Propagation of thermal runaway through a pack: one cell is pierced, and the engine tells who follows and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, SettingsError, freeze

from .pack_engine import PackEngine
from .runaway_oven import ONSET_RATE

__all__ = ["PropagationHistory", "simulate_propagation"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PropagationHistory:
    """What happened after a cell of a pack was pierced.

    Attributes
    ----------
    time : ndarray of shape (n_samples,)
        Since the piercing [s].
    temperature : ndarray of shape (n_samples, n_cells)
        Mean of each cell [K].
    onset : ndarray of shape (n_cells,)
        When the reactions of each cell first warmed it by 1 K/s, since the piercing [s]; NaN where they never did.
    released, vented : ndarray of shape (n_cells,)
        Heat of reactions, and heat that left through vents [J].
    pierced : ndarray of int
        Cells that were pierced.
    """

    time: Array
    temperature: Array
    onset: Array
    released: Array
    vented: Array
    pierced: NDArray[np.int64]

    @property
    def order(self) -> NDArray[np.int64]:
        """Cells that ran away, in the order in which they did."""
        order: NDArray[np.int64] = np.argsort(self.onset, kind="stable")
        return order[: int(np.isfinite(self.onset).sum())]


def simulate_propagation(
    engine: PackEngine,
    pierced: NDArray[np.int64] | int,
    *,
    duration: float,
    short_conductance: float = 20.0,
    sample_period: float = 1.0,
    opens: bool = True,
) -> PropagationHistory:
    """Pierce cells of a resting pack and follow the pack.

    Parameters
    ----------
    engine : PackEngine
        With a model of runaway among its options; it goes on from its present state.
    pierced : int or ndarray of int
        Cells in pack order.
    duration : float
        To simulate [s].
    short_conductance : float
        Of the nail in a cell [S].
    sample_period : float
        Time between samples [s].
    opens : bool
        Whether a cell that runs away loses its connection to the busbar, by its interrupt device or its bond; else the
        cells beside it in its group go on to feed its short.

    Raises
    ------
    SettingsError
        If the engine has no model of runaway, or there is no such cell.
    """
    if engine.options.abuse is None:
        raise SettingsError(
            "the engine has no model of thermal runaway", remedy="Give EngineOptions(abuse=abuse_model(...))"
        )
    places = np.atleast_1d(np.asarray(pierced, dtype=np.int64))
    wrong = places[(places < 0) | (places >= engine.n_cells)]
    if wrong.size:
        raise SettingsError(
            f"cell {int(wrong[0])} cannot be pierced: the pack has {engine.n_cells}",
            remedy=f"Name cells from 0 to {engine.n_cells - 1}",
        )
    engine.set_cells("internal_short_conductance", short_conductance, places)
    begun, onset = engine.time, np.full(engine.n_cells, np.nan)
    time, temperature = [0.0], [engine.read_cells("temperature")]
    while engine.time - begun < duration - 1e-9:
        engine.advance(0.0, min(sample_period, duration - (engine.time - begun)))
        warming = engine.read_cells("abuse_heat") / engine.network.heat_capacity
        burning = np.flatnonzero((warming >= ONSET_RATE) & np.isnan(onset))
        onset[burning] = engine.time - begun
        if opens and burning.size:
            engine.set_cells("connected", 0.0, burning)
        time.append(engine.time - begun)
        temperature.append(engine.read_cells("temperature"))
    return PropagationHistory(
        time=freeze(np.array(time)),
        temperature=freeze(np.array(temperature)),
        onset=freeze(onset),
        released=freeze(engine.read_cells("abuse_released")),
        vented=freeze(engine.read_cells("abuse_vented")),
        pierced=freeze(places),
    )
