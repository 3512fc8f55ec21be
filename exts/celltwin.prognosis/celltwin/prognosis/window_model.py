"""A model of past windows on disk, with the trust that belongs to it: read by what serves a pack."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array, ModelError

from .exported_models import (
    CARD_FILE,
    newest_model,
    read_checked,
    read_description,
    refuse_damaged,
    write_model_files,
)
from .features import FEATURE_NAMES
from .past_windows import BEGINNING, PastWindows
from .scaling import InputScaling
from .sequence.window_description import WindowDescription
from .sequence.window_export import DESCRIBED_FORMAT, DESCRIPTION, DUTY_FORMAT, FORMAT, NETWORK_FILE

if TYPE_CHECKING:
    from .trust import TrustModel, TrustSettings

__all__ = ["WindowModel", "WindowNetworks", "default_window_folder", "read_window_model", "write_window_trust"]

TRUST_FILE, TRUST_NETWORK = "trust.json", "trust.onnx"
TRUST_FORMAT = 4
OF_DUTIES = (DUTY_FORMAT, DESCRIBED_FORMAT)  # formats of models that know duties
THRESHOLDS = ("standard_quantile", "wide_quantile", "energy_threshold", "distance_threshold", "lowest", "highest")
REMEDY = "Restore data/models from the repository, or train a model with `celltwin train soh-window`"


@dataclass(frozen=True, kw_only=True)
class WindowModel:
    """What a predictor must know about a model of past windows.

    Attributes
    ----------
    name : str
        Name of the model: its folder.
    window : int
        Charges that it looks at.
    chemistry : str
        Chemistry of the cells it was trained on.
    nominal_capacity : float
        What SOH is a fraction of [A.h].
    standard_quantile, wide_quantile : float
        Half widths of the intervals of 68.27 % and 90 % over score.
    energy_threshold, distance_threshold : float
        What the cycles of an unseen cell rarely exceed.
    lowest, highest : float
        Range of SOH among training labels [-].
    network_digest, trust_digest : str
        SHA-256 of the two exported networks.
    scaling : InputScaling
        Of the features, for the trust.
    duty_factors : dict of str to float
        What the score is multiplied with for cells of each protocol; the largest for one that is unknown.
    duties : tuple of str
        Cycling protocols that it tells apart; none where it does not ask how a cell is used.
    description : WindowDescription, optional
        What its network must be shown; none where it takes windows as they are.
    """

    name: str
    window: int
    chemistry: str
    nominal_capacity: float
    standard_quantile: float
    wide_quantile: float
    energy_threshold: float
    distance_threshold: float
    lowest: float
    highest: float
    network_digest: str
    trust_digest: str
    scaling: InputScaling
    duty_factors: Mapping[str, float]
    duties: tuple[str, ...] = ()
    description: WindowDescription | None = None

    @property
    def provenance(self) -> str:
        """Name and hash, for readings."""
        return f"{self.name} sha256:{self.network_digest[:12]}"


@dataclass(frozen=True, kw_only=True)
class WindowNetworks:
    """The exported networks.

    Attributes
    ----------
    soh : bytes
        From windows to SOH; see :func:`exportable_module`.
    trust : bytes
        From windows and SOH to score, energy and distance; see :func:`trust_module`.
    """

    soh: bytes
    trust: bytes


def default_window_folder(used_like: str = "") -> Path:
    """Return the newest ``data/models/soh_<version>`` of the project that looks at past windows.

    Parameters
    ----------
    used_like : str
        Cycling protocol of the training cells that the pack is used like: where the newest model that tells duties
        apart knows it, that one; else the newest that does not ask.

    Raises
    ------
    ModelError
        If there is none.
    """
    described = "SOH model of past windows"
    if used_like:
        folder = newest_model("soh", described, REMEDY, form=OF_DUTIES)
        if used_like in read_description(folder, REMEDY, form=OF_DUTIES)["model"]["duties"]:
            return folder
    return newest_model("soh", described, REMEDY, form=FORMAT)


def read_window_model(folder: Path) -> tuple[WindowModel, WindowNetworks]:
    """Return a model with its trust, checked against their hashes.

    Raises
    ------
    ModelError
        If a file is missing, unreadable or not what was exported, or the trust is that of another network.
    """
    content = read_description(folder, REMEDY, form=(FORMAT, *OF_DUTIES))
    trust = read_description(folder, REMEDY, form=TRUST_FORMAT, file=TRUST_FILE)
    with refuse_damaged(folder, REMEDY):
        fields = content["model"]
        if tuple(fields["inputs"]) != FEATURE_NAMES or fields["beginning"] != BEGINNING:
            raise ModelError("the model wants other inputs", where=str(folder), remedy=REMEDY)
    with refuse_damaged(folder, REMEDY, file=TRUST_FILE):
        if trust["of"] != fields["network_digest"]:
            raise ModelError(f"{TRUST_FILE} belongs to another network", where=str(folder), remedy=REMEDY)
        scaling = InputScaling.from_dict(trust["scaling"])
        thresholds = {name: float(trust["thresholds"][name]) for name in THRESHOLDS}
        model = WindowModel(
            name=folder.name,
            window=int(fields["window"]),
            chemistry=str(fields["chemistry"]),
            nominal_capacity=float(fields["nominal_capacity"]),
            network_digest=str(fields["network_digest"]),
            trust_digest=str(trust["trust_digest"]),
            scaling=scaling,
            duty_factors={str(name): float(value) for name, value in trust["duty_factors"].items()},
            duties=tuple(str(name) for name in fields.get("duties", ())),
            description=WindowDescription.from_dict(content[DESCRIPTION]) if DESCRIPTION in content else None,
            **thresholds,
        )
    return model, WindowNetworks(
        soh=read_checked(folder, NETWORK_FILE, model.network_digest, REMEDY),
        trust=read_checked(folder, TRUST_NETWORK, model.trust_digest, REMEDY, file=TRUST_FILE),
    )


def write_window_trust(
    folder: Path, model: TrustModel, windows: PastWindows, soh: Array, settings: TrustSettings, seed: int
) -> None:
    """Add trust to a folder that :func:`export_windows` has written.

    Parameters
    ----------
    folder : Path
        The model's.
    model : TrustModel
        What was learnt of held-out cells.
    windows, soh : PastWindows, ndarray of shape (n,)
        Windows of test cells and what the model says of them: figures of the card, and a check of the export.
    settings, seed : TrustSettings, int
        How it was learnt.

    Raises
    ------
    ModelError
        If the exported trust differs from the learnt one, or a file cannot be read or written.
    """
    from .trust import export_trust

    nothing = np.zeros(soh.size)
    network = export_trust(model, windows, soh, nothing)
    digest = hashlib.sha256(network).hexdigest()
    calibration, assessed = model.calibration, model.assess(windows, soh, nothing)
    error = np.abs(soh - windows.soh)
    figures = {
        "in 90 % interval of test cells": float(np.mean(error <= calibration.wide_quantile * assessed.score)),
        "width of it [SOH]": float(np.mean(2.0 * calibration.wide_quantile * assessed.score)),
        "flagged": float(np.mean(assessed.flagged)),
    }
    content = {
        "format": TRUST_FORMAT,
        "of": hashlib.sha256((folder / NETWORK_FILE).read_bytes()).hexdigest(),
        "trust_digest": digest,
        "thresholds": {name: getattr(calibration, name) for name in THRESHOLDS},
        "duty_factors": dict(calibration.duty_factors),
        "scaling": model.surroundings.scaling.as_dict(),
        "training": {"settings": settings.as_dict(), "seed": seed, "figures": figures},
    }
    card = (folder / CARD_FILE).read_text(encoding="utf-8")
    limits = [f"* {name}: {value:.3g}" for name, value in figures.items()]
    card += f"""
## Trust

`{TRUST_NETWORK}` (SHA-256 `{digest}`)
and the limits of `{TRUST_FILE}` give interval, score and flag, learnt from training cells that were held out
({", ".join(settings.signals)}; no spread). The entropies are blanked (0) in windows and beginnings, in
training as in use: they are those of a logger's clock.

{chr(10).join(limits)}
"""
    write_model_files(folder, {TRUST_NETWORK: network, TRUST_FILE: content, CARD_FILE: card})
