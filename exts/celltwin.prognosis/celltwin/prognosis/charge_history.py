"""The past charges of every cell of a running pack, as far as predictions look back, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from celltwin.core import SECONDS_PER_HOUR, Array, Flags, PackSpec, PackState, freeze

from .cell_samples import sample_cells
from .charge_features import ChargeFeatures, ChargeRecord
from .features import FEATURE_NAMES, SAMPLING_DEPENDENT, feature_columns
from .past_windows import BEGINNING as MEAN_BEGINNING
from .past_windows import PastWindows
from .remaining_life.life_inputs import BEGINNING as MEDIAN_BEGINNING
from .remaining_life.life_inputs import finite_median

__all__ = ["LONGEST_PAST", "CellPasts", "ChargeHistory"]

# Charges that predictions look back on at most: the longest slope of remaining life. The others in the ring are
# room for charges that end between a question and its answer.
LONGEST_PAST, SLOTS = 60, 64
# The present use of a cell is that of about so long [s]; it is not told of less than that [s].
PRESENT, SHORTEST_USE = 30.0 * 86400.0, 3600.0
# Current is not counted over a longer silence [s].
LONGEST_GAP = 120.0

BLANK = feature_columns(SAMPLING_DEPENDENT)

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellPasts:
    """What was known of the past charges of all cells at one time.

    Attributes
    ----------
    time : float
        The time [s since the start of the run].
    source : object
        The history.
    revision : int
        Grows with every charge that was added; equal revisions of one history mean equal pasts.
    count : ndarray of int, shape (n_cells,)
        Charges of each cell so far, those before the run included; those of which nothing is known are not in it
        where ``begun`` is False.
    held : ndarray of int, shape (n_cells,)
        How many of the newest are in the ring.
    begun : ndarray of bool, shape (n_cells,)
        Whether the cell's first charges are known.
    total, number : ndarray of shape (n_cells, 16)
        Sum and number of the finite values among the first 30 charges so far.
    first : ndarray of shape (n_cells, 16)
        Median of the finite values among the first 10 charges so far; NaN where none.
    completed : ndarray of shape (n_cells,)
        When the newest charge was complete [s since the start of the run, negative before it]; NaN where there is none.
    doubts : ndarray of uint8, shape (n_cells,)
        :class:`ChargeDoubt` of the newest charge.
    used : ndarray of shape (n_cells,)
        Charge that has passed in and out of each cell [A.h], older use counting less.
    watched : float
        Over how long [s], counted alike.
    """

    time: float
    source: object
    revision: int
    count: NDArray[np.int64]
    held: NDArray[np.int64]
    begun: NDArray[np.bool_]
    total: Array
    number: NDArray[np.int64]
    first: Array
    completed: Array
    doubts: Flags
    used: Array
    watched: float
    _ring: Floats
    _gathered: dict[str, tuple[Floats, NDArray[np.bool_]]] = field(default_factory=dict, repr=False)
    _gathering: Lock = field(default_factory=Lock, repr=False)  # health and life ask at the same time

    @property
    def beginning(self) -> Array:
        """Mean of the first 30 charges so far, shape (n_cells, 16); NaN where none is known."""
        known = self.begun[:, np.newaxis] & (self.number > 0)
        mean: Array = np.where(known, self.total / np.maximum(self.number, 1), np.nan)
        return mean

    def newest(self, length: int, cells: NDArray[np.intp]) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the newest charges of some cells, oldest first, and which of these there have been.

        The entropies are blanked (0), as in the windows that served models learn from.

        Parameters
        ----------
        length : int
            How many, at most :data:`LONGEST_PAST`.
        cells : ndarray of int, shape (n,)
            Which cells, each with at least one charge.

        Returns
        -------
        tuple of ndarray
            Features (n, length, 16), where the oldest known charge stands in for those before it; (n, length). Equal
            places of all cells lie together in memory. Both are read-only; those of all cells are gathered once.
        """
        if cells.size < self.count.size:
            newest, seen = self._gather(length, cells)
        else:
            with self._gathering:
                if "newest" not in self._gathered:
                    self._gathered["newest"] = self._gather(LONGEST_PAST, cells)
            newest, seen = self._gathered["newest"]
        return np.moveaxis(newest[-length:], 0, 1), seen[-length:].T

    def _gather(self, asked: int, cells: NDArray[np.intp]) -> tuple[Floats, NDArray[np.bool_]]:
        """Return so many newest charges, (asked, n, 16), and which of these there have been, (asked, n)."""
        whole = cells.size == self.count.size
        number = self.count[cells] - np.arange(asked, 0, -1)[:, np.newaxis]
        oldest = (self.count - self.held)[cells]
        seen = number >= oldest
        slots = np.maximum(number, oldest) % SLOTS
        if whole and (self.count == self.count[0]).all() and (self.held == self.held[0]).all():
            newest = self._ring[slots[:, 0]]  # whole rows of cells that are charged together
        else:
            newest = self._ring.reshape(-1, len(FEATURE_NAMES)).take(slots * self.count.size + cells, axis=0)
        for array in (newest, seen):
            array.flags.writeable = False
        return newest, seen

    def windows(self, length: int, cells: NDArray[np.intp]) -> PastWindows:
        """Return the past window that each of some cells ends with now; labels are unknown (NaN)."""
        features, seen = self.newest(length, cells)
        beginning = self.beginning[cells]
        beginning[:, BLANK] = 0.0
        return PastWindows(
            features=features,  # type: ignore[arg-type]  # single precision, as recorded: half the time of every pass
            seen=seen,
            beginning=freeze(beginning),
            cycle=freeze(self.count[cells].astype(np.float64)),
            soh=freeze(np.full(cells.size, np.nan)),
            cell=cells.astype(np.str_),
            protocol=np.full(cells.size, ""),
        )

    def record(self, cells: NDArray[np.intp]) -> ChargeRecord:
        """Return the newest charge of some cells, each with at least one."""
        return ChargeRecord(
            features=freeze(self.newest(1, cells)[0][:, 0].astype(np.float64)),
            completed=freeze(self.completed[cells]),
            doubts=freeze(self.doubts[cells]),
            under_way=0,
        )


class ChargeHistory:
    """Record every charge of every cell that is complete, and how much the cells are used.

    For each cell there are the features of its newest 60 charges, the entropies blanked, its first charges averaged,
    their number, and the charge that passed: 4.5 kB a cell, however long the pack lives.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    begun : bool
        Whether the pack is new: its first charge is yet to come. Otherwise what was before is unknown, unless it is
        read (:mod:`charge_history_files`).

    Notes
    -----
    :meth:`observe` and :meth:`look` belong to the twin's thread. What :meth:`look` returns may be read in any other:
    a charge that ends later is written where that look does not read, as long as no cell ends more than four.
    """

    def __init__(self, spec: PackSpec, *, begun: bool = False) -> None:
        n, k = spec.n_cells, len(FEATURE_NAMES)
        self.spec = spec
        self._ring: Floats = np.full((SLOTS, n, k), np.nan, dtype=np.float32)
        self._count = np.zeros(n, dtype=np.int64)
        self._held = np.zeros(n, dtype=np.int64)
        self._begun = np.full(n, begun)
        self._total = np.zeros((n, k))
        self._number = np.zeros((n, k), dtype=np.int64)
        self._first = np.full((n, k), np.nan)
        self._completed = np.full(n, np.nan)
        self._doubts = np.zeros(n, dtype=np.uint8)
        self._used = np.zeros(n)
        self._watched = 0.0
        self._revision = 0
        self._now = -np.inf
        self._shown: CellPasts | None = None

    @property
    def revision(self) -> int:
        """Number of changes so far."""
        return self._revision

    @property
    def memory(self) -> int:
        """Size of all that is kept [bytes]; it does not grow."""
        return sum(array.nbytes for array in vars(self).values() if isinstance(array, np.ndarray))

    def observe(self, state: PackState, features: ChargeFeatures) -> None:
        """Take in the charges that ended since the last process image, and the use of the cells.

        Parameters
        ----------
        state : PackState
            Process image.
        features : ChargeFeatures
            What has observed the same image.
        """
        cells, charges = features.completed_since(self._now)
        if cells.size:
            self.add(cells, charges.features, charges.completed, charges.doubts)
        step = state.time - self._now
        if 0.0 < step <= LONGEST_GAP:
            current = np.abs(sample_cells(state, self.spec).current)
            kept = np.exp(-step / PRESENT)
            self._used = kept * self._used + np.nan_to_num(current) * step / SECONDS_PER_HOUR
            self._watched = kept * self._watched + step
        self._now = state.time

    def add(self, cells: NDArray[np.intp], features: Array, completed: Array, doubts: Flags) -> None:
        """Add one charge to each of some cells.

        Parameters
        ----------
        cells : ndarray of int, shape (n,)
            Which cells, each once.
        features : ndarray of shape (n, 16)
            Columns as :data:`FEATURE_NAMES`.
        completed : ndarray of shape (n,)
            When it was complete [s since the start of the run].
        doubts : ndarray of uint8, shape (n,)
            :class:`ChargeDoubt`.
        """
        slots = self._count[cells] % SLOTS
        self._ring[slots, cells] = features
        self._ring[slots[:, np.newaxis], cells[:, np.newaxis], BLANK] = 0.0
        counted = np.isfinite(features) & (self._count[cells] < MEAN_BEGINNING)[:, np.newaxis]
        self._total[cells] += np.where(counted, features, 0.0)
        self._number[cells] += counted
        self._count[cells] += 1
        self._held[cells] += 1
        self._completed[cells], self._doubts[cells] = completed, doubts
        young = cells[self._begun[cells] & (self._count[cells] <= MEDIAN_BEGINNING)]
        if young.size:
            first = self._ring[:MEDIAN_BEGINNING, young]
            self._first[young] = finite_median(np.where(np.isfinite(first), first, np.nan))
        self._revision += 1

    def look(self) -> CellPasts:
        """Return what is known now; costs next to nothing where no charge has ended since the last look."""
        shown = self._shown
        if shown is not None and shown.revision == self._revision and shown.time == self._now:
            return shown
        self._shown = CellPasts(
            time=self._now,
            source=self,
            revision=self._revision,
            count=freeze(self._count),
            held=freeze(np.minimum(self._held, LONGEST_PAST)),
            begun=freeze(self._begun),
            total=freeze(self._total),
            number=freeze(self._number),
            first=freeze(self._first),
            completed=freeze(self._completed),
            doubts=freeze(self._doubts),
            used=freeze(self._used),
            watched=self._watched,
            _ring=self._ring,
        )
        return self._shown

    def set_past(
        self,
        cells: NDArray[np.intp],
        newest: Floats,
        count: int,
        *,
        begun: bool,
        total: Array,
        number: NDArray[np.int64],
        first: Array,
        completed: Array,
        doubts: Flags,
    ) -> None:
        """Give some cells a past that was recorded elsewhere, in place of what was known of them.

        Parameters
        ----------
        cells : ndarray of int, shape (n,)
            Which cells.
        newest : ndarray of shape (n, length, 16)
            Their newest charges, oldest first, at most 60; as many as there are.
        count : int
            How many charges there have been.
        begun : bool
            Whether the first is known.
        total, number : ndarray of shape (n, 16)
            Sum and number of the finite values of the first 30 charges.
        first : ndarray of shape (n, 16)
            Median of the first 10.
        completed, doubts : ndarray of shape (n,)
            Of the newest charge.
        """
        length = newest.shape[1]
        slots = np.arange(count - length, count) % SLOTS
        self._ring[:, cells] = np.nan
        self._ring[slots[:, np.newaxis], cells] = np.moveaxis(newest, 0, 1)
        self._ring[slots[:, np.newaxis, np.newaxis], cells[:, np.newaxis], BLANK] = 0.0
        self._count[cells], self._held[cells], self._begun[cells] = count, length, begun
        self._total[cells], self._number[cells], self._first[cells] = total, number, first
        self._completed[cells], self._doubts[cells] = completed, doubts
        self._revision += 1

    def set_use(self, used: Array, watched: float) -> None:
        """Go on from the use that an earlier run has counted: charge [A.h] of each cell over a time [s]."""
        self._used, self._watched = np.array(used, dtype=np.float64), float(watched)
