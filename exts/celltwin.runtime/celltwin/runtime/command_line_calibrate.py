"""The command ``celltwin calibrate``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from .console import LINE_PERIOD

if TYPE_CHECKING:
    from rich.console import Console

    from celltwin.physics.calibration.optimisers import Progress

    from .calibrate import CalibrationOutcome, CalibrationSettings

__all__ = ["calibrate"]

_UNTIMED = ("posterior", "prediction")  # stages that budget and seconds do not limit


def calibrate(
    files: Annotated[list[str], typer.Argument(help="Files or folders of measurements of one cell.")],
    cell: Annotated[str, typer.Option(help="Description of the cell (TOML): name, chemistry, format, capacity.")],
    select: Annotated[str, typer.Option(help="Name of the cell, where the files hold several.")] = "",
    kind: Annotated[str, typer.Option(help="Kind of the files; found out where empty.")] = "",
    mapping: Annotated[str, typer.Option(help="Mapping file (TOML) of a cycler's export.")] = "",
    hold_out: Annotated[
        list[str] | None, typer.Option(help="Curve that is scored but not fitted, such as 4C; may be repeated.")
    ] = None,
    shapes: Annotated[
        bool, typer.Option("--shapes", help="Correct open-circuit curves and diffusivities too.")
    ] = False,
    model: Annotated[str, typer.Option(help="Equations: SPM, SPMe or DFN.")] = "DFN",
    method: Annotated[
        str, typer.Option(help="Optimiser, such as least_squares, cma or multi_start.")
    ] = "least_squares",
    base_set: Annotated[str, typer.Option(help="PyBaMM set or BPX file to begin with.")] = "",
    budget: Annotated[int, typer.Option(help="Evaluations allowed, each on all fitted curves.")] = 4000,
    seconds: Annotated[float, typer.Option(help="Time allowed for the search [s].")] = 300.0,
    uncertainty: Annotated[str, typer.Option(help="none, laplace, refits, or full for Markov chains.")] = "refits",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    threads: Annotated[int, typer.Option(help="Candidates solved at one time.")] = 2,
    output: Annotated[str, typer.Option(help="Folder for the results; out/calibration-CELL where empty.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted calibration.")] = False,
    install: Annotated[bool, typer.Option("--install", help="Put the set into data/parameters as well.")] = False,
    report: Annotated[bool, typer.Option(help="Write report.html.")] = True,
) -> None:
    """Find the parameters with which a cell model reproduces measured discharges, and say how sure they are."""
    from rich.console import Console

    from .calibrate import CalibrationSettings, run_calibration

    settings = CalibrationSettings(
        files=tuple(files),
        cell=cell,
        select=select,
        kind=kind,
        mapping=mapping,
        hold_out=tuple(hold_out or ()),
        shapes=shapes,
        model=model,  # type: ignore[arg-type]  # checked there
        method=method,
        base_set=base_set,
        budget=budget,
        seconds=seconds,
        uncertainty=uncertainty,
        seed=seed,
        threads=threads,
        output=output,
        resume=resume,
        install=install,
        report=report,
    )
    console = Console(stderr=True, highlight=False)
    with _shown(console, settings) as show:
        outcome = run_calibration(settings, progress=show)
    _tell(console, outcome)
    from .job import EXIT_FAILED, EXIT_INTERRUPTED

    if outcome.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    raise typer.Exit(EXIT_FAILED if outcome.parameter_set is None else 0)


@contextmanager
def _shown(console: Console, settings: CalibrationSettings) -> Iterator[Callable[[Progress], None]]:
    """Show progress: a bar in a terminal, a line now and then in a log."""
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    last = time.monotonic()

    def share(step: Progress) -> float:
        return min(max(step.evaluations / settings.budget, step.seconds / settings.seconds), 1.0)

    def say(step: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_PERIOD:
            last = time.monotonic()
            console.print(_line(step, share(step)))

    if not console.is_terminal:
        yield say
        return
    with Bar(TextColumn("{task.description}"), BarColumn(bar_width=24), console=console, transient=True) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda step: bar.update(task, completed=share(step), description=_line(step, share(step)))


def _line(step: Progress, share: float) -> str:
    """Return stage, evaluations, errors of the best, and the longest that it can still take."""
    parts = [step.stage, f"{step.evaluations} evaluations"]
    voltage, temperature = (getattr(step, f"{what}_error", math.nan) for what in ("voltage", "temperature"))
    if math.isfinite(voltage):
        parts.append(f"best {voltage:.2f} % V" + (f", {temperature:.3f} % T" if math.isfinite(temperature) else ""))
    if share > 0.02 and math.isfinite(step.seconds) and not step.stage.startswith(_UNTIMED):
        parts.append(f"at most {step.seconds * (1.0 / share - 1.0):.0f} s left")
    return "  ".join(parts)


def _tell(console: Console, outcome: CalibrationOutcome) -> None:
    """Say how good the calibration is and where everything lies."""
    from rich.table import Table

    summary = outcome.summary
    table = Table("curve", "", "V, %", "V, mV", "T, %", "T, K", box=None, header_style="dim")
    for found in summary["provenance"]["figures"]:
        table.add_row(
            found["curve"],
            "held out" if found["held_out"] else "fitted",
            _number(found["voltage_MAPE_percent"], 1.0, 2),
            _number(found["voltage_RMSE_V"], 1e3, 1),
            _number(found["temperature_MAPE_percent"], 1.0, 3),
            _number(found["temperature_RMSE_K"], 1.0, 2),
        )
    console.print(table)
    colour = {"passed": "green", "flagged": "yellow", "refused": "red"}[summary["outcome"]]
    console.print(f"[{colour}]{summary['outcome']}[/{colour}]  {summary['verdict']}")
    for check in summary["doubts"]:
        place = f" ({check['curve']})" if check["curve"] else ""
        console.print(f"  {check['outcome']}  {check['name']}{place}: {check['message']}", markup=False)
    if outcome.interrupted:
        console.print("interrupted; everything here is of the best so far. Go on with the same command and --resume")
    if outcome.parameter_set is not None:
        console.print(f"  set      {outcome.installed or outcome.parameter_set}")
    console.print(f"  summary  {outcome.folder.summary}")
    if outcome.folder.report.exists():
        console.print(f"  report   {outcome.folder.report}")


def _number(value: float | None, factor: float, digits: int) -> str:
    return "-" if value is None else f"{factor * value:.{digits}f}"
