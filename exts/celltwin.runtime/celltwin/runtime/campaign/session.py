"""One start of a campaign, from its file to its closing table, for the command line and for Kit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..settings import REPOSITORY
from .campaign_file import load_campaign
from .campaign_run import SIMULATE, CampaignProgress, CampaignRun
from .summary import summarise

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["CampaignSession"]

EXIT_FAILED_RUNS = 1
EXIT_INTERRUPTED = 130


class CampaignSession:
    """Load a campaign and work on it.

    Parameters
    ----------
    file : str
        Campaign file.
    out : str
        Folder for the results; empty for ``out/campaign-<name>``, where a later start goes on.
    ray : str
        Address of a Ray cluster; empty for this machine's cores.
    workers : int
        Most runs at the same time; 0 for as many as there are cores.
    retry_failed : bool
        Whether runs that failed before are run again.
    function : str
        ``"package.module:function"`` that simulates one run.

    Raises
    ------
    CelltwinError
        If the file, the folder or the cluster is wrong.
    """

    def __init__(
        self,
        file: str,
        *,
        out: str = "",
        ray: str = "",
        workers: int = 0,
        retry_failed: bool = False,
        function: str = SIMULATE,
    ) -> None:
        self.campaign = load_campaign(file)
        self.folder = Path(out) if out else REPOSITORY / "out" / f"campaign-{self.campaign.name}"
        self._run = CampaignRun(
            self.campaign,
            self.folder,
            address=ray or None,
            workers=workers or None,
            retry_failed=retry_failed,
            function=function,
        )
        self._on = f"Ray cluster {ray}" if ray else "this machine"

    def opening_lines(self) -> list[str]:
        """Return what runs, where, and what to mind."""
        from rich.markup import escape

        campaign, progress = self.campaign, self._run.progress
        varied = ", ".join(factor.name for factor in campaign.factors)
        lines = [
            f"[bold]Celltwin[/bold]  campaign {campaign.name}: {len(campaign.points)} points by "
            f"{campaign.design.kind} over {varied}; {campaign.n_runs} runs",
            f"  on       {self._on}, {progress.workers} workers",
            f"  results  {escape(str(self.folder))}",
        ]
        if progress.finished or progress.failed:
            again = f" and {progress.failed} failed (--retry-failed runs them again)" if progress.failed else ""
            lines.append(f"  resumed  {progress.finished} runs are done{again}")
        if campaign.design.advice:
            lines.append(f"  [yellow]advice[/yellow]   {campaign.design.advice}")
        if self._run.results.changed_software:
            lines.append(
                "  [yellow]mind[/yellow]     earlier runs in this folder were made by other software; "
                "campaign.json has the versions of each start"
            )
        return lines

    def advance(self, timeout: float) -> CampaignProgress:
        """Work on the campaign, waiting for results up to ``timeout`` [s]."""
        return self._run.advance(timeout)

    def close(self) -> tuple[int, list[RenderableType]]:
        """Stop what runs; return the exit code and what to print."""
        from rich.markup import escape

        progress = self._run.progress
        self._run.close()
        lines: list[RenderableType] = []
        if not progress.done:
            lines.append(f"stopped with {progress.remaining} runs left; the same command goes on from here")
        lines += summarise(self.campaign, self.folder)
        new = progress.finished - progress.finished_before
        lines.append(f"  {progress.finished} of {progress.total} runs done, {new} of them in {progress.elapsed:.1f} s")
        if progress.failed:
            lines.append(
                f"  {progress.failed} failed: {escape(str(self.folder / 'failures'))} has parameters and reasons"
            )
        lines.append(f"  results  {escape(str(self.folder))}")
        code = EXIT_INTERRUPTED if not progress.done else EXIT_FAILED_RUNS if progress.failed else 0
        return code, lines
