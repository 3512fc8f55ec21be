r"""Whether a candidate takes the place of the shipped model: a paired test over cells that neither has learnt from.

With the mean absolute errors :math:`e_c` and :math:`e'_c` of shipped model and candidate on cell :math:`c`, the
hypothesis that the candidate is no better is tested by flipping the signs of :math:`e'_c - e_c`: under it each sign is
as likely as the other. Cycles of a cell go together, so a cell is one draw however long it lived.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, SettingsError, ShapeError

from ..past_windows import PastWindows

__all__ = ["Answers", "PromotionCheck", "PromotionRules", "PromotionVerdict", "digest_windows", "judge_promotion"]

SIGN_FLIPS = 9999  # at most; all of them where there are fewer
RECORD_FORMAT = "promotion 1"


@dataclass(frozen=True, kw_only=True)
class PromotionRules:
    """What a candidate must show.

    Attributes
    ----------
    level : float
        Share of candidates no better than the shipped model that may be promoted, over all tests against it on the
        same held-out cells.
    fewest_cells : int
        Held-out cells below which nothing is promoted.
    margin : float
        How much worse the candidate may be on the cells of one protocol, mean absolute error [SOH].
    coverage : float
        Share of cycles that the intervals are meant to hold.
    coverage_slack : float
        How far below that the coverage of the candidate may lie, where that of the shipped model does not lie lower.
    widening : float
        Largest mean width of the candidate's intervals, relative to those of the shipped model.

    Raises
    ------
    SettingsError
        If so few cells could never reach the level.
    """

    level: float = 0.05
    fewest_cells: int = 8
    margin: float = 0.002
    coverage: float = 0.90
    coverage_slack: float = 0.05
    widening: float = 1.25

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0 or 0.5**self.fewest_cells > self.level_of(1):
            raise SettingsError(
                f"{self.fewest_cells} cells cannot decide at a level of {self.level:g}",
                remedy="Ask for more cells or for a higher level",
            )

    def level_of(self, attempt: int) -> float:
        """Return the level of one test among several, ``level / (attempt (attempt + 1))``: they add up to ``level``."""
        return self.level / (attempt * (attempt + 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What a model says of windows.

    Attributes
    ----------
    digest : str
        SHA-256 of the model.
    soh : ndarray of shape (n,)
        Predictions [-].
    half_width : ndarray of shape (n,)
        Half of the widths of the intervals [-].
    """

    digest: str
    soh: Array
    half_width: Array


@dataclass(frozen=True, kw_only=True)
class PromotionCheck:
    """One condition.

    Attributes
    ----------
    name : str
        ``cells``, ``answers``, ``better``, ``protocols`` or ``intervals``.
    kept : bool
        Whether it is met.
    reason : str
        A sentence with the figures.
    """

    name: str
    kept: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class PromotionVerdict:
    """What came of a test.

    Attributes
    ----------
    promoted : bool
        Whether every condition is met.
    checks : tuple of PromotionCheck
        The conditions, each with its reason.
    shipped, candidate, held_out : str
        SHA-256 of the two models and of the windows that they were judged on.
    rules : PromotionRules
        What was asked.
    attempt : int
        Number of this test among those against the same shipped model.
    cells : int
        Held-out cells.
    shipped_error, candidate_error : float
        Mean absolute error; every cell weighs alike [SOH]. NaN where an answer is missing.
    p_value : float
        Of the hypothesis that the candidate is no better; 1 where it was not tested.
    """

    promoted: bool
    checks: tuple[PromotionCheck, ...]
    shipped: str
    candidate: str
    held_out: str
    rules: PromotionRules
    attempt: int
    cells: int
    shipped_error: float
    candidate_error: float
    p_value: float

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences: what stands against the promotion, or where nothing does, what speaks for it."""
        against = tuple(check.reason for check in self.checks if not check.kept)
        return against or tuple(check.reason for check in self.checks)

    def record(self) -> dict[str, object]:
        """Return everything as JSON takes it, with the SHA-256 of the rest under ``sha256``."""
        content: dict[str, object] = {"format": RECORD_FORMAT, **asdict(self)}
        for name in ("shipped_error", "candidate_error"):
            value = getattr(self, name)
            content[name] = value if np.isfinite(value) else None
        written = json.dumps(content, sort_keys=True, allow_nan=False)
        return {**content, "sha256": hashlib.sha256(written.encode()).hexdigest()}

    def write(self, file: Path) -> None:
        """Write the record to a JSON file."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self.record(), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def judge_promotion(
    held_out: PastWindows,
    shipped: Answers,
    candidate: Answers,
    rules: PromotionRules | None = None,
    *,
    attempt: int = 1,
) -> PromotionVerdict:
    """Return whether a candidate takes the place of the shipped model, and why.

    Parameters
    ----------
    held_out : PastWindows
        Windows of cells that neither model has learnt from and that no interval was calibrated on.
    shipped, candidate : Answers
        What the models say of them.
    rules : PromotionRules, optional
        What is asked.
    attempt : int
        Number of this test among those against the same shipped model on these cells, from 1; each later one is
        stricter, so that repeating a test does not promote by chance.

    Raises
    ------
    ShapeError
        If there are not as many answers as windows.
    SettingsError
        If the number of the attempt is below 1.

    References
    ----------
    .. [1] R. A. Fisher, "The Design of Experiments", Oliver and Boyd 1935, section 21: the exact test of paired signs.
    """
    rules = rules or PromotionRules()
    if attempt < 1:
        raise SettingsError(f"there is no test number {attempt}", remedy="Count the tests from 1")
    for name, answers in (("shipped model", shipped), ("candidate", candidate)):
        if answers.soh.shape != held_out.soh.shape or answers.half_width.shape != held_out.soh.shape:
            raise ShapeError(
                f"{answers.soh.shape} predictions and {answers.half_width.shape} intervals of the {name}, "
                f"expected {held_out.soh.shape} of each"
            )
    names, first, index = np.unique(held_out.cell, return_index=True, return_inverse=True)
    checks = [_enough_cells(names.size, rules)]
    before, after, p_value = np.nan, np.nan, 1.0
    missing = ~np.isfinite(candidate.soh) | ~np.isfinite(candidate.half_width)
    if missing.any() or not np.isfinite(shipped.soh).all():
        reason = (
            f"The candidate has no answer for {missing.sum()} of {missing.size} windows."
            if missing.any()
            else "The shipped model has windows without an answer, so there is nothing to compare with."
        )
        checks.append(PromotionCheck(name="answers", kept=False, reason=reason))
    elif names.size:
        errors = np.stack([_by_cell(np.abs(each.soh - held_out.soh), index) for each in (shipped, candidate)])
        before, after = (float(value) for value in errors.mean(axis=1))
        p_value = _p_value(errors[1] - errors[0])
        checks += [
            _better(before, after, p_value, rules.level_of(attempt), attempt),
            _protocols(held_out.protocol[first], errors[1] - errors[0], rules),
            _intervals(held_out.soh, index, shipped, candidate, rules),
        ]
    return PromotionVerdict(
        promoted=all(check.kept for check in checks),
        checks=tuple(checks),
        shipped=shipped.digest,
        candidate=candidate.digest,
        held_out=digest_windows(held_out),
        rules=rules,
        attempt=attempt,
        cells=int(names.size),
        shipped_error=before,
        candidate_error=after,
        p_value=p_value,
    )


def digest_windows(windows: PastWindows) -> str:
    """Return the SHA-256 of cells, protocols, cycles, labels and inputs of windows."""
    digest = hashlib.sha256()
    for values in (windows.cell, windows.protocol):
        digest.update("\0".join(values.tolist()).encode())
    for array in (windows.cycle, windows.soh, windows.features, windows.seen, windows.beginning):
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _by_cell(values: Array, index: NDArray[np.intp]) -> Array:
    mean: Array = np.bincount(index, weights=values) / np.bincount(index)
    return mean


def _p_value(change: Array) -> float:
    from scipy.stats import permutation_test

    if change.size < 2:
        return 1.0
    found = permutation_test(
        (change,),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        alternative="less",
        n_resamples=SIGN_FLIPS,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def _enough_cells(cells: int, rules: PromotionRules) -> PromotionCheck:
    kept = cells >= rules.fewest_cells
    reason = (
        f"{cells} cells were held out, at least {rules.fewest_cells} are asked for."
        if kept
        else f"Only {cells} cells were held out; {rules.fewest_cells} are needed to tell better from luck."
    )
    return PromotionCheck(name="cells", kept=kept, reason=reason)


def _better(before: float, after: float, p_value: float, level: float, attempt: int) -> PromotionCheck:
    kept = after < before and p_value <= level
    change = f"its mean error is {100.0 * after:.3f} SOH points against {100.0 * before:.3f}"
    test = f"p = {p_value:.4f}, asked at most {level:.4f} in test number {attempt}"
    said = "The candidate is better on the held-out cells" if kept else "The candidate is not shown to be better"
    return PromotionCheck(name="better", kept=kept, reason=f"{said}: {change} ({test}).")


def _protocols(protocol: NDArray[np.str_], change: Array, rules: PromotionRules) -> PromotionCheck:
    changes = {str(name): float(change[protocol == name].mean()) for name in np.unique(protocol)}
    worst = max(changes, key=lambda name: changes[name])
    allowed = f"{100.0 * rules.margin:.2f} SOH points are allowed"
    kept = changes[worst] <= rules.margin
    told = f"{worst} changes by {100.0 * changes[worst]:+.3f}"
    reason = f"No protocol gets worse by more than the margin: {told}, {allowed}."
    if not kept:
        over = ", ".join(f"{name} ({100.0 * value:+.3f})" for name, value in changes.items() if value > rules.margin)
        reason = f"The candidate is worse on {over}; {allowed}."
    return PromotionCheck(name="protocols", kept=kept, reason=reason)


def _intervals(
    soh: Array, index: NDArray[np.intp], shipped: Answers, candidate: Answers, rules: PromotionRules
) -> PromotionCheck:
    def inside_of(answers: Answers) -> Array:
        return (np.abs(answers.soh - soh) <= answers.half_width).astype(np.float64)

    both = (shipped, candidate)
    inside = [float(_by_cell(inside_of(each), index).mean()) for each in both]
    width = [float(_by_cell(2.0 * each.half_width, index).mean()) for each in both]
    least = min(rules.coverage - rules.coverage_slack, inside[0])
    held, narrow = inside[1] >= least, width[1] <= rules.widening * width[0]
    reason = (
        f"The intervals hold {100.0 * inside[1]:.1f} % of the cycles (before: {100.0 * inside[0]:.1f} %), at a width "
        f"of {100.0 * width[1]:.2f} SOH points (before: {100.0 * width[0]:.2f})."
    )
    if not held:
        reason = f"{reason[:-1]}; at least {100.0 * least:.1f} % are asked for."
    if not narrow:
        reason = f"{reason[:-1]}; they may be at most {rules.widening:g} times as wide as before."
    return PromotionCheck(name="intervals", kept=held and narrow, reason=reason)
