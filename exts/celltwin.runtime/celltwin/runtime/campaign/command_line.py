"""The command ``celltwin campaign``."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["campaign"]

POLL_PERIOD = 0.25  # [s]


def campaign(
    file: Annotated[str, typer.Argument(help="Campaign file (TOML).")],
    out: Annotated[str, typer.Option(help="Folder for the results; out/campaign-NAME where empty.")] = "",
    ray: Annotated[str, typer.Option(help="Address of a Ray cluster; this machine's cores where empty.")] = "",
    workers: Annotated[int, typer.Option(help="Most runs at the same time; 0 for one a core.", min=0)] = 0,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run again what failed before.")] = False,
) -> None:
    """Run a designed experiment of scenarios; started again, it goes on where it ended."""
    from .campaign_console import CampaignConsole
    from .session import CampaignSession

    session = CampaignSession(file, out=out, ray=ray, workers=workers, retry_failed=retry_failed)
    console = CampaignConsole()
    try:
        console.start(session.opening_lines())
        while not (progress := session.advance(POLL_PERIOD)).done:
            console.update(progress)
        console.update(progress)
    except KeyboardInterrupt:
        pass  # close tells how it ended
    finally:
        code, lines = session.close()
        console.stop(lines)
    raise typer.Exit(code)
