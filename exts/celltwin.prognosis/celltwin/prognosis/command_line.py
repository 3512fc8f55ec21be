"""``celltwin train``: train the models that the twin predicts with."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from .command_line_rul import train_rul
from .command_line_transfer import train_soh_update

if TYPE_CHECKING:
    from rich.console import Console

    from .training_run import TrainedSoh

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Train the models that the twin predicts with.")


@app.callback()
def train() -> None:
    """Train the models that the twin predicts with."""


app.command("rul")(train_rul)
app.command("soh-update")(train_soh_update)


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


@app.command()
def surrogate(
    out: Annotated[Path, typer.Option(help="Folder for the model.")] = Path("data/models/surrogate_1"),
    cell: Annotated[str, typer.Option(help="Cell parameters whose DFN is learned.")] = "xjtu_18650",
    campaign: Annotated[Path, typer.Option(help="Folder of the simulations, kept.")] = Path("out/surrogate_campaign"),
    runs: Annotated[int, typer.Option(min=8, help="Simulations to train on.")] = 640,
    seed: Annotated[list[int] | None, typer.Option(help="Seed; the best on validation profiles is exported.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training rows.")] = 15,
    diffusion_weight: Annotated[float, typer.Option(min=0.0, help="Weight of the residual of diffusion.")] = 0.0,
    address: Annotated[str, typer.Option(help="Ray address to simulate on; this machine where empty.")] = "",
    workers: Annotated[int, typer.Option(min=0, help="Simulations at one time; 0 for one on each core.")] = 0,
    checkpoints: Annotated[Path, typer.Option(help="Folder for checkpoints.")] = Path("out/train_surrogate"),
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoints of the same run.")] = True,
) -> None:
    """Simulate a campaign of the DFN, train its surrogate, score it on held-out profiles and export it with a card."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from celltwin.core import open_executor

    from .surrogate import CampaignSettings, SurrogateSettings, train_surrogate

    console, seeds = Console(), tuple(seed or (1,))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    executor = open_executor(address or None, workers or None)
    try:
        with Progress(*columns, console=console) as progress:
            simulating = progress.add_task("Simulating", total=None)
            training = progress.add_task("Training", total=len(seeds) * epochs)
            result = train_surrogate(
                out,
                campaign=campaign,
                simulated=CampaignSettings(cell=cell, training=runs),
                settings=SurrogateSettings(epochs=epochs, diffusion_weight=diffusion_weight),
                seeds=seeds,
                checkpoints=checkpoints,
                resume=resume,
                executor=executor,
                on_part=lambda done, total: progress.update(simulating, completed=done, total=total),
                on_epoch=lambda own, epoch, loss: progress.update(
                    training,
                    completed=seeds.index(own) * epochs + epoch,
                    description=f"Training, seed {own}, loss {loss:.4f}",
                ),
            )
    finally:
        executor.close()
    for own in seeds:
        errors = result.held_out[own]
        console.print(
            f"Seed {own}: held out {1e3 * errors.rmse('voltage'):.2f} mV, {errors.rmse('temperature'):.3f} K; "
            f"validation {1e3 * result.validation[own].rmse('voltage'):.2f} mV"
        )
    console.print(f"Model {result.model.provenance}, seed {result.chosen}, in {out}")


@app.command()
def risk(
    pack: Annotated[Path, typer.Option(help="Pack whose cells and cooling are used.")] = Path(
        "data/packs/reference.toml"
    ),
    out: Annotated[Path, typer.Option(help="Folder for the model; its priors.toml stays.")] = Path(
        "data/models/risk_1"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 1,
    runs: Annotated[int, typer.Option(min=20, help="Runs of the scenario library.")] = 120,
    rollouts: Annotated[int, typer.Option(min=8192, help="Roll-outs that the surrogate learns from.")] = 393_216,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the roll-outs.")] = 12,
    members: Annotated[int, typer.Option(min=1, help="Networks of the ensemble.")] = 2,
    checkpoints: Annotated[
        Path, typer.Option(help="Folder of roll-outs, runs and checkpoints; an interrupted run goes on from there.")
    ] = Path("out/train_risk"),
) -> None:
    """Train the risk of thermal runaway: surrogate, scenario library, recalibration, export with a model card."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from celltwin.core import load_pack

    from .runaway_risk.risk_training import RiskSettings, train_risk
    from .runaway_risk.surrogate import SurrogateSettings

    console = Console()
    surrogate = SurrogateSettings(epochs=epochs, members=members)
    settings = RiskSettings(runs=runs, rollouts=rollouts, surrogate=surrogate, seed=seed)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Loading", total=None)

        def show(what: str, done: int, asked: int) -> None:
            progress.update(task, description=what, completed=done, total=asked)

        found = train_risk(load_pack(pack), out, checkpoints, settings, on_step=show)
    alarm = found.evaluation.alarm
    console.print(
        f"On {found.evaluation.runs} test runs: {100.0 * alarm.caught:.0f} % of the runaways had an alarm before, "
        f"{alarm.false_alarms:.3f} false alarms an hour"
    )
    console.print(f"Model {found.model.provenance} in {out}")


@app.command()
def soh_window(
    model: Annotated[
        str, typer.Option(help="Kind of model: duty-network, duty, kernel, blend, transfer, ...")
    ] = "duty-network",
    data: Annotated[str, typer.Option(help="Folder of cycles (CSV), or its name in CELLTWIN_DATA.")] = "xjtu_cycles",
    nominal_capacity: Annotated[
        float, typer.Option(min=0.0, help="Nominal capacity of the cells [A.h]; 0: as known of XJTU and MIT.")
    ] = 0.0,
    out: Annotated[Path, typer.Option(help="Folder for the model.")] = Path("out/models/soh_window"),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 1,
    members: Annotated[int, typer.Option(min=1, help="Members of each ensemble.")] = 1,
    checkpoints: Annotated[Path, typer.Option(help="Folder for checkpoints.")] = Path("out/train_soh_window"),
    chemistry: Annotated[str, typer.Option(help="Chemistry of the cells.")] = "NMC523",
) -> None:
    """Train a model that sees the past of a cell on the published training cells, score it on the others, export it.

    The entropies of the features are blanked, since a running pack has none, and what the model is worth is learnt
    from training cells that were held out: the folder has all that a running twin needs.
    """
    from rich.console import Console
    from rich.progress import Progress

    from .known_sets import load_known_cycles
    from .past_windows import blank_sampling_dependent, window_cycles
    from .protocols import evaluation_protocol
    from .sequence.distilled_kind import FittedDistilled
    from .sequence.registry import model_kind
    from .sequence.window_export import export_windows
    from .trust import SERVED_TRUST, train_window_trust
    from .window_model import TRUST_FORMAT, write_window_trust

    console = Console()
    cycles = load_known_cycles(data, nominal_capacity)
    (fold,) = evaluation_protocol("honest", cycles).folds
    kind = model_kind(model, members=members)
    learnt, scored = (
        blank_sampling_dependent(window_cycles(cycles.select(names), window=kind.window))
        for names in (fold.training, fold.test)
    )
    kept = checkpoints / f"{kind.name}_{cycles.digest[:12]}_{seed}_{members}_blanked"
    with Progress(console=console) as progress:
        task = progress.add_task(f"Training {kind.name}", total=kind.steps)
        fitted = kind.fit(
            learnt,
            seed=seed,
            checkpoints=kept,
            on_step=lambda step, _steps: progress.update(task, completed=step),
        )
        task = progress.add_task("Training trust", total=None)
        trust = train_window_trust(
            cycles,
            fold.training,
            kind.stand_in,
            seed=seed,
            checkpoints=kept / f"trust_{TRUST_FORMAT}",
            on_fold=lambda done, asked: progress.update(task, completed=done, total=asked),
        )
    soh = fitted.predict(scored).mean(axis=0)
    error = 100.0 * abs(soh - scored.soh) / scored.soh
    figures: dict[str, object] = {
        f"test MAPE of {name} [%]": float(error[scored.protocol == name].mean())
        for name in sorted(set(scored.protocol))
    }
    if isinstance(fitted, FittedDistilled):
        apart = 100.0 * abs(soh - fitted.teacher.predict(scored).mean(axis=0))
        figures["mean difference from its teacher on test cells [SOH points]"] = float(apart.mean())
    digest = export_windows(out, fitted, kind, cycles, fold.training, scored, figures, seed=seed, chemistry=chemistry)
    write_window_trust(out, trust, scored, soh, SERVED_TRUST, seed)
    for name, value in figures.items():
        console.print(f"{name}: {value:.3f}")
    console.print(f"Model {out.name} sha256:{digest[:12]} in {out}")


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
