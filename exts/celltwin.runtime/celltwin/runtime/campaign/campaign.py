"""A campaign: one pack, one scenario, what is varied, and every run that follows from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

from celltwin.core import PackSpec, Scenario, SettingsError, SpecError, parse_pack, parse_scenario

from .design import Design, Factor, design_points
from .tables import replaced, toml_text

__all__ = ["Campaign", "Outputs", "RunRequest"]


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What is kept of a run beside its summary figures.

    Attributes
    ----------
    history : bool
        Whether to keep samples of the pack over time.
    cells : bool
        Whether the history has every cell, or the pack and its extremes only.
    sample_period : float
        Time between two samples [s].
    rank_by : str
        Figure that the closing table sorts by; empty for none.
    best : str
        ``lowest`` or ``highest``.
    show : tuple of str
        Figures that the closing table shows beside it; the first few where empty.
    """

    history: bool = False
    cells: bool = False
    sample_period: float = 10.0
    rank_by: str = ""
    best: str = "lowest"
    show: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class RunRequest:
    """Everything that a worker needs for one run; it pickles, and reads no file.

    Attributes
    ----------
    run : int
        Number of the run in its campaign.
    pack : PackSpec
        The pack, with the values of the factors.
    scenario : Scenario
        The scenario, with the values of the factors and the seed of the run.
    engine : mapping of str to object
        Options of the simulation by name.
    outputs : Outputs
        What to keep.
    """

    run: int
    pack: PackSpec
    scenario: Scenario
    engine: Mapping[str, Any]
    outputs: Outputs


@dataclass(frozen=True, kw_only=True, eq=False)
class Campaign:
    """A designed experiment on one pack in one scenario.

    Runs are numbered ``repetition * n_points + point``, so that every point is seen once before any is repeated. All
    points of a repetition share its seed: what differs between them is due to the factors.

    Attributes
    ----------
    name, description : str
        What it is called and what it is for.
    path, pack, scenario : Path
        The campaign's own file, the pack's and the scenario's.
    pack_tables, scenario_tables : mapping
        What the two files hold.
    base : mapping of str to object
        Values of fields that differ from the files in all runs, by dotted name.
    factors : tuple of Factor
        What is varied.
    design : Design
        How.
    seeds : tuple of int
        Seed of each repetition.
    outputs : Outputs
        What is kept.
    """

    RUN_COLUMNS: ClassVar[tuple[str, ...]] = ("run", "point", "repetition", "seed", "attempts", "seconds", "worker")

    name: str
    description: str = ""
    path: Path
    pack: Path
    scenario: Path
    pack_tables: Mapping[str, Any] = field(repr=False)
    scenario_tables: Mapping[str, Any] = field(repr=False)
    base: Mapping[str, Any]
    factors: tuple[Factor, ...]
    design: Design
    seeds: tuple[int, ...]
    outputs: Outputs

    @cached_property
    def points(self) -> list[tuple[Any, ...]]:
        """Value of every factor at every point [unit of the factor]."""
        return design_points(self.design, self.factors)

    @property
    def n_runs(self) -> int:
        """How many runs there are."""
        return len(self.points) * len(self.seeds)

    def parameters(self, run: int) -> dict[str, Any]:
        """Return number, point, repetition, seed and the value of every factor of a run."""
        repetition, point = divmod(run, len(self.points))
        values = {factor.name: value for factor, value in zip(self.factors, self.points[point], strict=True)}
        return {"run": run, "point": point, "repetition": repetition, "seed": self.seeds[repetition], **values}

    def request(self, run: int) -> RunRequest:
        """Return what a worker needs for a run.

        Raises
        ------
        SpecError
            If pack or scenario do not accept the values.
        """
        repetition, point = divmod(run, len(self.points))
        return self._request(run, self.points[point], self.seeds[repetition])

    def check(self) -> None:
        """Raise CelltwinError if pack, scenario or engine refuse the first point, or any factor at an extreme."""
        first = self.points[0]
        self._try(first)
        for number, factor in enumerate(self.factors):
            for value in factor.extremes():
                self._try((*first[:number], value, *first[number + 1 :]))

    @cached_property
    def hashes(self) -> dict[str, str]:
        """First 12 hexadecimal digits of the SHA-256 of each part of the design."""
        from celltwin.physics.calibration import pack_distribution

        distribution = pack_distribution(self.request(0).pack)
        parts = {
            "pack": {**self.pack_tables, "cells": distribution.hash} if distribution else self.pack_tables,
            "scenario": _parsed_scenario(toml_text(self.scenario_tables), str(self.scenario)).hash,  # with its profiles
            "base": self.base,
            "factors": [asdict(factor) for factor in self.factors],
            "points": self.points,
            "seeds": self.seeds,
            "outputs": {
                key: value for key, value in asdict(self.outputs).items() if key not in ("rank_by", "best", "show")
            },
        }
        return {name: _digest(part) for name, part in parts.items()}

    def _request(self, run: int, point: tuple[Any, ...], seed: int) -> RunRequest:
        values = {"pack": {}, "scenario": {"seed": seed}, "engine": {}}
        for name, value in self._fields(point):
            root, _, rest = name.partition(".")
            values[root][rest] = value
        return RunRequest(
            run=run,
            pack=_parsed_pack(toml_text(replaced(self.pack_tables, values["pack"])), str(self.pack)),
            scenario=_parsed_scenario(
                toml_text(replaced(self.scenario_tables, values["scenario"])), str(self.scenario)
            ),
            engine=values["engine"],
            outputs=self.outputs,
        )

    def _try(self, point: tuple[Any, ...]) -> None:
        from celltwin.physics.calibration import pack_distribution

        from .simulation import engine_arguments

        try:
            request = self._request(0, point, self.seeds[0])
            engine_arguments(request.engine)
        except (SpecError, SettingsError) as error:
            named = ", ".join(
                f"{factor.name} = {value}{' ' + factor.unit if factor.unit else ''}"
                for factor, value in zip(self.factors, point, strict=True)
            )
            raise type(error)(f"{error.message} (at {named})", where=error.where, remedy=error.remedy) from None
        pack_distribution(request.pack)

    def _fields(self, point: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
        yield from self.base.items()
        for factor, value in zip(self.factors, point, strict=True):
            for name in factor.fields:
                # The field's own rule reads the unit, and refuses one of another dimension.
                yield name, f"{value!r} {factor.unit}" if factor.unit else value


@lru_cache(maxsize=64)
def _parsed_pack(text: str, where: str) -> PackSpec:
    return parse_pack(text, where=where, folder=Path(where).parent)


@lru_cache(maxsize=64)
def _parsed_scenario(text: str, where: str) -> Scenario:
    return parse_scenario(text, where=where, folder=Path(where).parent)


def _digest(part: Any) -> str:
    text = json.dumps(part, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
