"""The ``celltwin`` command."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from celltwin.core import CelltwinError
from celltwin.prognosis.command_line import app as train_app
from celltwin.prognosis.command_line_evaluate import app as evaluate_app
from celltwin.prognosis.command_line_predict import predict
from celltwin.stage.command_line import app as pack_app

from .campaign.command_line import campaign
from .command_line_calibrate import calibrate
from .command_line_simulate import simulate

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A lithium-ion pack as a five-tier digital twin.",
)
app.add_typer(pack_app, name="pack", help="Build, check and show packs.")
app.add_typer(train_app, name="train", help="Train the models that the twin predicts with.")
app.add_typer(evaluate_app, name="evaluate", help="Judge the models that the twin predicts with.")
app.command()(predict)
app.command()(simulate)
app.command()(calibrate)
app.command()(campaign)


@app.command()
def run(
    pack: Annotated[str, typer.Option(help="Pack file (TOML) or stage (USD).")] = "data/packs/reference.toml",
    telemetry: Annotated[str, typer.Option(help="Recording to replay; the simulated plant where empty.")] = "",
    out: Annotated[str, typer.Option(help="Folder for the results.")] = "",
    mode: Annotated[str, typer.Option(help="observe, advise or autonomous.")] = "advise",
    speed: Annotated[float, typer.Option(help="Multiple of real time; 0 for as fast as possible.")] = 0.0,
    duration: Annotated[float, typer.Option(help="Longest time to run [s of the pack]; 0 for all.")] = 0.0,
    duty: Annotated[
        str, typer.Option(help="Scenario that the simulated plant plays.")
    ] = "data/scenarios/discharge_and_fast_charge.toml",
    fidelity: Annotated[str, typer.Option(help="Cell model of the simulated plant: SPMe, DFN or ECM.")] = "SPMe",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 1,
    recalibrated: Annotated[str, typer.Option(help="Earlier run of the same pack, whose recalibration goes on.")] = "",
    past: Annotated[
        str, typer.Option(help="Past charges: an earlier run of the pack, a folder of CSV histories, or new.")
    ] = "",
    used_like: Annotated[str, typer.Option(help="Protocol of the training cells that the pack is used like.")] = "",
) -> None:
    """Run a twin in plain Python, without Kit."""
    from .console import RunConsole
    from .job import TwinJob
    from .settings import TwinSettings

    job = TwinJob(
        TwinSettings(
            pack=pack,
            telemetry=telemetry,
            out=out,
            mode=mode,
            speed=speed,
            duration=duration,
            duty=duty,
            fidelity=fidelity,
            seed=seed,
            recalibrated=recalibrated,
            past=past,
            used_like=used_like,
        ),
        host="Python",
    )
    console = RunConsole(job)
    console.start()
    last = time.monotonic()
    try:
        while not job.done:
            now = time.monotonic()
            if not job.update(now - last):
                time.sleep(0.005)
            last = now
            console.update()
    except KeyboardInterrupt:
        job.interrupt()
    finally:
        job.close()
        console.stop()
    raise typer.Exit(job.exit_code)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder of a run.")]) -> None:
    """Write the report of a run again, from what it recorded."""
    from .report import ReportWriter

    print(ReportWriter(folder).write())


def main() -> None:
    """Run the command; a deliberate error is one clear line and exit code 2."""
    try:
        app()
    except CelltwinError as error:
        print(f"celltwin: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
