"""The command ``celltwin simulate``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from celltwin.core import SettingsError

from .console import LINE_PERIOD

if TYPE_CHECKING:
    from rich.console import Console

    from celltwin.physics import SimulationProgress

__all__ = ["simulate"]


def simulate(
    scenario: Annotated[str, typer.Option(help="Scenario file, or the name of one in data/scenarios.")] = "",
    pack: Annotated[str, typer.Option(help="Pack file (TOML) or stage (USD).")] = "data/packs/reference.toml",
    out: Annotated[str, typer.Option(help="Folder for the results.")] = "",
    seed: Annotated[
        int | None, typer.Option(help="Seed of everything random; the scenario's own where absent.")
    ] = None,
    fidelity: Annotated[str, typer.Option(help="Cell model: SPMe, DFN, or ECM for two RC pairs.")] = "SPMe",
    step: Annotated[float, typer.Option(help="Time step [s].")] = 1.0,
    sample_period: Annotated[float, typer.Option(help="Time between samples [s]; 0 for about a thousand.")] = 0.0,
    device: Annotated[str, typer.Option(help="cpu or cuda:0; a GPU where there is one.")] = "",
    report: Annotated[bool, typer.Option(help="Write report.html.")] = True,
    resume: Annotated[str, typer.Option(help="Folder of an interrupted simulation to go on with.")] = "",
) -> None:
    """Simulate a scenario on the pack engine: every cell, with its circuit, its heat and its faults."""
    from rich.console import Console

    from .job import EXIT_FAILED, EXIT_INTERRUPTED
    from .simulate import SimulationSettings, resume_simulation, run_simulation

    if bool(scenario) == bool(resume):
        raise SettingsError("give either --scenario or --resume", remedy="celltwin simulate --scenario cccv_cycle")
    settings = SimulationSettings(
        scenario=scenario,
        pack=pack,
        out=out,
        seed=seed,
        fidelity=fidelity,
        step=step,
        sample_period=sample_period,
        device=device,
        report=report,
    )
    console = Console(stderr=True, highlight=False)
    with _shown(console) as show:
        if resume:
            result, folder = resume_simulation(Path(resume), progress=show)
        else:
            result, folder = run_simulation(settings, progress=show)
    if result.ended == "failed":
        console.print(f"[red]stopped[/red]  {result.failure}")
    elif result.ended == "cancelled":
        console.print("interrupted; everything simulated so far is readable")
        console.print(f"  go on    celltwin simulate --resume {folder.path}")
    simulated = result.time - result.start
    console.print(
        f"  {simulated:.0f} s of {result.spec.n_cells} cells in {result.wall_seconds:.1f} s "
        f"({simulated / max(result.wall_seconds, 1e-9):.0f} times real time), {len(result.events)} events"
    )
    console.print(f"  summary  {folder.summary}")
    if folder.report.exists():
        console.print(f"  report   {folder.report}")
    raise typer.Exit({"failed": EXIT_FAILED, "cancelled": EXIT_INTERRUPTED}.get(result.ended, 0))


@contextmanager
def _shown(console: Console) -> Iterator[Callable[[SimulationProgress], None]]:
    """Show progress: a bar in a terminal, a line now and then in a log."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    last = time.monotonic()

    def say(found: SimulationProgress) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_PERIOD:
            last = time.monotonic()
            console.print(f"{100.0 * found.share:3.0f} %  {_line(found)}")

    if not console.is_terminal:
        yield say
        return
    percent = TextColumn("{task.percentage:.0f} %")
    columns = (TextColumn("{task.description}"), BarColumn(), percent, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda found: bar.update(task, completed=found.share, description=_line(found))


def _line(found: SimulationProgress) -> str:
    sample = found.sample
    return (
        f"{found.time / 60.0:6.0f} min  {found.step}  {sample.voltage:.1f} V  {sample.current:.1f} A  "
        f"SOC {100.0 * sample.cell_soc.mean():.1f} %  hottest {sample.cell_temperature.max() - 273.15:.1f} °C"
    )
