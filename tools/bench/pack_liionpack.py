"""liionpack on the same pack, in an environment of its own that is made when it is first needed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.core import Array, CelltwinError, PackSpec
from celltwin.physics import CellParameters, PackVariation, open_circuit_voltage

__all__ = ["BenchEnvironmentError", "LiionpackTiming", "prepare_environment", "time_liionpack"]

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "environments" / "liionpack.txt"
SCRIPT = HERE / "environments" / "time_liionpack.py"
UV_IN_USE = HERE.parents[1] / ".cache" / "uv-in-use"
PATIENCE = 1800.0  # for one run of liionpack [s]
LEAST_RESISTANCE = 1e-6  # of a busbar in liionpack's circuit, which needs one [ohm]


class BenchEnvironmentError(CelltwinError):
    """The environment of liionpack cannot be made or does not work."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LiionpackTiming:
    """What one run of liionpack took.

    Attributes
    ----------
    model : {"SPM", "SPMe"}
        liionpack's default, a single-particle model without electrolyte and heat; or one with electrolyte and one
        temperature a cell. No heat passes between cells in either.
    processes : int
        Threads that its integrator was spread over.
    n_cells : int
        Cells of the pack.
    setup : float
        Time before the first step [s].
    seconds : ndarray of shape (n_steps,)
        Of each step of 1 s [s]; the first left out.
    voltage : ndarray of shape (n_steps,)
        Of the pack [V].
    versions : dict of str
        Of the libraries.
    """

    model: str
    processes: int
    n_cells: int
    setup: float
    seconds: Array
    voltage: Array
    versions: dict[str, str]

    @property
    def step(self) -> float:
        """The fastest of the steps [s]: what other work on the machine slowed does not count against it."""
        return float(np.min(self.seconds))

    @property
    def rate(self) -> float:
        """Cell-steps a second."""
        return self.n_cells / self.step


def prepare_environment(folder: Path | None = None) -> Path:
    """Return the Python of liionpack's environment; make the environment where it does not exist yet.

    Parameters
    ----------
    folder : Path, optional
        Where environments are kept; ``CELLTWIN_CACHE``, else ``~/.cache/celltwin``, where absent.

    Raises
    ------
    BenchEnvironmentError
        If it cannot be made: no package registry in reach, no space.
    """
    mark = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = (folder or _cache_folder() / "environments") / f"liionpack-{mark}"
    python = place / "bin" / "python"
    ready = place / "celltwin-ready"
    if ready.exists() and os.access(python, os.X_OK):
        return python
    try:
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        for command in _install_commands(place, python):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
                raise BenchEnvironmentError(
                    f"liionpack cannot be installed: {' '.join(last) or f'exit code {done.returncode}'}",
                    where=str(place),
                    remedy="Make a package registry reachable, or run the bench with --no-liionpack",
                )
        ready.touch()
    except OSError as error:
        raise BenchEnvironmentError(
            f"liionpack cannot be installed: {error}",
            where=str(place),
            remedy="Point CELLTWIN_CACHE at a folder with 1 GB of space, or run the bench with --no-liionpack",
        ) from error
    return python


def time_liionpack(
    python: Path,
    spec: PackSpec,
    parameters: CellParameters,
    variation: PackVariation,
    *,
    current: float,
    steps: int,
    model: str = "SPM",
    processes: int = 1,
) -> LiionpackTiming:
    """Discharge the pack in liionpack by steps of 1 s.

    Parameters
    ----------
    python : Path
        Python of its environment.
    spec : PackSpec
        The pack.
    parameters : CellParameters
        Its cell.
    variation : PackVariation
        Capacity and series resistance of each cell; all start from the mean state of charge, since liionpack knows
        one only.
    current : float
        Of the pack [A].
    steps : int
        Steps of 1 s.
    model : {"SPM", "SPMe"}
        Cell model.
    processes : int
        Threads to spread its integrator over.

    Raises
    ------
    BenchEnvironmentError
        If it fails.
    """
    soc = float(variation.initial_soc.mean())
    request = {
        "base_set": parameters.base_set,
        "overrides": parameters.content()["overrides"],
        "parallel": spec.parallel,
        "series": spec.n_groups,
        "rail_resistance": LEAST_RESISTANCE,  # the groups of the pack lie between plates
        "weld_resistance": spec.busbar.weld_resistance,
        "resistance": variation.resistance.tolist(),
        "capacity_scale": variation.capacity_scale.tolist(),
        "negative_stoichiometry": _between(parameters.negative_empty, parameters.negative_full, soc),
        "positive_stoichiometry": _between(parameters.positive_empty, parameters.positive_full, soc),
        "lowest_voltage": parameters.lowest_voltage,
        "highest_voltage": parameters.highest_voltage,
        "heat_capacity": spec.cell.mass * spec.cell.heat_capacity,
        "heat_transfer": parameters.heat_transfer,
        "surface": parameters.surface,
        "voltage": float(open_circuit_voltage(parameters, np.array([soc]))[0]),
        "current": current,
        "steps": steps,
        "model": model,
        "processes": processes,
    }
    answer = _run_script(python, request)
    return LiionpackTiming(
        model=model,
        processes=processes,
        n_cells=spec.n_cells,
        setup=float(answer["setup"]),
        seconds=np.asarray(answer["seconds"][1:], dtype=np.float64),
        voltage=np.asarray(answer["voltage"], dtype=np.float64),
        versions=dict(answer["versions"]),
    )


def _run_script(python: Path, request: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "request.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(request), encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        environment |= {"OMP_NUM_THREADS": "1", "PYBAMM_DISABLE_TELEMETRY": "true", "MPLBACKEND": "Agg"}
        command = [str(python), "-W", "ignore", str(SCRIPT), str(asked), str(answered)]
        try:
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            raise BenchEnvironmentError(
                f"liionpack did not make {request['steps']} steps in {PATIENCE:g} s", remedy="Ask for fewer steps"
            ) from None
        if done.returncode or not answered.exists():
            last = done.stderr.strip().splitlines()[-1:]
            raise BenchEnvironmentError(
                f"liionpack failed: {' '.join(last) or f'exit code {done.returncode}'}",
                where=str(python),
                remedy="Delete the environment to have it made anew, or run the bench with --no-liionpack",
            )
        answer: dict[str, Any] = json.loads(answered.read_text(encoding="utf-8"))
    return answer


def _install_commands(place: Path, python: Path) -> list[list[str]]:
    """Return what makes the environment: uv's commands where there is uv, else those of Python alone."""
    uv = str(UV_IN_USE) if os.access(UV_IN_USE, os.X_OK) else shutil.which("uv")
    if uv is not None:
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(place)],
            [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(REQUIREMENTS)],
        ]
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [[sys.executable, "-m", "venv", str(place)], [*pip, "--require-hashes", "-r", str(REQUIREMENTS)]]


def _cache_folder() -> Path:
    named = os.environ.get("CELLTWIN_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "celltwin"


def _between(empty: float, full: float, soc: float) -> float:
    return empty + soc * (full - empty)
