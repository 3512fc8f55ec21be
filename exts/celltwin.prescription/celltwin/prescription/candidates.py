"""Candidates for one module: charge currents and coolant flows, tried on the worst cell it holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, PackSpec, find_quantity

from .cooling_model import cell_conductance, coolant_at_outlet
from .module_cases import ModuleCase
from .prescription_settings import PrescriptionSettings

if TYPE_CHECKING:
    from celltwin.physics import CellBatch, CellHistory, CellSimulator

__all__ = ["Candidate", "choose_candidate", "worst_cells"]

_TEMPERATURE = find_quantity("temperature")
_SHORTEST = 300.0  # s; whatever is advised lasts until the next advice
_SAMPLES = 30
_REFINEMENTS = 2  # halvings between the last current that holds and the first that does not
_NO_GAIN = 0.02  # share of the charge; a larger current that gains less is not worth it
_FULLEST = 0.985  # state of charge beyond which the cell model is not asked


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One pair of set-points for a module, and what it leads to.

    Attributes
    ----------
    module_id : str
        Id of the module.
    current : float
        Charge current at the pack's terminals, as a magnitude [A].
    flow : float
        Coolant mass flow [kg/s].
    duration : float
        Time looked ahead [s].
    charged : float
        Change of state of charge within that time [-].
    tapered : bool
        Whether the voltage reached its limit, where it was held and the current fell.
    highest_temperature, lowest_anode_potential : float
        Extremes on the way [K, V against lithium].
    binding : str
        Limit that is broken first, with its value; empty if all hold.
    """

    module_id: str
    current: float
    flow: float
    duration: float
    charged: float
    tapered: bool
    highest_temperature: float
    lowest_anode_potential: float
    binding: str

    @property
    def holds(self) -> bool:
        """Whether all limits hold."""
        return not self.binding


def choose_candidate(
    spec: PackSpec,
    case: ModuleCase,
    simulator: CellSimulator,
    settings: PrescriptionSettings,
    *,
    coolant: float,
    target: float,
) -> tuple[Candidate | None, tuple[Candidate, ...]]:
    """Return the fastest charge that keeps all limits, with the least coolant flow, and all that was tried.

    The currents are tried from the smallest upward at the largest flow, until one breaks a limit or gains nothing
    because the voltage limit tapers it; then in between. The flows are tried upward from the smallest. Each candidate
    is tried on two cells: the hottest and the coldest of the module, both with the highest state of charge, resistance
    and share of the current, and the lowest state of health.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    case : ModuleCase
        Worst readings of the module.
    simulator : CellSimulator
        Cell model.
    settings : PrescriptionSettings
        Candidates and margins.
    coolant : float
        Temperature of the coolant [K].
    target : float
        State of charge at which a charge may end before the horizon [-].

    Returns
    -------
    chosen : Candidate or None
        The choice; None if not even the smallest current keeps the limits.
    tried : tuple of Candidate
        All candidates, in the order of trial.
    """
    highest = spec.cell.highest_charge_current * spec.cells_in_parallel
    currents = [rate * spec.capacity for rate in settings.rates if rate * spec.capacity < highest * (1.0 - 1e-9)]
    flows = [share * spec.cooling.highest_flow for share in settings.flows]
    if spec.cooling.method == "air" or spec.cooling.highest_flow <= 0.0:
        flows = [0.0]
    tried: list[Candidate] = []

    def attempt(current: float, flow: float) -> Candidate:
        tried.append(try_candidate(spec, case, simulator, settings, current, flow, coolant, target))
        return tried[-1]

    best: Candidate | None = None
    for current in [*currents, highest]:
        candidate = attempt(current, flows[-1])
        if not candidate.holds or (best is not None and not _gains(candidate, best)):
            break
        best = candidate
    if best is None:
        return None, tuple(tried)
    for _ in range(0 if tried[-1].holds else _REFINEMENTS):
        broken = min(other.current for other in tried if not other.holds)
        candidate = attempt(0.5 * (best.current + broken), flows[-1])
        if candidate.holds and not _gains(candidate, best):
            break
        best = candidate if candidate.holds else best
    for flow in flows[:-1]:
        candidate = attempt(best.current, flow)
        if candidate.holds:
            return candidate, tuple(tried)
    return best, tuple(tried)


def _gains(candidate: Candidate, other: Candidate) -> bool:
    """Whether a candidate charges faster than another, by more than a trifle."""
    return candidate.charged / candidate.duration > (1.0 + _NO_GAIN) * other.charged / other.duration


def try_candidate(
    spec: PackSpec,
    case: ModuleCase,
    simulator: CellSimulator,
    settings: PrescriptionSettings,
    current: float,
    flow: float,
    coolant: float,
    target: float,
) -> Candidate:
    """Return what one pair of set-points leads to in the module's hottest and coldest cell."""
    batch, cell_current = worst_cells(spec, case, simulator, current, flow, coolant)
    room = max(target - case.soc, 0.0) * float(batch.capacity_scale[0]) * simulator.parameters.capacity  # [A.h]
    duration = float(np.clip(SECONDS_PER_HOUR * room / cell_current, _SHORTEST, settings.horizon))
    voltage = spec.cell.highest_voltage - settings.voltage_margin
    history = simulator.charge(
        batch,
        cell_current,
        voltage=voltage,
        longest=duration,
        interval=duration / 2.0,
        sample_period=duration / _SAMPLES,
    )
    candidate = Candidate(
        module_id=case.module_id,
        current=current,
        flow=flow,
        duration=duration,
        charged=float((history.soc[-1] - history.soc[0]).min()),
        tapered=bool((history.voltage >= voltage - 1e-3).any()),
        highest_temperature=float(history.temperature.max()),
        lowest_anode_potential=float(history.anode_potential.min()),
        binding="",
    )
    return replace(candidate, binding=_binding(spec, case, settings, history))


def worst_cells(
    spec: PackSpec, case: ModuleCase, simulator: CellSimulator, current: float, flow: float, coolant: float
) -> tuple[CellBatch, float]:
    """Return the hottest and the coldest cell of a module, and the charge current of each [A, magnitude]."""
    from celltwin.physics import CellBatch

    parameters = simulator.parameters
    cell_current = current / spec.cells_in_parallel * case.share
    # Heat of the module's other cells warms the coolant; twice the ohmic resistance stands for all losses.
    heat = 2.0 * spec.cell.resistance * (current / spec.cells_in_parallel) ** 2 * spec.series * spec.parallel
    batch = CellBatch.of(
        parameters,
        initial_soc=min(max(case.soc, 0.0), _FULLEST),
        initial_temperature=np.array([case.hottest, case.coldest]),
        ambient_temperature=np.array([coolant_at_outlet(spec, coolant, flow, heat), coolant]),
        heat_transfer=cell_conductance(spec, flow) / parameters.surface,
        capacity_scale=case.soh * spec.cell.capacity / parameters.capacity,
        added_resistance=parameters.resistance * (case.resistance_ratio - 1.0) + spec.busbar.weld_resistance,
    )
    return batch, cell_current


def _binding(spec: PackSpec, case: ModuleCase, settings: PrescriptionSettings, history: CellHistory) -> str:
    """Return which limit is broken first, and by how much; empty if none is."""
    cell = spec.cell
    if case.coldest < cell.lowest_charge_temperature:
        return (
            f"the coldest cell is at {_TEMPERATURE.format(case.coldest)}, "
            f"charging needs {_TEMPERATURE.format(cell.lowest_charge_temperature)}"
        )
    if not np.isfinite(history.voltage).all():
        return "the cell model has no solution"
    temperature = cell.highest_temperature - settings.temperature_margin
    found = []
    for values, limit, sign, show, text in (
        (history.temperature, temperature, 1.0, _TEMPERATURE.format, "the hottest cell reaches {}, at most {} allowed"),
        (
            history.anode_potential,
            settings.plating_margin,
            -1.0,
            _show_millivolt,
            "the anode falls to {} against lithium, {} needed to prevent plating",
        ),
    ):
        broken = np.nonzero((sign * (values - limit) > 0.0).any(axis=1))[0]
        if broken.size:
            worst = float((sign * values).max() * sign)
            found.append((int(broken[0]), text.format(show(worst), show(limit))))
    return min(found)[1] if found else ""


def _show_millivolt(value: float) -> str:
    return f"{1000.0 * value:.1f} mV"
