"""Everything that the twin predicts of its cells, behind one interface: health, remaining life, risk of runaway."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from celltwin.core import ModelError, PackSpec, PackState, Reading

from .charge_features import ChargeFeatures
from .charge_history import CellPasts
from .charge_history_files import open_history, save_history
from .pack_life import PackLife, refuse_unknown_use
from .pack_soh import PackSoh
from .remaining_life.life_folder import life_model_folder, read_life_model
from .runaway_risk import RunawayRiskPredictor
from .soh_predictor import SohPredictor
from .window_predictor import WindowPredictor

__all__ = ["PackPrognosis"]

# Past charges are written at most so often while the pack runs [s of the twin].
SAVE_PERIOD = 600.0


class PackPrognosis:
    """Serve predictions to a running pack.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    past : str
        Where its past charges are from; see :func:`open_history`.
    used_like : str
        Cycling protocol of the training cells that it is used like; empty where it is like none.
    keep : Path, optional
        File that the past charges are written to, for the next run of the pack.

    Raises
    ------
    SettingsError, CycleDataError
        If no training cell was used like the pack, or the past charges cannot be read or are of another pack.
    """

    def __init__(self, spec: PackSpec, *, past: str = "", used_like: str = "", keep: Path | None = None) -> None:
        if used_like:
            with suppress(ModelError):  # load() says what is wrong with a model
                refuse_unknown_use(used_like, read_life_model(life_model_folder()))
        self._spec, self._keep = spec, keep
        self._features = ChargeFeatures(spec)
        self._history = open_history(spec, past)
        self._health = PackSoh(spec, SohPredictor(spec, self._features), WindowPredictor(used_like=used_like))
        self._life = PackLife(spec, used_like)
        self._beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="celltwin-life")
        self._risk = RunawayRiskPredictor(spec)
        self._saved = (self._history.revision, float("-inf"))

    def load(self) -> None:
        """Load the models; may be called from any thread.

        Raises
        ------
        ModelError
            If a model is missing or damaged.
        """
        self._health.load()
        self._life.load()
        self._risk.load()

    def observe(self, state: PackState) -> None:
        """Show a process image to what gathers charges and balances heat."""
        self._features.observe(state)
        self._history.observe(state, self._features)
        self._risk.observe(state)

    def ask(self, state: PackState) -> Callable[[], tuple[Reading, ...]]:
        """Return what predicts from all that is known now, to be called in any thread while the twin goes on.

        Parameters
        ----------
        state : PackState
            Process image, already observed.
        """
        evidence, pasts = self._risk.evidence, self._history.look()

        def answer() -> tuple[Reading, ...]:
            lives = self._beside.submit(self._life.predict, pasts)
            health = self._health.predict(pasts, state)
            readings = (*health, *lives.result(), *self._risk.predict(state, evidence))
            if pasts.revision != self._saved[0] and pasts.time - self._saved[1] >= SAVE_PERIOD:
                self._save(pasts)
            return readings

        return answer

    def close(self) -> None:
        """End, and write the past charges a last time.

        Raises
        ------
        RecordingError
            If they cannot be written.
        """
        self._beside.shutdown(cancel_futures=True)
        self._save(self._history.look())

    def _save(self, pasts: CellPasts) -> None:
        if self._keep is not None and pasts.held.any():
            save_history(pasts, self._spec, self._keep)
        self._saved = (pasts.revision, pasts.time)
