"""Training of models of remaining life: cross-fitted by cell, calibrated on cells that were left out."""

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
from ..scaling import InputScaling, Territory, fit_scaling, fit_territory
from ..splits import Split
from .end_of_life import Arrivals, find_arrivals, running_median, typical_lives
from .life_calibration import LEVELS_OF_CALIBRATION, calibrate
from .life_inputs import NEWEST, LifeInputs, describe_cells, input_names, now_columns
from .life_kernel import LifeKernelSettings, train_life_kernel
from .life_knowledge import LifeKnowledge, scale_inputs, show_past
from .life_late import NearEnd
from .life_network import LifeNetworkSettings, LifeRows, train_life_network
from .life_prediction import RemainingLife

if TYPE_CHECKING:
    import torch

__all__ = ["KINDS", "LifeEnsemble", "LifeSettings", "predict_members", "train_life_ensemble"]

# The regression is fitted to all training cells, and for its calibration once without each; a network to all folds
# but one.
KINDS = ("kernel", "network")

TERRITORY_LEVEL = 0.95
PROXY_BOUNDS = (0.2, 5.0)  # a proxy that changed by more is an outlier
RESISTANCE_PROXY = "CV charge time"


@dataclass(frozen=True, kw_only=True)
class LifeSettings:
    """What to train.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    end_of_life : float
        SOH at which life ends.
    history : bool
        Whether the SOH measured so far is an input.
    history_delay : int
        Cycles by which it comes late.
    levels : tuple of float
        SOH whose arrivals are learnt together, falling; the end of life is added where it is not among them.
    folds, members : int
        Folds of the training cells, and networks for each fold; of no meaning to the regression.
    every : int
        Step between the cycles that are learnt from: neighbours are nearly the same.
    past_end : float
        Cycles up to this multiple of a cell's life are learnt from.
    kernel : LifeKernelSettings
        What the regression is made of.
    network : LifeNetworkSettings
        Size and training of each network.
    """

    kind: str = "kernel"
    end_of_life: float = 0.85
    history: bool = False
    history_delay: int = 0
    levels: tuple[float, ...] = (0.96, 0.94, 0.92, 0.90, 0.88, 0.87, 0.86, 0.85, 0.84, 0.83, 0.82, 0.81, 0.80)
    folds: int = 5
    members: int = 1
    every: int = 3
    past_end: float = 1.1
    kernel: LifeKernelSettings = field(default_factory=LifeKernelSettings)
    network: LifeNetworkSettings = field(default_factory=LifeNetworkSettings)

    @property
    def all_levels(self) -> Array:
        """Levels with the end of life among them, falling, shape (n_levels,)."""
        return np.array(sorted({*self.levels, self.end_of_life}, reverse=True))

    @property
    def end_index(self) -> int:
        """Where the end of life stands among the levels."""
        return int(np.argmin(np.abs(self.all_levels - self.end_of_life)))

    def steps(self, split: Split) -> int:
        """Return the number of steps of a training: of the networks, or fits of the regression."""
        return self.network.steps if self.kind == "network" else len(split.training) + 1

    def as_dict(self) -> dict[str, object]:
        """Return the settings of the kind as JSON takes them."""
        content: dict[str, object] = {**asdict(self), "levels": list(self.levels), "kernel": self.kernel.as_dict()}
        del content["kernel" if self.kind == "network" else "network"]
        return content


@dataclass(frozen=True, kw_only=True, eq=False)
class LifeEnsemble:
    """A fitted model with everything that is needed to use it.

    Attributes
    ----------
    settings : LifeSettings
        What was trained.
    seed : int
        Seed of everything random.
    module : torch.nn.Module
        The regression, or the networks side by side, fold after fold.
    knowledge : LifeKnowledge
        Scaling, territory, typical lives, calibration.
    left_out : dict of str to ndarray
        Predictions for training cells by fits without them: what the calibration is made of. Keys ``median``,
        ``scale``, ``remaining`` [typical lives], ``grown``, ``resistance``, ``arrived``, ``life`` [cycles], ``cell``,
        ``duty``, ``cycle``.
    """

    settings: LifeSettings
    seed: int
    module: torch.nn.Module
    knowledge: LifeKnowledge
    left_out: dict[str, NDArray[np.generic]]

    def predict(self, inputs: LifeInputs) -> RemainingLife:
        """Return what the ensemble says of some pasts."""
        return self.knowledge.conclude(inputs, predict_members(self.module, self.knowledge.prepare(inputs)))


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
        Folder for checkpoints of networks; training goes on from those of the same data, split, settings and seed.
        The regression keeps none: it takes seconds.
    on_step : callable, optional
        Called with the number of each finished step.

    Raises
    ------
    CycleDataError
        If no training cell reaches the end of life, or the kind is unknown.
    """
    if settings.kind not in KINDS:
        raise CycleDataError(
            f"{settings.kind!r} is no kind of model of remaining life", remedy=f"Choose one of {', '.join(KINDS)}"
        )
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
    scaling = fit_scaling(inputs.values[keep])
    pool = _Pool(
        settings=settings,
        cells=cells,
        arrivals=arrivals,
        inputs=inputs,
        scaling=scaling,
        scaled=scale_inputs(scaling, inputs.values),
        row=row,
        keep=keep,
        duties=duties,
        proxies=_resistance_proxies(cells),
    )
    if settings.kind == "kernel":
        module, predictions = _fit_kernels(pool, split, seed, on_step)
    else:
        folder = checkpoints / _fingerprint(cycles, split, settings, seed) if checkpoints else None
        module, predictions = _fit_networks(pool, split, seed, folder, on_step)
    oldest = [max(cell.soh.size for cell in cells if cell.protocol == duty) for duty in duties]
    knowledge = LifeKnowledge(
        levels=settings.all_levels,
        end=settings.end_index,
        history=settings.history,
        scaling=scaling,
        territory=_fit_territory(pool.scaled, inputs, keep, split),
        duties=duties,
        lives=freeze(pool.typical(())),
        longest_age=freeze(np.array([*oldest, max(oldest)], dtype=np.float64)),
        calibration=calibrate(predictions, settings.end_index),
    )
    return LifeEnsemble(settings=settings, seed=seed, module=module, knowledge=knowledge, left_out=predictions)


def predict_members(module: torch.nn.Module, inputs: Array, members: slice = slice(None)) -> Array:
    """Return median, scale and resistance proxy, (3, n, n_levels), of an ensemble or some of its members.

    The median is the mean of the members'; the scale joins theirs with their disagreement.
    """
    import torch

    x = torch.as_tensor(inputs, dtype=torch.float32)
    with torch.no_grad():
        values = module(x)[members].double().numpy()
    median = values[:, 0].mean(axis=0)
    scale = np.sqrt((values[:, 1] ** 2).mean(axis=0) + values[:, 0].var(axis=0))
    return np.stack([median, scale, values[:, 2].mean(axis=0)])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pool:
    """The training cells, and what is learnt from when some of them are left out."""

    settings: LifeSettings
    cells: tuple[CellCycles, ...]
    arrivals: Arrivals
    inputs: LifeInputs
    scaling: InputScaling
    scaled: Array
    row: NDArray[np.intp]
    keep: NDArray[np.bool_]
    duties: tuple[str, ...]
    proxies: list[Array]

    def typical(self, left_out: tuple[str, ...]) -> Array:
        """Return the typical life of each duty without some cells, and of all duties, (n_duties + 1,)."""
        pool = np.array([name not in left_out for name in self.arrivals.cells])
        return _typical(self.arrivals, self.cells, self.duties, self.settings.end_index, pool)

    def outside(self, names: tuple[str, ...]) -> NDArray[np.bool_]:
        """Return which rows are of some cells."""
        found: NDArray[np.bool_] = np.isin(self.inputs.cell, names)
        return found

    def rows(self, left_out: tuple[str, ...], *, hidden: bool = False) -> tuple[LifeRows, Array]:
        """Return all rows in the typical lives without some cells, their duties hidden or not; and those lives."""
        lives = self.typical(left_out)
        duty = np.array([self.duties.index(name) for name in self.inputs.duty.tolist()], dtype=np.intp)
        if hidden:
            duty = np.full(duty.size, len(self.duties))
        life = lives[duty]
        shown = show_past(self.scaled, duty, self.inputs.cycle / life, len(self.duties))
        return _rows(self.inputs, shown, self.arrivals, self.row, life, self.proxies), life


def _fit_kernels(
    pool: _Pool, split: Split, seed: int, on_step: Callable[[int], None] | None
) -> tuple[torch.nn.Module, dict[str, NDArray[np.generic]]]:
    """Return the regression of all cells, and what one without each cell says of it."""
    settings = pool.settings

    def fit(rows: LifeRows, learnt: NDArray[np.bool_]) -> torch.nn.Module:
        return train_life_kernel(
            rows.choose(learnt),
            pool.inputs.cell[learnt],
            settings.kernel,
            end=settings.end_index,
            n_duties=len(pool.duties),
            seed=(seed,),
            near_end=NearEnd(scaling=pool.scaling, end_of_life=settings.end_of_life) if settings.history else None,
        )

    outside = []
    for step, name in enumerate(split.training, start=1):
        chosen = pool.outside((name,))
        rows, life = pool.rows((name,))
        said = predict_members(fit(rows, ~chosen & pool.keep), rows.inputs[chosen])
        outside.append((chosen, rows, life, said))
        if on_step:
            on_step(step)
    module = fit(pool.rows(())[0], pool.keep)
    if on_step:
        on_step(len(split.training) + 1)
    return module, _gather(outside, pool.inputs, settings)


def _fit_networks(
    pool: _Pool, split: Split, seed: int, folder: Path | None, on_step: Callable[[int], None] | None
) -> tuple[torch.nn.Module, dict[str, NDArray[np.generic]]]:
    """Return the networks of all folds, and what those of a fold say of its cells."""
    settings = pool.settings
    rows: list[LifeRows] = []
    hidden: list[LifeRows] = []
    shown: list[tuple[NDArray[np.bool_], LifeRows, Array]] = []
    for names in split.folds:
        chosen = pool.outside(names)
        fold_rows, life = pool.rows(names)
        rows += [fold_rows.choose(~chosen & pool.keep)] * settings.members
        hidden += [pool.rows(names, hidden=True)[0].choose(~chosen & pool.keep)] * settings.members
        shown.append((chosen, fold_rows, life))
    module = train_life_network(
        rows,
        settings.network,
        settings.end_index,
        seed=(seed,),
        unknown_duty=hidden,
        checkpoints=folder,
        on_step=on_step,
    )
    outside = []
    for fold, (chosen, fold_rows, life) in enumerate(shown):
        members = slice(fold * settings.members, (fold + 1) * settings.members)
        outside.append((chosen, fold_rows, life, predict_members(module, fold_rows.inputs[chosen], members)))
    return module, _gather(outside, pool.inputs, settings)


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
    outside: list[tuple[NDArray[np.bool_], LifeRows, Array, Array]], inputs: LifeInputs, settings: LifeSettings
) -> dict[str, NDArray[np.generic]]:
    """Return what was said of cells that were left out, in the order of the inputs."""
    size, levels = inputs.cycle.size, settings.all_levels.size
    found = np.full((5, size, levels), np.nan)
    arrived = np.zeros((size, levels), dtype=np.bool_)
    life = np.full(size, np.nan)
    for chosen, rows, lives, said in outside:
        found[:3, chosen] = said
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
