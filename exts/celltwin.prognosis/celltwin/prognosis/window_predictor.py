"""State of health of cells from their past charges, with interval and flag, in the process that asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .features import FEATURE_NAMES, SAMPLING_DEPENDENT, feature_columns
from .past_windows import PastWindows
from .sequence.window_export import network_arrays
from .served_models import ServedModel, open_network
from .trust.trust_export import trust_inputs
from .trust.trust_model import duty_factors, find_reasons
from .window_model import REMEDY, WindowModel, default_window_folder, read_window_model

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["WindowPredictor", "WindowSoh"]

# Windows that a kernel is asked about together: its likenesses then fit the cache, which saves a quarter of the time.
AT_ONCE = 700
# What a running pack has of a charge: all but the entropies, which are blanked.
MEASURED = feature_columns(tuple(name for name in FEATURE_NAMES if name not in SAMPLING_DEPENDENT))


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowSoh:
    """What a model of past windows says of some cells, and what that is worth.

    Attributes
    ----------
    soh : ndarray of shape (n,)
        Capacity as a fraction of nominal.
    standard_uncertainty, half_width : ndarray of shape (n,)
        Half widths of the intervals that hold 68.27 % and 90 % of the cycles of an unseen cell [SOH].
    reasons : dict of str to ndarray of bool, shape (n,)
        Why an answer is not to be trusted.
    """

    soh: Array
    standard_uncertainty: Array
    half_width: Array
    reasons: dict[str, NDArray[np.bool_]]


class WindowPredictor(ServedModel[WindowModel, "tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession]"]):
    """Serve a model of past windows and the trust that belongs to it.

    Parameters
    ----------
    model : path, optional
        Folder of the model; one of ``data/models`` where absent, see :func:`default_window_folder`.
    used_like : str
        Cycling protocol of the training cells that the pack is used like; empty where it is like none.
    """

    def __init__(self, model: str | Path | None = None, *, used_like: str = "") -> None:
        super().__init__("SOH model of past windows")
        self._folder = Path(model) if model is not None else None
        self._used_like = used_like

    def assess(self, windows: PastWindows) -> WindowSoh:
        """Return what the model says of windows.

        Parameters
        ----------
        windows : PastWindows
            Windows of ``model.window`` charges whose entropies are blanked; see :meth:`CellPasts.windows`.

        Raises
        ------
        ModelError
            If no model has been loaded.
        """
        model, (soh_network, trust_network) = self._require()
        own = replace(windows, protocol=np.full(windows.cycle.size, self._used_like))
        inputs = network_arrays(own, model.duties, model.description)
        parts = [
            soh_network.run(None, {name: values[start : start + AT_ONCE] for name, values in inputs.items()})[0]
            for start in range(0, windows.cycle.size, AT_ONCE)
        ]
        found = np.atleast_2d(np.concatenate(parts, axis=-1)).mean(axis=0)
        something = np.isfinite(windows.features[:, -1, MEASURED]).any(axis=1)
        soh: Array = np.where(something, found, np.nan)
        energy, distance, score = trust_network.run(
            None, trust_inputs(windows, model.scaling, np.nan_to_num(soh), np.zeros(soh.size))
        )
        factor = duty_factors(model.duty_factors, np.array([self._used_like]))[0]
        score = np.where(np.isfinite(soh), factor * score, np.nan)
        return WindowSoh(
            soh=soh,
            standard_uncertainty=model.standard_quantile * score,
            half_width=model.wide_quantile * score,
            reasons=find_reasons(windows, soh, energy, distance, model),
        )

    def _open(self) -> tuple[WindowModel, tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession]]:
        folder = self._folder or default_window_folder(self._used_like)
        model, networks = read_window_model(folder)
        where = str(folder)
        return model, (open_network(networks.soh, where, REMEDY), open_network(networks.trust, where, REMEDY))
