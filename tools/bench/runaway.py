"""Bench of thermal runaway: oven tests with published constants, and propagation through three modules.

The oven tests run the kernel of the pack engine. They are held against an independent, stiff solution of the equations
as they are published; ``--published FILE`` holds them against a recorded curve too (CSV with a header: minutes in the
oven at 155 degC, temperature in degC). ``--plots FOLDER`` says where the pictures go (default ``docs/images``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import GAS_CONSTANT, ZERO_CELSIUS, PackSpec, lay_out
from celltwin.physics.engine import CellPopulation, EngineOptions, PackEngine, build_cell_model, build_pack_engine
from celltwin.physics.engine.abuse_model import AbuseModel, SeparatorModel
from celltwin.physics.engine.abuse_parameters import abuse_model
from celltwin.physics.engine.runaway_oven import (
    OvenCell,
    OvenHistory,
    find_onset,
    oven_cell_cylindrical,
    simulate_oven_test,
)
from celltwin.physics.engine.runaway_propagation import PropagationHistory, simulate_propagation
from celltwin.physics.engine.thermal_kernels import ENERGY_ROWS
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.pictures import save_picture
from tools.bench.places import reference_pack

__all__ = ["run", "solve_published_equations"]

Values = NDArray[np.float64]

OVENS = (130.0, 140.0, 145.0, 150.0, 155.0, 160.0)  # [degC]
WATCHED = OVENS.index(155.0)
DIAMETER, HEIGHT, CAN = 0.018, 0.065, 0.0005  # of the published 18650, and the wall of a can [m]
MINUTE = 60.0  # [s]
MODULES = 3
POTTING, FACING = 0.1, 30.0  # between cells [W/(m.K)], between facing modules [W/(m^2.K)]
HOUR = 3600.0  # [s]
REACTIONS = {
    "sei": "film on the negative electrode",
    "negative": "negative electrode and solvent",
    "positive": "positive electrode and solvent",
    "electrolyte": "electrolyte",
}
COLOURS = ("#9ecae1", "#6baed6", "#3182bd", "#756bb1", "#d62728", "#ff7f0e")


@dataclass(frozen=True)
class Spread:
    """What happened to a pack after one of its cells was pierced."""

    spec: PackSpec
    engine: PackEngine
    history: PropagationHistory


def run(plots: Path | None = None, published: Path | None = None) -> Figures:
    """Run the oven tests and the propagation; draw them where ``plots`` names a folder."""
    figures = Figures("runaway")
    volume = math.pi * (DIAMETER / 2.0) ** 2 * HEIGHT
    model, cell = abuse_model("kim_2007_lco", volume=volume), oven_cell_cylindrical(diameter=DIAMETER, height=HEIGHT)
    ovens = np.array(OVENS) + ZERO_CELSIUS
    history = simulate_oven_test(model, cell, ovens)
    time, temperature = solve_published_equations(model, cell, ovens[WATCHED], 0.5 * HOUR, volume=volume)
    _add_ovens(figures, history)
    _add_references(figures, model, cell, history, find_onset(time, temperature[:, np.newaxis], ovens[WATCHED])[0])
    if published is not None:
        _add_published(figures, history, published)
    spreads = {name: _spread(**settings) for name, settings in _SPREADS.items()}
    _add_spreads(figures, spreads)
    if plots is not None:
        _draw_ovens(history, (time, temperature), plots / "runaway_oven.png")
        _draw_spread(spreads, plots / "runaway_propagation.png")
    return figures


def solve_published_equations(
    model: AbuseModel, cell: OvenCell, oven: float, duration: float, *, volume: float
) -> tuple[Values, Values]:
    """Return time [s] and temperature [K] of a cell in an oven, by SciPy's stiff solver.

    The equations and constants are written out here as Kim et al. print them (J. Power Sources 170 (2007) 476-489),
    not taken from the engine; only the cell's size and surroundings are.

    Parameters
    ----------
    model : AbuseModel
        Whose initial states are used.
    cell : OvenCell
        The cell.
    oven : float
        [K].
    duration : float
        [s].
    volume : float
        Of the jelly roll [m^3].
    """
    from scipy.integrate import solve_ivp

    def slope(_: float, y: Values) -> list[float]:
        sei, lithium, film, alpha, electrolyte, t = y
        inverse = 1.0 / (GAS_CONSTANT * t)
        r_sei = 1.667e15 * np.exp(-1.3508e5 * inverse) * sei
        r_negative = 2.5e13 * np.exp(-film / 0.033 - 1.3508e5 * inverse) * lithium
        r_positive = 6.667e13 * np.exp(-1.396e5 * inverse) * alpha * (1.0 - alpha)
        r_electrolyte = 5.14e25 * np.exp(-2.74e5 * inverse) * electrolyte
        carbon = 610.4 * (2.57e5 * r_sei + 1.714e6 * r_negative)
        heat = volume * (carbon + 1221.0 * 3.14e5 * r_positive + 406.9 * 1.55e5 * r_electrolyte)
        radiation = cell.emissivity * 5.670374419e-8 * (t**4 - oven**4)
        loss = cell.surface_area * (cell.heat_transfer * (t - oven) + radiation)
        return [-r_sei, -r_negative, r_negative, r_positive, -r_electrolyte, (heat - loss) / cell.heat_capacity]

    initial = [model.sei.initial, model.negative.initial, model.film_initial, model.positive.initial]
    start = [*initial, model.electrolyte.initial, cell.initial_temperature]
    times = np.arange(0.0, duration + 0.5)
    found = solve_ivp(slope, (0.0, duration), start, "LSODA", t_eval=times, rtol=1e-8, atol=1e-10, max_step=5.0)
    return found.t, found.y[5]


def _add_ovens(figures: Figures, history: OvenHistory) -> None:
    for index, oven in enumerate(OVENS):
        onset = history.onset[index]
        if np.isfinite(onset):
            figures.add(f"18650 LCO at {oven:g} degC: onset of runaway", onset / MINUTE, "min")
        peak = history.core_temperature[:, index].max() - ZERO_CELSIUS
        figures.add(f"18650 LCO at {oven:g} degC: highest temperature", peak, "degC")
    energies = history.reaction_heat[:, WATCHED].sum(axis=0) * (history.time[1] - history.time[0])
    for name, words in REACTIONS.items():
        figures.add(f"155 degC: heat of {words}", energies[history.reactions.index(name)] / 1e3, "kJ")
    figures.add("energy balance of all oven tests", 100.0 * history.balance.max(), "%", target=0.1)


def _add_references(
    figures: Figures, model: AbuseModel, cell: OvenCell, history: OvenHistory, reference: float
) -> None:
    onset, oven = history.onset[WATCHED], history.oven_temperature[WATCHED]
    figures.add("155 degC: onset, published equations by a stiff solver", reference / MINUTE, "min")
    apart = 100.0 * abs(onset - reference) / reference
    figures.add("155 degC: difference of the kernel from those equations", apart, "%", target=10.0)
    two = simulate_oven_test(
        model, oven_cell_cylindrical(diameter=DIAMETER, height=HEIGHT, surface_share=0.1), oven, duration=0.5 * HOUR
    )
    figures.add("155 degC: onset with core and surface", two.onset[0] / MINUTE, "min")
    fine = simulate_oven_test(model, cell, oven, duration=0.5 * HOUR, step=0.25)
    figures.add("155 degC: onset with steps of 0.25 s instead of 1 s", fine.onset[0] / MINUTE, "min")
    inside = abuse_model("kim_2007_lco", volume=math.pi * (DIAMETER / 2.0 - CAN) ** 2 * (HEIGHT - 2.0 * CAN))
    canned = simulate_oven_test(inside, cell, oven, duration=HOUR)
    figures.add("155 degC: onset with the jelly roll inside a can of 0.5 mm", canned.onset[0] / MINUTE, "min")
    bare = simulate_oven_test(model, replace(cell, emissivity=0.0), oven, duration=HOUR)
    figures.add("155 degC: onset without radiation", bare.onset[0] / MINUTE, "min")


def _add_published(figures: Figures, history: OvenHistory, path: Path) -> None:
    minutes, celsius = np.loadtxt(path, delimiter=",", skiprows=1, unpack=True, ndmin=2)
    onset = find_onset(minutes * MINUTE, celsius[:, np.newaxis] + ZERO_CELSIUS, history.oven_temperature[WATCHED])[0]
    figures.add(f"155 degC: onset of {path.name}", onset / MINUTE, "min")
    apart = 100.0 * abs(history.onset[WATCHED] - onset) / onset
    figures.add(f"155 degC: onset of the kernel from {path.name}", apart, "%", target=10.0)


# Which cell of the first module is pierced, whether the coolant flows, and what fills the gaps [W/(m.K)].
_SPREADS: dict[str, dict[str, Any]] = {
    "corner cell, coolant lost": {"pierced": 0},
    "corner cell, coolant flows": {"pierced": 0, "cooled": True},
    "inner cell, coolant lost": {"pierced": 147},
}


def _spread(pierced: int, *, cooled: bool = False) -> Spread:
    reference = reference_pack(MODULES)
    spec = replace(
        reference,
        name="three_modules",
        layout=replace(reference.layout, gap_conductivity=POTTING),
        cooling=replace(reference.cooling, module_transfer=FACING),
    )
    cell = build_cell_model(spec.cell.parameter_set)
    runaway = abuse_model("hu_2020_nmc", cell=cell, separator=SeparatorModel(conductance=5.0))
    engine = build_pack_engine(spec, cells=CellPopulation(soc=1.0), options=EngineOptions(abuse=runaway))
    if not cooled:
        engine.set_coolant(flow=0.0)
    return Spread(spec, engine, simulate_propagation(engine, pierced, duration=HOUR))


def _add_spreads(figures: Figures, spreads: dict[str, Spread]) -> None:
    for name, spread in spreads.items():
        onset = spread.history.onset
        figures.add(f"{name}: cells that run away within an hour", np.isfinite(onset).sum(), "")
        ran = np.sort(onset[np.isfinite(onset)])
        if ran.size > 1:
            figures.add(f"{name}: from the pierced cell to the first neighbour", ran[1] - ran[0], "s")
            steps = _from_neighbour(spread)
            figures.add(f"{name}: from a cell to its next neighbour, median", float(np.median(steps)), "s")
        for index, module in enumerate(onset.reshape(spread.spec.n_modules, -1)):
            if index and np.isfinite(module).any():
                first = float(np.nanmin(module))
                figures.add(f"{name}: until module {index + 1} has a burning cell", first / MINUTE, "min")
        figures.add(f"{name}: heat of reactions", spread.history.released.sum() / 1e6, "MJ")
        engine, temperature = spread.engine, spread.history.temperature
        energy = dict(zip(ENERGY_ROWS, engine.state().cells["energy"].sum(axis=1), strict=True))
        stored = float(engine.network.heat_capacity @ (temperature[-1] - temperature[0]))
        missing = energy["generated"] - energy["to_coolant"] - energy["to_ambient"] - stored
        figures.add(f"{name}: energy balance", 100.0 * abs(missing) / energy["generated"], "%", target=0.1)


def _from_neighbour(spread: Spread) -> Values:
    """Return for each cell that followed the time since the last of its burning neighbours [s]."""
    onset, pairs = spread.history.onset, lay_out(spread.spec).neighbours
    latest = np.full(onset.size, -np.inf)
    for a, b in (pairs.T, pairs.T[::-1]):
        before = onset[b] < onset[a]
        np.maximum.at(latest, a[before], onset[b][before])
    since: Values = (onset - latest)[np.isfinite(onset) & np.isfinite(latest)]
    return since


def _draw_ovens(history: OvenHistory, reference: tuple[Values, Values], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12.0, 4.8), width_ratios=[6, 5], layout="constrained")
    minutes = history.time / MINUTE
    for index, (oven, colour) in enumerate(zip(OVENS, COLOURS, strict=True)):
        celsius = history.core_temperature[:, index] - ZERO_CELSIUS
        left.plot(minutes, celsius, color=colour, label=f"oven at {oven:g} °C", linewidth=1.4)
    left.plot(
        reference[0] / MINUTE,
        reference[1] - ZERO_CELSIUS,
        "k:",
        linewidth=1.6,
        label="155 °C, published equations,\nsolved by LSODA",
    )
    left.set(
        xlim=(0.0, 60.0), ylim=(0.0, 600.0), xlabel="time in the oven [min]", ylabel="temperature of the cell [°C]"
    )
    left.set_title("18650 LCO, constants of Kim et al. 2007, 7.17 W/(m²·K), emissivity 0.8", loc="left", fontsize=10)
    left.legend(frameon=False, fontsize=8.5)
    for name, words in REACTIONS.items():
        power = history.reaction_heat[:, WATCHED, history.reactions.index(name)]
        right.semilogy(minutes, np.maximum(power, 1e-6), label=words, linewidth=1.4)
    right.axvline(history.onset[WATCHED] / MINUTE, color="0.6", linestyle="--", linewidth=1.0)
    right.annotate(
        "onset: 1 K/s",
        (history.onset[WATCHED] / MINUTE, 2e4),
        xytext=(4, 0),
        textcoords="offset points",
        fontsize=8.5,
        color="0.4",
    )
    right.set(xlim=(0.0, 30.0), ylim=(1e-4, 1e5), xlabel="time in the oven [min]", ylabel="power of reaction [W]")
    right.set_title("Who releases heat when, oven at 155 °C", loc="left", fontsize=10)
    right.legend(frameon=False, fontsize=8.5, loc="upper left")
    save_picture(figure, path, framed=False)


def _draw_spread(spreads: dict[str, Spread], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12.0, 5.4), width_ratios=[5, 5], layout="constrained")
    name, spread = next(iter(spreads.items()))
    place = lay_out(spread.spec).cell_positions * 1e3
    onset = spread.history.onset / MINUTE
    left.scatter(place[:, 0], place[:, 1], s=26, color="0.88", edgecolors="0.7", linewidths=0.4)
    drawn = left.scatter(place[:, 0], place[:, 1], s=26, c=onset, cmap="inferno_r")
    figure.colorbar(drawn, ax=left, label="runaway after the piercing [min]", shrink=0.8)
    pierced = place[spread.history.pierced]
    left.scatter(pierced[:, 0], pierced[:, 1], s=110, facecolors="none", edgecolors="#1f77b4", linewidths=1.6)
    left.set(xlabel="x [mm]", ylabel="y [mm]", aspect="equal")
    left.set_title(f"{name}: {np.isfinite(onset).sum()} of {onset.size} cells within an hour", loc="left", fontsize=10)
    for (words, each), line in zip(spreads.items(), ("-", "-", "--"), strict=True):
        ran = np.sort(each.history.onset[np.isfinite(each.history.onset)]) / MINUTE
        right.step(
            np.append(ran, 60.0), np.append(np.arange(1, ran.size + 1), ran.size), where="post", ls=line, label=words
        )
    right.set(xlim=(0.0, 60.0), yscale="log", ylim=(0.8, 1000.0))
    right.set(xlabel="time since the piercing [min]", ylabel="cells that have run away")
    right.set_title(
        f"{MODULES} modules of 280 NMC cells, potting {POTTING:g} W/(m·K), fully charged, 25 °C",
        loc="left",
        fontsize=10,
    )
    right.legend(frameon=False, fontsize=9, loc="center right")
    save_picture(figure, path, framed=False)


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__, pictures=True)
    parser.add_argument("--published", type=Path, metavar="FILE", help="a recorded curve at 155 degC, to compare with")
    options = parser.parse_args(arguments)
    status = hand_over(run(options.plots, options.published), options.json)
    if options.published is None:
        print("No recorded curve was given (--published FILE): agreement with the measured onset is not shown.")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
