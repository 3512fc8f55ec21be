"""Where a step of the engine spends its time, kernel by kernel, and which limit of the machine each is near."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array
from tools.bench.pack_speed import array_bytes

if TYPE_CHECKING:
    from celltwin.physics.engine import PackEngine
    from celltwin.physics.engine.launching import RecordedLaunch

__all__ = ["KernelTime", "StepProfile", "measure_bandwidth", "profile_step"]

NEAR = 0.5  # share of the bandwidth, or of the time, from which a limit is called near


@dataclass(frozen=True, kw_only=True)
class KernelTime:
    """One kernel.

    Attributes
    ----------
    name : str
        Of the kernel.
    launches : float
        For each step.
    seconds : float
        For each step [s].
    bytes : float
        Of the arrays that it is given, for each step: what it moves if it touches each once.
    """

    name: str
    launches: float
    seconds: float
    bytes: float


@dataclass(frozen=True, kw_only=True)
class StepProfile:
    """A whole step.

    Attributes
    ----------
    kernels : tuple of KernelTime
        Slowest first.
    step : float
        Time of a step, Python and launches included [s]; on a CPU, of all threads together.
    launch : float
        Time of one launch of next to nothing [s].
    bandwidth : float
        That copies within as much memory as the engine's arrays reach, from caches where they fit [B/s].
    """

    kernels: tuple[KernelTime, ...]
    step: float
    launch: float
    bandwidth: float

    @property
    def moved(self) -> float:
        """Bytes of all kernels for each step."""
        return sum(kernel.bytes for kernel in self.kernels)

    @property
    def limit(self) -> str:
        """The limit that the step is nearest to: launches, bytes, or neither and so arithmetic."""
        launching = self.launch * sum(kernel.launches for kernel in self.kernels)
        inside = sum(kernel.seconds for kernel in self.kernels)
        outside = max(launching, self.step - inside + launching)
        if outside > NEAR * self.step:
            return "launches"
        return "bytes" if self.moved / self.bandwidth > NEAR * self.step else "arithmetic"


def profile_step(engine: PackEngine, current: Array) -> StepProfile:
    """Take apart the steps of a duty.

    Parameters
    ----------
    engine : PackEngine
        Any engine; it moves on.
    current : ndarray of shape (n_steps,)
        The duty [A].
    """
    from celltwin.physics.engine import Drive

    step = engine.options.step
    drive = Drive(values=current)
    on_cpu = engine.device == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter  # what other programs do is left out
    engine.advance(drive, step * current.size)
    begun = clock()
    engine.advance(drive, step * current.size)
    whole = (clock() - begun) / current.size
    with _counted_launches(engine, timed=on_cpu) as counted:
        times = {} if on_cpu else _device_times(engine, drive, step * current.size)
        if on_cpu:
            engine.advance(drive, step * current.size)
    kernels = []
    for name, (launches, seconds, moved) in counted.items():
        if not launches:
            continue  # recorded, and never needed
        taken = seconds if on_cpu else times.get(name, 0.0)
        kernels.append(
            KernelTime(
                name=name,
                launches=launches / current.size,
                seconds=taken / current.size,
                bytes=moved / current.size,
            )
        )
    return StepProfile(
        kernels=tuple(sorted(kernels, key=lambda kernel: -kernel.seconds)),
        step=whole,
        launch=_launch_time(engine.device),
        bandwidth=measure_bandwidth(engine.device, array_bytes(engine)),
    )


def measure_bandwidth(device: str, size: int) -> float:
    """Return the bytes a second that copies within a working set of some bytes read and write.

    Parameters
    ----------
    device : str
        Warp's name of the device; one thread of a CPU.
    size : int
        Bytes of the working set: what fits into a cache is copied there.
    """
    import warp as wp

    count = max(1024, size // 16)
    source, target = (wp.full(count, 1.0, dtype=wp.float64, device=device) for _ in range(2))
    repeats = max(1, int(1e8) // (16 * count))
    on_cpu = wp.get_device(device).is_cpu
    clock = time.thread_time if on_cpu else time.perf_counter
    best = np.inf
    for _ in range(5):
        wp.synchronize_device(device)
        begun = clock()
        for _ in range(repeats):
            wp.copy(target, source)
        wp.synchronize_device(device)
        best = min(best, clock() - begun)
    return float(repeats * 16 * count / best)


@contextmanager
def _counted_launches(engine: PackEngine, *, timed: bool) -> Iterator[dict[str, list[float]]]:
    """Count every repeated launch, its time where it ends with the call, and its arrays, by the kernel's name."""
    counted: dict[str, list[float]] = {}
    recorded = list(engine.steps.launches())
    plain = [launch.launch for launch in recorded]

    def counting(launch: RecordedLaunch) -> Callable[[], None]:
        entry = counted.setdefault(launch.kernel.key.rsplit("__", 1)[-1], [0.0, 0.0, 0.0])
        moved, native = _bytes(getattr(launch.command, "fwd_args", None) or ()), launch.launch

        def launch_and_count() -> None:
            begun = time.thread_time()
            native()
            entry[0] += 1.0
            entry[1] += time.thread_time() - begun if timed else 0.0
            entry[2] += moved

        return launch_and_count

    for launch in recorded:
        launch.launch = counting(launch)
    try:
        yield counted
    finally:
        for launch, native in zip(recorded, plain, strict=True):
            launch.launch = native


def _bytes(arguments: Any) -> float:
    import warp as wp

    memory = {
        value.ptr: float(value.size) * wp.types.type_size_in_bytes(value.dtype)
        for value in arguments
        if isinstance(value, wp.array) and value.ptr
    }
    return float(sum(memory.values()))


def _device_times(engine: PackEngine, drive: Any, duration: float) -> dict[str, float]:
    """Return the seconds of each kernel on a GPU over a time of the twin."""
    import warp as wp

    wp.timing_begin(cuda_filter=wp.TIMING_KERNEL)
    engine.advance(drive, duration)
    times: dict[str, float] = {}
    for result in wp.timing_end(synchronize=True):
        name = result.name.split("forward kernel ")[-1].rsplit("__", 1)[-1]
        times[name] = times.get(name, 0.0) + 1e-3 * result.elapsed
    return times


def _launch_time(device: str) -> float:
    """Return the time of a launch that does next to nothing, repeated as the engine repeats its own [s]."""
    import warp as wp

    command = wp.launch(_touch_kernel(), dim=1, inputs=[wp.zeros(1, device=device)], device=device, record_cmd=True)
    command.launch()
    wp.synchronize_device(device)
    count = 2000
    begun = time.perf_counter()
    for _ in range(count):
        command.launch()
    wp.synchronize_device(device)
    return (time.perf_counter() - begun) / count


def _touch_kernel() -> Any:
    import warp as wp

    def touch(values: Any) -> None:
        values[0] = 1.0

    touch.__annotations__ = {"values": wp.array(dtype=float)}
    return wp.Kernel(touch, key="touch", module=wp.get_module("tools.bench.pack_kernels"))
