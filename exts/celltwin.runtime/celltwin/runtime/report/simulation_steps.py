"""The section of a report that says what was asked of the pack."""

from __future__ import annotations

import numpy as np

from celltwin.core import RepeatStep, Scenario, ScenarioStep

from .sections import MOST_ROWS, Section, Table

__all__ = ["scenario_section"]


def scenario_section(scenario: Scenario) -> Section:
    """Return what a scenario is for, its steps as they are declared, and its faults."""
    rows = _step_rows(scenario.steps, 1, "")
    texts = [scenario.description]
    if len(rows) > MOST_ROWS:
        texts.append(f"The first {MOST_ROWS} of {len(rows)} steps are listed.")
    tables = [Table(("Step", "Name", "Kind", "Longest [min]"), tuple(rows[:MOST_ROWS]))]
    if scenario.faults:
        faults = tuple(
            (
                fault.title,
                fault.describe(),
                ", ".join(getattr(fault, "target", ())),
                f"{fault.at / 60.0:.1f}",
                f"{fault.end / 60.0:.1f}" if np.isfinite(fault.end) else "the end",
            )
            for fault in scenario.faults
        )
        tables.append(Table(("Fault", "What", "Where", "From [min]", "Until [min]"), faults))
    return Section("The scenario", tuple(text for text in texts if text), (), tuple(tables))


def _step_rows(steps: tuple[ScenarioStep, ...], number: int, within: str) -> list[tuple[str, str, str, str]]:
    """Return a row for each declared step; those that repeat stand once, below what repeats them."""
    rows: list[tuple[str, str, str, str]] = []
    for step in steps:
        if isinstance(step, RepeatStep):
            manner = "times, most of them jumped over" if step.jump else "times"
            rows.append(("", within + (step.name or "Repeat"), f"{step.count} {manner}", ""))
            inner = _step_rows(step.steps, number, within + "  ")
            once = sum(_steps_of(part) for part in step.steps)
            rows += inner
            number += once * step.count
            continue
        rows.append((str(number), within + step.title, step.kind.replace("_", " "), f"{step.duration / 60.0:.1f}"))
        number += 1
    return rows


def _steps_of(step: ScenarioStep) -> int:
    return step.count * sum(_steps_of(part) for part in step.steps) if isinstance(step, RepeatStep) else 1
