"""Years of use from few simulated cycles: simulate some, put ageing forward by many, check, resume.

The change of ageing in one cycle is a rate, measured by simulating cycles. A jump integrates the polynomial through the
last two rates over N cycles; two more cycles are then simulated, the second of which gives the rate at the other side,
and the jump is corrected by the polynomial through all three. One order less would have given something else: the
difference is the estimate of the error. It decides whether the jump holds, and how far the next one goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from celltwin.core import Array, PlantError, SettingsError

from .ageing import AgeingModel
from .ageing_state import AgeingState, film_resistance, lithium_loss, remaining_capacity
from .cell_model import CellModel
from .cycle_jump_file import CycleRun, load_run, save_run
from .cycle_jump_history import CycleHistory, CycleProgress, append_cycle, empty_history
from .cycle_jump_state import (
    PLATED,
    Rate,
    SlowState,
    close_inventory,
    integrate_rates,
    lithium_inventory,
    put_slow,
    take_slow,
)
from .engine_options import Drive
from .pack_engine import PackEngine

__all__ = ["Cycle", "run_cycles"]

Cycle = Callable[[PackEngine], object] | Sequence[tuple[Drive | float, float]]

_SETTLE = 1  # cycles between a jump and the one that is measured
_FIRST_JUMP = 4  # cycles
_GROWTH = 3.0  # of a jump over the one before, at most
_SAFETY = 0.8
_BASE = 0.2  # least distance of two rates over the jump that their slope is used for
_MINOR = 0.1  # states that change less than this share of the most changed one may err as if they had changed so much


def run_cycles(
    engine: PackEngine,
    cycle: Cycle,
    *,
    cycles: int,
    tolerance: float = 0.02,
    maximum_change: float = 0.05,
    maximum_jump: int = 1_000_000,
    end_capacity: float = 0.0,
    checkpoint: Path | None = None,
    stop: Callable[[CycleProgress], bool | None] | None = None,
) -> CycleHistory:
    """Age a pack over many cycles, most of which are jumped over.

    Parameters
    ----------
    engine : PackEngine
        With an ageing model; it is left as after the last cycle.
    cycle : callable or sequence of tuple
        Takes the engine through one cycle, such as a call of a function with calls of ``advance``; or what to drive
        it with and for how long [s], one after the other. It must leave the pack where it began, but for ageing.
    cycles : int
        Cycles to do, those of a run that is resumed included.
    tolerance : float
        Error that a jump would have over the change that it makes, for any cell and state, if it were integrated by
        one order less than it is [-]; the error that is left is far smaller. 0: no jumps.
    maximum_change : float
        Change of any cell's lithium or active material in one jump, over its capacity [-].
    maximum_jump : int
        Cycles in one jump, at most.
    end_capacity : float
        Capacity over that of the new cell at which the run ends with the first cell that reaches it [-].
    checkpoint : Path, optional
        File that the run is saved to after every jump, and resumed from where it exists.
    stop : callable, optional
        Shown the progress after every jump or cycle; True ends the run there.

    Returns
    -------
    CycleHistory
        Samples from the first cycle, also of what an earlier run with the same checkpoint did.

    Raises
    ------
    SettingsError
        If a number is out of range.
    PlantError
        If the engine does not age, or a cell leaves what its model can describe.

    References
    ----------
    .. [1] V. Sulzer et al., Accelerated battery lifetime simulations using adaptive inter-cycle extrapolation
       algorithm, J. Electrochem. Soc. 168 (2021) 120531.
    """
    for name, value, low, high in (
        ("cycles", cycles, 1, np.inf),
        ("tolerance", tolerance, 0.0, 0.5),
        ("maximum_change", maximum_change, 0.0, 0.5),
        ("maximum_jump", maximum_jump, 1, np.inf),
        ("end_capacity", end_capacity, 0.0, 1.0),
    ):
        if not (np.isfinite(value) and low <= value <= high):
            raise SettingsError(f"{name} = {value:g} must be between {low:g} and {high:g}", remedy="Correct it")
    run = None if checkpoint is None else load_run(checkpoint, engine)
    run = run or _begin(engine)
    while run.done < cycles:
        span = min(_furthest(engine, run, maximum_change), cycles - run.done - _SETTLE - 1, maximum_jump, run.jump)
        if tolerance > 0.0 and run.rates and span > _SETTLE + 1:
            run = _jump(engine, cycle, run, span, tolerance)
        else:
            run = replace(_simulate(engine, cycle, run), jump=max(run.jump, _FIRST_JUMP))
        if checkpoint is not None:
            save_run(checkpoint, engine, run)
        lowest = float((run.history.capacity[-1] / run.history.capacity[0]).min())
        jumps = np.flatnonzero(run.history.jump)
        progress = CycleProgress(
            cycle=run.done,
            cycles=cycles,
            simulated=run.simulated,
            jump=int(run.history.jump[jumps[-1]]) if jumps.size else 0,
            error=float(run.history.error[jumps[-1]]) if jumps.size else 0.0,
            lowest_capacity=lowest,
        )
        if (stop is not None and stop(progress)) or lowest <= end_capacity:
            break
    return run.history


def _begin(engine: PackEngine) -> CycleRun:
    slow = take_slow(engine.state())
    run = CycleRun(
        history=empty_history(engine.n_cells),
        done=0,
        simulated=0,
        jump=_FIRST_JUMP,
        rates=(),
        period=0.0,
        inventory=lithium_inventory(_ageing(engine), _cell(engine), slow, engine.read_cells("capacity_scale")),
        anchor=0,
        anchored=slow,
    )
    return _sampled(engine, run, slow, engine.time)


def _ageing(engine: PackEngine) -> AgeingModel:
    model = engine.options.ageing
    assert isinstance(model, AgeingModel)  # take_slow has refused engines without
    return model


def _cell(engine: PackEngine) -> CellModel:
    assert isinstance(engine.model, CellModel)  # no other ages
    return engine.model


def _perform(engine: PackEngine, cycle: Cycle) -> Array:
    """Simulate one cycle and return by what it aged the cells."""
    before = take_slow(engine.state())
    if callable(cycle):
        cycle(engine)
    else:
        for drive, duration in cycle:
            engine.advance(drive, duration)
    return take_slow(engine.state()).rows - before.rows


def _simulate(engine: PackEngine, cycle: Cycle, run: CycleRun) -> CycleRun:
    start = engine.time
    rate = Rate(run.done + 0.5, _perform(engine, cycle))
    first = run.done < _SETTLE  # the first cycle starts from anywhere
    after = take_slow(engine.state())
    run = replace(
        run,
        done=run.done + 1,
        simulated=run.simulated + 1,
        rates=() if first else (*run.rates, rate)[-2:],
        period=engine.time - start,
    )
    if first:
        run = replace(run, anchor=run.done, anchored=after)
    return _sampled(engine, run, after, engine.time)


def _jump(engine: PackEngine, cycle: Cycle, run: CycleRun, span: int, tolerance: float) -> CycleRun:
    """Jump, simulate two cycles, and correct; or go back and return the run with a shorter jump ahead."""
    saved = engine.state()
    origin, start, end = take_slow(saved), float(run.done), float(run.done + span)
    known = run.rates
    if len(known) == 2 and known[1].cycle - known[0].cycle < _BASE * span:
        known = known[1:]  # the slope between neighbours says nothing that far away
    follow = span / (run.done - run.anchor) if run.done - run.anchor >= _BASE * span else 0.0
    landed = _moved(engine, run, origin, integrate_rates(known, start, end), follow)
    engine.restore(put_slow(saved, landed, time=saved.time + span * run.period))
    simulated = run.simulated + _SETTLE + 1
    try:
        for _ in range(_SETTLE):
            _perform(engine, cycle)
        change = _perform(engine, cycle)
    except PlantError:
        engine.restore(saved)
        if span <= _FIRST_JUMP:
            raise
        return replace(run, jump=span // 4, simulated=simulated)
    rates = (*known, Rate(end + _SETTLE + 0.5, change))
    better = integrate_rates(rates, start, end)
    worse = integrate_rates(rates[1:] if len(rates) == 3 else known, start, end)
    error = _error(engine, run, origin, better, worse, follow)
    factor = _SAFETY * (tolerance / max(error, 1e-12)) ** (1.0 / (len(rates) - 1))
    if error > tolerance:
        engine.restore(saved)
        return replace(run, jump=int(span * min(factor, 0.5)), simulated=simulated)
    measured, time = take_slow(engine.state()), engine.time
    arrived = _moved(engine, run, origin, better, follow)
    rows = measured.rows + arrived.rows - landed.rows
    rows[PLATED] = measured.rows[PLATED]
    after = _closed(engine, run, replace(measured, rows=rows))
    engine.restore(put_slow(engine.state(), after, time=time))
    run = replace(run, done=run.done + span, simulated=simulated, anchor=run.done, anchored=origin)
    run = _sampled(engine, run, arrived, saved.time + span * run.period, span=span, error=error)
    run = replace(
        run,
        done=run.done + _SETTLE + 1,
        jump=max(_FIRST_JUMP, int(span * min(factor, _GROWTH))),
        rates=rates[-2:],
    )
    return _sampled(engine, run, after, time)


def _closed(engine: PackEngine, run: CycleRun, slow: SlowState) -> SlowState:
    scale = engine.read_cells("capacity_scale")
    return close_inventory(_ageing(engine), _cell(engine), slow, scale, run.inventory)


def _moved(engine: PackEngine, run: CycleRun, origin: SlowState, change: Array, follow: float) -> SlowState:
    """Return the slow state after a change of ageing; what follows moves as since the anchor, ``follow`` times."""
    rows = origin.rows + change
    rows[PLATED] = origin.rows[PLATED] + follow * (origin.rows[PLATED] - run.anchored.rows[PLATED])
    positive = origin.positive + follow * (origin.positive - run.anchored.positive)
    return _closed(engine, run, SlowState(rows, origin.negative, positive))


def _features(engine: PackEngine, slow: SlowState) -> Array:
    """Return what is kept small and exact: lithium lost, by place, and active material, over what was there [-]."""
    scale = engine.read_cells("capacity_scale")
    state = AgeingState.of(slow.rows)
    loss = lithium_loss(_ageing(engine), _cell(engine), state, scale)
    lithium = np.stack([loss.sei, loss.dead, loss.active_material]) / (engine.model.capacity * scale)
    return np.concatenate([lithium, np.stack([state.active_negative, state.active_positive])])


def _furthest(engine: PackEngine, run: CycleRun, maximum_change: float) -> int:
    """Return over how many cycles no cell changes by more than a share of its capacity."""
    if not run.rates:
        return 0
    slow = take_slow(engine.state())
    moved = _moved(engine, run, slow, run.rates[-1].change, 0.0)
    change = float(np.abs(_features(engine, moved) - _features(engine, slow)).max())
    return int(min(maximum_change / max(change, 1e-15), 1e9))


def _error(engine: PackEngine, run: CycleRun, origin: SlowState, better: Array, worse: Array, follow: float) -> float:
    begin = _features(engine, origin)
    one, other = (_features(engine, _moved(engine, run, origin, change, follow)) for change in (better, worse))
    change = np.abs(one - begin)
    change = np.maximum(change, _MINOR * change.max(axis=0))
    return float((np.abs(one - other) / np.maximum(change, 1e-15)).max())


def _sampled(
    engine: PackEngine, run: CycleRun, slow: SlowState, time: float, *, span: int = 0, error: float = 0.0
) -> CycleRun:
    model, cell, scale = _ageing(engine), _cell(engine), engine.read_cells("capacity_scale")
    state = AgeingState.of(slow.rows)
    loss = lithium_loss(model, cell, state, scale)
    history = append_cycle(
        run.history,
        cycle=run.done,
        time=time,
        jump=span,
        error=error,
        simulated=run.simulated,
        capacity=remaining_capacity(cell, state, loss, scale),
        resistance=film_resistance(model, cell, state, scale),
        sei_lithium=loss.sei,
        plated_lithium=loss.plated,
        dead_lithium=loss.dead,
        lost_lithium=loss.active_material,
        active_negative=state.active_negative,
        active_positive=state.active_positive,
    )
    return replace(run, history=history)
