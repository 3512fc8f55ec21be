"""``celltwin evaluate``: judge the models that the twin predicts with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .command_line_rul import evaluate_rul
from .command_line_transfer import evaluate_transfer

if TYPE_CHECKING:
    from rich.console import Console

    from .protocol_figures import EvaluationFigures
    from .protocol_runs import ProtocolPredictions

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Judge the models that the twin predicts with.")


@app.callback()
def evaluate() -> None:
    """Judge the models that the twin predicts with."""


app.command("rul")(evaluate_rul)
app.command("transfer")(evaluate_transfer)


@app.command()
def soh(
    protocol: Annotated[
        str,
        typer.Option(
            help="honest: published split, nothing leaks. published: the leaky protocol of PINN4SOH. cv: all cells "
            "in five folds. lobo: leave one protocol (batch) out. selection: the training cells of honest in folds."
        ),
    ] = "honest",
    model: Annotated[
        str,
        typer.Option(
            help="Kind of model: duty, blend, transfer, kernel, recurrent, transformer, pinn, mlp, trees. Where empty, "
            "transfer for lobo and duty for all others."
        ),
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 1 to N; the ensemble of all and each alone are scored.")] = 5,
    data: Annotated[str, typer.Option(help="Folder of cycles (CSV), or its name in CELLTWIN_DATA.")] = "xjtu_cycles",
    nominal_capacity: Annotated[
        float, typer.Option(min=0.0, help="Nominal capacity of the cells [A.h]; 0: as known of XJTU and MIT.")
    ] = 0.0,
    folds: Annotated[int, typer.Option(min=2, help="Folds of cv.")] = 5,
    steps: Annotated[int, typer.Option(min=0, help="Training steps of a network; 0: as chosen for it.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for figures, predictions and what is kept of fits.")] = Path(
        "out/evaluate_soh"
    ),
    resume: Annotated[bool, typer.Option(help="Use fits of the same data, folds, model and seed again.")] = True,
) -> None:
    """Fit and score a model of state of health, in every fold of a protocol and for every seed."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from .known_sets import load_known_cycles
    from .protocol_figures import score_predictions
    from .protocol_runs import run_protocol
    from .protocols import evaluation_protocol
    from .sequence.registry import default_kind, model_kind

    console = Console()
    kind = model_kind(model or default_kind(protocol), steps=steps or None)
    cycles = load_known_cycles(data, nominal_capacity)
    chosen = evaluation_protocol(protocol, cycles, folds=folds)
    kept = out / "fits"
    if not resume and kept.is_dir():
        shutil.rmtree(kept)
    numbers = tuple(range(1, seeds + 1))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Starting", total=len(chosen.folds) * seeds)
        places = {fold.name: index for index, fold in enumerate(chosen.folds)}

        def show(fold: str, seed: int, step: int, steps: int) -> None:
            done = places[fold] * seeds + numbers.index(seed) + step / steps
            progress.update(task, completed=done, description=f"{fold}, seed {seed}")

        predictions = run_protocol(cycles, chosen, kind, seeds=numbers, out=kept, on_step=show)
    figures = score_predictions(predictions)
    name = f"{cycles_name(data)}_{protocol}_{kind.name}"
    predictions.save(out / f"{name}.npz")
    content = {
        "data": cycles_name(data),
        "data_sha256": cycles.digest,
        "protocol": protocol,
        "leaky": chosen.leaky,
        "model": kind.describe(),
        "seeds": list(numbers),
        "figures": figures.as_dict(),
    }
    (out / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    _show(console, predictions, figures, kind.name)
    console.print(f"Figures in {out / name}.json, predictions in {out / name}.npz")


def cycles_name(data: str) -> str:
    """Return the name of a set of cycles: that of its folder."""
    return Path(data).resolve().name


def _show(console: Console, predictions: ProtocolPredictions, figures: EvaluationFigures, model: str) -> None:
    from rich.table import Table

    leak = ", LEAKY: every cell is scaled over its own whole life" if predictions.leaky else ""
    seeds = len(predictions.seeds)
    table = Table(title=f"SOH, {predictions.evaluation} protocol{leak}; model {model}, {seeds} seeds")
    for name in ("Protocol", "Cells", "Cycles", "MAPE", "90 % over cells", "One seed alone", "RMSE"):
        table.add_column(name, justify="left" if name == "Protocol" else "right")
    for batch in (*figures.batches, figures.mean):
        if batch is figures.mean:
            table.add_section()
        table.add_row(
            batch.name,
            str(batch.cells),
            str(batch.cycles),
            f"{batch.mape:.3f} %",
            f"{batch.low:.2f} to {batch.high:.2f}",
            f"{batch.single:.3f}" + (f" ± {batch.scatter:.3f}" if seeds > 1 else ""),
            f"{100.0 * batch.rmse:.2f} points",
        )
    console.print(table)
