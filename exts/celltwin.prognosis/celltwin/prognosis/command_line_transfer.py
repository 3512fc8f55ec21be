"""``celltwin evaluate transfer`` and ``celltwin train soh-update``: other fleets, and labels that arrive over time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from .transfer.transfer_figures import MethodFigures
    from .transfer.transfer_runs import BudgetPredictions

__all__ = ["evaluate_transfer", "train_soh_update"]

CapacityOption = Annotated[
    float, typer.Option(min=0.0, help="Nominal capacity of the cells [A.h]; 0: as known of XJTU and MIT.")
]


def evaluate_transfer(
    source: Annotated[
        str, typer.Option("--from", help="Folder of cycles to pre-train on, or its name in CELLTWIN_DATA.")
    ] = "xjtu_cycles",
    target: Annotated[
        str, typer.Option("--to", help="Folder of cycles to transfer to, or its name in CELLTWIN_DATA.")
    ] = "mit_cycles",
    protocols: Annotated[
        bool, typer.Option("--protocols", help="Transfer to each protocol of --from in turn, from all others.")
    ] = False,
    cells: Annotated[
        list[int] | None, typer.Option(min=1, help="Labelled target cells; give it again for more than one number.")
    ] = None,
    first_cycles: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Labelled first cycles of each, 0 for all; give it again for more than one number."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 1 to N; each draws cells of its own.")] = 5,
    steps: Annotated[int, typer.Option(min=0, help="Steps of tuning and from scratch; 0: as in the tables.")] = 0,
    from_capacity: CapacityOption = 0.0,
    to_capacity: CapacityOption = 0.0,
    out: Annotated[Path, typer.Option(help="Folder for figures, answers and pre-trained networks.")] = Path(
        "out/transfer"
    ),
    resume: Annotated[bool, typer.Option(help="Use finished answers of the same data and budgets again.")] = True,
) -> None:
    """Compare ways to predict a fleet with few labels: from scratch, pre-trained on another, tuned, corrected."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from .known_sets import load_known_cycles
    from .transfer.transfer_cases import FewLabels, between_fleets, between_protocols
    from .transfer.transfer_figures import score_methods
    from .transfer.transfer_methods import TransferSettings
    from .transfer.transfer_runs import run_transfer

    console = Console()
    known = load_known_cycles(source, from_capacity)
    if protocols:
        name, cases = f"{Path(source).name} protocols", between_protocols(known)
    else:
        name = f"{Path(source).name} to {Path(target).name}"
        cases = between_fleets(known, load_known_cycles(target, to_capacity), name)
    for part in ("answers", "pretrained"):
        if not resume and (out / part).is_dir():
            shutil.rmtree(out / part)
    settings = TransferSettings(steps=steps) if steps else TransferSettings()
    numbers = tuple(range(1, seeds + 1))
    budgets = [FewLabels(cells=n, cycles=m) for m in first_cycles or [0] for n in cells or [1, 2, 4]]
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    content: dict[str, object] = {"transfer": name, "settings": settings.as_dict(), "seeds": list(numbers)}
    with Progress(*columns, console=console) as progress:
        for labels in budgets:
            task = progress.add_task(labels.name, total=None)

            def show(what: str, done: int, asked: int, task: int = task) -> None:
                progress.update(task, description=what, completed=done, total=asked)  # type: ignore[arg-type]

            found = run_transfer(cases, labels, seeds=numbers, settings=settings, out=out, on_step=show)
            progress.remove_task(task)
            figures = score_methods(found.predicted, found.soh, found.cell)
            _show(console, name, found, figures)
            content[labels.name] = {
                "figures": {method: value.as_dict() for method, value in figures.items()},
                "chosen": {method: one.as_dict() for method, one in found.chosen.items()},
                "tried": found.tried,
            }
    file = out / f"{name.replace(' ', '_')}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    console.print(f"Figures in {file}")


def train_soh_update(
    new: Annotated[str, typer.Option(help="Cycles whose capacity was measured: a folder, or a name as of --base.")],
    base: Annotated[
        str, typer.Option(help="Cycles that the first model learns from: a folder, or its name in CELLTWIN_DATA.")
    ] = "xjtu_cycles",
    base_protocol: Annotated[
        list[str] | None, typer.Option(help="Protocol of --base that counts; all where none is named.")
    ] = None,
    new_protocol: Annotated[
        list[str] | None, typer.Option(help="Protocol of --new that counts; all where none is named.")
    ] = None,
    through: Annotated[
        int, typer.Option(min=0, help="Labels of --new that have arrived: those up to this cycle; 0: all.")
    ] = 0,
    nominal_capacity: CapacityOption = 0.0,
    base_capacity: CapacityOption = 0.0,
    out: Annotated[Path, typer.Option(help="Folder of the learner; begun where it holds none.")] = Path(
        "out/soh_update"
    ),
    steps: Annotated[int, typer.Option(min=20, help="Steps of an update.")] = 150,
    memory: Annotated[int, typer.Option(min=0, help="Windows kept for replay; 0: no replay.")] = 1000,
    level: Annotated[float, typer.Option(min=1e-6, max=0.5, help="Level of the promotion test.")] = 0.05,
    margin: Annotated[float, typer.Option(min=0.0, help="How much worse a protocol may become [SOH].")] = 0.002,
    fewest_cells: Annotated[int, typer.Option(min=2, help="Held-out cells that a promotion needs.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 1,
) -> None:
    """Let a model of SOH take up new labels with replay of old ones; adopt the result only if it is proven better.

    The settings of the learner count when it is begun; later calls go on with those, and read only new labels.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from .known_sets import load_known_cycles
    from .transfer.continual import STATE_FILE, ContinualLearner, ContinualSettings
    from .transfer.fine_tuning import TuningRecipe
    from .transfer.promotion import PromotionRules
    from .transfer.soh_update import begin_learner, select_protocols, update_learner
    from .transfer.transfer_methods import TransferSettings

    console = Console()
    rules = PromotionRules(level=level, margin=margin, fewest_cells=fewest_cells)
    known = select_protocols(load_known_cycles(base, base_capacity), tuple(base_protocol or ()))
    arrived = select_protocols(load_known_cycles(new, nominal_capacity), tuple(new_protocol or ()))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        if (out / STATE_FILE).exists():
            learner = ContinualLearner.load(out)
        else:
            settings = ContinualSettings(memory=memory, recipe=TuningRecipe(learning_rate=4e-3, steps=steps))
            task = progress.add_task("Training the first model", total=None)
            learner = begin_learner(
                out,
                known,
                TransferSettings().kind,
                settings,
                seed=seed,
                on_step=lambda done, asked: progress.update(task, completed=done, total=asked),
            )
        updating = progress.add_task(f"Update {learner.updates + 1}", total=None)
        outcome = update_learner(
            out,
            learner,
            known,
            arrived,
            rules,
            through=through,
            on_step=lambda done, asked: progress.update(updating, completed=done, total=asked),
        )
    said = "promoted" if outcome.verdict.promoted else "not promoted"
    console.print(f"{outcome.labels} new labels; candidate {outcome.verdict.candidate[:12]} {said}")
    for reason in outcome.verdict.reasons:
        console.print(f"  {reason}")
    console.print(f"Record in {outcome.record}; shipped model sha256:{learner.digest[:12]}")


def _show(console: Console, name: str, found: BudgetPredictions, figures: dict[str, MethodFigures]) -> None:
    from rich.table import Table

    from .transfer.transfer_methods import METHODS

    table = Table(title=f"{name}, {found.labels.name}, {len(found.seeds)} seeds: MAPE of SOH on held-out cells")
    for heading in ("Method", "MAPE", "90 %", "Between seeds", "Gain over scratch", "90 %", "Chosen"):
        table.add_column(heading, justify="left" if heading in ("Method", "Chosen") else "right")
    for method, value in figures.items():
        table.add_row(
            METHODS[method],
            f"{value.mape:.2f} %",
            f"{value.low:.2f} to {value.high:.2f}",
            f"{value.scatter:.2f}",
            f"{value.gain:+.2f}",
            f"{value.gain_low:+.2f} to {value.gain_high:+.2f}",
            found.chosen[method].name,
        )
    console.print(table)
