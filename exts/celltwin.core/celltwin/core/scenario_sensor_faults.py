"""What broken sensors make of samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, freeze
from .channels import Channel
from .interfaces import SampleBlock
from .pack_spec import PackSpec
from .quantities import Level
from .scenario_faults import (
    ScenarioFault,
    SensorBias,
    SensorDropout,
    SensorFault,
    SensorFreeze,
    SensorNoise,
    find_cells,
)

__all__ = ["apply_sensor_faults", "faulted_channels"]

_MICROSECONDS = 1e6


@dataclass(frozen=True, kw_only=True, eq=False)
class _Hit:
    """A fault and the columns of a block that it hits."""

    fault: SensorFault
    number: int
    columns: NDArray[np.int64]


def faulted_channels(fault: SensorFault, spec: PackSpec, channels: tuple[Channel, ...]) -> NDArray[np.int64]:
    """Return the places of the channels that a sensor fault hits: those of its quantity, sensor and target."""
    hit = np.zeros(spec.n_cells, dtype=bool)
    hit[find_cells(fault.target, spec)] = True
    found = []
    for place, channel in enumerate(channels):
        if fault.quantity not in ("", channel.quantity) or fault.sensor not in ("", channel.sensor):
            continue
        share = spec.n_cells // spec.size(channel.level)
        inside = hit[channel.element * share : (channel.element + 1) * share]
        # What stands for many cells is hit where all of them are named.
        if inside.all() if channel.level is not Level.CELL else inside[0]:
            found.append(place)
    return np.array(found, dtype=np.int64)


def apply_sensor_faults(
    block: SampleBlock,
    faults: tuple[ScenarioFault, ...],
    channels: tuple[Channel, ...],
    spec: PackSpec,
    *,
    seed: int,
    held: Array | None = None,
) -> tuple[SampleBlock, Array]:
    """Return samples as broken sensors send them.

    What is random depends on seed, fault and time of the sample only, not on how samples are cut into blocks.

    Parameters
    ----------
    block : SampleBlock
        Samples of sound sensors, as sent.
    faults : tuple of ScenarioFault
        All faults of a scenario; others than sensor faults are left out.
    channels : tuple of Channel
        Of the block's columns.
    spec : PackSpec
        The pack.
    seed : int
        Seed.
    held : ndarray of shape (n_channels,), optional
        What this function returned for the block before; a sensor that freezes shows it.

    Returns
    -------
    SampleBlock
        The samples with the faults.
    ndarray of shape (n_channels,)
        The newest values of sound sensors, as sent, to be given with the next block.
    """
    held = np.full(len(channels), np.nan) if held is None else held.copy()
    first, last = (block.time.min(), block.time.max()) if block.time.size else (0.0, 0.0)
    hits = [
        _Hit(fault=fault, number=number, columns=faulted_channels(fault, spec, channels))
        for number, fault in enumerate(faults)
        if isinstance(fault, SensorFault) and fault.at <= last and first < fault.end
    ]
    values, present = block.values.copy(), block.present.copy()
    scale = np.array([channel.scale for channel in channels])
    for row, time in enumerate(block.time):
        frozen = np.zeros(len(channels), dtype=bool)
        for hit in hits:
            if not hit.fault.at <= time < hit.fault.end or hit.columns.size == 0:
                continue
            columns = hit.columns
            random = np.random.Generator(
                np.random.Philox(key=[seed, hit.number], counter=[0, 0, 0, round(float(time) * _MICROSECONDS)])
            )
            if isinstance(hit.fault, SensorBias):
                values[row, columns] += hit.fault.offset / scale[columns]
            elif isinstance(hit.fault, SensorNoise):
                values[row, columns] += hit.fault.deviation * random.standard_normal(columns.size) / scale[columns]
            elif isinstance(hit.fault, SensorFreeze):
                known = np.isfinite(held[columns])
                values[row, columns[known]] = held[columns[known]]
                frozen[columns] = known
            elif isinstance(hit.fault, SensorDropout):
                lost = columns[random.random(columns.size) < hit.fault.share]
                values[row, lost], present[row, lost] = np.nan, False
        sound = ~frozen & np.isfinite(block.values[row])
        held[sound] = block.values[row, sound]
    return replace(block, values=values, present=present), freeze(held)
