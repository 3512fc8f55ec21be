"""Why a cell is at risk, in words: which heat source dominates, which neighbour, by which path."""

from __future__ import annotations

import numpy as np

from celltwin.core import ZERO_CELSIUS, Level, PackSpec

from .heat_evidence import CellEvidence, HeatEvidence
from .risk_model import CellRisk

__all__ = ["describe_cell"]

_REACTIONS = (
    "decomposition of the SEI",
    "negative electrode with solvent",
    "positive electrode",
    "positive electrode",
    "electrolyte",
)
_NOTED = 4.0  # unexplained heat in its standard deviations
_COOLING_LOST = 0.2  # share of the cooling below which it counts as lost


def describe_cell(cell: int, spec: PackSpec, evidence: CellEvidence, risk: CellRisk, source: HeatEvidence) -> str:
    """Return why one cell is at risk.

    Parameters
    ----------
    cell : int
        Cell in pack order.
    spec : PackSpec
        The pack.
    evidence, risk, source : CellEvidence, CellRisk, HeatEvidence
        What is known, what follows, and the heat paths.
    """
    celsius = evidence.temperature[cell] - ZERO_CELSIUS
    if evidence.gone[cell]:
        return f"has run away, {celsius:.0f} °C"
    if not np.isfinite(risk.probability[cell, -1]):
        return "temperature unknown"
    parts = []
    culprit = int(risk.from_neighbour[cell])
    heat, doubt = evidence.unexplained[cell], evidence.unexplained_doubt[cell]
    noted = bool(np.isfinite(heat) and heat > _NOTED * doubt)
    if noted:
        leak = evidence.leak[cell]
        leaks = bool(np.isfinite(leak) and leak > 3.0 * evidence.leak_doubt[cell])
        current = f", {leak:.1f} A leak in its group" if leaks else ""
        trend = ", growing" if evidence.growth[cell] > 2.0 * evidence.growth_doubt[cell] else ""
        if risk.short_probability[cell] > 0.5:
            parts.append(f"internal short, {heat:.1f} W unexplained heat{current}{trend}")
        else:
            parts.append(f"{heat:.1f} W unexplained heat{current}, more likely a sensor or the model than a short")
    sources = {
        "joule": evidence.joule[cell],
        "reaction": evidence.reaction[cell],
        "neighbour": evidence.neighbour[cell],
        "coolant": evidence.coolant[cell],
        "ambient": evidence.ambient[cell],
        "outside": evidence.outside[cell],
    }
    largest = max(sources, key=lambda name: sources[name])
    if sources[largest] > 0.3 and not (noted and sources[largest] < heat):
        parts.append(_name_source(largest, sources[largest], cell, spec, evidence, source))
    if culprit >= 0:
        ids = spec.element_ids(Level.CELL)
        there = evidence.temperature[culprit] - ZERO_CELSIUS
        parts.append(f"neighbour {ids[culprit]} may run away ({there:.0f} °C) {_path(cell, culprit, spec, source)}")
    if evidence.film_share[cell] < _COOLING_LOST and spec.cooling.method == "plate":
        parts.append(f"cooling at {100.0 * evidence.film_share[cell]:.0f} %")
    if not parts:
        parts.append("no evidence: the prior of an internal short")
    return f"{celsius:.0f} °C, " + "; ".join(parts)


def _name_source(
    name: str, power: float, cell: int, spec: PackSpec, evidence: CellEvidence, source: HeatEvidence
) -> str:
    if name == "reaction":
        heats = np.array(source.constants.heat) * np.abs(
            evidence.reactions[:, cell] - np.array([source.constants.initial[0], 0.0, *source.constants.initial[2:]])
        )
        return f"{power:.1f} W of its own reactions, mostly {_REACTIONS[int(heats.argmax())]}"
    if name == "neighbour":
        given = source.conductance[:, cell] * (
            evidence.temperature[source.neighbours[:, cell]] - evidence.temperature[cell]
        )
        by = int(source.neighbours[int(np.nanargmax(given)), cell])
        there = evidence.temperature[by] - ZERO_CELSIUS
        ids = spec.element_ids(Level.CELL)
        return f"neighbour {ids[by]} at {there:.0f} °C {_path(cell, by, spec, source)}, {power:.1f} W"
    if name == "joule":
        return f"{power:.1f} W of its current"
    if name == "outside":
        return f"{power:.1f} W from outside: its whole module warms, and nothing known explains it"
    return f"{power:.1f} W from {'the coolant' if name == 'coolant' else 'the air around it'}"


def _path(cell: int, other: int, spec: PackSpec, source: HeatEvidence) -> str:
    """Return by which path heat goes between two neighbours."""
    groups = abs(cell // spec.parallel - other // spec.parallel)
    per_module = spec.n_cells // spec.n_modules
    if cell // per_module != other // per_module:
        return "across the gap between the modules"
    places = np.flatnonzero(source.neighbours[:, cell] == other)
    through = float(source.conductance[places, cell].max()) if places.size else 0.0
    gap = source.gap_conductance
    if groups <= 1 and through > 1.5 * gap:
        return "through busbar and gap"
    return "through the gap"
