"""liionpack on the same pack, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.core import Array, PackSpec
from celltwin.physics import CellParameters, PackVariation, open_circuit_voltage
from tools.bench.environment import FOLDER, BenchEnvironmentError

__all__ = ["LiionpackTiming", "time_liionpack"]

SCRIPT = FOLDER / "time_liionpack.py"
PATIENCE = 1800.0  # for one run of liionpack [s]
LEAST_RESISTANCE = 1e-6  # of a busbar in liionpack's circuit, which needs one [ohm]


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


def _between(empty: float, full: float, soc: float) -> float:
    return empty + soc * (full - empty)
