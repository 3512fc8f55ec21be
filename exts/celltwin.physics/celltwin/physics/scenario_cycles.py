"""Repetitions of a scenario that are mostly jumped over: months of use from a few simulated days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from celltwin.core import CycleBlock, ScenarioProgress

if TYPE_CHECKING:
    from .engine import CycleProgress, PackEngine
    from .scenario_result import ScenarioSample
    from .scenario_run import ScenarioRun

__all__ = ["current_block", "jump_cycles"]


def current_block(run: ScenarioRun) -> CycleBlock | None:
    """Return the block of repetitions to jump over that begins now, at one of them; None for none."""
    step = run.progress.step
    for block in run.player.scenario.jumps:
        if block.start <= step < block.end and (step - block.start) % block.length == 0:
            return replace(block, start=step, count=(block.end - step) // block.length)
    return None


def jump_cycles(
    run: ScenarioRun,
    block: CycleBlock,
    take: Callable[[ScenarioSample], bool],
    keep: Callable[[], None],
) -> None:
    """Take a run through repeated steps, most of which are jumped over.

    Samples, events and figures are those of the repetitions that were simulated and count; charge and energy of the
    others are those of the last one simulated before.

    Parameters
    ----------
    run : ScenarioRun
        At the first step of a repetition.
    block : CycleBlock
        The repetitions that are left.
    take : callable
        Given every sample that counts; True ends the block after the repetitions that are being done.
    keep : callable
        Called between repetitions, when the run can be saved.

    Raises
    ------
    PlantError
        If a cell leaves what its model can describe.
    """
    from .engine import run_cycles

    jumper = _Jumper(run, block, take, keep)
    run.settle()
    run_cycles(run.engine, jumper.cycle, cycles=block.count, tolerance=block.tolerance, stop=jumper.accept)


class _Jumper:
    """One block: the cycle that is done again and again, and what is kept of it."""

    def __init__(
        self,
        run: ScenarioRun,
        block: CycleBlock,
        take: Callable[[ScenarioSample], bool],
        keep: Callable[[], None],
    ) -> None:
        self._run, self._block, self._take, self._keep = run, block, take, keep
        self._done = 0
        self._samples: list[list[ScenarioSample]] = []  # of repetitions that may yet be taken back
        self._moved: dict[str, dict[str, float]] = {}  # charge and energy of the last repetition
        self._known = (run.events.state(), run.figures.state())

    def cycle(self, engine: PackEngine) -> None:
        """Do all steps once; they have the numbers of the repetition that follows those done."""
        run, first = self._run, self._block.start + self._done * self._block.length
        self._begin(first)
        run.events.steps_told = self._done == 0 and not self._samples
        run.figures.begin(engine.time)
        before = {"charge": dict(run.figures.charge), "energy": dict(run.figures.energy)}
        samples: list[ScenarioSample] = []
        while run.progress.step < first + self._block.length:
            samples.append(run.advance())
        self._samples.append(samples)
        after = {"charge": run.figures.charge, "energy": run.figures.energy}
        self._moved = {kind: {name: after[kind][name] - before[kind][name] for name in before[kind]} for kind in before}

    def accept(self, progress: CycleProgress) -> bool:
        """Keep what was simulated if it brought the run on, or take it back; return whether to stop."""
        run = self._run
        brought = progress.cycle - self._done
        simulated, self._samples = self._samples, []
        if brought == 0:  # a jump that was refused
            run.events.restore(self._known[0])
            run.figures.restore(self._known[1])
            self._begin(self._block.start + self._done * self._block.length)
            return False
        self._done = progress.cycle
        jumped = brought - len(simulated)
        if jumped > 0:
            run.figures.add_cycles(jumped, self._moved)
            run.events.add(
                run.engine.time,
                "step",
                run.player.spec.name,
                f"{jumped} repetitions jumped over: {self._done} of {self._block.count} done, {progress.simulated} "
                f"simulated; {100.0 * progress.lowest_capacity:.2f} % of its capacity left in the weakest cell",
            )
        self._begin(self._block.start + self._done * self._block.length)
        run.figures.begin(run.engine.time)
        stop = False
        for samples in simulated:
            for sample in samples:
                stop = self._take(sample) or stop
        run.events.steps_told = True
        self._known = (run.events.state(), run.figures.state())
        self._keep()
        return stop

    def _begin(self, step: int) -> None:
        run = self._run
        now, soc = run.engine.time, float(run.engine.read_cells("soc").mean())
        run.progress = ScenarioProgress(step=step, started=now, time=now, start_soc=soc)
        run.seen = replace(run.seen, time=now, soc=soc)
        run.forget_settings()
