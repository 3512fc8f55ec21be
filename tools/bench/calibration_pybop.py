"""PyBOP's optimisers behind Celltwin's interface: they propose in an environment of their own, costs come from here."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.core import Array
from celltwin.physics.calibration.optimisers import Recorder, register_method
from tools.bench.environment import FOLDER, BenchEnvironmentError

__all__ = ["CANDIDATES", "PYBOP_VERSION", "pybop_method", "register_pybop"]

PYBOP_VERSION = "26.3"
SCRIPT = FOLDER / "search_pybop.py"
CANDIDATES: dict[str, float] = {
    "CMAES": 0.15,
    "XNES": 0.15,
    "SNES": 0.15,
    "PSO": 0.15,
    "NelderMead": 0.15,
    "SciPyDifferentialEvolution": 0.15,
    "SciPyMinimize": 0.15,
    "IRPropMin": 0.03,
    "AdamW": 0.03,
}
"""PyBOP's optimisers and the spread, or first step, that they begin with in the unit cube."""


def register_pybop(python: Path) -> tuple[str, ...]:
    """Make PyBOP's optimisers known as ``"PyBOP CMAES"`` and so on, and return these names.

    Parameters
    ----------
    python : Path
        Python of PyBOP's environment.
    """
    names = []
    for optimiser, spread in CANDIDATES.items():
        names.append(f"PyBOP {optimiser}")
        register_method(names[-1], pybop_method(python, optimiser, spread))
    return tuple(names)


def pybop_method(python: Path, optimiser: str, spread: float) -> Callable[[Recorder, Array, int], str]:
    """Return one of PyBOP's optimisers as a method of :func:`celltwin.physics.calibration.optimisers.minimise`.

    Parameters
    ----------
    python : Path
        Python of PyBOP's environment.
    optimiser : str
        One of ``CANDIDATES``.
    spread : float
        Standard deviation of the first population, or first step.
    """

    def search(recorder: Recorder, start: Array, seed: int) -> str:
        request = {"optimiser": optimiser, "start": start.tolist(), "spread": spread, "seed": seed}
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        environment |= {"OMP_NUM_THREADS": "1", "PYBAMM_DISABLE_TELEMETRY": "true", "MPLBACKEND": "Agg"}
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(
                [str(python), "-W", "ignore", str(SCRIPT), json.dumps(request)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            ) as process,
        ):
            try:
                return _converse(process, recorder)
            except (BrokenPipeError, ValueError):
                process.wait()
                errors.seek(0)
                last = errors.read().strip().splitlines()[-1:]
                raise BenchEnvironmentError(
                    f"PyBOP's {optimiser} failed: {' '.join(last) or f'exit code {process.returncode}'}",
                    where=str(python),
                    remedy="Delete the environment to have it made anew, or run the bench with --no-pybop",
                ) from None
            finally:
                process.kill()

    return search


def _converse(process: subprocess.Popen[str], recorder: Recorder) -> str:
    """Give costs for positions until nothing is left to spend; the last batch is cut to the budget."""
    assert process.stdin is not None
    assert process.stdout is not None
    while not recorder.exhausted:
        message: dict[str, Any] = json.loads(process.stdout.readline())
        if "reason" in message:
            return str(message["reason"])
        positions = np.array(message["positions"], dtype=np.float64)
        left = recorder.budget - recorder.evaluations
        costs = recorder.costs(positions[:left])
        if len(positions) > left:
            break
        process.stdin.write(json.dumps({"costs": costs.tolist()}) + "\n")
        process.stdin.flush()
    return "budget spent"
