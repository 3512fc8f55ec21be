"""What the report says of the risk of thermal runaway."""

from __future__ import annotations

import numpy as np

from celltwin.core import Array, Kind, Level, find_quantity

from .evidence import Evidence
from .figures import draw_risk

__all__ = ["risk_content"]

STANDS_OUT = 10.0  # times the median cell's risk from which a cell is named


def risk_content(evidence: Evidence) -> tuple[tuple[str, ...], str] | None:
    """Return sentences and a drawing of the predicted risk; the drawing is empty where nothing was predicted.

    None where the run asked for no prediction.
    """
    cells = evidence.series("runaway_risk", (Kind.PREDICTED, Level.CELL))
    pack = evidence.series("runaway_risk", (Kind.PREDICTED, Level.PACK))
    reasons = evidence.history.reading(Kind.PREDICTED, "runaway_risk", Level.PACK).reasons
    if cells is None or pack is None:
        last = next((reason for reason in reversed(reasons) if reason), "")
        return ((f"There is no prediction. {last}".rstrip(".") + ".",), "") if last else None
    found = find_quantity("runaway_risk")
    values = pack.values[:, 0]
    worst = int(np.nanargmax(values))
    highest = _highest(cells.values)
    texts = [
        f"Probability that any cell runs away: {found.format(float(values[worst]))} at its highest, after "
        f"{pack.time[worst] / 60.0:.0f} min. {reasons[worst]}".rstrip(".")
        + "."
    ]
    step = int(np.nanargmax(highest))
    cell = int(np.nanargmax(cells.values[step]))
    if cells.values[step, cell] > STANDS_OUT * np.nanmedian(cells.values[step]):
        texts.append(
            f"{evidence.spec.element_ids(Level.CELL)[cell]} stands out with {found.format(float(highest[step]))} after "
            f"{cells.time[step] / 60.0:.0f} min."
        )
    return tuple(texts), draw_risk(pack.time, values, highest)


def _highest(values: Array) -> Array:
    """Return the highest value of each row, NaN where there is none, shape (n_steps,)."""
    known = np.isfinite(values).any(axis=1)
    found = np.full(len(values), np.nan)
    found[known] = np.nanmax(values[known], axis=1)
    return found
