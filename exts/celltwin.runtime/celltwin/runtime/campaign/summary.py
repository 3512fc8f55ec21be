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
    rank_by = campaign.outputs.rank_by
    if rows and rank_by and not any(rank_by in row for row in rows):
        shown.append(f"  outputs.rank_by = {rank_by}: no such figure; there are {', '.join(_figures(campaign, rows))}")
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
    columns = ([rank_by] if rank_by else []) + [name for name in figures if name != rank_by][:MOST_FIGURES]
    table = Table(title=f"{len(rows)} runs" + (f" by {rank_by}, {campaign.outputs.best} first" if rank_by else ""))
    table.add_column("run", justify="right")
    for factor in campaign.factors:
        table.add_column(escape(f"{factor.name} [{factor.unit}]") if factor.unit else factor.name, justify="right")
    for name in columns:
        table.add_column(name, justify="right")
    names = [factor.name for factor in campaign.factors] + columns
    for number, row in enumerate(first + last):
        table.add_row(
            str(row["run"]),
            *(_shown(row.get(name)) for name in names),
            end_section=bool(last) and number == len(first) - 1,
        )
    return table


def _figures(campaign: Campaign, rows: list[dict[str, Any]]) -> list[str]:
    known = {*Campaign.RUN_COLUMNS, *(factor.name for factor in campaign.factors)}
    return list(dict.fromkeys(name for row in rows for name in row if name not in known))


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
