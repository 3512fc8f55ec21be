"""Bench of transfer and continual learning: XJTU and MIT, between protocols, replay, and the promotion test.

Needs the measured cycles (CELLTWIN_DATA/xjtu_cycles and mit_cycles). Answers, pre-trained networks and finished streams
are kept in out/transfer and used again, so that an interrupted bench goes on; `--fresh` begins anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celltwin.prognosis import CycleSet
from celltwin.prognosis.known_sets import load_known_cycles
from celltwin.prognosis.transfer import (
    METHODS,
    BudgetPredictions,
    ContinualSettings,
    FewLabels,
    MethodFigures,
    StreamSettings,
    TransferCase,
    TransferSettings,
    between_fleets,
    between_protocols,
    run_stream,
    run_transfer,
    score_methods,
)
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.places import REPOSITORY, measured_data

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["StreamErrors", "main", "run"]

KEPT = REPOSITORY / "out" / "transfer"
PARTS = ("fleets", "protocols", "continual")
FLEET_LABELS = (
    FewLabels(cells=1),
    FewLabels(cells=4),
    FewLabels(cells=8, cycles=50),
    FewLabels(cells=8, cycles=150),
)
PROTOCOL_LABELS = (FewLabels(cells=1), FewLabels(cells=2, cycles=50))
STREAMS = {
    "xjtu_cycles": StreamSettings(known=("2C", "3C", "R2.5"), arriving=("R3", "RW", "Sim_satellite")),
    "mit_cycles": StreamSettings(known=("2017-05-12",), arriving=("2017-06-30", "2018-04-12")),
}
# Windows that are kept for replay, and whether only promoted candidates are adopted.
WAYS = {
    "xjtu_cycles": ((0, False), (200, False), (1000, False), (1000, True)),
    "mit_cycles": ((0, False), (1000, False)),
}


@dataclass(frozen=True, kw_only=True)
class StreamErrors:
    """Errors of one stream over its updates, mean over seeds.

    Attributes
    ----------
    data : str
        Set of cells.
    memory : int
        Windows kept for replay.
    known : tuple of float
        Mean error of the cells of the protocols known at first, before the first update and after each [%].
    new_before, new_after : float
        Mean error of the cells of the arriving protocols before the first update and after the last [%].
    promoted_only : bool
        Whether only candidates that pass the promotion test were adopted.
    known_retrained, new_retrained : float
        Errors of a network that was trained anew on all labels [%].
    promoted, candidates : int
        How many candidates the promotion test lets pass, of how many, over all seeds.
    scatter : float
        Standard deviation between seeds of the last entry of ``known`` [%].
    """

    data: str
    memory: int
    known: tuple[float, ...]
    new_before: float
    new_after: float
    promoted_only: bool
    known_retrained: float
    new_retrained: float
    promoted: int
    candidates: int
    scatter: float


def run(
    parts: Sequence[str], seeds: tuple[int, ...], kept: Path, *, quick: bool = False
) -> tuple[Figures, dict[str, dict[str, dict[str, MethodFigures]]], list[StreamErrors]]:
    """Return the figures; those of the methods by transfer and labels; and the streams.

    Parameters
    ----------
    parts : sequence of str
        Among :data:`PARTS`.
    seeds : tuple of int
        Seeds.
    kept : Path
        Folder of what is kept.
    quick : bool
        Whether to take the first number of labels and the first stream alone.
    """
    from rich.progress import Progress

    figures = Figures("transfer")
    sets = {name: load_known_cycles(str(measured_data() / name)) for name in STREAMS}
    xjtu, mit = sets["xjtu_cycles"], sets["mit_cycles"]
    transfers: list[tuple[str, tuple[TransferCase, ...], tuple[FewLabels, ...]]] = []
    if "fleets" in parts:
        transfers += [
            ("XJTU to MIT", between_fleets(xjtu, mit, "xjtu_cycles to mit_cycles"), FLEET_LABELS),
            ("MIT to XJTU", between_fleets(mit, xjtu, "mit_cycles to xjtu_cycles"), FLEET_LABELS),
        ]
    if "protocols" in parts:
        transfers.append(("other protocols of XJTU", between_protocols(xjtu), PROTOCOL_LABELS))
    scored: dict[str, dict[str, dict[str, MethodFigures]]] = {}
    streams: list[StreamErrors] = []
    with Progress() as progress:
        task = progress.add_task("Transfer")

        def show(what: str, done: int, asked: int) -> None:
            progress.update(task, description=what, completed=done, total=asked)

        for name, cases, budgets in transfers:
            for labels in budgets[:1] if quick else budgets:
                found = run_transfer(cases, labels, seeds=seeds, out=kept, on_step=show)
                methods = score_methods(found.predicted, found.soh, found.cell)
                scored.setdefault(name, {})[labels.name] = methods
                _add(figures, f"{name}, {labels.name}", found, methods)
        if "continual" in parts:
            for name, stream in list(STREAMS.items())[: 1 if quick else None]:
                for memory, promoted_only in WAYS[name]:
                    way = replace(stream, promoted_only=promoted_only)
                    streams.append(_stream(name, sets[name], way, memory, seeds, kept, progress, task))
                    _add_stream(figures, streams[-1])
    return figures, scored, streams


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__, pictures=True)
    parser.add_argument("--quick", action="store_true", help="one seed, one number of labels, one stream")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 1 to N")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS), help="which parts")
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of what is kept")
    parser.add_argument("--fresh", action="store_true", help="forget what is kept first")
    options = parser.parse_args(arguments)
    if options.fresh and options.kept.is_dir():
        shutil.rmtree(options.kept)
    seeds = tuple(range(1, (1 if options.quick else options.seeds) + 1))
    figures, scored, streams = run(options.parts, seeds, options.kept, quick=options.quick)
    status = hand_over(figures, options.json)
    if not options.quick and set(PARTS) <= set(options.parts):
        from tools.bench.transfer_plots import plot_transfer

        plot_transfer(options.plots / "prognosis_transfer.png", scored, streams)
    return status


def _add(figures: Figures, title: str, found: BudgetPredictions, methods: dict[str, MethodFigures]) -> None:
    for method, value in methods.items():
        figures.add(f"{title}: {METHODS[method]} ({found.chosen[method].name})", value.mape, "%")
        if method in ("tuned", "rehearsed"):
            figures.add(f"{title}: gain of {METHODS[method]} over scratch", value.gain, "%")
            figures.add(f"{title}: gain of {METHODS[method]}, 5 % below", value.gain_low, "%")
            figures.add(f"{title}: gain of {METHODS[method]}, 95 % below", value.gain_high, "%")


def _add_stream(figures: Figures, stream: StreamErrors) -> None:
    title = f"{stream.data}, memory of {stream.memory}{', promoted only' if stream.promoted_only else ''}"
    figures.add(f"{title}: old protocols before", stream.known[0], "%")
    figures.add(f"{title}: old protocols after", stream.known[-1], "%")
    figures.add(f"{title}: old protocols after, scatter of seeds", stream.scatter, "%")
    figures.add(f"{title}: new protocols before", stream.new_before, "%")
    figures.add(f"{title}: new protocols after", stream.new_after, "%")
    if stream.memory == 0:
        figures.add(f"{stream.data}, trained anew on all labels: old protocols", stream.known_retrained, "%")
        figures.add(f"{stream.data}, trained anew on all labels: new protocols", stream.new_retrained, "%")
    figures.add(f"{title}: promoted of {stream.candidates} candidates", stream.promoted, "1")


def _stream(
    name: str,
    cycles: CycleSet,
    stream: StreamSettings,
    memory: int,
    seeds: tuple[int, ...],
    kept: Path,
    progress: Progress,
    task: TaskID,
) -> StreamErrors:
    kind, settings = TransferSettings().kind, ContinualSettings(memory=memory)
    runs = []
    for seed in seeds:
        content = [cycles.digest, asdict(stream), kind.describe(), settings.as_dict(), seed]
        file = kept / "streams" / f"{_digest(content)}.json"
        if not file.exists():

            def show(protocol: str, done: int, asked: int, seed: int = seed) -> None:
                said = f"{name}, memory of {memory}, seed {seed}: {protocol}"
                progress.update(task, description=said, completed=done, total=asked)

            first = hashlib.sha256(
                json.dumps([*content[:3:2], stream.known, seed], sort_keys=True).encode()
            ).hexdigest()[:16]
            found = run_stream(
                cycles, stream, kind, settings, seed=seed, checkpoints=kept / "first" / first, on_step=show
            )
            counts = range(len(found.updates) + 1)
            record = {
                "known": [found.mean_error(after, stream.known) for after in counts],
                "new": [found.mean_error(after, stream.arriving) for after in counts],
                "retrained": [
                    float(found.retrained[np.isin(found.protocol, names)].mean())
                    for names in (stream.known, stream.arriving)
                ],
                "promoted": [verdict.promoted for verdict in found.verdicts],
                "reasons": [verdict.reasons for verdict in found.verdicts],
            }
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        runs.append(json.loads(file.read_text(encoding="utf-8")))
    known = np.array([one["known"] for one in runs])
    new = np.array([one["new"] for one in runs]).mean(axis=0)
    return StreamErrors(
        data=name,
        memory=memory,
        known=tuple(float(value) for value in known.mean(axis=0)),
        new_before=float(new[0]),
        new_after=float(new[-1]),
        promoted_only=stream.promoted_only,
        known_retrained=float(np.mean([one["retrained"][0] for one in runs])),
        new_retrained=float(np.mean([one["retrained"][1] for one in runs])),
        promoted=sum(sum(one["promoted"]) for one in runs),
        candidates=sum(len(one["promoted"]) for one in runs),
        scatter=float(known[:, -1].std(ddof=1)) if len(runs) > 1 else float("nan"),
    )


def _digest(content: list[object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


if __name__ == "__main__":
    raise SystemExit(main())
