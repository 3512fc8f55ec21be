"""A simulated pack as its sensors see it, sound or broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import (
    Array,
    PackSpec,
    SampleBlock,
    Scenario,
    SensorFault,
    apply_sensor_faults,
    faulted_channels,
)

if TYPE_CHECKING:
    from celltwin.physics import ScenarioSample
    from celltwin.telemetry import AcceptedSamples

__all__ = ["SimulatedSensors"]

_MILLISECONDS = 1e3


class SimulatedSensors:
    """Read samples of a simulation through the sensors of its pack, with their noise and the scenario's sensor faults.

    Parameters
    ----------
    spec : PackSpec
        The pack; its data mappings say what is sent, and how.
    scenario : Scenario
        Its sensor faults and its seed.
    """

    def __init__(self, spec: PackSpec, scenario: Scenario) -> None:
        from celltwin.physics import group_channels, sensed_channels
        from celltwin.telemetry import Ingest

        self._spec, self._scenario, self._seed = spec, scenario, scenario.seed
        self._channels = sensed_channels(spec)
        self._groups = group_channels(self._channels)
        self._columns = tuple(channel.column for channel in self._channels)
        self._ingest = Ingest(spec)
        self._scale = np.array([channel.scale for channel in self._channels])
        self._offset = np.array([channel.offset for channel in self._channels])
        self._noise = np.array([channel.standard_uncertainty for channel in self._channels])
        self._held: Array | None = None

    def read(self, sample: ScenarioSample) -> AcceptedSamples:
        """Return what the sensors say of a sample, checked as telemetry is."""
        from celltwin.physics import plant_values

        true = plant_values(self._spec, self._channels, sample.block(), groups=self._groups)
        # Noise belongs to a time, so that a resumed run has that of one which was never interrupted.
        random = np.random.default_rng([self._seed, 1, round(sample.time * _MILLISECONDS)])
        noisy = true + self._noise * random.standard_normal(true.shape)
        block = SampleBlock(
            channels=self._columns,
            time=np.array([sample.time]),
            values=(noisy - self._offset) / self._scale,
            present=np.ones(true.shape, dtype=bool),
            origin=("simulation",),
        )
        block, self._held = apply_sensor_faults(
            block, self._scenario.faults, self._channels, self._spec, seed=self._seed, held=self._held
        )
        return self._ingest.accept([block])

    def state(self) -> dict[str, Any]:
        """Return what the next sample depends on as plain values; :meth:`restore` takes them."""
        return {"held": None if self._held is None else self._held.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        self._held = None if state["held"] is None else np.array(state["held"], dtype=np.float64)

    def entry(self) -> dict[str, Any]:
        """Return for the summary what was sent, what was not accepted, and what each sensor fault hit."""
        return {
            "channels": len(self._channels),
            "quarantined": dict(self._ingest.quarantine.counts),
            "sensor_faults": [
                {
                    "name": fault.title,
                    "what": fault.describe(),
                    "from_s": fault.at,
                    "until_s": fault.end if np.isfinite(fault.end) else None,
                    "channels": [
                        {"quantity": channel.quantity, "level": channel.level.value, "element": channel.element}
                        for channel in (
                            self._channels[place] for place in faulted_channels(fault, self._spec, self._channels)
                        )
                    ],
                }
                for fault in self._scenario.faults
                if isinstance(fault, SensorFault)
            ],
        }
