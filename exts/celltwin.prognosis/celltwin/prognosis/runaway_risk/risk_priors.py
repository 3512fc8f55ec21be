"""How often cells fail before anything is known of them: explicit numbers that a user can edit."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from celltwin.core import ModelError

__all__ = ["SECONDS_PER_YEAR", "RiskPriors", "library_priors", "parse_priors"]

SECONDS_PER_YEAR = 3.156e7
OUTSIDE_DELAY = 1500.0  # [s], in the library
LIBRARY_RUNS = 100  # fewer fires than half of one in so many runs are not believed


@dataclass(frozen=True, kw_only=True)
class RiskPriors:
    """Prior probabilities and rates.

    Attributes
    ----------
    short_rate : float
        New internal shorts, for each cell and year [1/a].
    short_rate_low, short_rate_high : float
        The range that it may lie in [1/a].
    unnoticed : float
        How long a short is there before anybody acts on it [s].
    imitation : float
        Probability that the heat balance of a sound cell shows a heat that is not there, by a wrong sensor or model.
    growing : float
        Probability that a short that is there is still growing.
    coolant_rate : float
        Losses of the coolant, for each pack and year [1/a].
    outside_rate : float
        Heat from outside that may burn a cell, for each pack and year [1/a].
    outside_delay : float
        From its beginning to the first runaway [s].
    outside_burns : float
        Probability that it takes a cell along.
    """

    short_rate: float
    short_rate_low: float
    short_rate_high: float
    unnoticed: float
    imitation: float
    growing: float
    coolant_rate: float
    outside_rate: float
    outside_delay: float
    outside_burns: float

    def __post_init__(self) -> None:
        """Check that the numbers are possible."""
        for name in (
            "short_rate",
            "short_rate_low",
            "short_rate_high",
            "unnoticed",
            "coolant_rate",
            "outside_rate",
            "outside_delay",
        ):
            if not getattr(self, name) > 0.0:
                raise ModelError(
                    f"{name} = {getattr(self, name):g} must be greater than 0", remedy="Correct the priors"
                )
        for name in ("imitation", "growing", "outside_burns"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ModelError(
                    f"{name} = {getattr(self, name):g} must lie between 0 and 1", remedy="Correct the priors"
                )
        if not self.short_rate_low <= self.short_rate <= self.short_rate_high:
            raise ModelError("short_rate lies outside its range", remedy="Correct the priors")

    def present(self, rate: float) -> float:
        """Return the probability that a cell has a short now, at a rate [1/a]."""
        return min(rate * self.unnoticed / SECONDS_PER_YEAR, 0.5)

    def outside(self, horizon: float) -> float:
        """Return the probability that heat from outside begins and burns a cell within a horizon [s]."""
        begun = max(horizon - self.outside_delay, 0.0) * self.outside_rate / SECONDS_PER_YEAR
        return self.outside_burns * min(begun, 1.0)

    @property
    def digest(self) -> str:
        """First eight hexadecimal digits of the SHA-256 of the numbers."""
        text = repr([getattr(self, field.name) for field in fields(self)])
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def parse_priors(path: Path) -> RiskPriors:
    """Read priors from a TOML file: one table ``[priors]`` with the fields of :class:`RiskPriors`.

    Raises
    ------
    ModelError
        If the file is missing or a number is missing, unknown or impossible.
    """
    remedy = "Restore the file from the repository, or correct it"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        numbers = {name: float(value) for name, value in content["priors"].items()}
        return RiskPriors(**numbers)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the priors cannot be read ({error})", where=str(path), remedy=remedy) from None


def library_priors(
    n_cells: int, shorts: float, imitations: float, fires: float, burns: float, duration: float
) -> RiskPriors:
    """Return the priors that hold within the scenario library.

    Parameters
    ----------
    n_cells : int
        Cells of its pack.
    shorts, imitations : float
        Shares of its runs with a short in one cell, and with a wrong sensor at one cell.
    fires, burns : float
        Share of its runs with heat from outside, and of these the share with a runaway.
    duration : float
        Of a run [s].
    """
    rate = shorts / n_cells / (0.5 * duration) * SECONDS_PER_YEAR
    return RiskPriors(
        short_rate=rate,
        short_rate_low=0.7 * rate,
        short_rate_high=1.4 * rate,
        unnoticed=0.25 * duration,
        imitation=max(0.5 * imitations / n_cells, 1e-4),
        growing=0.5,
        coolant_rate=0.1 / duration * SECONDS_PER_YEAR,
        outside_rate=max(fires, 0.5 / LIBRARY_RUNS) / (0.5 * duration) * SECONDS_PER_YEAR,
        outside_delay=OUTSIDE_DELAY,
        outside_burns=float(np.clip(burns, 0.1, 0.9)),
    )
