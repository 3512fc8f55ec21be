"""The report's section on what the running pack's telemetry has taught of its groups."""

from __future__ import annotations

from typing import Any

from .evidence import Evidence

__all__ = ["recalibration_tables", "recalibration_texts"]

_COORDINATES = ("capacity", "resistance", "diffusivity")


def recalibration_texts(evidence: Evidence) -> tuple[str, ...]:
    """Return what was learned and which groups stand out; nothing where no recalibration was asked for."""
    found = evidence.summary.get("recalibration")
    if not found:
        return ()
    windows = found["windows"]
    learned = [window for window in windows if not window["refused"]]
    texts = [
        f"{len(learned)} of {len(windows)} windows of telemetry were learned from"
        + (", going on from an earlier run" if found["warm_started"] else "")
        + ". Each group is seen as a mean cell; factors refer to the cell's parameter set"
        + (f" ({found['model']})." if found["model"] else ".")
    ]
    texts += [
        f"From {window['from_s'] / 60.0:.0f} to {window['to_s'] / 60.0:.0f} min nothing was learned: "
        f"{'; '.join(window['refused'])}."
        for window in windows
        if window["refused"]
    ]
    if found["weak"]:
        texts += [f"{group['element']} stands out: {group['reason']}." for group in found["weak"]]
    elif learned:
        texts.append("No group stands out.")
    return tuple(texts)


def recalibration_tables(
    evidence: Evidence, most: int
) -> tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...]:
    """Return heads and rows of the groups, those of least capacity first, at most so many."""
    found = evidence.summary.get("recalibration")
    if not found or not found["groups"]:
        return ()
    groups = sorted(found["groups"], key=lambda group: (not group["windows"], group["capacity_factor"]))
    heads = ("Group", "Capacity", "Resistance", "Diffusivity", "Windows", "Last window not kept because")
    rows = tuple(
        (
            group["element"],
            *(_value(group, coordinate) for coordinate in _COORDINATES),
            str(group["windows"]),
            group["reason"] or "–",
        )
        for group in groups[:most]
    )
    return ((heads, rows),)


def _value(group: dict[str, Any], coordinate: str) -> str:
    if not group["windows"]:
        return "–"
    factor, deviation = group[f"{coordinate}_factor"], group[f"{coordinate}_uncertainty"]
    return f"{100.0 * factor:.1f} ± {100.0 * factor * deviation:.1f} %"
