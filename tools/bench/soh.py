"""Bench of state of health: every evaluation protocol, five seeds, and how the configuration was chosen.

Needs the measured cycles (CELLTWIN_DATA/xjtu_cycles). Fits are kept in out/soh and used again, so that an interrupted
bench goes on; `--fresh` begins anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from celltwin.prognosis import CycleSet, evaluation_protocol
from celltwin.prognosis.known_sets import load_known_cycles
from celltwin.prognosis.protocol_figures import score_predictions
from celltwin.prognosis.protocol_runs import ProtocolPredictions, run_protocol
from celltwin.prognosis.sequence.registry import DEFAULT_KIND, MODEL_KINDS, TRANSFER_KIND, default_kind, model_kind
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.places import REPOSITORY, measured_data

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["main", "run"]

KEPT = REPOSITORY / "out" / "soh"
TRIED = Path(__file__).with_name("soh_configurations.json")
# Mean over protocols that must be reached [%].
TARGETS = {"honest": 0.58, "cv": 0.85, "lobo": 1.35, "published": 0.85}
TITLES = {
    "honest": "honest, published split",
    "cv": "all cells, five folds",
    "lobo": "one protocol left out (kind: transfer)",
    "published": "published protocol (LEAKY)",
    "selection": "training cells in five folds, one seed",
}


def run(
    protocols: Sequence[str], others: Sequence[str], seeds: tuple[int, ...], kept: Path
) -> tuple[Figures, dict[str, ProtocolPredictions]]:
    """Return the figures, and the predictions of the default kind by protocol.

    Parameters
    ----------
    protocols : sequence of str
        Evaluation protocols; each is gone through by the kind of model that is meant for it.
    others : sequence of str
        Further kinds, which are scored by the honest protocol alone.
    seeds : tuple of int
        Seeds.
    kept : Path
        Folder for finished fits.
    """
    from rich.progress import Progress

    figures = Figures("soh")
    cycles = load_known_cycles(str(measured_data() / "xjtu_cycles"))
    found = {}
    with Progress() as progress:
        task = progress.add_task("Fitting")
        for name in protocols:
            numbers = seeds[:1] if name == "selection" else seeds
            found[name] = _predictions(cycles, name, default_kind(name), numbers, kept, progress, task)
            _add(figures, found[name], TITLES[name], TARGETS.get(name), whole=name != "selection")
        for kind in others:
            predictions = _predictions(cycles, "honest", kind, seeds, kept, progress, task)
            _add(figures, predictions, f"honest, {kind}", None, whole=False)
        progress.remove_task(task)
    tried = json.loads(TRIED.read_text(encoding="utf-8"))["configurations"]
    figures.add("configurations tried on training cells", len(tried), "1")
    return figures, found


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__, pictures=True)
    parser.add_argument("--quick", action="store_true", help="honest protocol, the kernel alone, two seeds")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 1 to N")
    parser.add_argument("--protocols", nargs="*", default=list(TITLES), choices=list(TITLES), help="which protocols")
    parser.add_argument("--models", nargs="*", help="further kinds for the honest protocol; all where not given")
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of finished fits")
    parser.add_argument("--fresh", action="store_true", help="forget finished fits first")
    parser.add_argument("--tried", action="store_true", help="only list the configurations that were tried")
    options = parser.parse_args(arguments)
    if options.tried:
        show_tried()
        return 0
    if options.fresh and options.kept.is_dir():
        shutil.rmtree(options.kept)
    others = (
        [name for name in MODEL_KINDS if name not in (DEFAULT_KIND, TRANSFER_KIND)]
        if options.models is None
        else options.models
    )
    protocols, seeds = options.protocols, options.seeds
    if options.quick:
        protocols, others, seeds = [], ["kernel"], 2
    figures, found = run(protocols, others, tuple(range(1, seeds + 1)), options.kept)
    status = hand_over(figures, options.json)
    if {"honest", "selection"} <= set(found):
        from tools.bench.soh_plots import plot_protocols

        plot_protocols(options.plots / "prognosis_soh.png", found["honest"], found["selection"])
    return status


def show_tried() -> None:
    """Print every configuration that was tried on training cells, best first."""
    from rich.console import Console
    from rich.table import Table

    log = json.loads(TRIED.read_text(encoding="utf-8"))
    table = Table(title=log["protocol"], title_justify="left")
    table.add_column("configuration")
    table.add_column("mean MAPE", justify="right")
    for entry in sorted(log["configurations"], key=lambda entry: entry["mean"]):
        table.add_row(entry["name"], f"{entry['mean']:.3f} %")
    Console().print(table)


def _predictions(
    cycles: CycleSet,
    protocol: str,
    kind: str,
    seeds: tuple[int, ...],
    kept: Path,
    progress: Progress,
    task: TaskID,
) -> ProtocolPredictions:
    def show(fold: str, seed: int, step: int, steps: int) -> None:
        progress.update(task, completed=step, total=steps, description=f"{protocol}, {kind}: {fold}, seed {seed}")

    return run_protocol(
        cycles, evaluation_protocol(protocol, cycles), model_kind(kind), seeds=seeds, out=kept, on_step=show
    )


def _add(figures: Figures, predictions: ProtocolPredictions, title: str, target: float | None, *, whole: bool) -> None:
    scored = score_predictions(predictions)
    mean = scored.mean
    if whole:
        for batch in scored.batches:
            figures.add(f"{title}: {batch.name}", batch.mape, "%")
    figures.add(f"{title}: mean", mean.mape, "%", target=target)
    if whole:
        figures.add(f"{title}: mean, 5 % of redrawn cells below", mean.low, "%")
        figures.add(f"{title}: mean, 95 % of redrawn cells below", mean.high, "%")
    figures.add(f"{title}: mean, one seed alone", mean.single, "%")
    if len(predictions.seeds) > 1:
        figures.add(f"{title}: mean, scatter of single seeds", mean.scatter, "%")


if __name__ == "__main__":
    raise SystemExit(main())
