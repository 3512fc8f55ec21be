"""Bench of the pack engine: the reference pack beside liionpack, packs from 280 to a million cells, time by kernel.

``--plots FOLDER`` says where the picture goes (default ``docs/images``). The first run makes an environment of 1 GB for
liionpack in the cache folder; ``--no-liionpack`` leaves it out.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import numpy as np

from celltwin.core import PackSpec
from celltwin.physics import load_cell_parameters
from tools.bench.environment import BenchEnvironmentError, prepare_environment
from tools.bench.figures import Figures, bench_parser
from tools.bench.pack_kernels import StepProfile, profile_step
from tools.bench.pack_liionpack import LiionpackTiming, time_liionpack
from tools.bench.pack_plots import plot_scaling
from tools.bench.pack_speed import (
    SizeTiming,
    build_engine,
    device_name,
    duty_current,
    reference_variation,
    time_size,
    time_windows,
)
from tools.bench.places import REPOSITORY, reference_pack

__all__ = ["Findings", "main", "run"]

CPU_TARGET, GPU_TARGET = 3e6, 5e8  # cell-steps a second
RATIO_TARGET = 1500.0
WINDOWS = 9
COPIES = (1, 10, 100)  # of the reference pack; one of its modules goes before
GPU_COPIES = 358  # a million cells and a few
STEPS = 6  # of liionpack


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What one run of the bench found.

    Attributes
    ----------
    figures : Figures
        All of it.
    notes : tuple of str
        What is no number: devices, limits, what was left out.
    sizes : tuple of SizeTiming
        Packs of all sizes on the CPU.
    profile : StepProfile
        A step of the reference pack, by kernel.
    liionpack : LiionpackTiming or None
        The fastest of liionpack's runs; None where it could not run.
    """

    figures: Figures
    notes: tuple[str, ...]
    sizes: tuple[SizeTiming, ...]
    profile: StepProfile
    liionpack: LiionpackTiming | None


def run(*, liionpack: bool = True, quick: bool = False) -> Findings:
    """Measure everything.

    Parameters
    ----------
    liionpack : bool
        Whether to run liionpack too.
    quick : bool
        Leave out the largest pack and take fewer windows.
    """
    import warp as wp

    from celltwin.physics.engine.launching import processor_threads

    wp.config.quiet = True
    wp.init()
    figures, notes = (
        Figures("pack"),
        [f"processor: threads that share a step: {processor_threads()}; Warp {wp.__version__}, float64"],
    )
    spec = reference_pack()
    _time_start(figures)
    rate, profile = _measure_reference(figures, spec, 3 if quick else WINDOWS)
    notes.append(f"a step of 2,800 cells is nearest to this limit: {profile.limit}")
    theirs = None
    if liionpack:
        try:
            theirs = _measure_liionpack(figures, spec, rate)
        except BenchEnvironmentError as error:
            notes.append(f"liionpack left out: {error}")
    sizes = _measure_sizes(figures, spec, COPIES[:-1] if quick else COPIES, 3 if quick else 5)
    if wp.is_cuda_available():
        notes.append(_measure_gpu(figures, spec))
    else:
        notes.append("no GPU here: a million cells on a GPU were not measured")
    return Findings(figures=figures, notes=tuple(notes), sizes=sizes, profile=profile, liionpack=theirs)


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__, pictures=True)
    parser.add_argument("--no-liionpack", action="store_true", help="leave out the comparison with liionpack")
    parser.add_argument("--quick", action="store_true", help="up to 28,000 cells, fewer windows, no picture")
    parser.add_argument("--first-step", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.first_step:
        print(_first_step())
        return 0
    found = run(liionpack=not options.no_liionpack, quick=options.quick)
    found.figures.show()
    for note in found.notes:
        print(note)
    if not options.quick:
        path = options.plots / "pack_scaling.png"
        plot_scaling(path, found.sizes, found.profile, found.liionpack, target=CPU_TARGET)
        print(f"drawn: {path}")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        content = found.figures.as_dict() | {"notes": list(found.notes)}
        options.json.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _time_start(figures: Figures) -> None:
    """Time the first step of a new process, with kernels to compile and with kernels compiled."""
    with tempfile.TemporaryDirectory() as folder:
        taken = [_run_first_step(folder) for _ in range(2)]
    figures.add("first step, kernels compiled by then", taken[1], "s")
    figures.add("first step, kernels to compile, once for a machine", taken[0], "s")


def _run_first_step(folder: str) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "tools.bench.pack", "--first-step"],
        cwd=REPOSITORY,
        env={**os.environ, "WARP_CACHE_PATH": folder, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"the first step failed with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return float(done.stdout.strip().splitlines()[-1])


def _first_step() -> float:
    """Return the time of the first step of this process, from a built network on [s]."""
    import warp as wp

    wp.config.quiet = True
    wp.init()
    spec = reference_pack()
    begun = time.perf_counter()
    build_engine(spec).advance(spec.capacity, 1.0)
    return time.perf_counter() - begun


def _measure_reference(figures: Figures, spec: PackSpec, windows: int) -> tuple[float, StepProfile]:
    engine = build_engine(spec)
    current = duty_current(spec)
    cpu = time.process_time()
    taken = time_windows(engine, current, windows)
    cpu = (time.process_time() - cpu) / (windows + 1)
    work = engine.n_cells * current.size
    median = work / float(np.median(taken))
    name = f"{engine.n_cells:,} cells, CPU"
    figures.add(f"{name}: cell-steps, median of {windows} windows", median, "1/s", target=CPU_TARGET, at_least=True)
    figures.add(f"{name}: cell-steps, worst window", work / float(taken.max()), "1/s")
    figures.add(f"{name}: cell-steps, best window", work / float(taken.min()), "1/s")
    figures.add(f"{name}: cell-steps for each second of processor time", work / cpu, "1/s")
    real_time = current.size / float(np.median(taken))
    figures.add(f"{name}: times real time", real_time, "1", target=1000.0, at_least=True)
    profile = profile_step(engine, current[: current.size // 2])
    figures.add("a step, Python and launches included, processor time", 1e6 * profile.step, "us")
    for kernel in profile.kernels:
        figures.add(f"of it {kernel.name}, {kernel.launches:.3g} launches", 1e6 * kernel.seconds, "us")
    figures.add("a launch of next to nothing", 1e6 * profile.launch, "us")
    figures.add("memory moved for each cell and step, at least", profile.moved / engine.n_cells, "B")
    share = profile.moved / profile.step / profile.bandwidth
    figures.add("share of what one thread can move in as much memory", 100.0 * share, "%")
    return median, profile


def _measure_liionpack(figures: Figures, spec: PackSpec, rate: float) -> LiionpackTiming:
    python = prepare_environment("liionpack")
    parameters = load_cell_parameters(spec.cell.parameter_set)
    variation = reference_variation(spec, soc=0.9)
    fastest = None
    for processes in (1, 2):
        found = time_liionpack(
            python, spec, parameters, variation, current=spec.capacity, steps=STEPS, processes=processes
        )
        figures.add(f"liionpack 0.4.0, SPM without heat, {processes} thread(s): a step", found.step, "s")
        figures.add(f"liionpack 0.4.0, SPM without heat, {processes} thread(s): cell-steps", found.rate, "1/s")
        if fastest is None or found.rate > fastest.rate:
            fastest = found
    assert fastest is not None
    figures.add("Celltwin over liionpack", rate / fastest.rate, "1", target=RATIO_TARGET, at_least=True)
    module = reference_pack(1)
    same = time_liionpack(
        python,
        module,
        parameters,
        reference_variation(module, soc=0.9),
        current=module.capacity,
        steps=2,
        model="SPMe",
        processes=2,
    )
    name = "liionpack 0.4.0, 280 cells, SPMe with a temperature each"
    figures.add(f"{name}: cell-steps", same.rate, "1/s")
    figures.add("Celltwin over liionpack, like models", rate / same.rate, "1")
    engine = build_engine(module, soc=0.9)
    ours = engine.advance(module.capacity, float(same.voltage.size - 1), sample_period=1.0)
    apart = np.abs(ours.pack_voltage[:, 0] - same.voltage[1:]).max() / module.n_groups
    figures.add("voltage of a group, liionpack less Celltwin, largest", 1e3 * float(apart), "mV")
    return fastest


def _measure_sizes(figures: Figures, spec: PackSpec, copies: tuple[int, ...], windows: int) -> tuple[SizeTiming, ...]:
    module = reference_pack(1)
    sizes = [time_size(module, copies=1, cell_steps=2e5, windows=windows)]
    sizes += [time_size(spec, copies=count, cell_steps=2e6, windows=windows, least_steps=10) for count in copies]
    for size in sizes:
        name = f"{size.n_cells:,} cells"
        figures.add(f"{name}: time of a cell and step, median", 1e9 * size.median, "ns")
        figures.add(f"{name}: time of a cell and step, worst", 1e9 * size.worst, "ns")
        figures.add(f"{name}: arrays for each cell", size.array_bytes, "B")
    for size in sizes[2:]:
        figures.add(f"{size.n_cells:,} cells: growth of the process for each cell", size.resident_bytes, "B")
    growth = max(after.median / before.median for before, after in itertools.pairwise(sizes))
    figures.add("time of a cell and step from one size to the next, worst growth", growth, "1", target=1.1)
    return tuple(sizes)


def _measure_gpu(figures: Figures, spec: PackSpec) -> str:
    device = "cuda:0"
    size = time_size(spec, copies=GPU_COPIES, cell_steps=1e8, windows=5, device=device)
    name = f"{size.n_cells:,} cells, {device_name(device)}"
    figures.add(f"{name}: cell-steps, median", 1.0 / size.median, "1/s", target=GPU_TARGET, at_least=True)
    figures.add(f"{name}: cell-steps, worst", 1.0 / size.worst, "1/s")
    figures.add(f"{name}: arrays for each cell", size.array_bytes, "B")
    engine = build_engine(spec, copies=GPU_COPIES, device=device)
    profile = profile_step(engine, duty_current(spec, 50))
    for kernel in profile.kernels:
        figures.add(f"{name}: {kernel.name}, {kernel.launches:.3g} launches", 1e6 * kernel.seconds, "us")
    figures.add(
        f"{name}: memory moved over a step and the bandwidth",
        100.0 * profile.moved / profile.step / profile.bandwidth,
        "%",
    )
    return f"GPU: {device_name(device)}; a step of {size.n_cells:,} cells is nearest to this limit: {profile.limit}"


if __name__ == "__main__":
    raise SystemExit(main())
