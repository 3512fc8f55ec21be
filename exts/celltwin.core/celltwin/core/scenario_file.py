"""Scenario files: TOML to :class:`Scenario` and back, with errors that name file, step, field, limit and remedy."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from .errors import SpecError
from .scenario import AmbientSpec, CoolantSpec, InitialSpec, PhysicsSpec, Scenario, scenario_entry
from .scenario_faults import FAULT_KINDS, ScenarioFault
from .scenario_steps import (
    ChargeStep,
    DischargeStep,
    DisconnectStep,
    DriveCycleStep,
    LoadStep,
    PowerStep,
    RegulationStep,
    RepeatStep,
    RestStep,
    ScenarioStep,
    SolarStep,
    VehicleSpec,
    VoltageStep,
)
from .spec_fields import field_rules
from .spec_tables import read_table, reject_unknown, require_table, require_tables
from .spec_text import build_spec, read_spec_text

__all__ = ["SCENARIO_FOLDER", "load_scenario", "parse_scenario", "save_scenario"]

SCENARIO_FOLDER = Path(__file__).resolve().parents[4] / "data" / "scenarios"

_STEP_KINDS: dict[str, type[LoadStep]] = {
    kind.kind: kind
    for kind in (
        RestStep,
        DisconnectStep,
        DischargeStep,
        ChargeStep,
        PowerStep,
        VoltageStep,
        DriveCycleStep,
        RegulationStep,
        SolarStep,
    )
}
_SECTIONS: dict[str, type] = {
    "initial": InitialSpec,
    "ambient": AmbientSpec,
    "coolant": CoolantSpec,
    "physics": PhysicsSpec,
}
# Columns of a profile's CSV file: field, and factor to SI.
_COLUMNS = {
    "time_s": ("time", 1.0),
    "speed_m_per_s": ("speed", 1.0),
    "speed_km_per_h": ("speed", 1.0 / 3.6),
    "power_W": ("power", 1.0),
    "rate_per_h": ("rate", 1.0),
    "current_A": ("current", 1.0),
}


def load_scenario(path: str | Path) -> Scenario:
    """Read a scenario file, or one of those that come with the software by its name.

    Numbers are SI, or texts with a unit such as ``"70 min"``.

    Parameters
    ----------
    path : str or Path
        TOML file, or the name of one in ``data/scenarios`` without its ending.

    Raises
    ------
    SpecError
        If the file is missing or not TOML, or a key is unknown, missing, of the wrong type or unit, out of bounds or
        at odds with another; the message names file, key, value, limit and remedy.
    """
    path = Path(path)
    if not path.exists() and path.name == str(path) and (SCENARIO_FOLDER / f"{path}.toml").exists():
        path = SCENARIO_FOLDER / f"{path}.toml"
    names = ", ".join(sorted(file.stem for file in SCENARIO_FOLDER.glob("*.toml")))
    text = read_spec_text(path, "scenario", f"Give a TOML file, or one of: {names}")
    return parse_scenario(text, where=str(path), folder=path.parent)


def parse_scenario(text: str, where: str = "<scenario>", *, folder: Path | None = None) -> Scenario:
    """Return the scenario that a TOML text declares.

    Parameters
    ----------
    text : str
        The text.
    where : str
        Name of it in errors.
    folder : Path, optional
        Folder that the names of profile files start from; the present one where absent.
    """
    return build_spec(text, where, lambda data: _build(data, folder or Path()))


def save_scenario(scenario: Scenario, path: str | Path) -> Path:
    """Write a scenario as a file that :func:`load_scenario` reads as the same scenario.

    Tables that came from other files are written into it.
    """
    entry = scenario_entry(scenario)
    lines = [f"{key} = {_toml(value)}" for key, value in entry.items() if key not in (*_SECTIONS, "steps", "faults")]
    for section in _SECTIONS:
        if section in entry:
            lines += ["", f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in entry[section].items())]
    for key in ("steps", "faults"):
        for item in entry.get(key, []):
            lines += ["", f"[[{key}]]", *(f"{name} = {_toml(value)}" for name, value in item.items())]
    path = Path(path)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    return repr(value)


def _build(data: dict[str, Any], folder: Path) -> Scenario:
    top = tuple(name for name, _ in field_rules(Scenario))
    reject_unknown(data, (*top, *_SECTIONS, "steps", "faults"), "")
    if "initial" not in data:
        raise SpecError("initial is missing", remedy="Write [initial] and soc = 0.9 below")
    parts: dict[str, Any] = read_table(Scenario, {key: data[key] for key in top if key in data}, "", partial=True)
    if "name" not in parts:
        raise SpecError("name is missing", remedy="Name of the scenario.")
    for key, kind in _SECTIONS.items():
        if key in data:
            parts[key] = kind(**read_table(kind, require_table(data, key), key))
    parts["steps"] = _steps(data, folder, "steps")
    parts["faults"] = tuple(
        _fault(entry, f"faults[{number}]") for number, entry in enumerate(require_tables(data, "faults"))
    )
    return Scenario(**parts)


def _steps(data: dict[str, Any], folder: Path, where: str) -> tuple[ScenarioStep, ...]:
    return tuple(
        _step(dict(entry), folder, f"{where}[{number}]") for number, entry in enumerate(require_tables(data, "steps"))
    )


def _step(entry: dict[str, Any], folder: Path, where: str) -> ScenarioStep:
    known = (*_STEP_KINDS, RepeatStep.kind)
    word = _kind(entry, known, where)
    where = f"{where} ({entry['name']})" if isinstance(entry.get("name"), str) else f"{where} ({word})"
    if word == RepeatStep.kind:
        inner = {"steps": entry.pop("steps", [])}
        values = read_table(RepeatStep, entry, where)
        return _made(RepeatStep, values | {"steps": _steps(inner, folder, f"{where}.steps")}, where)
    kind = _STEP_KINDS[word]
    extra: dict[str, Any] = {}
    if kind is DriveCycleStep:
        if "vehicle" in entry:
            vehicle = read_table(VehicleSpec, require_table(entry, "vehicle"), f"{where}.vehicle")
            extra["vehicle"] = _made(VehicleSpec, vehicle, where)
            del entry["vehicle"]
        if "file" in entry:
            extra |= _read_profile(folder / str(entry.pop("file")), where)
            entry.setdefault("time", list(extra.pop("time")))
    return _made(kind, read_table(kind, entry, where) | extra, where)


def _fault(entry: dict[str, Any], where: str) -> ScenarioFault:
    entry = dict(entry)
    word = _kind(entry, tuple(FAULT_KINDS), where)
    where = f"{where} ({entry['name']})" if isinstance(entry.get("name"), str) else f"{where} ({word})"
    return _made(FAULT_KINDS[word], read_table(FAULT_KINDS[word], entry, where), where)


def _kind(entry: dict[str, Any], known: tuple[str, ...], where: str) -> str:
    if "kind" not in entry:
        raise SpecError(f"{where}.kind is missing", remedy=f"Give one of {', '.join(known)}")
    word = entry.pop("kind")
    if word not in known:
        raise SpecError(f"{where}.kind = {word!r} is not one of {', '.join(known)}", remedy="Choose one of them")
    return str(word)


def _made[T](kind: type[T], values: dict[str, Any], where: str) -> T:
    """Return the dataclass; an error of its own checks gets the place of the table."""
    try:
        return kind(**values)
    except SpecError as error:
        first, dot, rest = error.message.partition(".")
        message = f"{where}.{rest}" if dot and first in ("step", "fault", "vehicle") else f"{where}: {error.message}"
        raise SpecError(message, remedy=error.remedy) from None


def _read_profile(path: Path, where: str) -> dict[str, tuple[float, ...]]:
    """Read a profile's table; lines that start with ``#`` are comments."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{where}.file = {str(path)!r} cannot be read ({error})", remedy="Name a CSV file") from None
    rows = [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and not line.startswith("#")]
    if len(rows) < 3:
        raise SpecError(f"{where}.file: {path} holds no table", remedy="Give a line of names and two rows at least")
    names = [name.strip() for name in next(csv.reader([rows[0][1]]))]
    unknown = [name for name in names if name not in _COLUMNS]
    if unknown or "time_s" not in names:
        raise SpecError(
            f"{where}.file: {path}:{rows[0][0]}: unknown column {unknown[0]!r}" if unknown
            else f"{where}.file: {path}:{rows[0][0]}: there is no column time_s",
            remedy=f"Columns: {', '.join(_COLUMNS)}",
        )  # fmt: skip
    values: list[list[float]] = []
    for number, line in rows[1:]:
        try:
            row = [float(text) for text in next(csv.reader([line]))]
        except ValueError as error:
            raise SpecError(f"{where}.file: {path}:{number}: {error}", remedy="Mend the line") from None
        if len(row) != len(names):
            raise SpecError(
                f"{where}.file: {path}:{number} has {len(row)} values, expected {len(names)}", remedy="Mend the line"
            )
        values.append(row)
    columns = zip(*values, strict=True)
    return {
        _COLUMNS[name][0]: tuple(value * _COLUMNS[name][1] for value in column)
        for name, column in zip(names, columns, strict=True)
    }
