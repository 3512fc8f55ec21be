"""The simulated pack as a plant: samples as a battery management system would send them, commands in."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from celltwin.core import (
    Array,
    BackgroundWorker,
    CelltwinError,
    Channel,
    Command,
    Level,
    PackSpec,
    PlantError,
    SampleBlock,
    Scenario,
    apply_sensor_faults,
    expand_channels,
)

from .pack_simulation import PlantBlock, rest_block
from .pack_variation import PackVariation, draw_variation
from .parameters import load_cell_parameters

__all__ = ["PlantTruth", "SimulatedPlant", "group_channels", "plant_values", "sensed_channels"]

_logger = logging.getLogger(__name__)

_LONGEST_PERIOD, _SHORTEST_PERIOD = 10.0, 1.0  # of samples [s]


@dataclass(frozen=True, kw_only=True, eq=False)
class PlantTruth:
    """What is true of the simulated plant, and unknown to the twin; for reports only.

    Attributes
    ----------
    variation : PackVariation
        Capacity, resistance and state of health of every cell, and the weak groups.
    time : float
        Time of the newest sample [s].
    soc, temperature, current : ndarray of shape (n_cells,)
        State of charge [-], temperature [K] and current [A] of every cell then.
    limited : tuple of str
        Why the newest current was less than asked for.
    provenance : str
        Model, parameter hash and seed.
    """

    variation: PackVariation
    time: float
    soc: Array
    temperature: Array
    current: Array
    limited: tuple[str, ...]
    provenance: str

    @property
    def soh(self) -> Array:
        """True state of health of every cell [-], shape (n_cells,)."""
        return self.variation.soh


class SimulatedPlant:
    """The pack engine in a worker process, seen through the sensors of a pack's specification.

    The first sample is the pack at rest, without waiting for the worker. Then one block of ``block_duration`` is
    simulated at a time, under the newest command: a command is answered within one block.

    Parameters
    ----------
    spec : PackSpec
        The pack; its data mappings say what is sent, and how.
    seed : int
        Seed of the cells' differences and of the sensors' noise.
    fidelity : {"SPMe", "DFN", "ECM"}
        Model of a cell.
    initial_soc : float
        Mean state of charge at the start [-].
    capacity_spread, resistance_spread, soc_spread, ageing, weak_groups
        See :func:`draw_variation`; the distribution of cells is the one that the pack names.
    block_duration : float
        Time simulated at once [s].
    sample_period : float, optional
        Time between samples [s]; that of the fastest data mapping, between 1 and 10 s, where absent.
    scenario : Scenario, optional
        Gives the temperature at the start, the surroundings, and the faults of pack and sensors; what is asked of the
        pack comes by commands. None: the surroundings of the design, and nothing breaks.
    variation : PackVariation, optional
        How the cells differ, such as :func:`celltwin.physics.calibration.vary_pack` draws them, in place of what
        ``initial_soc`` and the spreads describe.

    Raises
    ------
    ModelError, SettingsError, SpecError
        If the cell's parameters are unknown, a number is out of bounds, or the scenario does not fit the pack.
    """

    def __init__(
        self,
        spec: PackSpec,
        *,
        seed: int = 0,
        fidelity: str = "SPMe",
        initial_soc: float = 0.95,
        capacity_spread: float | None = None,
        resistance_spread: float | None = None,
        soc_spread: float = 0.003,
        ageing: float = 1.0,
        weak_groups: int | None = None,
        block_duration: float = 60.0,
        sample_period: float | None = None,
        scenario: Scenario | None = None,
        variation: PackVariation | None = None,
    ) -> None:
        from .calibration.cell_population_distribution import pack_distribution

        parameters = load_cell_parameters(spec.cell.parameter_set)
        if variation is None:
            variation = draw_variation(
                spec,
                parameters,
                seed=seed,
                initial_soc=initial_soc,
                capacity_spread=capacity_spread,
                resistance_spread=resistance_spread,
                soc_spread=soc_spread,
                ageing=ageing,
                weak_groups=weak_groups,
                distribution=pack_distribution(spec),
            )
        self._sensed = sensed_channels(spec)
        rates = [channel.rate for channel in self._sensed]
        fastest = 1.0 / max(rates) if rates else _LONGEST_PERIOD
        self._period = sample_period or float(np.clip(fastest, _SHORTEST_PERIOD, _LONGEST_PERIOD))
        self._duration = block_duration
        self._spec = spec
        self._random = np.random.default_rng([seed, 1])
        self._columns = tuple(channel.column for channel in self._sensed)
        self._scale = np.array([channel.scale for channel in self._sensed])
        self._offset = np.array([channel.offset for channel in self._sensed])
        self._noise = np.array([channel.standard_uncertainty for channel in self._sensed])
        self._provenance = f"simulated plant {fidelity} {parameters.name}@{parameters.hash} seed {seed}" + (
            f" cells drawn from {variation.distribution}" if variation.distribution else ""
        )
        self._command = Command(
            time=0.0,
            pack_current=0.0,
            coolant_flow=np.full(spec.n_modules, spec.cooling.flow),
            balancing_current=np.zeros(spec.n_groups),
            origin="duty",
        )
        self._seed = seed
        self._faults = () if scenario is None else scenario.faults
        self._sound: Array | None = None  # newest values of sound sensors, as sent
        first = rest_block(spec, parameters, variation, scenario)
        self._truth = PlantTruth(
            variation=variation,
            time=0.0,
            soc=first.cell_soc[-1],
            temperature=first.cell_temperature[-1],
            current=first.cell_current[-1],
            limited=(),
            provenance=self._provenance,
        )
        self._held: list[SampleBlock] = []
        self._end = 0.0  # time of the newest sample that the worker has given [s]
        self._pending: Future[PlantBlock] | None = None
        self._ended = False
        self._hold(first)
        self._worker = BackgroundWorker(
            "celltwin.physics.pack_simulation:PackSimulation", spec, variation, fidelity=fidelity, scenario=scenario
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """Columns that it delivers."""
        return self._columns

    @property
    def finished(self) -> bool:
        """Whether nothing more will come: after :meth:`close`, or after a failure."""
        return self._ended and not self._held

    @property
    def truth(self) -> PlantTruth:
        """The true state of the simulated plant at its newest sample."""
        return self._truth

    @property
    def provenance(self) -> str:
        """Model, parameter hash and seed."""
        return self._provenance

    def command(self, command: Command) -> None:
        """Hand over the set-points for the time that comes next.

        Raises
        ------
        PlantError
            If they do not fit the pack.
        """
        flows, groups = np.shape(command.coolant_flow), np.shape(command.balancing_current)
        if flows != (self._spec.n_modules,) or groups != (self._spec.n_groups,):
            raise PlantError(
                f"the command's shapes {flows} and {groups} do not fit a pack of {self._spec.n_modules} modules and "
                f"{self._spec.n_groups} groups",
                remedy="Give one coolant flow a module and one balancing current a group",
            )
        self._command = command
        if command.time >= self._end - 1e-6:
            self._request()

    def read(self, until: float) -> list[SampleBlock]:
        """Return without waiting the samples up to a time [s since the start of the run].

        Raises
        ------
        PlantError
            Once, if the simulation failed or its worker has died; nothing comes after that.
        """
        self._collect()
        ready, later = [], []
        for block in self._held:
            count = int(np.searchsorted(block.time, until, side="right"))
            if count == block.time.size:
                ready.append(block)
                continue
            if count:
                ready.append(block.rows(0, count))
            later.append(block.rows(count, block.time.size))
        self._held = later
        # Whoever asks again without a command of his own gets more of the same.
        if not ready and not later and until > self._end:
            self._request()
        return ready

    def close(self) -> None:
        """End the worker; a second call does nothing."""
        if not self._ended:
            _logger.debug("the simulated plant is closed at %.0f s", self._end)
        self._ended = True
        self._held = []
        self._pending = None
        self._worker.close()

    def _request(self) -> None:
        if self._ended or self._pending is not None:
            return
        try:
            self._pending = self._worker.submit("advance", self._command, self._duration, self._period)
        except BrokenProcessPool as error:
            failed: Future[PlantBlock] = Future()
            failed.set_exception(error)
            self._pending = failed

    def _collect(self) -> None:
        if self._pending is None or not self._pending.done():
            return
        pending, self._pending = self._pending, None
        try:
            block = pending.result()
        except BrokenProcessPool:
            self._ended = True
            started = self._worker.started
            cause = started.exception() if started.done() and not started.cancelled() else None
            raise PlantError(
                f"the simulated plant's worker process has died after {self._end:.0f} s of simulated time"
                + (f" ({cause})" if cause is not None and not isinstance(cause, BrokenProcessPool) else ""),
                remedy="Start the run again; if it dies again, look for a lack of memory",
            ) from None
        except CelltwinError:
            self._ended = True
            raise
        except Exception as error:
            self._ended = True
            started = self._worker.started
            cause = started.exception() if started.done() and not started.cancelled() else None
            if isinstance(cause, CelltwinError):
                raise cause from None
            raise PlantError(
                f"the simulated plant failed at {self._end:.0f} s: {cause or error!r}",
                remedy="Run with a smaller pack to see whether the cell's parameters are at fault",
            ) from error
        self._hold(block)
        self._end = float(block.time[-1])
        self._truth = replace(
            self._truth,
            time=self._end,
            soc=block.cell_soc[-1],
            temperature=block.cell_temperature[-1],
            current=block.cell_current[-1],
            limited=block.limited,
        )

    def _hold(self, block: PlantBlock) -> None:
        true = plant_values(self._spec, self._sensed, block)
        noisy = true + self._noise * self._random.standard_normal(true.shape)
        sent = SampleBlock(
            channels=self._columns,
            time=block.time,
            values=(noisy - self._offset) / self._scale,
            present=np.ones(true.shape, dtype=bool),
            origin=(self._provenance,),
        )
        if self._faults:
            sent, self._sound = apply_sensor_faults(
                sent, self._faults, self._sensed, self._spec, seed=self._seed, held=self._sound
            )
        self._held.append(sent)


def sensed_channels(spec: PackSpec) -> tuple[Channel, ...]:
    """Return the incoming channels of a pack that a simulation has values for; the others are logged as silent."""
    known = tuple(channel for channel in expand_channels(spec) if channel.direction == "in")
    for quantity, level in sorted({(channel.quantity, channel.level) for channel in known} - _SENSED):
        _logger.warning("the simulated plant has no %s of a %s: those channels stay silent", quantity, level)
    return tuple(channel for channel in known if (channel.quantity, channel.level) in _SENSED)


type ChannelGroups = tuple[tuple[str, Level, NDArray[np.int64], NDArray[np.int64]], ...]


def group_channels(channels: tuple[Channel, ...]) -> ChannelGroups:
    """Return quantity, level, columns and elements of the channels that are read together."""
    places: dict[tuple[str, Level], tuple[list[int], list[int]]] = {}
    for place, channel in enumerate(channels):
        columns, elements = places.setdefault((channel.quantity, channel.level), ([], []))
        columns.append(place)
        elements.append(channel.element)
    return tuple(
        (quantity, level, np.array(columns, dtype=np.int64), np.array(elements, dtype=np.int64))
        for (quantity, level), (columns, elements) in places.items()
    )


def plant_values(
    spec: PackSpec, channels: tuple[Channel, ...], block: PlantBlock, *, groups: ChannelGroups | None = None
) -> Array:
    """Return the true values [SI] of channels.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    channels : tuple of Channel
        What to read.
    block : PlantBlock
        What the pack did.
    groups : tuple, optional
        What :func:`group_channels` returns of the channels, for those who read them often.

    Returns
    -------
    ndarray of shape (n_steps, n_channels)
    """
    values = np.empty((block.time.size, len(channels)))
    for quantity, level, columns, elements in groups or group_channels(channels):
        values[:, columns] = _of_level(spec, quantity, level, block)[:, elements]
    return values


_SENSED = frozenset(
    {(quantity, level) for quantity in ("voltage", "current", "temperature") for level in Level}
    | {("coolant_temperature", Level.MODULE), ("coolant_flow", Level.MODULE)}
    | {("coolant_temperature", Level.PACK), ("balancing_current", Level.GROUP), ("power", Level.PACK)}
)


def _of_level(spec: PackSpec, quantity: str, level: Level, block: PlantBlock) -> NDArray[np.float64]:
    steps, size = block.time.size, spec.size(level)
    if quantity == "voltage":
        if level is Level.PACK:
            return block.pack_voltage[:, np.newaxis]
        if level is Level.MODULE:
            return block.group_voltage.reshape(steps, spec.n_modules, spec.series).sum(axis=2)
        return block.group_voltage if level is Level.GROUP else np.repeat(block.group_voltage, spec.parallel, axis=1)
    if quantity == "current":
        if level is Level.CELL:
            return block.cell_current
        groups = block.cell_current.reshape(steps, spec.n_groups, spec.parallel).sum(axis=2)
        if level is Level.GROUP:
            return groups
        if level is Level.MODULE:  # what passes the module, without what balancing draws from its groups
            return (groups - block.balancing_current).reshape(steps, size, -1).mean(axis=2)
        return block.pack_current[:, np.newaxis]
    if quantity == "temperature":
        return block.cell_temperature.reshape(steps, size, -1).mean(axis=2)
    if quantity == "coolant_temperature":
        outlets = block.coolant_temperature
        return outlets if level is Level.MODULE else outlets.mean(axis=1, keepdims=True)
    if quantity == "coolant_flow":
        return block.coolant_flow
    if quantity == "balancing_current":
        return block.balancing_current
    return (block.pack_voltage * block.pack_current)[:, np.newaxis]
