"""A window of telemetry of a running pack: one grid of time, and what its current can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from celltwin.core import SECONDS_PER_HOUR, Array, Channel, Kind, Level, PackSpec, PackState, SampleBlock, freeze

from ..measurements.curve import MeasuredCurve, MeasurementError

__all__ = [
    "Excitation",
    "TelemetryWindow",
    "WindowGrid",
    "assess_window",
    "grid_window",
    "window_of_blocks",
    "window_of_curves",
    "window_of_states",
]

_SUDDEN, _SPARSE = 5.0, 30.0  # time that a step of current takes, and largest one between samples that show it [s]
_KINDS = (Kind.MEASURED,)  # estimates would confirm themselves


@dataclass(frozen=True, kw_only=True, eq=False)
class TelemetryWindow:
    """What was measured of a pack's groups over some time.

    Attributes
    ----------
    time : ndarray of shape (n,)
        [s since the start of the run], strictly increasing.
    current : ndarray of shape (n, n_groups)
        Of a mean cell of each group [A], positive on discharge.
    voltage, temperature : ndarray of shape (n, n_groups)
        [V], [K]; not a number where nothing usable was measured.
    group_ids : tuple of str
        Names of the groups.
    source : str
        Where it comes from.
    """

    time: Array
    current: Array
    voltage: Array
    temperature: Array
    group_ids: tuple[str, ...]
    source: str = ""

    def __post_init__(self) -> None:
        """Check shapes and order, and make the arrays read-only."""
        shape = (self.time.size, len(self.group_ids))
        for name in ("current", "voltage", "temperature"):
            if getattr(self, name).shape != shape:
                raise MeasurementError(
                    f"{name} {getattr(self, name).shape} of the window, expected {shape}", where=self.source
                )
        if self.time.size < 2 or not np.all(np.diff(self.time) > 0.0):
            raise MeasurementError(
                "the window's times do not increase", where=self.source, remedy="Give at least two samples in order"
            )
        for name in ("time", "current", "voltage", "temperature"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @property
    def duration(self) -> float:
        """[s]."""
        return float(self.time[-1] - self.time[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowGrid:
    """A window on even steps, as a simulation takes it.

    Attributes
    ----------
    step : float
        [s].
    current : ndarray of shape (n_steps, n_groups)
        Mean over each step [A]: the charge of the window is kept.
    temperature : ndarray of shape (n_steps, n_groups)
        In the middle of each step [K].
    stride : int
        Steps from one voltage that is compared to the next.
    voltage : ndarray of shape (n_rows, n_groups)
        At the end of every ``stride`` steps [V].
    known : ndarray of bool of shape (n_rows, n_groups)
        Whether a voltage was measured near that time, and the current did not jump just then.
    start_voltage : ndarray of shape (n_groups,)
        First voltage [V].
    start_current : ndarray of shape (n_groups,)
        Current at that time [A].
    rested : bool
        Whether the window begins at rest.
    """

    step: float
    current: Array
    temperature: Array
    stride: int
    voltage: Array
    known: NDArray[np.bool_]
    start_voltage: Array
    start_current: Array
    rested: bool


@dataclass(frozen=True, kw_only=True)
class Excitation:
    """What a window can tell of a pack.

    Attributes
    ----------
    duration : float
        [s].
    swing : float
        Largest change of charge within it, over the nominal capacity [-].
    steps : int
        Sudden changes of current of at least a tenth of 1C.
    unknown : float
        Share of voltages that are missing [-].
    told : tuple of str
        Coordinates that the window moves.
    refusals : tuple of str
        Why nothing is fitted at all; empty where something is.
    """

    duration: float
    swing: float
    steps: int
    unknown: float
    told: tuple[str, ...]
    refusals: tuple[str, ...] = field(default=())


def assess_window(
    window: TelemetryWindow,
    capacity: float,
    *,
    shortest: float = 900.0,
    least_swing: float = 0.1,
    largest_gap: float = 60.0,
    most_unknown: float = 0.2,
) -> Excitation:
    """Return what a window can tell, or why it can tell nothing.

    Parameters
    ----------
    window : TelemetryWindow
        The window.
    capacity : float
        Nominal, of one cell [A.h].
    shortest : float
        Least duration [s].
    least_swing : float
        Least change of charge over the nominal capacity that tells capacities [-].
    largest_gap : float
        Between samples under current [s].
    most_unknown : float
        Largest share of missing voltages [-].
    """
    time, current = np.asarray(window.time), np.asarray(window.current)
    charge = np.concatenate(
        [
            np.zeros((1, current.shape[1])),
            np.cumsum(0.5 * (current[1:] + current[:-1]) * np.diff(time)[:, None], axis=0),
        ]
    )
    swing = float(np.min(charge.max(axis=0) - charge.min(axis=0))) / (capacity * SECONDS_PER_HOUR)
    mean = np.nan_to_num(current).mean(axis=1)
    after = np.arange(time.size)
    # Where samples lie further apart than a step may take, it shows between two of them.
    before = np.minimum(np.searchsorted(time, time - _SUDDEN), np.maximum(after - 1, 0))
    close = time - time[before] <= _SPARSE
    jumps = close & (np.abs(mean[after] - mean[before]) >= 0.1 * capacity)
    steps = int(np.count_nonzero(np.diff(np.concatenate([[False], jumps]).astype(np.int8)) == 1))
    unknown = float(np.mean(~np.isfinite(window.voltage)))
    gaps = np.diff(time)
    loaded = np.maximum(np.abs(mean[1:]), np.abs(mean[:-1])) > 0.02 * capacity
    worst = float(gaps[loaded].max(initial=0.0))
    refusals = []
    if window.duration < shortest:
        refusals.append(f"it lasts {window.duration:.0f} s; at least {shortest:.0f} s are needed")
    if not np.isfinite(current).all():
        refusals.append("a current is missing: the charge is unknown")
    if worst > largest_gap:
        refusals.append(f"{worst:.0f} s under current are missing; at most {largest_gap:.0f} s may be")
    if unknown > most_unknown:
        refusals.append(
            f"{100.0 * unknown:.0f} % of the voltages are missing; at most {100.0 * most_unknown:.0f} % may be"
        )
    if not np.isfinite(window.temperature).any(axis=0).all():
        refusals.append("a group has no temperature")
    told: list[str] = []
    if np.isfinite(swing) and swing >= least_swing:
        told += ["capacity", "diffusivity"]
    if steps >= 1:
        told.append("resistance")
    if not told and not refusals:
        refusals.append(
            f"its charge changes by {100.0 * swing:.1f} % of the capacity (at least {100.0 * least_swing:.0f} % are "
            "needed) and its current has no step of a tenth of 1C"
        )
    return Excitation(
        duration=window.duration,
        swing=swing,
        steps=steps,
        unknown=unknown,
        told=tuple(name for name in ("capacity", "resistance", "diffusivity") if name in told),
        refusals=tuple(refusals),
    )


def grid_window(
    window: TelemetryWindow, capacity: float, *, step: float = 1.0, most_steps: int = 1500, most_rows: int = 300
) -> WindowGrid:
    """Return a window on even steps.

    Parameters
    ----------
    window : TelemetryWindow
        The window.
    capacity : float
        Nominal, of one cell [A.h].
    step : float
        Least step [s]; whole multiples of it where the window would take too many.
    most_steps, most_rows : int
        Most steps, and most voltages that are compared.
    """
    time = np.asarray(window.time) - window.time[0]
    step = step * max(1.0, float(np.ceil(time[-1] / (step * most_steps))))
    stride = max(1, int(np.ceil(time[-1] / (step * most_rows))))
    count = stride * int(np.floor(time[-1] / (step * stride) + 1e-9))
    ends = step * np.arange(1, count + 1)
    edges = np.concatenate([[0.0], ends])
    current = np.empty((count, len(window.group_ids)))
    temperature = np.empty_like(current)
    rows = ends[stride - 1 :: stride]
    voltage = np.empty((rows.size, current.shape[1]))
    known = np.zeros(voltage.shape, dtype=bool)
    start_voltage = np.empty(current.shape[1])
    for group in range(current.shape[1]):
        flow = np.asarray(window.current)[:, group]
        charge = np.concatenate([[0.0], np.cumsum(0.5 * (flow[1:] + flow[:-1]) * np.diff(time))])
        current[:, group] = np.diff(np.interp(edges, time, charge)) / step
        measured = np.isfinite(window.voltage[:, group])
        at, values = time[measured], np.asarray(window.voltage)[measured, group]
        voltage[:, group] = np.interp(rows, at, values)
        near = np.clip(np.searchsorted(at, rows), 1, at.size - 1)
        steady = np.abs(current[stride - 1 :: stride, group] - np.interp(rows, time, flow)) < 0.05 * capacity
        known[:, group] = steady & (
            np.minimum(np.abs(at[near] - rows), np.abs(at[near - 1] - rows)) <= max(2.0 * step, 2.0)
        )
        start_voltage[group] = values[0]
        warm = np.isfinite(window.temperature[:, group])
        temperature[:, group] = np.interp(ends - 0.5 * step, time[warm], np.asarray(window.temperature)[warm, group])
    start = np.asarray(window.current)[0]
    return WindowGrid(
        step=step,
        current=current,
        temperature=temperature,
        stride=stride,
        voltage=voltage,
        known=known,
        start_voltage=start_voltage,
        start_current=start,
        rested=bool(np.all(np.abs(start) < 0.02 * capacity)),
    )


def window_of_states(states: Sequence[PackState], spec: PackSpec) -> TelemetryWindow:
    """Return the window of a run's process images: measured readings that are good, the others as missing.

    Parameters
    ----------
    states : sequence of PackState
        In order of time; two of one time count once.
    spec : PackSpec
        The pack.

    Raises
    ------
    MeasurementError
        If there are fewer than two times, or the pack's current or its groups' voltages were never measured.
    """
    rows: list[tuple[float, Array, Array, Array]] = []
    for state in states:
        if rows and state.time <= rows[-1][0]:
            continue
        current, voltage, temperature = (_reading(state, spec, name) for name in ("current", "voltage", "temperature"))
        rows.append((state.time, current, voltage, temperature))
    if len(rows) < 2:
        raise MeasurementError(f"{len(rows)} process images are no window", remedy="Give those of some minutes")
    currents, voltages, temperatures = (np.stack([row[place] for row in rows]) for place in (1, 2, 3))
    _require_measured(currents, voltages)
    return TelemetryWindow(
        time=np.array([row[0] for row in rows]),
        current=currents,
        voltage=voltages,
        temperature=temperatures,
        group_ids=spec.element_ids(Level.GROUP),
        source=f"telemetry of {spec.name}",
    )


def window_of_blocks(blocks: Sequence[SampleBlock], spec: PackSpec, channels: Sequence[Channel]) -> TelemetryWindow:
    """Return the window of blocks of samples, as a plant or a recording sends them.

    Parameters
    ----------
    blocks : sequence of SampleBlock
        In order of time.
    spec : PackSpec
        The pack.
    channels : sequence of Channel
        Of the blocks' columns, in their order.

    Raises
    ------
    MeasurementError
        If there are fewer than two times, or the pack's current or its groups' voltages were never measured.
    """
    time = np.concatenate([block.time for block in blocks])
    scale = np.array([channel.scale for channel in channels])
    offset = np.array([channel.offset for channel in channels])
    values = np.concatenate([np.where(block.present, block.values, np.nan) for block in blocks]) * scale + offset
    kept = np.concatenate([[True], np.diff(time) > 0.0])
    found = {}
    for quantity in ("current", "voltage", "temperature"):
        found[quantity] = np.full((time.size, spec.n_groups), np.nan)
        for level in GROUP_LEVELS[quantity]:
            columns = [place for place, item in enumerate(channels) if (item.quantity, item.level) == (quantity, level)]
            elements = [channels[place].element for place in columns]
            if len(columns) == spec.size(level):
                ordered = np.empty((time.size, len(columns)))
                ordered[:, elements] = values[:, columns]
                found[quantity] = over_groups(ordered, quantity, level, spec)
                break
    _require_measured(found["current"], found["voltage"])
    return TelemetryWindow(
        time=time[kept],
        **{name: rows[kept] for name, rows in found.items()},
        group_ids=spec.element_ids(Level.GROUP),
        source=f"samples of {spec.name}",
    )


def window_of_curves(curves: Sequence[MeasuredCurve], names: Sequence[str], *, parallel: int = 1) -> TelemetryWindow:
    """Return the window of recorded curves, one a group, that were taken at the same time.

    Parameters
    ----------
    curves : sequence of MeasuredCurve
        Their current is the group's.
    names : sequence of str
        Of the groups.
    parallel : int
        Cells in a group.

    Raises
    ------
    MeasurementError
        If the curves have other times.
    """
    first = curves[0]
    for curve, name in zip(curves, names, strict=True):
        if curve.time.shape != first.time.shape or not np.allclose(curve.time, first.time, atol=1e-6):
            raise MeasurementError(
                f"{name} was not recorded at the times of {names[0]}", where=curve.source.path, remedy="Give one record"
            )
    return TelemetryWindow(
        time=np.asarray(first.time),
        current=np.stack([curve.current for curve in curves], axis=1) / parallel,
        voltage=np.stack([np.where(curve.scored, curve.voltage, np.nan) for curve in curves], axis=1),
        temperature=np.stack(
            [curve.ambient if curve.temperature is None else curve.temperature for curve in curves], axis=1
        ),
        group_ids=tuple(names),
        source=first.source.path,
    )


GROUP_LEVELS: dict[str, tuple[Level, ...]] = {
    "current": (Level.GROUP, Level.MODULE, Level.PACK),
    "voltage": (Level.GROUP,),
    "temperature": (Level.GROUP, Level.CELL, Level.MODULE, Level.PACK),
}


def _reading(state: PackState, spec: PackSpec, quantity: str) -> Array:
    for level in GROUP_LEVELS[quantity]:
        for kind in _KINDS:
            reading = state.get(kind, quantity, level)
            if reading is not None and reading.usable().any():
                values = np.where(reading.usable(), reading.values, np.nan)
                return np.asarray(over_groups(values[np.newaxis], quantity, level, spec)[0])
    return np.full(spec.n_groups, np.nan)


def over_groups(values: Array, quantity: str, level: Level, spec: PackSpec) -> Array:
    """Return values of elements, shape (n, n_elements), as those of groups; currents as those of a mean cell."""
    size = values.shape[1]
    if size >= spec.n_groups:
        grouped = values.reshape(len(values), spec.n_groups, -1)
        count = np.isfinite(grouped).sum(axis=2)
        total = np.nan_to_num(grouped).sum(axis=2)
        groups = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    else:
        groups = np.repeat(values, spec.n_groups // size, axis=1)
    if quantity != "current":
        return groups
    cells = spec.parallel * (spec.strings if level is Level.PACK else 1)
    return np.asarray(groups / cells)


def _require_measured(current: Array, voltage: Array) -> None:
    for name, values in (("current of the pack", current), ("voltage of the groups", voltage)):
        if not np.isfinite(values).any():
            raise MeasurementError(
                f"the {name} was never measured in the window", remedy="Map its channel in the pack's declaration"
            )
