"""Everything that the twin predicts of its cells, behind one interface: their health, and the risk of runaway."""

from __future__ import annotations

from collections.abc import Callable

from celltwin.core import PackSpec, PackState, Reading

from .charge_features import ChargeFeatures
from .runaway_risk import RunawayRiskPredictor
from .soh_predictor import SohPredictor

__all__ = ["PackPrognosis"]


class PackPrognosis:
    """Serve predictions to a running pack.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    """

    def __init__(self, spec: PackSpec) -> None:
        self._features = ChargeFeatures(spec)
        self._health = SohPredictor(spec, self._features)
        self._risk = RunawayRiskPredictor(spec)

    def load(self) -> None:
        """Load the models; may be called from any thread.

        Raises
        ------
        ModelError
            If a model is missing or damaged.
        """
        self._health.load()
        self._risk.load()

    def observe(self, state: PackState) -> None:
        """Show a process image to what gathers charges and balances heat."""
        self._features.observe(state)
        self._risk.observe(state)

    def ask(self, state: PackState) -> Callable[[], tuple[Reading, ...]]:
        """Return what predicts from all that is known now, to be called in any thread while the twin goes on.

        Parameters
        ----------
        state : PackState
            Process image, already observed.
        """
        evidence = self._risk.evidence
        return lambda: (*self._health.predict(state), *self._risk.predict(state, evidence))
