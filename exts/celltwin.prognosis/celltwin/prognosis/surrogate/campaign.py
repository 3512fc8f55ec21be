"""Campaigns of DFN simulations: drawn from a seed, run by an executor, kept in parts that a later call goes on from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from celltwin.core import Array, Executor, ModelError, SettingsError, Task, open_executor
from celltwin.physics import load_cell_parameters

from .cell_inputs import RANGES, CellInputs, draw_inputs
from .dfn_reference import MESH, OUTPUTS, TOLERANCE, ReferenceRun, simulate_charge, simulate_course
from .profiles import HELD_OUT_KINDS, TRAINING_KINDS, draw_course, first_soc

__all__ = ["SPLITS", "CampaignSet", "CampaignSettings", "load_campaign", "run_campaign", "simulate_cases"]

SPLITS = {"training": TRAINING_KINDS, "validation": TRAINING_KINDS, "held_out": HELD_OUT_KINDS}
CASES_IN_PART = 8
POLL = 0.5  # [s]
MANIFEST = "campaign.json"
FEWEST_ROWS = 12


@dataclass(frozen=True, kw_only=True)
class CampaignSettings:
    """What is simulated.

    Attributes
    ----------
    cell : str
        Name of the cell parameters.
    training, validation, held_out : int
        Simulations of each split, dealt evenly among its kinds of profile.
    seed : int
        Of everything random.
    """

    cell: str = "xjtu_18650"
    training: int = 640
    validation: int = 80
    held_out: int = 64
    seed: int = 20261

    def count(self, split: str) -> int:
        """Return the number of simulations of a split."""
        return int(getattr(self, split))

    def digest(self) -> str:
        """Return a hash of all that a case follows from; how many there are is no part, so that sets can grow."""
        content = {
            "cell": self.cell,
            "seed": self.seed,
            "parameters": load_cell_parameters(self.cell).hash,
            "mesh": MESH,
            "tolerance": TOLERANCE,
            "ranges": RANGES,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, eq=False)
class CampaignSet:
    """The simulations of one split, padded to one length.

    Attributes
    ----------
    kinds : tuple of str
        Kind of each profile.
    inputs : CellInputs
        Inputs of the cells.
    steps : ndarray of int of shape (n_runs,)
        Steps that each simulation reached.
    current, current_end : ndarray of shape (n_steps, n_runs)
        Mean over each step, and at its end [A]; 0 past the end of a run.
    values : dict of str to ndarray of shape (n_steps, n_runs)
        What :class:`ReferenceRun` holds; not a number past the end of a run.
    seconds : ndarray of shape (n_runs,)
        Processor time that each simulation took [s].
    """

    kinds: tuple[str, ...]
    inputs: CellInputs
    steps: np.ndarray
    current: Array
    current_end: Array
    values: dict[str, Array]
    seconds: Array

    @property
    def n_runs(self) -> int:
        """Number of simulations."""
        return len(self.kinds)

    def select(self, chosen: Sequence[int]) -> CampaignSet:
        """Return some of the runs."""
        at = np.asarray(chosen, dtype=np.int64)
        longest = int(self.steps[at].max())
        return CampaignSet(
            kinds=tuple(self.kinds[index] for index in at),
            inputs=self.inputs.select(at),
            steps=self.steps[at],
            current=self.current[:longest, at],
            current_end=self.current_end[:longest, at],
            values={name: values[:longest, at] for name, values in self.values.items()},
            seconds=self.seconds[at],
        )


def run_campaign(
    folder: Path,
    settings: CampaignSettings,
    *,
    splits: Sequence[str] = tuple(SPLITS),
    executor: Executor | None = None,
    on_part: Callable[[int, int], None] | None = None,
) -> None:
    """Simulate what a folder does not hold yet.

    Parameters
    ----------
    folder : Path
        Where the parts lie.
    settings : CampaignSettings
        What is simulated.
    splits : sequence of str
        Which splits.
    executor : Executor, optional
        Where to run; this machine's cores by default.
    on_part : callable, optional
        Called with the number of finished parts, and of all.

    Raises
    ------
    SettingsError
        If the folder holds another campaign.
    ModelError
        If a part could not be simulated.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, settings)
    wanted = [(split, part) for split in splits for part in range(-(-settings.count(split) // CASES_IN_PART))]
    missing = [(split, part) for split, part in wanted if not _path(folder, split, part).is_file()]
    done = len(wanted) - len(missing)
    if on_part:
        on_part(done, len(wanted))
    if not missing:
        return
    running = executor or open_executor()
    try:
        for split, part in missing:
            numbers = tuple(range(part * CASES_IN_PART, min((part + 1) * CASES_IN_PART, settings.count(split))))
            arguments = (settings.cell, settings.seed, split, numbers)
            running.submit(Task(key=f"{split} {part}", function=f"{__name__}:simulate_cases", arguments=arguments))
        while running.pending:
            for outcome in running.take(POLL):
                if outcome.error is not None:
                    raise ModelError(
                        f"a part of the campaign failed ({outcome.error})",
                        where=outcome.task.key,
                        remedy="Run the command again: finished parts are kept",
                    )
                name, _, number = outcome.task.key.partition(" ")
                _write(_path(folder, name, int(number)), outcome.value)
                done += 1
                if on_part:
                    on_part(done, len(wanted))
    finally:
        if executor is None:
            running.close()


def simulate_cases(cell: str, seed: int, split: str, numbers: Sequence[int]) -> dict[str, Array]:
    """Return the simulations of some cases of a split, joined: what a part's file holds."""
    kinds = SPLITS[split]
    capacity = load_cell_parameters(cell).capacity
    joined: dict[str, list[Array]] = {}
    for number in numbers:
        kind = kinds[number % len(kinds)]
        random = np.random.default_rng([seed, tuple(SPLITS).index(split), number])
        while True:
            soc = first_soc(kind, random)
            inputs = draw_inputs(random, soc)
            own = capacity * float(inputs.capacity_factor[0])
            course = draw_course(kind, random, capacity=own, soc=soc, temperature=float(inputs.temperature[0]))
            try:
                if kind == "fast_charge":
                    run = simulate_charge(cell, inputs, -float(course.current[0]) / own)
                else:
                    run = simulate_course(cell, inputs, course)
            except ModelError:  # out of the model's reach at once: another draw
                continue
            if run.current.size >= FEWEST_ROWS:
                break
        _append(joined, number, inputs, run)
    return {name: np.concatenate(parts) for name, parts in joined.items()}


def load_campaign(folder: Path, settings: CampaignSettings, split: str) -> CampaignSet:
    """Return the simulations of a split.

    Raises
    ------
    ModelError
        If parts are missing or damaged.
    SettingsError
        If the folder holds another campaign.
    """
    _claim(folder, settings)
    parts = [_path(folder, split, part) for part in range(-(-settings.count(split) // CASES_IN_PART))]
    try:
        read = []
        for path in parts:
            with np.load(path) as content:
                read.append({name: content[name] for name in content.files})
        joined = {name: np.concatenate([part[name] for part in read]) for name in read[0]}
        kinds = SPLITS[split]
        steps = joined["steps"].astype(np.int64)
        starts = np.concatenate([[0], np.cumsum(steps)])
        rows = {name: _padded(joined[name], starts, np.nan) for name in OUTPUTS}
        return CampaignSet(
            kinds=tuple(kinds[int(number) % len(kinds)] for number in joined["number"]),
            inputs=CellInputs(**{field.name: joined[f"input_{field.name}"] for field in fields(CellInputs)}),
            steps=steps,
            current=_padded(joined["current"], starts, 0.0),
            current_end=_padded(joined["current_end"], starts, 0.0),
            values=rows,
            seconds=joined["seconds"],
        )
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise ModelError(
            f"the campaign cannot be read ({error})", where=str(folder), remedy="Run the campaign again; it resumes"
        ) from None


def _padded(values: Array, starts: Array, filler: float) -> Array:
    steps = np.diff(starts)
    padded = np.full((int(steps.max()), steps.size), filler)
    for run, (start, count) in enumerate(zip(starts[:-1], steps, strict=True)):
        padded[:count, run] = values[start : start + count]
    return padded


def _append(joined: dict[str, list[Array]], number: int, inputs: CellInputs, run: ReferenceRun) -> None:
    columns = {"number": np.array([number]), "seconds": np.array([run.seconds]), "steps": np.array([run.current.size])}
    columns |= {f"input_{field.name}": getattr(inputs, field.name) for field in fields(CellInputs)}
    columns |= {"current": run.current, "current_end": run.current_end, **run.values}
    for name, values in columns.items():
        joined.setdefault(name, []).append(values)


def _claim(folder: Path, settings: CampaignSettings) -> None:
    path, digest = folder / MANIFEST, settings.digest()
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")).get("digest") != digest:
            raise SettingsError(
                "the folder holds another campaign", where=str(folder), remedy="Choose another folder, or empty it"
            )
        return
    path.write_text(json.dumps({"digest": digest, "settings": asdict(settings)}, indent=1) + "\n", encoding="utf-8")


def _path(folder: Path, split: str, part: int) -> Path:
    return folder / f"{split}_{part:04d}.npz"


def _write(path: Path, content: dict[str, Array]) -> None:
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **content)  # type: ignore[arg-type]  # names of arrays, not of options
    partial.replace(path)
