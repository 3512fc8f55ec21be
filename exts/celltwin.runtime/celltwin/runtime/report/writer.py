"""The report of a run: one HTML file that needs nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celltwin.core import find_quantity

from .calibration_evidence import load_calibration
from .calibration_sections import calibration_page
from .evidence import Evidence, load_evidence
from .sections import build_sections
from .simulation_sections import (
    build_simulation_sections,
    simulation_cards,
    simulation_notes,
    simulation_subtitle,
    simulation_title,
)

__all__ = ["ReportWriter"]


class ReportWriter:
    """Write ``report.html`` from what a run recorded, so that it can be made again at any time.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("PYVISTA_OFF_SCREEN", "true")
        self._folder = Path(folder)

    def write(self) -> Path:
        """Write the report and return its path.

        Raises
        ------
        RecordingError
            If the folder holds no run.
        """
        from jinja2 import Environment, PackageLoader, select_autoescape

        pages = Environment(
            loader=PackageLoader("celltwin.runtime.report", ""),
            autoescape=select_autoescape(default=True),
            trim_blocks=True,
        )
        text = pages.get_template("page.html.j2").render(**self._page())
        path = self._folder / "report.html"
        partial = path.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
        return path

    def _page(self) -> dict[str, Any]:
        calibration = load_calibration(self._folder)
        if calibration is not None:
            return calibration_page(calibration)
        evidence = load_evidence(self._folder)
        return _simulation_page(evidence) if evidence.summary.get("kind") == "simulation" else _run_page(evidence)


def _run_page(evidence: Evidence) -> dict[str, Any]:
    return {
        "title": evidence.spec.title,
        "subtitle": _subtitle(evidence),
        "notes": _notes(evidence),
        "cards": _cards(evidence),
        "sections": build_sections(evidence),
    }


def _simulation_page(evidence: Evidence) -> dict[str, Any]:
    return {
        "title": simulation_title(evidence),
        "subtitle": simulation_subtitle(evidence),
        "notes": simulation_notes(evidence),
        "cards": simulation_cards(evidence),
        "sections": build_simulation_sections(evidence),
    }


def _subtitle(evidence: Evidence) -> str:
    summary = evidence.summary
    return (
        f"{evidence.spec.n_cells} cells, {evidence.spec.capacity:.0f} A·h, {evidence.spec.energy / 1000.0:.2f} kWh. "
        f"{summary['simulated_s'] / 60.0:.0f} min of {summary['source']}."
    )


def _notes(evidence: Evidence) -> list[dict[str, str]]:
    notes = []
    if evidence.summary["failure"]:
        notes.append({"level": "bad", "text": f"The run stopped early: {evidence.summary['failure']}"})
    if evidence.summary["simulated_source"]:
        notes.append(
            {
                "level": "",
                "text": "The measurements come from a simulated plant: they show what the twin does, "
                "not how a real pack behaves.",
            }
        )
    for tier, found in evidence.summary["slow_tiers"].items():
        notes += [
            {"level": "warn", "text": f"The {tier} tier had a problem: {problem}"} for problem in found["problems"]
        ]
    if evidence.history.damaged:
        notes.append(
            {"level": "warn", "text": f"Parts of the history cannot be read: {', '.join(evidence.history.damaged)}"}
        )
    return notes


def _cards(evidence: Evidence) -> list[dict[str, str]]:
    figures, cards = evidence.summary["figures"], []

    def card(label: str, value: str, detail: str = "") -> None:
        cards.append({"label": label, "value": value, "detail": detail})

    if figures["discharged_Ah"] > 0.005:
        card("Discharged", f"{figures['discharged_Ah']:.1f} A·h", f"{figures['discharged_Wh'] / 1000.0:.2f} kWh")
    if figures["charged_Ah"] > 0.005:
        card("Charged", f"{figures['charged_Ah']:.1f} A·h", f"{figures['charged_Wh'] / 1000.0:.2f} kWh")
    if figures["soc_last"] is not None:
        card("SOC", f"{100 * figures['soc_last']:.1f} %", f"from {100 * figures['soc_first']:.1f} %")
    extremes = figures["extremes"]
    for name, label in (("lowest_group_voltage_V", "Lowest group"), ("highest_group_voltage_V", "Highest group")):
        if name in extremes:
            found = extremes[name]
            card(label, f"{found['value']:.3f} V", f"{found['element']} after {found['time_s'] / 60.0:.0f} min")
    for name in ("highest_cell_temperature_K", "highest_module_temperature_K"):
        if name in extremes:
            found = extremes[name]
            card(
                "Hottest",
                find_quantity("temperature").format(found["value"]),
                f"{found['element']} after {found['time_s'] / 60.0:.0f} min",
            )
            break
    soh = figures["soh"]
    if soh:
        weakest = f"weakest {soh['weakest_cell']} {100 * soh['lowest']:.1f} %"
        doubt = f"not to be trusted for {soh['cells'] - soh['trusted_cells']} of {soh['cells']} cells; "
        card(
            "Mean SOH",
            f"{100 * soh['mean']:.1f} %",
            weakest if soh["trusted_cells"] == soh["cells"] else doubt + weakest,
        )
    ranks = figures["groups"]
    if len(ranks) >= 2:
        value = ", ".join(rank["element"] for rank in ranks[:2])
        millivolts = " and ".join(f"{1000 * rank['deficit_V']:.0f}" for rank in ranks[:2])
        card("Weakest groups", value, f"{millivolts} mV below the median")
    card("Alarms", str(len(evidence.summary["alarms"])))
    card("Quarantined", str(evidence.summary["quarantine"]["total"]), "samples")
    return cards
