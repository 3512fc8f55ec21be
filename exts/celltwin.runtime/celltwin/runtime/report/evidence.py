"""What the report shows, read back from the folder of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.core import Array, Flags, Kind, Level, PackSpec, RecordingError
from celltwin.stage import open_pack_stage, read_pack
from celltwin.telemetry import History, ReadingHistory, read_history

__all__ = ["Evidence", "Series", "load_evidence"]


@dataclass(frozen=True, eq=False)
class Series:
    """One quantity of several elements over time.

    Attributes
    ----------
    time : ndarray of shape (n_steps,)
        Times [s].
    values : ndarray of shape (n_steps, n)
        Values [SI]; NaN where not to be trusted.
    uncertainty : ndarray of shape (n_steps, n)
        Standard uncertainty [SI].
    quality : ndarray of shape (n_steps, n)
        Quality of each value.
    level : Level
        What the elements are.
    kind : Kind
        How the values came to be.
    """

    time: Array
    values: Array
    uncertainty: Array
    quality: Flags
    level: Level
    kind: Kind

    @property
    def known(self) -> bool:
        """Whether there is any value."""
        return bool(np.isfinite(self.values).any())


@dataclass(frozen=True, eq=False)
class Evidence:
    """A run as it lies on disk.

    Attributes
    ----------
    folder : Path
        The run.
    spec : PackSpec
        The pack, read from the recorded stage.
    summary : dict
        Content of ``summary.json``.
    advice, commands : list of dict
        Lines of the logs.
    history : History
        Parquet files.
    true_soh : ndarray of shape (n_cells,) or None
        State of health that the simulated plant knows [1]; None for a recording.
    """

    folder: Path
    spec: PackSpec
    summary: dict[str, Any]
    advice: list[dict[str, Any]]
    commands: list[dict[str, Any]]
    history: History
    true_soh: Array | None

    def series(self, quantity: str, *choices: tuple[Kind, Level]) -> Series | None:
        """Return the first of the choices that has values, or None."""
        for kind, level in choices:
            found: ReadingHistory = self.history.reading(kind, quantity, level)
            if found.time.size and np.isfinite(found.values).any():
                return Series(found.time, found.values, found.standard_uncertainty, found.quality, level, kind)
        return None


def load_evidence(folder: Path) -> Evidence:
    """Read what a run recorded.

    Raises
    ------
    RecordingError
        If the folder holds no run or its files are damaged.
    """
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordingError(
            "there is no run here", where=str(folder), remedy="Give a folder with a summary.json"
        ) from None
    except (OSError, ValueError) as error:
        raise RecordingError(f"summary.json cannot be read ({error})", where=str(folder), remedy="Run again") from None
    return Evidence(
        folder=folder,
        spec=read_pack(open_pack_stage(folder / summary["tiers"]["geometric"])),
        summary=summary,
        advice=_lines(folder / "advice.jsonl"),
        commands=_lines(folder / "commands.jsonl"),
        history=read_history(folder / "history"),
        true_soh=_truth(folder, summary),
    )


def _truth(folder: Path, summary: dict[str, Any]) -> Array | None:
    if not summary.get("truth"):
        return None
    return np.asarray(json.loads((folder / summary["truth"]).read_text(encoding="utf-8"))["soh"])


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:  # the last line of a killed run may be cut
            continue
    return entries
