"""Run the scenario library on the pack engine and keep what happened, one file a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from celltwin.core import Array, ModelError, PackSpec, map_tasks, open_executor

from .abuse_constants import VENT_TEMPERATURE
from .library_cases import DURATION, LibraryCase, draw_cases, library_pack

__all__ = ["SAMPLE_PERIOD", "LibraryRun", "load_run", "run_library", "simulate_case"]

SAMPLE_PERIOD = 10.0  # [s]
STEP = 2.0  # of the engine [s]
ONSET_RATE = 1.0  # at which reactions warm a cell that runs away [K/s]
AFTER_EVENT = 1500.0  # simulated after the last cell ran away [s]
_FIELDS = (
    "group_voltage",
    "cell_current",
    "cell_temperature",
    "cell_soc",
    "coolant_temperature",
    "coolant_flow",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class LibraryRun:
    """What is true of one run.

    Attributes
    ----------
    case : LibraryCase
        What was asked.
    time : ndarray of shape (n_samples,)
        [s].
    group_voltage, cell_current, cell_temperature, cell_soc, coolant_temperature, coolant_flow : ndarray
        As in :class:`celltwin.physics.ScenarioSample`, of shape (n_samples, n).
    ambient_temperature : ndarray of shape (n_samples,)
        [K].
    onset : ndarray of shape (n_cells,)
        When each cell ran away [s]; NaN where it did not.
    end : float
        Time until which it is known what happened [s].
    """

    case: LibraryCase
    time: Array
    group_voltage: Array
    cell_current: Array
    cell_temperature: Array
    cell_soc: Array
    coolant_temperature: Array
    coolant_flow: Array
    ambient_temperature: Array
    onset: Array
    end: float


def simulate_case(case: LibraryCase, spec: PackSpec) -> LibraryRun:
    """Simulate one case of the library.

    A cell runs away when its reactions warm it by 1 K/s, as everywhere in the engine, or when it passes the
    temperature at which its vent opens.

    Parameters
    ----------
    case : LibraryCase
        The case.
    spec : PackSpec
        The pack whose cells and cooling are used; see :func:`library_pack`.
    """
    from celltwin.physics import ScenarioSample, simulate_scenario
    from celltwin.physics.engine import EngineOptions

    pack = library_pack(spec, case)
    capacity = pack.cell.mass * pack.cell.heat_capacity
    onset = np.full(pack.n_cells, np.nan)
    samples: list[ScenarioSample] = []
    newest = 0.0

    def record(sample: ScenarioSample) -> None:
        nonlocal newest
        newest = sample.time
        fast = sample.extra["reaction_heat"] >= ONSET_RATE * capacity
        gone = np.isnan(onset) & (fast | (sample.cell_temperature >= VENT_TEMPERATURE))
        onset[gone] = sample.time
        if not samples or sample.time - samples[-1].time >= SAMPLE_PERIOD - 1e-6:
            samples.append(sample)

    def enough() -> bool:
        last = np.nanmax(onset) if np.isfinite(onset).any() else np.inf
        return newest > DURATION or newest - last > AFTER_EVENT

    simulate_scenario(
        pack,
        case.parse(),
        options=EngineOptions(step=STEP),
        device="cpu",
        sample_period=SAMPLE_PERIOD,
        record=record,
        cancelled=enough,
    )
    return LibraryRun(
        case=case,
        time=np.array([sample.time for sample in samples]),
        ambient_temperature=np.array([sample.ambient_temperature for sample in samples]),
        onset=onset,
        end=newest,
        **{name: np.stack([getattr(sample, name) for sample in samples]) for name in _FIELDS},
    )


def load_run(path: Path) -> LibraryRun:
    """Read a run that :func:`run_library` has kept.

    Raises
    ------
    ModelError
        If the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            entry = json.loads(str(content["case"]))
            entry["sensor"] = tuple(entry["sensor"])
            arrays = {name: content[name].astype(np.float64) for name in (*_FIELDS, "time", "ambient_temperature")}
            return LibraryRun(case=LibraryCase(**entry), onset=content["onset"], end=float(content["end"]), **arrays)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"the run cannot be read ({error})", where=str(path), remedy="Delete the file; it is then run again"
        ) from None


def run_library(
    folder: Path,
    spec: PackSpec,
    count: int,
    *,
    seed: int = 1,
    workers: int = 1,
    on_run: Callable[[int, int], None] | None = None,
) -> tuple[Path, ...]:
    """Run the cases of the library that have no file yet, and return the files of all that ran.

    Parameters
    ----------
    folder : Path
        Where the files lie.
    spec : PackSpec
        The pack whose cells and cooling are used.
    count, seed : int
        As for :func:`draw_cases`.
    workers : int
        Runs at the same time.
    on_run : callable, optional
        Called with finished and asked runs.

    Raises
    ------
    WorkerError
        If no worker can be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cases = draw_cases(count, seed=seed)
    files = {case.name: folder / f"{case.name}_{_digest(case, spec)}.npz" for case in cases}
    missing = [case for case in cases if not files[case.name].exists()]
    done = count - len(missing)
    if on_run:
        on_run(done, count)
    if missing:
        executor = open_executor(workers=workers)
        try:
            items = [(case, spec, str(files[case.name])) for case in missing]
            for _ in map_tasks(executor, f"{__name__}:keep_run", items):
                done += 1
                if on_run:
                    on_run(done, count)
        finally:
            executor.close()
    return tuple(files[case.name] for case in cases if files[case.name].exists())


def keep_run(case: LibraryCase, spec: PackSpec, path: str) -> None:
    """Simulate a case in a worker and write its file."""
    run = simulate_case(case, spec)
    arrays = {name: getattr(run, name).astype(np.float32) for name in (*_FIELDS, "ambient_temperature")}
    partial = Path(path).with_suffix(".part.npz")
    np.savez_compressed(
        partial, case=np.array(json.dumps(asdict(case))), time=run.time, onset=run.onset, end=run.end, **arrays
    )
    partial.replace(path)


def _digest(case: LibraryCase, spec: PackSpec) -> str:
    text = json.dumps(asdict(case), sort_keys=True) + repr((spec.cell, spec.cooling, spec.busbar, STEP, DURATION))
    return hashlib.sha256(text.encode()).hexdigest()[:10]
