"""Bench of uncertainty: intervals, scores under noise, whether the mixture trains; on cells that were held out.

Needs the measured cycles (CELLTWIN_DATA/xjtu_cycles). Fits are kept in out/uncertainty and used again, so that an
interrupted bench goes on. Signals of the error's scale are chosen on training cells; the test cells are scored once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from celltwin.core import Array
from celltwin.prognosis.known_sets import load_known_cycles
from celltwin.prognosis.sequence.registry import MODEL_KINDS, model_kind
from celltwin.prognosis.trust import TrustSettings
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.pictures import save_picture
from tools.bench.places import REPOSITORY, measured_data
from tools.bench.uncertainty_figures import (
    Intervals,
    area,
    bootstrap_gap,
    cross_intervals,
    perfect_gaps,
    rank_correlation,
    score_noise,
    score_noise_crossed,
    split_intervals,
)
from tools.bench.uncertainty_runs import Part, Plan, other_chemistry, run_cross_validation, run_honest

__all__ = ["main", "run"]

KEPT = REPOSITORY / "out" / "uncertainty"
GAP = 0.045  # of coverage, asked
# Signals that the error's scale may be made of; compared on training cells.
TRIED = (
    (),
    ("spread",),
    ("energy",),
    ("distance",),
    ("health",),
    ("spread", "health"),
    ("spread", "energy", "distance"),
    ("spread", "energy", "distance", "health", "unseen", "missing"),
)
SCORES = ("spread between cells' models", "DAGMM, trained", "DAGMM, untrained", "Mahalanobis distance", "combined")


def run(
    seeds: tuple[int, ...],
    cross_seeds: tuple[int, ...],
    kind: str,
    kept: Path,
    plots: Path | None,
    *,
    compare: bool = False,
) -> Figures:
    """Fit what is not kept, and return the figures.

    Parameters
    ----------
    seeds, cross_seeds : tuple of int
        Seeds for the published split, and for all cells in folds.
    kind : str
        What predicts: one of ``MODEL_KINDS``.
    kept : Path
        Folder for finished fits.
    plots : Path, optional
        Folder for the picture.
    compare : bool
        Whether to compare sets of signals on training cells; takes minutes.
    """
    from rich.console import Console

    console = Console()
    figures = Figures("uncertainty")
    settings = TrustSettings()
    data = measured_data()
    plan = Plan(
        cycles=load_known_cycles(str(data / "xjtu_cycles")),
        kind=model_kind(kind),
        settings=settings,
        out=kept,
        on_fit=lambda line: console.print(f"[dim]fit: {line}[/]"),
    )
    honest = [run_honest(plan, seed) for seed in seeds]
    selection = [training for training, _ in honest]
    _add_intervals(figures, "test cells", [split_intervals(*pair, settings) for pair in honest], target=True)
    crossed = [cross_intervals(part, settings) for part in selection]
    _add_intervals(figures, "training cells, held out", crossed)
    everyone = [cross_intervals(run_cross_validation(plan, seed), settings) for seed in cross_seeds]
    if everyone:
        _add_intervals(figures, "all cells in folds", everyone, target=True)
    _add_perfect(figures, everyone or crossed, split_intervals(*honest[0], settings))
    _add_noise(figures, honest, settings)
    _add_training(figures, honest)
    if (data / "mit_cycles").is_dir():
        foreign = other_chemistry(plan, seeds[0], data / "mit_cycles")
        found = split_intervals(selection[0], foreign, settings)
        figures.add("another chemistry (LFP): flagged", float(np.mean(found.flagged)), "share", 0.95, at_least=True)
        figures.add("another chemistry (LFP): width", 200.0 * float(np.median(found.half)), "SOH points")
        figures.add("another chemistry (LFP): coverage", float(np.mean(found.error <= found.half)), "share")
    if compare:
        _compare(console, selection)
    figures.add("sets of signals compared on training cells", len(TRIED), "1")
    if plots is not None:
        _draw(plots / "prognosis_uncertainty.png", honest, crossed, settings)
    return figures


def _add_intervals(figures: Figures, name: str, seeds: list[Intervals], *, target: bool = False) -> None:
    gap, low, high = bootstrap_gap(seeds)
    width = float(np.mean([one.width() for one in seeds]))
    figures.add(f"{name}: gap of coverage, mean of batches", gap, "1", GAP if target else None)
    figures.add(f"{name}: gap, 90 % of draws of cells, low", low, "1")
    figures.add(f"{name}: gap, 90 % of draws of cells, high", high, "1")
    figures.add(f"{name}: width of the 90 % interval", width, "SOH points", 3.2 if target else None)
    coverage = np.mean([one.coverage() for one in seeds], axis=0)
    for batch, share in zip(seeds[0].batches, coverage, strict=True):
        figures.add(f"{name}: coverage, {batch}", float(share), "share")
    figures.add(f"{name}: coverage, mean", float(coverage.mean()), "share")
    figures.add(f"{name}: mean absolute error", float(np.mean([one.mean_error() for one in seeds])), "SOH points")
    figures.add(f"{name}: flagged", float(np.mean([one.flagged.mean() for one in seeds])), "share")


def _add_perfect(figures: Figures, held_out: list[Intervals], test: Intervals) -> None:
    gaps = perfect_gaps(held_out, test)
    what = "gap to expect of a perfect method on as many test cells"
    figures.add(f"{what}, by redrawing cells", float(gaps.mean()), "1")
    for share, end in ((0.05, "low"), (0.95, "high")):
        figures.add(f"{what}, 90 % of draws, {end}", float(np.quantile(gaps, share)), "1")
    figures.add(f"{what}: draws that keep below {GAP:g}", float(np.mean(gaps <= GAP)), "share")


def _add_noise(figures: Figures, honest: Sequence[tuple[Part, Part]], settings: TrustSettings) -> None:
    tables = [score_noise(*pair, settings) for pair in honest]
    held_out = [score_noise_crossed(training, settings) for training, _ in honest]
    for title, some, bounded in (("test cells", tables, True), ("training cells, held out", held_out, False)):
        found = {name: np.mean([rank_correlation(one[name], one["error"]) for one in some]) for name in SCORES}
        for name in SCORES:
            bound = 0.45 if bounded and name == "combined" else None
            figures.add(f"Spearman with the error, {title}: {name}", found[name], "1", bound, at_least=True)
        gain = found["DAGMM, trained"] - found["DAGMM, untrained"]
        bound = 0.1 if bounded else None
        figures.add(f"Spearman, {title}: trained less untrained", gain, "1", bound, at_least=True)
        known = [rank_correlation(one["level"], one["error"]) for one in some]
        figures.add(f"Spearman, {title}: if the strength of the noise were known", float(np.mean(known)), "1")
    for most in settings.noise_levels[1:-1]:
        for name in SCORES:
            found_to = [_up_to(one, most, name) for one in tables]
            figures.add(f"Spearman, test cells, noise to {most:g}: {name}", float(np.mean(found_to)), "1")
    for level in (0.0, *settings.noise_levels):
        rows = [one["level"] == level for one in tables]
        inside = [np.mean((one["error"] <= one["half"])[row]) for one, row in zip(tables, rows, strict=True)]
        half = [np.mean(one["half"][row]) for one, row in zip(tables, rows, strict=True)]
        error = [np.mean(one["error"][row]) for one, row in zip(tables, rows, strict=True)]
        figures.add(f"noise {level:g}: mean absolute error", 100.0 * float(np.mean(error)), "SOH points")
        figures.add(f"noise {level:g}: coverage", float(np.mean(inside)), "share")
        figures.add(f"noise {level:g}: width", 200.0 * float(np.mean(half)), "SOH points")


def _up_to(table: dict[str, Array], most: float, name: str) -> float:
    rows = table["level"] <= most
    return rank_correlation(table[name][rows], table["error"][rows])


def _add_training(figures: Figures, honest: Sequence[tuple[Part, Part]]) -> None:
    levels = [level for level in np.unique(honest[0][1].held.level) if level > 0.0]
    for level in levels[:4]:
        for name in ("trained", "untrained"):
            areas = []
            for _, test in honest:
                energy = test.held.energy if name == "trained" else test.untrained
                areas.append(area(energy[test.sampled & test.held.clean], energy[test.held.level == level]))
            figures.add(f"energy tells noise {level:g} from none, area, {name}", float(np.mean(areas)), "1")


def _compare(console: object, selection: list[Part]) -> None:
    from rich.table import Table

    table = Table(title="Signals of the error's scale, compared on training cells in folds", title_justify="left")
    for heading in ("signals", "gap", "width [SOH points]", "Spearman under noise"):
        table.add_column(heading)
    for signals in TRIED:
        settings = replace(TrustSettings(), signals=signals)
        found = [cross_intervals(part, settings) for part in selection]
        noise = [score_noise_crossed(part, settings) for part in selection]
        rank = np.mean([rank_correlation(one["combined"], one["error"]) for one in noise]) if signals else np.nan
        width = np.mean([one.width() for one in found])
        table.add_row(", ".join(signals) or "none", f"{bootstrap_gap(found)[0]:.3f}", f"{width:.2f}", f"{rank:.3f}")
    console.print(table)  # type: ignore[attr-defined]  # a rich console


def _draw(path: Path, honest: Sequence[tuple[Part, Part]], crossed: list[Intervals], settings: TrustSettings) -> None:
    import matplotlib.pyplot as plt

    tables = [score_noise(*pair, settings) for pair in honest]
    one = tables[0]
    figure, axes = plt.subplots(2, 2, figsize=(12.0, 9.0), constrained_layout=True)
    levels = np.unique(one["level"])
    colours = plt.get_cmap("viridis")(np.linspace(0.0, 0.95, levels.size))
    for axis, name, label in (
        (axes[0, 0], "DAGMM, trained", "DAGMM energy, arcsinh(E / 10) [-]"),
        (axes[0, 1], "combined", "combined score: error to expect [SOH points]"),
    ):
        for level, colour in zip(levels, colours, strict=True):
            rows = one["level"] == level
            x = np.arcsinh(one[name][rows] / 10.0) if name != "combined" else 100.0 * one[name][rows]
            axis.scatter(x, 100.0 * one["error"][rows], s=7, alpha=0.5, color=colour, label=f"noise {level:g}")
        axis.set(xlabel=label, ylabel="absolute error of SOH [SOH points]", yscale="log", ylim=(1e-2, 30.0))
        if name == "combined":
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter("{x:g}")
            axis.xaxis.set_minor_formatter("")
        rank = np.mean([rank_correlation(each[name], each["error"]) for each in tables])
        axis.set_title(f"{name}: Spearman {rank:.2f} (test cells, mean of {len(tables)} seeds)", fontsize=10)
    axes[0, 0].legend(title="noise [training spreads]", fontsize=8, title_fontsize=8, loc="lower right")
    axis = axes[1, 0]
    found = [[rank_correlation(each[name], each["error"]) for each in tables] for name in SCORES]
    axis.barh(SCORES, np.mean(found, axis=1), xerr=np.std(found, axis=1), color="tab:blue", alpha=0.8)
    ideal = np.mean([rank_correlation(each["level"], each["error"]) for each in tables])
    axis.axvline(ideal, color="k", ls="--", label="strength of the noise, if it were known")
    axis.set(xlabel="Spearman's rank correlation with the absolute error [-]", xlim=(0.0, 0.8))
    axis.legend(fontsize=8, loc="lower right")
    axis = axes[1, 1]
    test = [split_intervals(*pair, settings) for pair in honest]
    batches = test[0].batches
    for shift, some, label in ((-0.15, test, "test cells"), (0.15, crossed, "training cells, held out")):
        shares = np.array([each.coverage() for each in some])
        axis.bar(
            np.arange(batches.size) + shift, shares.mean(axis=0), 0.3, yerr=shares.std(axis=0), label=label, alpha=0.8
        )
    axis.axhline(0.9, color="k", ls="--")
    axis.set(ylabel="share of cycles inside the 90 % interval [-]", ylim=(0.0, 1.05), xlabel="protocol")
    axis.set_xticks(np.arange(batches.size), batches, fontsize=8)
    axis.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    save_picture(figure, path, framed=False)


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__, pictures=True)
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds on the published split")
    parser.add_argument("--cross-seeds", type=int, default=5, metavar="N", help="seeds on all cells in folds; 0: none")
    parser.add_argument("--kind", choices=list(MODEL_KINDS), default="duty", help="what predicts SOH")
    parser.add_argument("--compare", action="store_true", help="compare sets of signals on training cells, in minutes")
    parser.add_argument("--quick", action="store_true", help="one seed, published split only, no picture")
    options = parser.parse_args(arguments)
    seeds, crossed = (1, 0) if options.quick else (options.seeds, options.cross_seeds)
    figures = run(
        tuple(range(1, seeds + 1)),
        tuple(range(1, crossed + 1)),
        options.kind,
        KEPT,
        None if options.quick else options.plots,
        compare=options.compare,
    )
    return hand_over(figures, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
