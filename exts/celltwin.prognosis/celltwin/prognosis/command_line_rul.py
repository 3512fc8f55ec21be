"""``celltwin train rul`` and ``celltwin evaluate rul``: models of remaining life, made and judged."""

from __future__ import annotations

import json
import shutil
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from .cycles import CycleSet
    from .remaining_life import LifeFigures, LifeRun, LifeSettings
    from .splits import Split

__all__ = ["evaluate_rul", "train_rul"]

DataOption = Annotated[str, typer.Option(help="Folder of cycles (CSV), or its name in CELLTWIN_DATA.")]
CapacityOption = Annotated[
    float, typer.Option(min=0.0, help="Nominal capacity of the cells [A.h]; 0: as known of XJTU and MIT.")
]
EndOption = Annotated[float, typer.Option(min=0.3, max=1.1, help="SOH at which life ends.")]
ModelOption = Annotated[str, typer.Option(help="kernel: kernel regression. network: ensemble of networks.")]
StepsOption = Annotated[int, typer.Option(min=0, help="Training steps of a network; 0: 600.")]
FoldsOption = Annotated[int, typer.Option(min=2, help="Folds of the training cells.")]


def train_rul(
    data: DataOption = "xjtu_cycles",
    out: Annotated[Path, typer.Option(help="Folder for the model.")] = Path("data/models/rul_3"),
    end_of_life: EndOption = 0.85,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 1 to N; the first is exported, all are scored.")] = 5,
    nominal_capacity: CapacityOption = 0.0,
    chemistry: Annotated[str, typer.Option(help="Chemistry of the cells.")] = "NMC523",
    model: ModelOption = "kernel",
    steps: StepsOption = 0,
    folds: FoldsOption = 5,
    checkpoints: Annotated[Path, typer.Option(help="Folder for checkpoints.")] = Path("out/train_rul"),
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoints of the same run.")] = True,
) -> None:
    """Train models of remaining life, score them on the held-out cells, and export them with a model card."""
    from rich.console import Console

    from .remaining_life.life_export import export_life_model

    console = Console()
    settings = _settings(model, end_of_life, steps, folds)
    cycles, split = _load(data, nominal_capacity, folds)
    runs = {
        history: _run(console, cycles, split, each, seeds, checkpoints, resume) for history, each in settings.items()
    }
    _show(console, cycles, split, end_of_life, runs)
    exported = export_life_model(
        out,
        {history: run.ensembles[1] for history, run in runs.items()},
        cycles,
        split,
        {history: run.figures for history, run in runs.items()},
        chemistry=chemistry,
        data_name=Path(data).name,
    )
    console.print(f"Model {exported.provenance} in {out}")


def evaluate_rul(
    protocol: Annotated[
        str,
        typer.Option(help="honest: published split. cv: the training cells of it, each by a fit that has not seen it."),
    ] = "honest",
    data: DataOption = "xjtu_cycles",
    end_of_life: EndOption = 0.85,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 1 to N; each alone and all together are scored.")] = 5,
    nominal_capacity: CapacityOption = 0.0,
    model: ModelOption = "kernel",
    steps: StepsOption = 0,
    folds: FoldsOption = 5,
    out: Annotated[Path, typer.Option(help="Folder for figures and checkpoints.")] = Path("out/evaluate_rul"),
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoints of the same run.")] = True,
) -> None:
    """Fit and score models of remaining life, from features alone and with measured SOH, beside simple methods."""
    from rich.console import Console

    console = Console()
    if protocol not in ("honest", "cv"):
        raise typer.BadParameter("choose honest or cv", param_hint="--protocol")
    settings = _settings(model, end_of_life, steps, folds)
    cycles, split = _load(data, nominal_capacity, folds)
    runs = {
        history: _run(console, cycles, split, each, seeds, out / "fits", resume) for history, each in settings.items()
    }
    simple = _show(console, cycles, split, end_of_life, runs, cross_validated=protocol == "cv")
    content = {
        "data": Path(data).name,
        "data_sha256": cycles.digest,
        "protocol": protocol,
        "model": model,
        "end_of_life": end_of_life,
        "figures": {
            _name(history): {
                "seeds": {str(seed): value.as_dict() for seed, value in run.figures.items()},
                "together": run.together.as_dict(),
                "cross_validation": run.cross_validation.as_dict(),
            }
            for history, run in runs.items()
        },
        "baselines": {name: value.as_dict() for name, value in simple.items()},
    }
    file = out / f"{Path(data).name}_{model}_{protocol}_{end_of_life:g}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    console.print(f"Figures in {file}")


def _load(data: str, nominal_capacity: float, folds: int) -> tuple[CycleSet, Split]:
    from .known_sets import load_known_cycles
    from .splits import published_split

    cycles = load_known_cycles(data, nominal_capacity)
    return cycles, published_split(cycles, folds=folds)


def _settings(model: str, end_of_life: float, steps: int, folds: int) -> dict[bool, LifeSettings]:
    from .remaining_life import KINDS, LifeNetworkSettings, LifeSettings

    if model not in KINDS:
        raise typer.BadParameter(f"choose {' or '.join(KINDS)}", param_hint="--model")
    network = LifeNetworkSettings(steps=steps) if steps else LifeNetworkSettings()
    return {
        history: LifeSettings(kind=model, end_of_life=end_of_life, history=history, folds=folds, network=network)
        for history in (False, True)
    }


def _run(
    console: Console,
    cycles: CycleSet,
    split: Split,
    settings: LifeSettings,
    seeds: int,
    checkpoints: Path,
    resume: bool,
) -> LifeRun:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from .remaining_life import run_lives

    if not resume and checkpoints.is_dir() and not settings.history:
        shutil.rmtree(checkpoints)
    numbers = tuple(range(1, seeds + 1))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"RUL {_name(settings.history)}", total=seeds * settings.steps(split))

        def show(seed: int, step: int) -> None:
            progress.update(task, completed=numbers.index(seed) * settings.steps(split) + step)

        return run_lives(cycles, split, settings, seeds=numbers, checkpoints=checkpoints, on_step=show)


def _name(history: bool) -> str:
    return "with measured SOH" if history else "from features"


def _show(
    console: Console,
    cycles: CycleSet,
    split: Split,
    end_of_life: float,
    runs: dict[bool, LifeRun],
    *,
    cross_validated: bool = False,
) -> dict[str, LifeFigures]:
    from rich.table import Table

    from .remaining_life import BASELINES
    from .remaining_life.life_scores import line_up, score_lives

    training, cells = cycles.select(split.training), cycles.select(split.test)
    lines: list[tuple[str, LifeFigures]] = []
    for history, run in runs.items():
        if cross_validated:
            lines.append((f"{_name(history)}, cells left out", run.cross_validation))
            continue
        lines += [(f"{_name(history)}, seed {seed}", value) for seed, value in run.figures.items()]
        if len(run.figures) > 1:
            lines.append((f"{_name(history)}, seeds together", run.together))
    simple = (
        {}
        if cross_validated
        else {
            name: score_lives(line_up(cells, end_of_life, method(training, cells, end_of_life)))
            for name, method in BASELINES.items()
        }
    )
    lines += list(simple.items())
    first = lines[0][1]
    table = Table(
        title=f"Cycles to SOH {end_of_life:g}: {first.cells} cells, {first.cycles} cycles before it; "
        f"{first.censored_cells} cells never reach it"
    )
    for name in (
        "Model",
        "MAE",
        "90 % over cells",
        "Mean of cells",
        "MAPE",
        "Within 15 %",
        "In 90 % interval",
        "Width",
    ):
        table.add_column(name, justify="left" if name == "Model" else "right")
    for name, value in lines:
        table.add_row(
            name,
            f"{value.mae:.1f}",
            f"{value.mae_low:.0f} to {value.mae_high:.0f}",
            f"{value.mae_cells:.1f}",
            f"{100.0 * value.mape:.0f} %",
            f"{100.0 * value.within_15:.0f} %",
            f"{100.0 * value.coverage:.0f} %" if isfinite(value.coverage) else "",
            f"{value.width:.0f}" if isfinite(value.width) else "",
        )
    console.print(table)
    return simple
