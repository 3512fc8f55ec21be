"""``celltwin predict``: SOH and remaining life of measured cells by the models that the twin serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from .cell_forecast import CellForecast

__all__ = ["predict"]


def predict(
    data: Annotated[str, typer.Argument(help="Folder of cycles (CSV), or its name in CELLTWIN_DATA.")],
    nominal_capacity: Annotated[
        float, typer.Option(min=0.0, help="Nominal capacity of the cells [A.h]; 0: as known of XJTU and MIT.")
    ] = 0.0,
    used_like: Annotated[
        str, typer.Option(help="Protocol of training cells that all are used like; where empty, each cell's own.")
    ] = "",
    soh_model: Annotated[
        Path | None, typer.Option(help="Folder of a SOH model of past windows; the newest shipped one by default.")
    ] = None,
    rul_model: Annotated[
        Path | None, typer.Option(help="Folder of a model of remaining life; the newest shipped one by default.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for one CSV a cell.")] = Path("out/predict"),
) -> None:
    """Predict SOH and remaining life of every cycle of measured cells, with 90 % intervals and doubts."""
    from rich.console import Console
    from rich.progress import Progress

    from .cell_forecast import forecast_cells, write_forecast
    from .known_sets import load_known_cycles

    console = Console()
    cycles = load_known_cycles(data, nominal_capacity)
    with Progress(console=console) as progress:
        task = progress.add_task("Predicting", total=len(cycles.cells))
        forecasts = forecast_cells(
            cycles,
            used_like=used_like,
            soh_model=soh_model,
            rul_model=rul_model,
            on_cell=lambda done, _: progress.update(task, completed=done),
        )
    for forecast in forecasts:
        write_forecast(forecast, out / f"{forecast.name}.csv")
    _show(console, forecasts)
    console.print(f"One file a cell in {out}")


def _show(console: Console, forecasts: tuple[CellForecast, ...]) -> None:
    import numpy as np
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        title="At the newest cycle of each cell; over all cycles: error, share in the 90 % interval, doubted",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in ("Cell", "Used like"):
        table.add_column(heading, overflow="fold")
    for heading in ("Cycle", "SOH [%]", "Cycles left", "MAPE [%]", "Inside", "Doubted"):
        table.add_column(heading, justify="right", no_wrap=True)  # numbers stay whole where names must fold
    for one in forecasts:
        error = 100.0 * np.abs(one.soh - one.measured_soh) / one.measured_soh
        doubted = np.logical_or.reduce(list(one.soh_doubts.values()))
        known = np.isfinite(error)
        table.add_row(
            one.name,
            one.used_like or "unknown",
            f"{one.cycle[-1]:.0f}",
            f"{100.0 * one.soh[-1]:.1f} ± {100.0 * one.soh_half_width[-1]:.1f}",
            f"{one.life[-1]:.0f} ({one.life_low[-1]:.0f} to {one.life_high[-1]:.0f})",
            f"{error[known].mean():.2f}" if known.any() else "",
            f"{100.0 * one.inside[known].mean():.0f} %" if known.any() else "",
            f"{100.0 * doubted.mean():.0f} %",
        )
    console.print(table)
