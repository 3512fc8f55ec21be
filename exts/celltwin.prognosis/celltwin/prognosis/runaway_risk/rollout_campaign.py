"""The seeded campaign that the surrogate learns from: cells drawn over all that a pack may meet, and their fate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from celltwin.core import Array

from .abuse_constants import AbuseConstants
from .rollout import INPUTS, RolloutCases, roll_out

__all__ = ["HORIZONS", "SurrogateData", "build_campaign", "draw_inputs"]

HORIZONS = (600.0, 1800.0, 7200.0)  # [s]
CHUNK = 8192  # cases that are rolled and kept together
_COLDEST, _HOTTEST = 253.15, 620.0  # [K]


@dataclass(frozen=True, kw_only=True, eq=False)
class SurrogateData:
    """Inputs and outcome of roll-outs.

    Attributes
    ----------
    inputs : ndarray of shape (n, 16)
        Columns as in ``INPUTS``.
    onset : ndarray of shape (n,)
        Time until runaway [s]; infinite where there is none within the longest horizon.
    """

    inputs: Array
    onset: Array


def draw_inputs(count: int, random: np.random.Generator) -> Array:
    """Draw cells: quiet and hot, cooled and not, with and without a short, beside cold and burning neighbours.

    Returns
    -------
    ndarray of shape (count, 16)
        Columns as in ``INPUTS``.
    """

    def uniform(low: float, high: float) -> Array:
        return random.uniform(low, high, count)

    def logarithmic(low: float, high: float) -> Array:
        return np.exp(random.uniform(np.log(low), np.log(high), count))

    def either(share: float, first: Array, second: Array | float) -> Array:
        return np.where(random.uniform(size=count) < share, first, second)

    module = either(0.7, uniform(273.15, 333.15), uniform(333.15, 480.0))
    shell = module + either(0.6, random.exponential(15.0, count), either(0.5, uniform(0.0, 350.0), 0.0))
    cell = shell + either(0.6, random.exponential(25.0, count), either(0.5, uniform(0.0, 180.0), uniform(-30.0, 0.0)))
    sink = either(0.75, module - random.exponential(8.0, count), uniform(273.15, 600.0))
    short = either(0.7, logarithmic(0.01, 20.0), 0.0)
    growth = either(0.55, logarithmic(1e-5, 2.0), 0.0)
    final = np.where(growth > 0.0, np.maximum(short, logarithmic(0.01, 20.0)), short)
    columns = {
        "temperature": np.clip(cell, _COLDEST, 495.0),
        "shell_temperature": np.clip(shell, _COLDEST, _HOTTEST),
        "module_temperature": module,
        "sink_temperature": np.clip(sink, _COLDEST, _HOTTEST),
        "sink_rate": logarithmic(1e-5, 2e-2),
        "shell_rate": logarithmic(1e-4, 5e-2),
        "shell_size": uniform(1.5, 7.0),
        "module_size": logarithmic(10.0, 400.0),
        "other_heating": either(0.5, logarithmic(1e-5, 0.08), 0.0),
        "short": short,
        "short_growth": growth,
        "short_final": final,
        "parallel": np.rint(logarithmic(1.0, 60.0)),
        "soc": uniform(0.02, 1.0),
        "film": 0.15 * either(0.7, np.ones(count), uniform(0.0, 1.0)),
        "reacted": either(0.7, np.zeros(count), uniform(0.0, 0.25)),
    }
    return np.stack([columns[name] for name in INPUTS], axis=1)


def build_campaign(
    folder: Path,
    constants: AbuseConstants,
    count: int,
    *,
    seed: int = 1,
    on_cases: Callable[[int, int], None] | None = None,
) -> SurrogateData:
    """Roll the campaign out, chunk by chunk; chunks that are kept already are read.

    Parameters
    ----------
    folder : Path
        Where the chunks are kept.
    constants : AbuseConstants
        The cell type.
    count : int
        Cases, rounded up to whole chunks.
    seed : int
        Seed.
    on_cases : callable, optional
        Called with finished and asked cases.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps([constants.as_dict(), HORIZONS, CHUNK, seed], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    chunks = -(-count // CHUNK)
    inputs, onset = [], []
    for number in range(chunks):
        path = folder / f"rollouts_{digest}_{number:04d}.npz"
        if path.exists():
            with np.load(path) as content:
                inputs.append(content["inputs"].astype(np.float64))
                onset.append(content["onset"].astype(np.float64))
        else:
            drawn = draw_inputs(CHUNK, np.random.default_rng((seed, number))).astype(np.float32).astype(np.float64)
            found = roll_out(constants, RolloutCases.from_matrix(drawn), HORIZONS[-1]).onset
            partial = path.with_suffix(".part.npz")
            np.savez(partial, inputs=drawn.astype(np.float32), onset=found.astype(np.float32))
            partial.replace(path)
            inputs.append(drawn)
            onset.append(found)
        if on_cases:
            on_cases((number + 1) * CHUNK, chunks * CHUNK)
    return SurrogateData(inputs=np.concatenate(inputs), onset=np.concatenate(onset))
