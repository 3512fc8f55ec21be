"""What the report says of remaining life, and of the health of modules and pack."""

from __future__ import annotations

import numpy as np

from celltwin.core import Kind, Level, Quality, find_quantity

from .evidence import Evidence, Series
from .figures import draw_life

__all__ = ["level_texts", "life_content"]

COVERAGE_95 = 1.96
# Health of the pack beside that by capacity, and what it is called.
FURTHER = {
    "soh_energy": "By energy, at half the nominal current, it has",
    "resistance_growth": "Its resistance is",
}


def level_texts(evidence: Evidence) -> tuple[str, ...]:
    """Return sentences about the health of the pack: by capacity with its weakest module, by energy, by resistance."""
    texts = []
    pack = evidence.series("soh", (Kind.PREDICTED, Level.PACK))
    if pack is not None:
        reason = _last_reason(evidence, "soh")
        texts.append(f"The pack has {_with_interval('soh', pack, 0)} of its capacity without balancing. {reason}.")
    for quantity, words in FURTHER.items():
        series = evidence.series(quantity, (Kind.PREDICTED, Level.PACK))
        if series is not None:
            texts.append(f"{words} {_with_interval(quantity, series, 0)} of that of the fresh pack.")
    return tuple(texts)


def life_content(evidence: Evidence) -> tuple[tuple[str, ...], str, tuple[tuple[str, ...], ...]] | None:
    """Return sentences, a drawing of the modules and rows of a table; the last two are empty without a prediction.

    None where the run asked for no prediction.
    """
    pack = evidence.series("rul", (Kind.PREDICTED, Level.PACK))
    modules = evidence.series("rul", (Kind.PREDICTED, Level.MODULE))
    if pack is None or modules is None:
        reason = _last_reason(evidence, "rul")
        return ((f"There is no prediction. {reason}.",), "", ()) if reason else None
    texts = [f"The pack has {_with_interval('rul', pack, 0)} left. {_last_reason(evidence, 'rul')}."]
    time = evidence.series("rul_time", (Kind.PREDICTED, Level.PACK))
    if time is not None:
        use = _last_reason(evidence, "rul_time").partition(";")[0]
        texts.append(f"{use} that is {_with_interval('rul_time', time, 0)}. Ageing at rest is not in it.")
    cells = evidence.series("rul", (Kind.PREDICTED, Level.CELL))
    if cells is not None:
        step = _last_step(cells)
        known = np.isfinite(cells.values[step])
        trusted = int((known & (cells.quality[step] == Quality.GOOD)).sum())
        texts.append(
            f"Of {known.size} cells {int(known.sum())} have a prediction, from {np.nanmin(cells.values[step]):.0f} to "
            f"{np.nanmax(cells.values[step]):.0f} cycles; {trusted} of them may be trusted."
        )
    step = _last_step(modules)
    ids = evidence.spec.element_ids(Level.MODULE)
    health = evidence.series("soh", (Kind.PREDICTED, Level.MODULE))
    days = evidence.series("rul_time", (Kind.PREDICTED, Level.MODULE))
    rows = tuple(
        (
            name,
            _with_interval("soh", health, index),
            _with_interval("rul", modules, index),
            _with_interval("rul_time", days, index),
        )
        for index, name in enumerate(ids)
    )
    drawing = draw_life(
        ids,
        modules.values[step],
        COVERAGE_95 * modules.uncertainty[step],
        modules.quality[step] == Quality.GOOD,
        float(pack.values[_last_step(pack), 0]),
    )
    return tuple(texts), drawing, rows


def _with_interval(quantity: str, series: Series | None, element: int) -> str:
    """Return the newest value of an element with its 95 % interval and its quality, in display units."""
    if series is None:
        return "–"
    step = _last_step(series)
    value, half = float(series.values[step, element]), COVERAGE_95 * float(series.uncertainty[step, element])
    if not np.isfinite(value):
        return "–"
    found = find_quantity(quantity)
    text = found.format(value)
    if np.isfinite(half):
        low, high = (
            f"{found.to_display(bound):.{found.decimals}f}" for bound in (max(value - half, 0.0), value + half)
        )
        text += f" ({low} to {high}, 95 %)"
    quality = Quality(int(series.quality[step, element]))
    return text if quality is Quality.GOOD else f"{text}, {quality.name.lower()}"


def _last_step(series: Series) -> int:
    return int(np.flatnonzero(np.isfinite(series.values).any(axis=1))[-1])


def _last_reason(evidence: Evidence, quantity: str) -> str:
    reasons = evidence.history.reading(Kind.PREDICTED, quantity, Level.PACK).reasons
    return next((reason for reason in reversed(reasons) if reason), "").rstrip(".")
