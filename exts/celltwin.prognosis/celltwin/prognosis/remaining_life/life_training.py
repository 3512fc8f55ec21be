"""Training of the remaining-life ensemble: cross-fitted by cell, calibrated on cells that a member has not seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, freeze

from ..conformal import cell_quantile
from ..cycles import CellCycles, CycleDataError, CycleSet
from ..features import FEATURE_NAMES
from ..scaling import Territory, fit_scaling, fit_territory
from ..splits import Split
from .end_of_life import Arrivals, find_arrivals, running_median, typical_lives
from .life_calibration import LEVELS_OF_CALIBRATION, calibrate
from .life_inputs import NEWEST, LifeInputs, describe_cells, input_names, now_columns
from .life_knowledge import LifeKnowledge, scale_inputs, show_past
from .life_network import LifeNetworkSettings, LifeRows, train_life_network
from .life_prediction import RemainingLife

if TYPE_CHECKING:
    import torch

__all__ = ["LifeEnsemble", "LifeSettings", "predict_members", "train_life_ensemble"]

TERRITORY_LEVEL = 0.95
PROXY_BOUNDS = (0.2, 5.0)  # a proxy that changed by more is an outlier
RESISTANCE_PROXY = "CV charge time"


@dataclass(frozen=True, kw_only=True)
class LifeSettings:
    """What to train.

    Attributes
    ----------
    end_of_life : float
        SOH at which life ends.
    history : bool
        Whether the SOH measured so far is an input.
    history_delay : int
        Cycles by which it comes late.
    levels : tuple of float
        SOH whose arrivals are learnt together, falling; the end of life is added where it is not among them.
    folds, members : int
        Folds of the training cells, and networks for each fold.
    every : int
        Step between the cycles that are learnt from: neighbours are nearly the same.
    past_end : float
        Cycles up to this multiple of a cell's life are learnt from.
    network : LifeNetworkSettings
        Size and training of each network.
    """

    end_of_life: float = 0.85
    history: bool = False
    history_delay: int = 0
    levels: tuple[float, ...] = (0.96, 0.94, 0.92, 0.90, 0.88, 0.87, 0.86, 0.85, 0.84, 0.83, 0.82, 0.81, 0.80)
    folds: int = 5
    members: int = 1
    every: int = 3
    past_end: float = 1.1
    network: LifeNetworkSettings = field(default_factory=LifeNetworkSettings)

    @property
    def all_levels(self) -> Array:
        """Levels with the end of life among them, falling, shape (n_levels,)."""
        return np.array(sorted({*self.levels, self.end_of_life}, reverse=True))

    @property
    def end_index(self) -> int:
        """Where the end of life stands among the levels."""
        return int(np.argmin(np.abs(self.all_levels - self.end_of_life)))

    def as_dict(self) -> dict[str, object]:
        """Return the settings as JSON takes them."""
        return {**asdict(self), "levels": list(self.levels)}


@dataclass(frozen=True, kw_only=True, eq=False)
class LifeEnsemble:
    """Trained networks with everything that is needed to use them.

    Attributes
    ----------
    settings : LifeSettings
        What was trained.
    seed : int
        Seed of everything random.
    network : torch.nn.Module
        The members side by side, fold after fold.
    knowledge : LifeKnowledge
        Scaling, territory, typical lives, calibration.
    left_out : dict of str to ndarray
        Predictions of members for cells that they have not seen: what the calibration is made of. Keys ``median``,
        ``scale``, ``remaining`` [typical lives], ``grown``, ``resistance``, ``arrived``, ``life`` [cycles], ``cell``,
        ``duty``, ``cycle``.
    """

    settings: LifeSettings
    seed: int
    network: torch.nn.Module
    knowledge: LifeKnowledge
    left_out: dict[str, NDArray[np.generic]]

    def predict(self, inputs: LifeInputs) -> RemainingLife:
        """Return what the ensemble says of some pasts."""
        return self.knowledge.conclude(inputs, predict_members(self.network, self.knowledge.prepare(inputs)))


def train_life_ensemble(
    cycles: CycleSet,
    split: Split,
    settings: LifeSettings,
    *,
    seed: int,
    checkpoints: Path | None = None,
    on_step: Callable[[int], None] | None = None,
) -> LifeEnsemble:
    """Train and calibrate an ensemble on the training cells of a split.

    Parameters
    ----------
    cycles : CycleSet
        The data.
    split : Split
        Folds of the training cells; the test cells are not looked at.
    settings : LifeSettings
        What to train.
    seed : int
        Seed of everything random.
    checkpoints : Path, optional
        Folder for checkpoints; training goes on from those of the same data, split, settings and seed.
    on_step : callable, optional
        Called with the number of each finished step.

    Raises
    ------
    CycleDataError
        If no training cell reaches the end of life.
    """
    cells = cycles.select(split.training)
    arrivals = find_arrivals(cells, settings.all_levels)
    if not arrivals.arrived[:, settings.end_index].any():
        raise CycleDataError(
            f"none of {len(cells)} training cells falls to a SOH of {settings.end_of_life:g}",
            remedy="Choose a higher --end-of-life, or cells that were cycled for longer",
        )
    inputs = describe_cells(cells, history=settings.history, every=settings.every, delay=settings.history_delay)
    duties = tuple(sorted({cell.protocol for cell in cells}))
    order = {name: index for index, name in enumerate(arrivals.cells)}
    row = np.array([order[name] for name in inputs.cell.tolist()], dtype=np.intp)
    keep = inputs.cycle <= np.maximum(settings.past_end * arrivals.cycle[row, settings.end_index], 10.0)
    folder = checkpoints / _fingerprint(cycles, split, settings, seed) if checkpoints else None
    scaling = fit_scaling(inputs.values[keep])
    scaled = scale_inputs(scaling, inputs.values)
    duty = np.array([duties.index(name) for name in inputs.duty.tolist()], dtype=np.intp)
    proxies = _resistance_proxies(cells)
    rows: list[LifeRows] = []
    hidden: list[LifeRows] = []
    outside: list[tuple[NDArray[np.bool_], LifeRows, Array]] = []
    for names in split.folds:
        learnt = ~np.isin(inputs.cell, names) & keep
        pool = np.array([name not in names for name in arrivals.cells])
        lives = _typical(arrivals, cells, duties, settings.end_index, pool)
        life = lives[duty]
        shown = show_past(scaled, duty, inputs.cycle / life, len(duties))
        everyone = np.full(row.size, lives[-1])
        nobody = np.full(row.size, len(duties))
        unknown = show_past(scaled, nobody, inputs.cycle / everyone, len(duties))
        fold_rows = _rows(inputs, shown, arrivals, row, life, proxies)
        fold_hidden = _rows(inputs, unknown, arrivals, row, everyone, proxies)
        rows += [fold_rows.choose(learnt)] * settings.members
        hidden += [fold_hidden.choose(learnt)] * settings.members
        outside.append((np.isin(inputs.cell, names), fold_rows, life))
    network = train_life_network(
        rows,
        settings.network,
        settings.end_index,
        seed=(seed,),
        unknown_duty=hidden,
        checkpoints=folder,
        on_step=on_step,
    )
    predictions = _gather(network, outside, inputs, settings)
    lives = _typical(arrivals, cells, duties, settings.end_index, np.ones(len(cells), dtype=np.bool_))
    oldest = [max(cell.soh.size for cell in cells if cell.protocol == duty) for duty in duties]
    knowledge = LifeKnowledge(
        levels=settings.all_levels,
        end=settings.end_index,
        history=settings.history,
        scaling=scaling,
        territory=_fit_territory(scaled, inputs, keep, split),
        duties=duties,
        lives=freeze(lives),
        longest_age=freeze(np.array([*oldest, max(oldest)], dtype=np.float64)),
        calibration=calibrate(predictions, settings.end_index),
    )
    return LifeEnsemble(settings=settings, seed=seed, network=network, knowledge=knowledge, left_out=predictions)


def predict_members(network: torch.nn.Module, inputs: Array, members: slice = slice(None)) -> Array:
    """Return median, scale and resistance proxy, (3, n, n_levels), of an ensemble or some of its members.

    The median is the mean of the members'; the scale joins theirs with their disagreement.
    """
    import torch

    x = torch.as_tensor(inputs, dtype=torch.float32)
    with torch.no_grad():
        values = network(x)[members].double().numpy()
    median = values[:, 0].mean(axis=0)
    scale = np.sqrt((values[:, 1] ** 2).mean(axis=0) + values[:, 0].var(axis=0))
    return np.stack([median, scale, values[:, 2].mean(axis=0)])


def _fit_territory(scaled: Array, inputs: LifeInputs, keep: NDArray[np.bool_], split: Split) -> Territory:
    """Return where the newest features lie; the threshold comes from cells that were left out."""
    now = scaled[:, now_columns()]
    distance = np.empty(len(now))
    for names in split.folds:
        seen = ~np.isin(inputs.cell, names)
        learnt = seen & keep
        distance[~seen] = fit_territory(now[learnt], inputs.duty[learnt]).distance(now[~seen])
    threshold = cell_quantile(distance[keep], inputs.cell[keep], TERRITORY_LEVEL)
    if not np.isfinite(threshold):  # too few cells for the level: the largest distance seen
        threshold = float(distance[keep].max())
    return fit_territory(now[keep], inputs.duty[keep], threshold)


def _ends(arrivals: Arrivals, end: int, chosen: NDArray[np.bool_]) -> tuple[Array, NDArray[np.bool_]]:
    return arrivals.cycle[chosen, end], arrivals.arrived[chosen, end]


def _typical(
    arrivals: Arrivals, cells: tuple[CellCycles, ...], duties: tuple[str, ...], end: int, pool: NDArray[np.bool_]
) -> Array:
    """Return the typical life of each duty among a pool of cells, and of the whole pool, (n_duties + 1,)."""
    protocol = np.array([cell.protocol for cell in cells])
    everyone = typical_lives(*_ends(arrivals, end, pool))
    chosen = [pool & (protocol == duty) for duty in duties]
    return np.array([*(typical_lives(*_ends(arrivals, end, c)) if c.any() else everyone for c in chosen), everyone])


def _rows(
    inputs: LifeInputs, shown: Array, arrivals: Arrivals, row: NDArray[np.intp], life: Array, proxies: list[Array]
) -> LifeRows:
    now = inputs.values[:, input_names(inputs.history).index(f"now of {RESISTANCE_PROXY}")]
    reached = np.where(arrivals.arrived, arrivals.cycle, 1.0).astype(np.intp) - 1
    at_arrival = np.stack([proxy[cycles] for proxy, cycles in zip(proxies, reached, strict=True)])
    at_arrival[~arrivals.arrived] = np.nan
    to_come = arrivals.cycle[row] >= inputs.cycle[:, np.newaxis]
    with np.errstate(invalid="ignore", divide="ignore"):
        grown = np.where(to_come, at_arrival[row] / now[:, np.newaxis], np.nan)
    return LifeRows(
        inputs=shown,
        remaining=(arrivals.cycle[row] - inputs.cycle[:, np.newaxis]) / life[:, np.newaxis],
        arrived=arrivals.arrived[row],
        resistance=np.where(np.isfinite(grown), np.clip(grown, *PROXY_BOUNDS), np.nan),
        weight=life / life.mean(),
    )


def _resistance_proxies(cells: tuple[CellCycles, ...]) -> list[Array]:
    """Return for each cell the median of the proxy over the newest cycles, at every cycle."""
    column = FEATURE_NAMES.index(RESISTANCE_PROXY)
    return [running_median(cell.features[:, column], NEWEST) for cell in cells]


def _gather(
    network: torch.nn.Module,
    outside: list[tuple[NDArray[np.bool_], LifeRows, Array]],
    inputs: LifeInputs,
    settings: LifeSettings,
) -> dict[str, NDArray[np.generic]]:
    """Return the predictions of every fold's members for the cells of the fold, in the order of the inputs."""
    size, levels = inputs.cycle.size, settings.all_levels.size
    found = np.full((5, size, levels), np.nan)
    arrived = np.zeros((size, levels), dtype=np.bool_)
    life = np.full(size, np.nan)
    for fold, (chosen, rows, lives) in enumerate(outside):
        members = slice(fold * settings.members, (fold + 1) * settings.members)
        found[:3, chosen] = predict_members(network, rows.inputs[chosen], members)
        found[3, chosen], found[4, chosen] = rows.remaining[chosen], rows.resistance[chosen]
        arrived[chosen], life[chosen] = rows.arrived[chosen], lives[chosen]
    names = ("median", "scale", "grown", "remaining", "resistance")
    return {
        **dict(zip(names, found, strict=True)),
        "arrived": arrived,
        "life": life,
        "cell": inputs.cell,
        "duty": inputs.duty,
        "cycle": inputs.cycle,
    }


def _fingerprint(cycles: CycleSet, split: Split, settings: LifeSettings, seed: int) -> str:
    content = json.dumps([cycles.digest, split.folds, settings.as_dict(), seed, LEVELS_OF_CALIBRATION], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]
