"""Bench of the start: a warm launch to its first step, and Kit's loop while the models load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tools.bench.figures import Figures, main
from tools.bench.places import REPOSITORY

__all__ = ["run"]

LAUNCHES = 3
# Long enough for the models to load while the loop runs [s of the twin].
DURATION = 1200


def run() -> Figures:
    """Launch the headless twin several times and report the slowest."""
    first, blocked, running = [], [], []
    for _ in range(LAUNCHES + 1):
        summary, launched = _launch()
        first.append(summary["first_step_at_s"] - launched)
        blocked.append(summary["longest_update_s"]["loading"])
        running.append(summary["longest_update_s"]["running"])
    figures = Figures("startup")
    # The first launch warms the file cache: users meet the later ones.
    figures.add("launch to first step, slowest of 3", max(first[1:]), "s", target=4.0)
    figures.add("launch to first step, cold file cache", first[0], "s")
    figures.add("Kit's loop blocked while the models load, longest", 1000.0 * max(blocked[1:]), "ms", target=200.0)
    figures.add("Kit's loop blocked while running, longest", 1000.0 * max(running[1:]), "ms")
    return figures


def _launch() -> tuple[dict[str, Any], float]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [
            str(REPOSITORY / "repo.sh"),
            "launch",
            "headless",
            "--",
            "--out",
            str(out),
            "--duration",
            str(DURATION),
            "--report",
            "false",
        ]
        launched = time.time()
        done = subprocess.run(command, cwd=REPOSITORY, env=os.environ, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"the launch failed with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return json.loads((out / "summary.json").read_text()), launched


if __name__ == "__main__":
    main(run)
