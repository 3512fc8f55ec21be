"""Campaign files: TOML to :class:`Campaign`, with errors that name file, key, value and remedy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from celltwin.core import (
    FieldRule,
    SettingsError,
    SpecError,
    build_spec,
    convert_to,
    read_number,
    read_spec_text,
    reject_unknown,
    require_table,
    require_tables,
)

from ..settings import REPOSITORY
from .campaign import Campaign, Outputs
from .design import DESIGNS, Design, Factor
from .tables import flatten

__all__ = ["load_campaign", "parse_campaign"]

_KEYS = (
    "name",
    "description",
    "pack",
    "scenario",
    "seed",
    "seeds",
    "repetitions",
    "base",
    "design",
    "factors",
    "outputs",
)
_FACTOR_KEYS = ("name", "field", "fields", "unit", "range", "values", "scale", "levels", "whole")
_OUTPUT_KEYS = ("history", "cells", "sample_period", "rank_by", "best", "show")
ROOTS = ("pack", "scenario", "engine")


def load_campaign(path: str | Path) -> Campaign:
    """Read a campaign file, and the pack and the scenario that it names.

    Parameters
    ----------
    path : str or Path
        TOML file. Paths in it start from its own folder, or else from the folder of the software.

    Raises
    ------
    CelltwinError
        If a file is missing or not TOML, a key is unknown or missing, or a value does not fit; pack and scenario are
        checked at the extremes of every factor.
    """
    path = Path(path)
    return parse_campaign(_read(path, "campaign"), path=path)


def parse_campaign(data: Mapping[str, Any], *, path: Path) -> Campaign:
    """Return the campaign that the tables of a file declare; ``path`` is where they come from."""
    try:
        campaign = _build(dict(data), path)
        campaign.check()
    except (SpecError, SettingsError) as error:
        place = f"{path}: {error.where}" if error.where else str(path)
        raise type(error)(error.message, where=place, remedy=error.remedy) from None
    return campaign


def _build(data: dict[str, Any], path: Path) -> Campaign:
    reject_unknown(data, _KEYS, "")
    for key in ("name", "pack", "scenario", "design", "factors"):
        if key not in data:
            raise SpecError(f"{key} is missing", remedy="See data/campaigns for complete campaigns")
    name = _text(data, "name")
    if not name or any(character in name for character in '/\\:*?"<>| '):
        raise SpecError(f"name = {name!r} cannot be the name of a folder", remedy="Use letters, digits, _ and -")
    pack, scenario = (_found(_text(data, key), path) for key in ("pack", "scenario"))
    factors = tuple(
        _factor(entry, f"factors[{number}]") for number, entry in enumerate(require_tables(data, "factors"))
    )
    if not factors:
        raise SpecError("factors is empty", remedy="Write [[factors]] before each factor")
    base = dict(flatten(require_table(data, "base"))) if "base" in data else {}
    _require_distinct(factors, base)
    seed = _whole(data, "seed", 1, at_least=0)
    return Campaign(
        name=name,
        description=_text(data, "description") if "description" in data else "",
        path=path,
        pack=pack,
        scenario=scenario,
        pack_tables=_read(pack, "pack"),
        scenario_tables=_read(scenario, "scenario"),
        base=base,
        factors=factors,
        design=_design(require_table(data, "design"), factors, seed),
        seeds=_seeds(data, seed),
        outputs=_outputs(require_table(data, "outputs") if "outputs" in data else {}),
    )


def _read(path: Path, what: str) -> dict[str, Any]:
    return build_spec(read_spec_text(path, what, f"See data/{what}s for examples"), str(path), dict)


def _found(name: str, campaign: Path) -> Path:
    """Return a file by its path from the campaign's folder, from the present one, or from the software's."""
    for folder in (campaign.parent, Path(), REPOSITORY):
        if (folder / name).exists():
            return folder / name
    return campaign.parent / name


def _factor(entry: dict[str, Any], where: str) -> Factor:
    reject_unknown(entry, _FACTOR_KEYS, where)
    if ("field" in entry) == ("fields" in entry):
        raise SpecError(f"{where} needs field or fields", remedy="Name one field, or a list of fields with one value")
    fields = tuple(entry["fields"]) if isinstance(entry.get("fields"), list) else (_text(entry, "field", where),)
    for field in fields:
        _require_root(field, where)
    name = _text(entry, "name", where) if "name" in entry else fields[0].rpartition(".")[2]
    if ("range" in entry) == ("values" in entry):
        raise SpecError(f"{where} ({name}) needs range or values", remedy="Write range = [low, high] or values = […]")
    unit = _text(entry, "unit", where) if "unit" in entry else ""
    if unit and any(field.startswith("engine.") for field in fields):
        raise SpecError(f"{where}.unit does not go with a field of the engine", remedy="Give SI values and no unit")
    if "values" in entry:
        for key in ("scale", "levels", "whole"):
            if key in entry:
                raise SpecError(f"{where}.{key} goes with range, not with values", remedy="Leave it out")
        values = _values(entry["values"], where)
        if unit and not isinstance(values[0], int | float):
            raise SpecError(f"{where}.unit does not go with values that are no numbers", remedy="Leave it out")
        return Factor(name=name, fields=fields, unit=unit, values=values)
    low, high = _range(entry["range"], where)
    scale = entry.get("scale", "linear")
    if scale not in ("linear", "log"):
        raise SpecError(f"{where}.scale = {scale!r} is unknown", remedy="Use linear or log")
    if scale == "log" and low <= 0.0:
        raise SpecError(f"{where}.range begins at {low:g}, which has no logarithm", remedy="Begin above 0")
    whole = entry.get("whole", False)
    if not isinstance(whole, bool):
        raise SpecError(f"{where}.whole = {whole!r} is not true or false")
    return Factor(
        name=name,
        fields=fields,
        unit=unit,
        low=low,
        high=high,
        logarithmic=scale == "log",
        whole=whole,
        levels=_whole(entry, "levels", 0, at_least=2, where=where),
    )


def _values(values: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(values, list) or not values:
        raise SpecError(f"{where}.values = {values!r} is not a list of values", remedy="Write values = [1.0, 2.0]")
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    texts = all(isinstance(value, str) for value in values)
    flags = all(isinstance(value, bool) for value in values)
    if not (numbers or texts or flags):
        raise SpecError(f"{where}.values = {values!r} mixes kinds", remedy="Give numbers only, or texts only")
    if len(set(values)) < len(values):
        raise SpecError(f"{where}.values = {values!r} has one twice", remedy="Give each value once; see repetitions")
    if numbers and not all(isinstance(value, int) for value in values):
        return tuple(float(value) for value in values)  # one kind of column
    return tuple(values)


def _range(value: Any, where: str) -> tuple[float, float]:
    numbers = isinstance(value, list) and all(
        isinstance(item, int | float) and not isinstance(item, bool) for item in value
    )
    if not numbers or len(value) != 2:
        raise SpecError(f"{where}.range = {value!r} is not two numbers", remedy="Write range = [low, high] and unit")
    low, high = float(value[0]), float(value[1])
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise SpecError(f"{where}.range = [{low:g}, {high:g}] does not increase", remedy="Give the lower end first")
    return low, high


def _design(table: dict[str, Any], factors: tuple[Factor, ...], seed: int) -> Design:
    reject_unknown(table, ("kind", "points"), "design")
    kind = table.get("kind")
    if kind not in DESIGNS:
        raise SpecError(f"design.kind = {kind!r} is unknown", remedy=f"Use one of {', '.join(DESIGNS)}")
    if kind == "grid":
        if "points" in table:
            raise SpecError("design.points does not go with a grid", remedy="Give each factor its levels or values")
        for number, factor in enumerate(factors):
            if not factor.values and not factor.levels:
                raise SpecError(
                    f"factors[{number}].levels is missing", remedy="Say how many values of its range the grid takes"
                )
        return Design(kind=kind, seed=seed)
    if "points" not in table:
        raise SpecError("design.points is missing", remedy="Say how many points to sample")
    for number, factor in enumerate(factors):
        if factor.levels:
            raise SpecError(f"factors[{number}].levels does not go with {kind}", remedy="Leave it out")
    return Design(kind=kind, points=_whole(table, "points", 0, at_least=1, where="design"), seed=seed)


def _seeds(data: dict[str, Any], seed: int) -> tuple[int, ...]:
    if "seeds" not in data:
        return tuple(seed + number for number in range(_whole(data, "repetitions", 1, at_least=1)))
    seeds = data["seeds"]
    if "repetitions" in data:
        raise SpecError("seeds and repetitions are both given", remedy="Keep one of them")
    whole = isinstance(seeds, list) and all(isinstance(item, int) and not isinstance(item, bool) for item in seeds)
    if not whole or not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise SpecError(f"seeds = {seeds!r} is not a list of different whole numbers", remedy="Write seeds = [1, 2, 3]")
    return tuple(seeds)


def _outputs(table: dict[str, Any]) -> Outputs:
    reject_unknown(table, _OUTPUT_KEYS, "outputs")
    chosen: dict[str, Any] = {}
    for key in ("history", "cells"):
        if key in table:
            if not isinstance(table[key], bool):
                raise SpecError(f"outputs.{key} = {table[key]!r} is not true or false")
            chosen[key] = table[key]
    if chosen.get("cells") and not chosen.get("history"):
        raise SpecError("outputs.cells is part of the history", remedy="Write history = true as well")
    if "sample_period" in table:
        rule = FieldRule(doc="Time between two samples of the history.", unit="s", above=0.0)
        chosen["sample_period"] = read_number(table["sample_period"], rule, "outputs.sample_period")
    if "rank_by" in table:
        chosen["rank_by"] = _text(table, "rank_by", "outputs")
    if "best" in table:
        if table["best"] not in ("lowest", "highest"):
            raise SpecError(f"outputs.best = {table['best']!r} is unknown", remedy="Use lowest or highest")
        chosen["best"] = table["best"]
    if "show" in table:
        shown = table["show"]
        if not isinstance(shown, list) or not all(isinstance(name, str) for name in shown):
            raise SpecError(f"outputs.show = {shown!r} is not a list of names of figures")
        chosen["show"] = tuple(shown)
    return Outputs(**chosen)


def _require_distinct(factors: tuple[Factor, ...], base: Mapping[str, Any]) -> None:
    names: set[str] = set(Campaign.RUN_COLUMNS)
    taken: dict[str, str] = dict.fromkeys(base, "base")
    for field in base:
        _require_root(field, "base")
    for factor in factors:
        if factor.name in names:
            raise SpecError(f"two columns would be named {factor.name!r}", remedy="Give the factor another name")
        names.add(factor.name)
        for field in factor.fields:
            if field in taken:
                raise SpecError(
                    f"{field} is set by {taken[field]} and by factor {factor.name}", remedy="Keep one of them"
                )
            taken[field] = f"factor {factor.name}"
        if factor.unit:
            convert_to(1.0, factor.unit, factor.unit)


def _require_root(field: Any, where: str) -> None:
    root, _, rest = field.partition(".") if isinstance(field, str) else ("", "", "")
    if root not in ROOTS or not rest:
        raise SpecError(
            f"{where}: {field!r} is no field", remedy=f"Begin with {', '.join(f'{root}.' for root in ROOTS)}"
        )


def _text(table: dict[str, Any], key: str, where: str = "") -> str:
    value = table.get(key)
    if not isinstance(value, str):
        raise SpecError(f"{where}{'.' if where else ''}{key} = {value!r} is not a text")
    return value


def _whole(table: dict[str, Any], key: str, otherwise: int, *, at_least: int, where: str = "") -> int:
    if key not in table:
        return otherwise
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise SpecError(
            f"{where}{'.' if where else ''}{key} = {value!r} is not a whole number of at least {at_least}",
            remedy="Correct it",
        )
    return value
