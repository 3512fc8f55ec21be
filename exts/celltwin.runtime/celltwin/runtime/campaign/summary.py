"""What a campaign found, in a table for people: its best and its worst runs, and why others failed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .campaign import Campaign
from .results import read_runs

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["summarise"]

# Runs shown at either end, and reasons of failures.
SHOWN = 3
# Figures shown beside the one that ranks.
MOST_FIGURES = 4


def summarise(campaign: Campaign, folder: Path) -> list[RenderableType]:
    """Return what to print at the end: a table of the best and worst runs, and reasons of failures."""
    from rich.markup import escape

    rows, failures = read_runs(folder), read_runs(folder, failed=True)
    shown: list[RenderableType] = []
    if rows:
        shown.append(_table(campaign, rows))
    figures = _figures(campaign, rows)
    asked = dict.fromkeys(name for name in (campaign.outputs.rank_by, *campaign.outputs.show) if name)
    shown += [
        f"  outputs name {name}: no such figure; there are {', '.join(figures)}"
        for name in asked
        if rows and name not in figures
    ]
    reasons = Counter(f"{row['error']}: {row['reason']}" for row in failures)
    for reason, count in reasons.most_common(SHOWN):
        shown.append(f"  [red]{count} failed[/red]  {escape(reason)}")
    return shown


def _table(campaign: Campaign, rows: list[dict[str, Any]]) -> RenderableType:
    from rich.markup import escape
    from rich.table import Table

    figures = _figures(campaign, rows)
    rank_by = campaign.outputs.rank_by if campaign.outputs.rank_by in figures else ""
    ranked = [row for row in rows if isinstance(row.get(rank_by), int | float)] if rank_by else rows
    ranked.sort(
        key=lambda row: row[rank_by] if rank_by else row["run"],
        reverse=bool(rank_by) and campaign.outputs.best == "highest",
    )
    first = ranked[:SHOWN]
    last = ranked[SHOWN:][-SHOWN:]
    shown = [name for name in campaign.outputs.show if name in figures] or figures[:MOST_FIGURES]
    names = list(dict.fromkeys([*([rank_by] if rank_by else []), *shown]))
    table = Table(title=f"{len(rows)} runs" + (f" by {rank_by}, {campaign.outputs.best} first" if rank_by else ""))
    table.add_column("run")
    for row in first:
        table.add_column(str(row["run"]), justify="right")
    for row in last:
        table.add_column(
            f"… {row['run']}" if row is last[0] and len(ranked) > 2 * SHOWN else str(row["run"]), justify="right"
        )
    for factor in campaign.factors:
        title = escape(f"{factor.name} [{factor.unit}]") if factor.unit else factor.name
        table.add_row(
            title, *(_shown(row[factor.name]) for row in first + last), end_section=factor is campaign.factors[-1]
        )
    for name in names:
        table.add_row(name, *(_shown(row.get(name)) for row in first + last))
    return table


def _figures(campaign: Campaign, rows: list[dict[str, Any]]) -> list[str]:
    known = {*Campaign.RUN_COLUMNS, *(factor.name for factor in campaign.factors)}
    return list(dict.fromkeys(name for row in rows for name in row if name not in known))


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
