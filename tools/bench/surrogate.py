"""Bench of the DFN's surrogate: held-out profiles of other kinds, speed for 2,800 cells, what its parts bring.

Simulations lie in ``out/surrogate_campaign`` and are made where they are missing (half an hour on two cores);
``--quick`` makes 8 of them and leaves the seeds and the ablation out; ``--parts`` chooses.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from celltwin.core import Array
from celltwin.prognosis.surrogate import (
    HELD_OUT_KINDS,
    CampaignSet,
    CampaignSettings,
    CellInputs,
    CellSurrogate,
    RunErrors,
    SurrogateSettings,
    cell_tensors,
    load_campaign,
    run_campaign,
    score_surrogate,
)
from celltwin.prognosis.surrogate.dfn_reference import simulate_course
from celltwin.prognosis.surrogate.profiles import PERIOD, CurrentCourse
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.places import REPOSITORY

__all__ = ["run"]

SEEDS = (1, 2, 3, 4, 5)
CELLS, STEPS = 2800, 360
# What was tried on validation profiles: width, layers, weight of the residual of diffusion. Before them, prototypes
# of the same states and laws: with the diffusivity taken elsewhere in the particle, with two further filters, and
# without what keeps a cell at rest at its open-circuit voltage, and with another floor under empty surfaces.
TRIED = ((16, 2, 0.0), (16, 2, 0.03), (16, 2, 0.1), (24, 2, 0.0), (16, 1, 0.0))
PROTOTYPES = 7
REPEATS = 9
PARTS = ("accuracy", "speed", "picture", "seeds", "ablation")
QUICK = PARTS[:3]


def run(campaign: Path, plots: Path, *, parts: tuple[str, ...] = PARTS, quick: bool = False) -> Figures:
    """Measure the shipped surrogate, then seeds and parts of it.

    Parameters
    ----------
    campaign : Path
        Folder of simulations.
    plots : Path
        Folder for pictures.
    parts : tuple of str
        Which of :data:`PARTS`.
    quick : bool
        Whether 8 held-out simulations are enough, and parts that train are left out.
    """
    figures = Figures("surrogate")
    settings = CampaignSettings(held_out=8) if quick else CampaignSettings()
    chosen = tuple(part for part in (QUICK if quick else PARTS) if part in parts)
    training = any(part in chosen for part in ("seeds", "ablation"))
    run_campaign(campaign, settings, splits=("training", "held_out") if training else ("held_out",))
    held_out = load_campaign(campaign, settings, "held_out")
    surrogate = CellSurrogate()
    if "accuracy" in chosen:
        _add_accuracy(figures, score_surrogate(surrogate.module, held_out))
        _add_agreement(figures, surrogate, held_out)
        figures.add("configurations tried on validation profiles", len(TRIED) + PROTOTYPES, "")
    if "speed" in chosen:
        _add_speed(figures, surrogate, held_out)
    if "picture" in chosen:
        from tools.bench.surrogate_plots import draw_courses

        draw_courses(surrogate, held_out, plots / "surrogate_courses.png")
    if "seeds" in chosen:
        _add_seeds(figures, surrogate, load_campaign(campaign, settings, "training"), held_out)
    if "ablation" in chosen:
        from tools.bench.surrogate_ablation import add_ablation

        add_ablation(figures, surrogate.laws, load_campaign(campaign, settings, "training"), held_out)
    return figures


def _add_accuracy(figures: Figures, errors: RunErrors) -> None:
    for name, factor, unit, target in (
        ("voltage", 1e3, "mV", 8.0),
        ("temperature", 1.0, "K", 0.3),
        ("anode_potential", 1e3, "mV", None),
        ("negative_surface", 1e3, "1e-3", None),
        ("positive_surface", 1e3, "1e-3", None),
    ):
        low, high = (factor * end for end in errors.interval(name))
        label = f"{name.replace('_', ' ')}, RMSE on {len(errors.kinds)} held-out profiles [{low:.3g}, {high:.3g}]"
        figures.add(label, factor * errors.rmse(name), unit, target)
        if name in ("voltage", "temperature"):
            for kind in HELD_OUT_KINDS:
                low, high = (factor * end for end in errors.interval(name, kind))
                own = f"  {kind.replace('_', ' ')} [{low:.3g}, {high:.3g}]"
                figures.add(f"{name}, RMSE,{own}", factor * errors.rmse(name, kind), unit, target)
    figures.add("voltage, largest error", 1e3 * float(errors.largest["voltage"].max()), "mV")
    share = float((errors.flagged * errors.rows).sum() / errors.rows.sum())
    figures.add("rows that the surrogate flags", 100.0 * share, "%")


def _add_agreement(figures: Figures, surrogate: CellSurrogate, held_out: CampaignSet) -> None:
    """Say how far the kernel that serves is from the torch module that is scored."""
    import torch

    inputs, currents = held_out.inputs, (held_out.current, held_out.current_end)
    served = surrogate.simulate(inputs, *currents, keep_untrusted=True)
    with torch.inference_mode():
        tensors = [torch.as_tensor(current, dtype=torch.float32) for current in currents]
        module, _ = surrogate.module(cell_tensors(inputs), *tensors)
    apart = np.abs(served.voltage - module.voltage.numpy())
    figures.add(
        "kernel against torch module, held-out profiles: largest difference of voltage", 1e6 * apart.max(), "uV"
    )
    differ = served.trusted != (module.trusted.numpy() & surrogate.within(inputs))
    figures.add(f"  flags that differ, of {differ.size:,}", int(differ.sum()), "")


def _add_speed(figures: Figures, surrogate: CellSurrogate, held_out: CampaignSet) -> None:
    """Compare processor time, which other processes on the machine change least; both sides use one thread."""
    inputs, current = _pack()
    surrogate.simulate(inputs, current[:1])  # compiles the kernel, or finds it in Warp's cache
    taken, taken_anew, kept = [], [], []
    for _ in range(REPEATS):
        begun = time.process_time()
        surrogate.simulate(inputs, current)
        taken.append(_since(begun))
    for _ in range(REPEATS):
        begun = time.process_time()
        kept.append(surrogate.simulate(inputs, current))
        taken_anew.append(_since(begun))
    hour = min(taken) / 1e3
    figures.add(f"surrogate: an hour of {CELLS} cells at 10 s, flags included, best of {REPEATS}", 1e3 * hour, "ms")
    figures.add("  the same, median", float(np.median(taken)), "ms")
    label = "  the same, results kept: into memory that is new to the process, median"
    figures.add(label, float(np.median(taken_anew)), "ms")
    figures.add("  a cell", 1e6 * hour / CELLS, "us")
    figures.add("  a cell and step", 1e9 * hour / CELLS / STEPS, "ns")
    figures.add("its torch module, the same without gradients, best of 3", _module_hour(surrogate), "ms")
    changing = np.array([kind in ("pulses", "drive") for kind in held_out.kinds])
    per_hour = held_out.seconds[changing].sum() / (held_out.steps[changing].sum() * PERIOD / 3600.0)
    constant = _dfn_hour(surrogate)
    figures.add(f"DFN: an hour of one cell, 1C, as simulated here, best of {REPEATS}", 1e3 * constant, "ms")
    figures.add("DFN: an hour of one cell, held-out pulses and drives, mean", 1e3 * per_hour, "ms")
    per_cell = hour / CELLS
    figures.add("faster a cell than the DFN at a constant current", constant / per_cell, "x", 1000.0, at_least=True)
    figures.add("faster a cell than PyBaMM at its best, 41 ms compiled", 0.041 / per_cell, "x", 1000.0, at_least=True)
    figures.add("faster a cell than the DFN on changing currents", per_hour / per_cell, "x", 1000.0, at_least=True)


def _since(begun: float) -> float:
    """Return the processor time since ``begun`` [ms]."""
    return 1e3 * (time.process_time() - begun)


def _module_hour(surrogate: CellSurrogate) -> float:
    import torch

    inputs, current = _pack()
    cell, currents = cell_tensors(inputs), torch.as_tensor(current, dtype=torch.float32)
    threads, taken = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for _ in range(3):
                begun = time.process_time()
                surrogate.module(cell, currents)
                taken.append(_since(begun))
    finally:
        torch.set_num_threads(threads)
    return min(taken)


def _pack() -> tuple[CellInputs, Array]:
    random = np.random.default_rng(1)
    inputs = CellInputs(
        capacity_factor=random.normal(1.0, 0.01, CELLS),
        resistance_factor=random.uniform(0.8, 2.0, CELLS),
        diffusivity_factor=random.uniform(0.8, 1.2, CELLS),
        conductance=random.uniform(0.05, 0.1, CELLS),
        ambient=np.full(CELLS, 298.15),
        soc=random.uniform(0.6, 0.7, CELLS),
        temperature=np.full(CELLS, 298.15),
    )
    load = np.repeat(random.uniform(-1.0, 1.5, STEPS // 6), 6)[:, np.newaxis]
    return inputs, 1.9 * load * random.normal(1.0, 0.02, CELLS)


def _dfn_hour(surrogate: CellSurrogate) -> float:
    inputs = CellInputs.uniform(1, conductance=surrogate.laws.conductance)
    course = CurrentCourse(np.array([0.0, 3400.0]), np.full(2, surrogate.laws.capacity))
    taken = [simulate_course(surrogate.laws.name, inputs, course).seconds for _ in range(REPEATS)]
    return min(taken) * 3600.0 / 3400.0


def _add_seeds(figures: Figures, surrogate: CellSurrogate, training: CampaignSet, held_out: CampaignSet) -> None:
    from celltwin.prognosis.surrogate.surrogate_training import train_surrogate_network
    from celltwin.prognosis.surrogate.training_rows import make_rows

    settings = SurrogateSettings()
    rows = make_rows(surrogate.laws, training, stride=settings.stride)
    found: dict[str, list[float]] = {"voltage": [], "temperature": []}
    for seed in SEEDS:
        checkpoints = REPOSITORY / "out" / "train_surrogate" / f"seed_{seed}"
        trained, _, _ = train_surrogate_network(surrogate.laws, rows, settings, seed=seed, checkpoints=checkpoints)
        errors = score_surrogate(trained, held_out)
        for name, values in found.items():
            values.append(errors.rmse(name))
    for name, factor, unit in (("voltage", 1e3, "mV"), ("temperature", 1.0, "K")):
        values = [factor * value for value in found[name]]
        figures.add(f"{name}, RMSE on held-out profiles, mean of {len(SEEDS)} seeds", fmean(values), unit)
        figures.add("  standard deviation over seeds", stdev(values), unit)


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__, pictures=True)
    parser.add_argument("--quick", action="store_true", help="8 held-out simulations, no seeds, no ablation")
    parser.add_argument("--campaign", type=Path, default=REPOSITORY / "out" / "surrogate_campaign", help="simulations")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    options = parser.parse_args(arguments)
    found = run(options.campaign, options.plots, parts=tuple(options.parts), quick=options.quick)
    return hand_over(found, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
