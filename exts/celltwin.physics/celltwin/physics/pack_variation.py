"""How the cells of a simulated pack differ: seeded, documented, and known as its truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, PackSpec, SettingsError, freeze

from .parameters import CellParameters

if TYPE_CHECKING:
    from .calibration.cell_population_distribution import CellPopulationDistribution

__all__ = ["PackVariation", "draw_variation"]

# A parameter set stands in for a cell of another size beyond this difference of capacity.
_STAND_IN = 0.15
# Growth of series resistance for each unit of lost capacity: a tenth lost makes half as much again.
RESISTANCE_GROWTH = 5.0
MODULE_LOSS = 0.03  # largest mean loss of capacity of a module [-]
CELL_LOSS = 0.015  # mean of a cell's own loss [-]
WEAK_LOSS = 0.07  # further loss of the cells of a weak group [-]
WEAK_SHARE = 0.03  # share of the groups that are weak
CAPACITY_SPREAD, RESISTANCE_SPREAD = 0.01, 0.05  # from manufacturing, where nothing is known of it [-]


@dataclass(frozen=True, kw_only=True, eq=False)
class PackVariation:
    """The true differences between the cells of a simulated pack.

    Attributes
    ----------
    seed : int
        Seed that they were drawn with.
    capacity_scale : ndarray of shape (n_cells,)
        Capacity over that of the cell parameters [-].
    resistance : ndarray of shape (n_cells,)
        Series resistance of each cell, without its weld [ohm].
    soh : ndarray of shape (n_cells,)
        True state of health: capacity over nominal capacity [-].
    initial_soc : ndarray of shape (n_groups,)
        State of charge of each group at the start [-].
    weak_groups : ndarray of int
        Indices of the groups that were made weak.
    diffusivity_scale : ndarray of shape (n_cells,), optional
        Diffusivity in both particles over that of the cell parameters [-]; 1 where None.
    distribution : str
        Cell type and hash of the distribution that cells were drawn from; empty where spreads were supposed.
    """

    seed: int
    capacity_scale: Array
    resistance: Array
    soh: Array
    initial_soc: Array
    weak_groups: NDArray[np.int64]
    diffusivity_scale: Array | None = None
    distribution: str = ""

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, freeze(value))


def draw_variation(
    spec: PackSpec,
    parameters: CellParameters,
    *,
    seed: int,
    initial_soc: float,
    capacity_spread: float | None = None,
    resistance_spread: float | None = None,
    soc_spread: float = 0.003,
    ageing: float = 1.0,
    weak_groups: int | None = None,
    distribution: CellPopulationDistribution | None = None,
) -> PackVariation:
    r"""Draw the differences between the cells of a pack.

    Each cell's capacity is that of the parameters times

    .. math:: (1 - a\,(l_\mathrm{module} + l_\mathrm{cell} + l_\mathrm{weak}))\,(1 + \sigma \xi)

    with a module's loss uniform up to 3 %, a cell's own loss exponential with a mean of 1.5 %, 7 % more in weak
    groups, and manufacturing spread :math:`\sigma`. Series resistance grows by five times the relative loss.

    A distribution takes the place of :math:`1 + \sigma \xi` in each quantity that it holds, unless a spread of
    that quantity is given; where both spreads are given it takes no part. Losses of age come on top: where the
    distribution is of aged cells, ``ageing`` is 0.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    parameters : CellParameters
        The cell.
    seed : int
        Seed.
    initial_soc : float
        Mean state of charge at the start [-].
    capacity_spread, resistance_spread : float, optional
        Relative standard deviation from manufacturing [-]; where absent the distribution's, or 0.01 and 0.05.
    soc_spread : float
        Standard deviation of the groups' state of charge [-]: what balancing is for.
    ageing : float
        Factor on all losses; 0 for a new pack.
    weak_groups : int, optional
        Number of weak groups; 3 % of the groups, at least one, where absent.
    distribution : CellPopulationDistribution, optional
        How cells of the type differ.

    Raises
    ------
    SettingsError
        If a number is out of bounds.
    """
    if not 0.0 <= initial_soc <= 1.0:
        raise SettingsError(f"initial_soc = {initial_soc:g} must lie between 0 and 1", remedy="Give a fraction")
    for name, value in (
        ("capacity_spread", capacity_spread),
        ("resistance_spread", resistance_spread),
        ("soc_spread", soc_spread),
        ("ageing", ageing),
    ):
        if value is not None and value < 0.0:
            raise SettingsError(f"{name} = {value:g} must not be negative", remedy="Give 0 for none")
    random = np.random.default_rng(seed)
    shape = (spec.n_groups, spec.parallel)
    module_loss = np.repeat(random.uniform(0.0, MODULE_LOSS, spec.n_modules), spec.series)
    cell_loss = random.exponential(CELL_LOSS, shape)
    spread = CAPACITY_SPREAD if capacity_spread is None else capacity_spread
    made = 1.0 + spread * random.standard_normal(shape)
    spread = RESISTANCE_SPREAD if resistance_spread is None else resistance_spread
    made_resistance = np.clip(1.0 + spread * random.standard_normal(shape), 0.5, 2.0)
    offsets = soc_spread * random.standard_normal(spec.n_groups)
    order = random.permutation(spec.n_groups)
    count = max(1, round(WEAK_SHARE * spec.n_groups)) if weak_groups is None else weak_groups
    weak = np.sort(order[: min(count, spec.n_groups)])
    loss = module_loss[:, np.newaxis] + cell_loss
    loss[weak] += WEAK_LOSS
    loss *= ageing
    ratio = spec.cell.capacity / parameters.capacity
    size = ratio if abs(ratio - 1.0) > _STAND_IN else 1.0
    if capacity_spread is not None and resistance_spread is not None:
        distribution = None
    usual = parameters.resistance / size
    # A stream of its own: the same losses of age, whatever cells differ by when new.
    drawn = {} if distribution is None else distribution.sample(spec.n_cells, (seed, 3))
    most = 1.15
    if capacity_spread is None and "capacity_scale" in drawn:
        made, most = drawn["capacity_scale"].reshape(shape), 1.5  # the distribution has bounds of its own
    new_resistance = usual * made_resistance
    if resistance_spread is None and "resistance" in drawn:
        new_resistance = drawn["resistance"].reshape(shape)
    scale = size * np.clip((1.0 - loss) * made, 0.5, most)
    resistance = new_resistance * (1.0 + RESISTANCE_GROWTH * loss)
    return PackVariation(
        seed=seed,
        capacity_scale=scale.reshape(-1),
        resistance=resistance.reshape(-1),
        soh=scale.reshape(-1) * parameters.capacity / spec.cell.capacity,
        initial_soc=np.clip(initial_soc + offsets, 0.0, 1.0),
        weak_groups=weak.astype(np.int64),
        diffusivity_scale=drawn.get("diffusivity_scale"),
        distribution="" if distribution is None else f"{distribution.cell}@{distribution.hash}",
    )
