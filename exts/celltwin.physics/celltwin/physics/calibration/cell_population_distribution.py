"""How the cells of a type differ, as a distribution that packs are drawn from, in a small file with its provenance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array, ModelError, PackSpec, SettingsError, freeze

from ..measurements.capacity import CapacitySpread
from ..pack_variation import PackVariation, draw_variation
from ..parameters import CellParameters
from .cell_population import Population

if TYPE_CHECKING:
    from ..engine import CellPopulation

__all__ = [
    "DISTRIBUTION_FOLDER",
    "DRAWN_QUANTITIES",
    "CellPopulationDistribution",
    "load_cell_distribution",
    "pack_distribution",
    "vary_pack",
]

DISTRIBUTION_FOLDER = Path(__file__).resolve().parents[5] / "data" / "distributions"

DRAWN_QUANTITIES: dict[str, tuple[str, float, float]] = {
    "capacity_scale": ("-", 0.5, 1.3),
    "resistance": ("ohm", 1e-7, 1.0),
    "diffusivity_scale": ("-", 0.05, 20.0),
}
"""What a pack's cells are drawn in: unit and physical bounds."""

_SCHEMA = "celltwin.cell_distribution/1"
_ATTEMPTS = 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class CellPopulationDistribution:
    r"""Log-normal distribution of what differs between the cells of a pack, cut off at bounds.

    .. math:: \ln q = \ln m + L \xi, \qquad \xi \sim N(0, 1), \quad L L^T = \Sigma

    Attributes
    ----------
    names : tuple of str
        Which of ``DRAWN_QUANTITIES``, in order; the others are the same in every cell.
    median : ndarray of shape (n,)
        Medians, in the units of ``DRAWN_QUANTITIES``.
    covariance : ndarray of shape (n, n)
        Of the logarithms.
    low, high : ndarray of shape (n,)
        No cell is drawn beyond them.
    cell : str
        Type of the cell: ``cell.name`` or ``cell.parameter_set`` of the packs that may be drawn from it.
    provenance : mapping of str to str
        Where it comes from: data, cells, method.

    Raises
    ------
    ModelError
        If a quantity is unknown, shapes do not fit, or numbers are not physical.
    """

    names: tuple[str, ...]
    median: Array
    covariance: Array
    low: Array
    high: Array
    cell: str
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check names, shapes and numbers, and make the arrays read-only."""
        size = len(self.names)
        unknown = [name for name in self.names if name not in DRAWN_QUANTITIES]
        if unknown or not size or len(set(self.names)) != size:
            raise ModelError(
                f"cells are not drawn in {', '.join(unknown) or self.names}",
                remedy=f"Give each at most once: {', '.join(DRAWN_QUANTITIES)}",
            )
        if self.covariance.shape != (size, size) or any(
            values.shape != (size,) for values in (self.median, self.low, self.high)
        ):
            raise ModelError(
                f"median {self.median.shape}, bounds {self.low.shape}, {self.high.shape} and covariance "
                f"{self.covariance.shape} do not fit {size} quantities"
            )
        for at, name in enumerate(self.names):
            unit, lowest, highest = DRAWN_QUANTITIES[name]
            if not lowest <= self.low[at] <= self.median[at] <= self.high[at] <= highest:
                raise ModelError(
                    f"{name}: bounds {self.low[at]:g} and {self.high[at]:g} {unit} must hold the median "
                    f"{self.median[at]:g} and lie between {lowest:g} and {highest:g}",
                    remedy="Correct the population",
                )
        values = np.linalg.eigvalsh(0.5 * (self.covariance + self.covariance.T))
        if not np.isfinite(values).all() or values.min() < -1e-12 * max(float(values.max()), 1e-300):
            raise ModelError("the covariance of the population is not positive", remedy="Correct the population")
        for name in ("median", "covariance", "low", "high"):
            object.__setattr__(self, name, freeze(np.asarray(getattr(self, name), dtype=np.float64)))

    @property
    def deviations(self) -> Array:
        """Standard deviations of the logarithms, about relative ones, shape (n,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def hash(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the file's content."""
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True).encode()).hexdigest()[:12]

    @classmethod
    def of_population(
        cls,
        population: Population,
        *,
        cell: str,
        resistance: float = 0.0,
        coordinates: Mapping[str, str] | None = None,
        shifts: Sequence[str] = ("resistance",),
        centred: bool = True,
        provenance: Mapping[str, str] | None = None,
    ) -> CellPopulationDistribution:
        """Return the distribution of a fitted population of coordinates.

        Parameters
        ----------
        population : Population
            Over logarithms of factors on shared values, and shifts of them.
        cell : str
            Type of the cell.
        resistance : float
            Whole series resistance of the shared cell, which shift or factor refers to [ohm].
        coordinates : mapping of str to str, optional
            Coordinate of each quantity; ``capacity``, ``resistance`` and ``diffusivity`` where absent.
        shifts : sequence of str
            Quantities whose coordinate is a shift in their own unit, not the logarithm of a factor.
        centred : bool
            Whether the median cell is the population's, not the shared one.
        provenance : mapping of str to str, optional
            Further entries.

        Raises
        ------
        ModelError
            If the population has none of the coordinates, or the resistance is missing.
        """
        wanted = coordinates or {
            "capacity_scale": "capacity",
            "resistance": "resistance",
            "diffusivity_scale": "diffusivity",
        }
        pairs = [(name, wanted[name]) for name in DRAWN_QUANTITIES if wanted.get(name) in population.names]
        if not pairs:
            raise ModelError(
                f"the population has {', '.join(population.names)}: nothing that a pack's cells are drawn in",
                remedy="Refit capacity, resistance or diffusivity",
            )
        names = tuple(name for name, _ in pairs)
        at = [population.names.index(coordinate) for _, coordinate in pairs]
        shared = np.array([resistance if name == "resistance" else 1.0 for name in names])
        if not (shared > 0.0).all():
            raise ModelError("the resistance that factors refer to is missing", remedy="Give resistance [ohm]")
        mean = population.mean[at] if centred else np.zeros(len(at))
        shifted = np.array([name in shifts for name in names])
        median = np.where(shifted, shared + mean, shared * np.exp(np.where(shifted, 0.0, mean)))
        if not (median > 0.0).all():
            raise ModelError(
                "the population's resistance is below zero",
                remedy="Give the whole series resistance of the shared cell",
            )
        relative = np.where(shifted, 1.0 / median, 1.0)  # of a shift, to first order
        return _bounded(
            names,
            median,
            population.covariance[np.ix_(at, at)] * relative * relative[:, np.newaxis],
            cell,
            {
                "method": "hierarchical empirical Bayes",
                "cells": ", ".join(population.cells),
                "undetermined": ", ".join(name for name in population.undetermined) or "none",
                **(provenance or {}),
            },
        )

    @classmethod
    def of_capacities(cls, spread: CapacitySpread, *, cell: str, source: str) -> CellPopulationDistribution:
        """Return the distribution of capacity alone, about that of the parameter set, from capacities of fresh cells.

        Parameters
        ----------
        spread : CapacitySpread
            From :func:`capacity_spread`.
        cell : str
            Type of the cell.
        source : str
            Where the capacities come from.
        """
        return _bounded(
            ("capacity_scale",),
            np.ones(1),
            np.log1p(spread.deviation**2).reshape(1, 1),
            cell,
            {
                "method": "sample deviation of first capacities",
                "source": source,
                "cells": f"{len(spread.names)}",
                "deviation": f"{spread.deviation:.5f} ± {spread.deviation_uncertainty:.5f}",
            },
        )

    def sample(self, n: int, seed: int | Sequence[int]) -> dict[str, Array]:
        """Return n cells: each quantity of shape (n,), correlated, within the bounds.

        Parameters
        ----------
        n : int
            Number of cells.
        seed : int or sequence of int
            Of the random numbers; the same seed gives the same cells, and the first of more cells.

        Raises
        ------
        SettingsError
            If ``n`` is below 1, or next to nothing of the distribution lies within its bounds.
        """
        if n < 1:
            raise SettingsError(f"{n} cells are none", remedy="Draw at least one")
        random = np.random.default_rng(seed)
        values, vectors = np.linalg.eigh(self.covariance)
        factor = vectors * np.sqrt(np.maximum(values, 0.0))
        kept: list[Array] = []
        count = 0
        for _ in range(_ATTEMPTS):
            drawn = self.median * np.exp(random.standard_normal((n, len(self.names))) @ factor.T)
            inside = drawn[((drawn >= self.low) & (drawn <= self.high)).all(axis=1)]
            kept.append(inside)
            count += len(inside)
            if count >= n:
                cells = np.concatenate(kept)[:n]
                return {name: cells[:, at] for at, name in enumerate(self.names)}
        raise SettingsError(
            f"only {count} of {_ATTEMPTS * n} drawn cells lie within the bounds",
            remedy="Widen the bounds of the population, or narrow its covariance",
        )

    def draw(
        self,
        n: int,
        seed: int,
        *,
        resistance: float = 0.0,
        soc: Array | float = 1.0,
        temperature: Array | float | None = None,
    ) -> CellPopulation:
        """Return n cells as the pack engine takes them.

        Parameters
        ----------
        n, seed : int
            As for :meth:`sample`.
        resistance : float
            Of every cell where the distribution has none [ohm].
        soc : float or ndarray of shape (n,)
            State of charge at the start [-].
        temperature : float or ndarray of shape (n,), optional
            At the start [K].
        """
        from ..engine import CellPopulation

        drawn: dict[str, Array | float] = {"resistance": resistance, **self.sample(n, seed)}
        return CellPopulation(**drawn, soc=soc, temperature=temperature)

    def content(self) -> dict[str, object]:
        """Return what :meth:`save` writes."""
        return {
            "schema": _SCHEMA,
            "cell": self.cell,
            "quantities": [
                {
                    "name": name,
                    "unit": DRAWN_QUANTITIES[name][0],
                    "median": float(self.median[at]),
                    "log_deviation": float(self.deviations[at]),
                    "low": float(self.low[at]),
                    "high": float(self.high[at]),
                }
                for at, name in enumerate(self.names)
            ],
            "log_covariance": self.covariance.tolist(),
            "provenance": dict(self.provenance),
        }

    def save(self, path: str | Path) -> None:
        """Write the distribution as JSON."""
        Path(path).write_text(json.dumps(self.content(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_cell_distribution(path: str | Path) -> CellPopulationDistribution:
    """Read a distribution that was saved.

    Parameters
    ----------
    path : str or Path
        File, or the name of one in ``data/distributions``.

    Raises
    ------
    ModelError
        If the file is missing, damaged or of another kind.
    """
    if Path(path).suffix != ".json":
        path = DISTRIBUTION_FOLDER / f"{path}.json"
    if not Path(path).is_file():
        names = ", ".join(sorted(file.stem for file in DISTRIBUTION_FOLDER.glob("*.json")))
        raise ModelError(
            "there is no such distribution of cells", where=str(path), remedy=f"Give a .json file, or one of: {names}"
        )
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if content.get("schema") != _SCHEMA:
            raise ModelError(
                f"schema {content.get('schema')!r} is not {_SCHEMA!r}",
                where=str(path),
                remedy="Save it anew with this version",
            )
        rows = content["quantities"]
        return CellPopulationDistribution(
            names=tuple(str(row["name"]) for row in rows),
            median=np.array([float(row["median"]) for row in rows]),
            covariance=np.array(content["log_covariance"], dtype=np.float64),
            low=np.array([float(row["low"]) for row in rows]),
            high=np.array([float(row["high"]) for row in rows]),
            cell=str(content["cell"]),
            provenance={str(key): str(value) for key, value in content.get("provenance", {}).items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"the distribution of cells cannot be read ({error!r})", where=str(path), remedy="Save it anew"
        ) from None
    except ModelError as error:
        raise ModelError(error.message, where=str(path), remedy=error.remedy) from None


def pack_distribution(spec: PackSpec) -> CellPopulationDistribution | None:
    """Return the distribution that a pack's declaration names, None where it names none.

    Parameters
    ----------
    spec : PackSpec
        The pack.

    Raises
    ------
    ModelError
        If the file is missing, damaged, of another kind or of another type of cell.
    """
    if not spec.cell.distribution:
        return None
    distribution = load_cell_distribution(spec.cell.distribution)
    if distribution.cell not in (spec.cell.name, spec.cell.parameter_set):
        raise ModelError(
            f"the distribution is of cells {distribution.cell!r}; those of pack {spec.name} are {spec.cell.name!r}, "
            f"with the parameters {spec.cell.parameter_set!r}",
            where=spec.cell.distribution,
            remedy="Name the distribution of this cell in cell.distribution, or correct the file's `cell`",
        )
    return distribution


def vary_pack(
    spec: PackSpec,
    parameters: CellParameters,
    distribution: CellPopulationDistribution,
    *,
    seed: int,
    initial_soc: float,
    soc_spread: float = 0.003,
) -> PackVariation:
    """Return a pack whose cells differ as a distribution says and in nothing else: no losses of age, no weak groups.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    parameters : CellParameters
        The cell; its capacity is what ``capacity_scale`` refers to, and its resistance that of every cell where the
        distribution has none. For a pack's cell of another size both are scaled, as :func:`draw_variation` does.
    distribution : CellPopulationDistribution
        How cells differ.
    seed : int
        Of the random numbers.
    initial_soc : float
        Mean state of charge at the start [-].
    soc_spread : float
        Standard deviation of the groups' state of charge [-].

    Raises
    ------
    SettingsError
        If the state of charge is not a fraction, or its spread negative.
    """
    return draw_variation(
        spec,
        parameters,
        seed=seed,
        initial_soc=initial_soc,
        capacity_spread=None if "capacity_scale" in distribution.names else 0.0,
        resistance_spread=None if "resistance" in distribution.names else 0.0,
        soc_spread=soc_spread,
        ageing=0.0,
        weak_groups=0,
        distribution=distribution,
    )


def _bounded(
    names: Sequence[str], median: Array, covariance: Array, cell: str, provenance: Mapping[str, str]
) -> CellPopulationDistribution:
    """Return a distribution cut off at four standard deviations, and at what is physical."""
    reach = np.exp(4.0 * np.sqrt(np.diag(covariance)))
    limits = np.array([DRAWN_QUANTITIES[name][1:] for name in names])
    return CellPopulationDistribution(
        names=tuple(names),
        median=median,
        covariance=covariance,
        low=np.maximum(median / reach, limits[:, 0]),
        high=np.minimum(median * reach, limits[:, 1]),
        cell=cell,
        provenance=provenance,
    )
