"""``celltwin train``: train the models that the twin predicts with."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from .training_run import TrainedSoh

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Train the models that the twin predicts with.")


@app.callback()
def train() -> None:
    """Train the models that the twin predicts with."""


@app.command()
def soh(
    data: Annotated[str, typer.Option(help="Folder of cycles (CSV); CELLTWIN_DATA/xjtu_cycles where empty.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for the model.")] = Path("data/models/soh_1"),
    seed: Annotated[list[int] | None, typer.Option(help="Seed; the first is exported, the others are scored.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training cycles.")] = 60,
    folds: Annotated[int, typer.Option(min=2, help="Folds of the training cells.")] = 5,
    members: Annotated[int, typer.Option(min=1, help="Networks for each fold.")] = 3,
    monotonic_weight: Annotated[float, typer.Option(min=0.0, help="Weight of the physics residual.")] = 0.0,
    checkpoints: Annotated[Path, typer.Option(help="Folder for checkpoints.")] = Path("out/train_soh"),
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoints of the same run.")] = True,
    nominal_capacity: Annotated[float, typer.Option(min=0.01, help="Nominal capacity of the cells [A.h].")] = 2.0,
    chemistry: Annotated[str, typer.Option(help="Chemistry of the cells.")] = "NMC523",
) -> None:
    """Train the SOH network, score it on the held-out cells, and export it with a model card."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from .network import NetworkSettings
    from .soh_training import SohSettings
    from .training_run import train_soh

    console = Console()
    folder = Path(data) if data else Path(os.environ.get("CELLTWIN_DATA") or "../shared/data") / "xjtu_cycles"
    network = NetworkSettings(epochs=epochs, monotonic_weight=monotonic_weight)
    settings = SohSettings(folds=folds, members=members, network=network)
    seeds = tuple(seed or (1,))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Loading PhysicsNeMo", total=len(seeds) * folds * members * epochs)

        def show(seed: int, number: int, epoch: int, loss: float) -> None:
            before = seeds.index(seed) * folds * members + number
            progress.update(
                task,
                completed=before * epochs + epoch,
                description=f"Seed {seed}, network {number + 1} of {folds * members}, loss {loss:.4f}",
            )

        result = train_soh(
            folder,
            out,
            settings=settings,
            seeds=seeds,
            checkpoints=checkpoints,
            resume=resume,
            nominal_capacity=nominal_capacity,
            chemistry=chemistry,
            on_epoch=show,
        )
    _show_figures(console, result, seeds[0])
    for number in seeds:
        mean = fmean(value.mape for value in result.figures[number].values())
        console.print(f"Seed {number}: mean test MAPE {mean:.2f} %")
    console.print(f"Model {result.model.provenance} in {out}")


def _show_figures(console: Console, result: TrainedSoh, seed: int) -> None:
    from rich.table import Table

    table = Table(title="SOH on held-out cells")
    for name in ("Protocol", "Cells", "Cycles", "Validation MAPE", "Test MAPE", "In 90 % interval", "Flagged"):
        table.add_column(name, justify="left" if name == "Protocol" else "right")
    for protocol, value in result.figures[seed].items():
        table.add_row(
            protocol,
            str(value.cells),
            str(value.cycles),
            f"{result.validation_error.get(protocol, float('nan')):.2f} %",
            f"{value.mape:.2f} %",
            f"{100.0 * value.coverage:.0f} %",
            f"{100.0 * value.flagged:.1f} %",
        )
    console.print(table)
