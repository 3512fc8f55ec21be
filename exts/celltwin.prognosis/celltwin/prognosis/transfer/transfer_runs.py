"""Runs of a transfer: configurations chosen on target training cells, then every method scored on held-out cells."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..cycles import CellCycles
from ..past_windows import PastWindows
from ..sequence.kinds import FittedNetworks
from ..sequence.window_description import DESCRIBED_WINDOW
from .fleet_views import FleetView
from .transfer_cases import FewLabels, TransferCase, draw_cells, thin_windows
from .transfer_figures import cell_errors
from .transfer_methods import LONGER, METHODS, Configuration, TransferSettings, answer, configurations, pretrain

__all__ = ["BudgetPredictions", "run_transfer"]

CHOICE_SEED = 0  # of the draw and of the networks that configurations are chosen by


@dataclass(frozen=True, kw_only=True, eq=False)
class BudgetPredictions:
    """What every method said of the scored cycles at one number of labels.

    Attributes
    ----------
    labels : FewLabels
        What could be learnt from.
    chosen : dict of str to Configuration
        The configuration of each method.
    tried : dict of str to float
        Error of every configuration on target training cells that were not drawn, by its method and name [%].
    seeds : tuple of int
        Seeds in the order of the predictions; each draws the few cells anew.
    cell, protocol : ndarray of str, shape (n,)
        Cell of each scored cycle, and how it was cycled.
    soh : ndarray of shape (n,)
        Labels [-].
    predicted : dict of str to ndarray of shape (n_seeds, n)
        SOH by each method [-].
    """

    labels: FewLabels
    chosen: dict[str, Configuration]
    tried: dict[str, float]
    seeds: tuple[int, ...]
    cell: NDArray[np.str_]
    protocol: NDArray[np.str_]
    soh: Array
    predicted: dict[str, Array]


def run_transfer(
    cases: tuple[TransferCase, ...],
    labels: FewLabels,
    *,
    seeds: tuple[int, ...],
    settings: TransferSettings | None = None,
    tried: tuple[Configuration, ...] | None = None,
    out: Path | None = None,
    on_step: Callable[[str, int, int], None] | None = None,
) -> BudgetPredictions:
    """Choose the configuration of every method, and score it.

    Choosing uses target cells of the pool that were not drawn; scoring uses the test cells, once for every method and
    seed. A user who has the few cells only cannot choose so well, which favours every method alike.

    Parameters
    ----------
    cases : tuple of TransferCase
        Transfers that share the choice; their scored cells are put together.
    labels : FewLabels
        What may be learnt from.
    seeds : tuple of int
        Seeds of draws and networks, from 1.
    settings : TransferSettings, optional
        Budgets.
    tried : tuple of Configuration, optional
        Configurations to choose from; all where absent. "scratch, longer" goes without, it takes the view of "scratch".
    out : Path, optional
        Folder of finished answers and pre-trained networks; what is there is used again.
    on_step : callable, optional
        Called with what is under way, and the numbers of finished and of all answers.

    Raises
    ------
    SettingsError
        If a pool has too few cells.
    """
    settings = settings or TransferSettings()
    runs = [_CaseRun(case, labels, settings, out) for case in cases]
    tries = tried or configurations(settings)
    asked = {one.method for one in tries} | ({LONGER} if any(one.method == "scratch" for one in tries) else set())
    methods = tuple(method for method in METHODS if method in asked)
    steps, done = len(cases) * (len(tries) + len(methods) * len(seeds)), 0

    def tell(what: str) -> None:
        nonlocal done
        done += 1
        if on_step:
            on_step(what, done, steps)

    errors: dict[Configuration, list[Array]] = {configuration: [] for configuration in tries}
    for run in runs:
        few, rest = run.windows(CHOICE_SEED, chosen=True)
        for configuration in tries:
            found = run.answer(configuration, few, rest, CHOICE_SEED, chosen=True)
            errors[configuration].append(cell_errors(found[np.newaxis], rest.soh, rest.cell)[0])
            tell(f"{run.case.name}, {labels.name}: choosing")
    means = {configuration: float(np.concatenate(found).mean()) for configuration, found in errors.items()}
    chosen = {
        method: min((one for one in tries if one.method == method), key=lambda one: means[one])
        for method in methods
        if method != LONGER
    }
    if LONGER in methods:
        chosen[LONGER] = replace(chosen["scratch"], method=LONGER)
    tables: list[PastWindows] = []
    predicted: dict[str, list[Array]] = {method: [] for method in methods}
    for run in runs:
        answers: dict[str, list[Array]] = {method: [] for method in methods}
        for seed in seeds:
            few, scored = run.windows(seed, chosen=False)
            for method in methods:
                answers[method].append(run.answer(chosen[method], few, scored, seed, chosen=False))
                tell(f"{run.case.name}, {labels.name}: seed {seed}, {METHODS[method]}")
        tables.append(scored)
        for method in methods:
            predicted[method].append(np.stack(answers[method]))
    return BudgetPredictions(
        labels=labels,
        chosen=chosen,
        tried={f"{one.method}: {one.name}": means[one] for one in tries},
        seeds=seeds,
        cell=np.concatenate([table.cell for table in tables]),
        protocol=np.concatenate([table.protocol for table in tables]),
        soh=np.concatenate([table.soh for table in tables]),
        predicted={method: np.concatenate(found, axis=1) for method, found in predicted.items()},
    )


class _CaseRun:
    """One case at one number of labels: its windows, its pre-trained networks, and answers that are kept."""

    def __init__(self, case: TransferCase, labels: FewLabels, settings: TransferSettings, out: Path | None) -> None:
        self.case, self.labels, self.settings, self.out = case, labels, settings, out
        self.window = max(DESCRIBED_WINDOW, settings.network.window)
        self.source: PastWindows | None = None
        self.pretrained: dict[tuple[bool, bool, int], FittedNetworks] = {}

    def windows(self, seed: int, *, chosen: bool) -> tuple[PastWindows, PastWindows]:
        """Return the windows of the few cells, and the scored ones."""
        drawn = draw_cells(self.case.pool, self.labels.cells, seed)
        rest = tuple(cell for cell in self.case.pool if cell not in drawn) if chosen else self.case.test
        few = self._thin(drawn, self.settings.most_few, self.labels.cycles)
        return few, self._thin(rest, self.settings.most_scored)

    def answer(
        self, configuration: Configuration, few: PastWindows, scored: PastWindows, seed: int, *, chosen: bool
    ) -> Array:
        """Return predictions of the scored windows, kept ones where there are any."""
        file = None
        if self.out:
            content = [asdict(self.labels), configuration.as_dict(), seed, chosen]
            file = self.out / "answers" / f"{self._fingerprint(content)}.npy"
            if file.exists():
                kept: Array = np.load(file)
                return kept
        found = answer(
            configuration,
            few,
            scored,
            self._source,
            lambda view: self._pretrained(view, seed),
            self.settings,
            seed=seed,
        )
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            new = file.with_suffix(".new.npy")
            np.save(new, found)
            new.replace(file)
        return found

    def _pretrained(self, view: FleetView, seed: int) -> FittedNetworks:
        key = (view.age, view.ratio, seed)
        if key not in self.pretrained:
            checkpoints = self.out / "pretrained" / self._fingerprint([*key]) if self.out else None
            self.pretrained[key] = pretrain(self._source(), view, self.settings, seed=seed, checkpoints=checkpoints)
        return self.pretrained[key]

    def _source(self) -> PastWindows:
        if self.source is None:
            self.source = self._thin(self.case.source, self.settings.most_source)
        return self.source

    def _thin(self, cells: tuple[CellCycles, ...], most: int, first: int = 0) -> PastWindows:
        return thin_windows(cells, window=self.window, most=most, first=first)

    def _fingerprint(self, content: list[object]) -> str:
        names = [[cell.name for cell in cells] for cells in (self.case.source, self.case.pool, self.case.test)]
        whole = [self.case.digest, names, self.settings.as_dict(), content]
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]
