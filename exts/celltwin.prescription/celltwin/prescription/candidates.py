"""Candidates for one module: charge currents and coolant flows, tried on the worst cell it holds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from celltwin.core import PackSpec, find_quantity

from .charge_simulation import ChargeRows, ChargeSimulator, ChargeTraces
from .cooling_model import cell_conductance, coolant_at_outlet
from .module_cases import ModuleCase
from .prescription_settings import PrescriptionSettings

__all__ = ["Candidate", "choose_candidate"]

_VOLTAGE, _TEMPERATURE = find_quantity("voltage"), find_quantity("temperature")
_SHORTEST = 60.0  # s
_REFINEMENTS = 2  # halvings between the last current that holds and the first that does not


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
    highest_voltage, highest_temperature, lowest_anode_potential : float
        Extremes on the way [V, K, V]; NaN where the model has no solution.
    binding : str
        Limit that is broken first, with its value; empty if all hold.
    """

    module_id: str
    current: float
    flow: float
    duration: float
    highest_voltage: float
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
    simulator: ChargeSimulator,
    settings: PrescriptionSettings,
    *,
    inlet: float,
    target: float,
) -> tuple[Candidate | None, tuple[Candidate, ...]]:
    """Return the fastest charge that keeps all limits, with the least coolant flow, and all that was tried.

    The currents are tried from the smallest upward at the largest flow, until one breaks a limit, then in between; the
    flows then upward from the smallest. A current is tried on two cells: the hottest and the coldest of the module,
    each with the highest state of charge, resistance and share of the current, and the lowest state of health.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    case : ModuleCase
        Worst readings of the module.
    simulator : ChargeSimulator
        Cell model.
    settings : PrescriptionSettings
        Candidates and margins.
    inlet : float
        Temperature of the coolant at the inlet [K].
    target : float
        State of charge at which a charge may end before the horizon [-].

    Returns
    -------
    chosen : Candidate or None
        The choice; None if not even the smallest current keeps the limits.
    tried : tuple of Candidate
        All candidates, in the order of trial.
    """
    highest = spec.cell.highest_charge_current * spec.parallel
    currents = [rate * spec.capacity for rate in settings.rates if rate * spec.capacity < highest * (1.0 - 1e-9)]
    flows = [share * spec.cooling.highest_flow for share in settings.flows]
    if spec.cooling.method == "air" or spec.cooling.highest_flow <= 0.0:
        flows = [0.0]
    tried: list[Candidate] = []
    best: Candidate | None = None
    for current in [*currents, highest]:
        candidate = try_candidate(spec, case, simulator, settings, current, flows[-1], inlet, target)
        tried.append(candidate)
        if not candidate.holds:
            break
        best = candidate
    if best is None:
        return None, tuple(tried)
    for _ in range(_REFINEMENTS if not tried[-1].holds else 0):
        broken = min(other.current for other in tried if not other.holds)
        between = 0.5 * (best.current + broken)
        candidate = try_candidate(spec, case, simulator, settings, between, flows[-1], inlet, target)
        tried.append(candidate)
        best = candidate if candidate.holds else best
    for flow in flows[:-1]:
        candidate = try_candidate(spec, case, simulator, settings, best.current, flow, inlet, target)
        tried.append(candidate)
        if candidate.holds:
            return candidate, tuple(tried)
    return best, tuple(tried)


def try_candidate(
    spec: PackSpec,
    case: ModuleCase,
    simulator: ChargeSimulator,
    settings: PrescriptionSettings,
    current: float,
    flow: float,
    inlet: float,
    target: float,
) -> Candidate:
    """Return what one pair of set-points leads to in the module's hottest and coldest cell."""
    rows = worst_rows(spec, case, simulator, current, flow, inlet)
    ahead = float(simulator.seconds_to(target, rows).min())
    duration = float(np.clip(ahead, _SHORTEST, settings.horizon))
    traces = simulator.charge(rows, duration)
    candidate = Candidate(
        module_id=case.module_id,
        current=current,
        flow=flow,
        duration=duration,
        highest_voltage=float(traces.voltage.max()),
        highest_temperature=float(traces.temperature.max()),
        lowest_anode_potential=float(traces.anode_potential.min()),
        binding="",
    )
    return replace(candidate, binding=_binding(spec, case, settings, traces))


def worst_rows(
    spec: PackSpec, case: ModuleCase, simulator: ChargeSimulator, current: float, flow: float, inlet: float
) -> ChargeRows:
    """Return the hottest and the coldest cell of a module as rows of the simulator."""
    parameters = simulator.parameters
    cell_current = current / spec.parallel * case.share
    # Heat of the module's other cells warms the coolant; twice the ohmic resistance stands for all losses.
    heat = 2.0 * spec.cell.resistance * (current / spec.parallel) ** 2 * spec.series * spec.parallel
    both = np.ones(2)
    return ChargeRows(
        soc=case.soc * both,
        temperature=np.array([case.hottest, case.coldest]),
        capacity_scale=case.soh * spec.cell.capacity / parameters.capacity * both,
        resistance=(parameters.resistance * case.resistance_ratio + spec.busbar.weld_resistance) * both,
        current=cell_current * both,
        surroundings_temperature=np.array([coolant_at_outlet(spec, inlet, flow, heat), inlet]),
        conductance=cell_conductance(spec, flow) * both,
    )


def _binding(spec: PackSpec, case: ModuleCase, settings: PrescriptionSettings, traces: ChargeTraces) -> str:
    """Return which limit is broken first, and by how much; empty if none is."""
    cell = spec.cell
    if case.coldest < cell.lowest_charge_temperature:
        return (
            f"the coldest cell is at {_TEMPERATURE.format(case.coldest)}, "
            f"charging needs {_TEMPERATURE.format(cell.lowest_charge_temperature)}"
        )
    if not np.isfinite(traces.voltage).all():
        return "the cell model has no solution"
    voltage = cell.highest_voltage - settings.voltage_margin
    temperature = cell.highest_temperature - settings.temperature_margin
    found = []
    for values, limit, sign, show, text in (
        (traces.voltage, voltage, 1.0, _VOLTAGE.format, "the fullest cell reaches {}, at most {} allowed"),
        (traces.temperature, temperature, 1.0, _TEMPERATURE.format, "the hottest cell reaches {}, at most {} allowed"),
        (
            traces.anode_potential,
            settings.plating_margin,
            -1.0,
            _show_millivolt,
            "the anode falls to {} against lithium, {} needed to prevent plating",
        ),
    ):
        broken = np.nonzero((sign * (values - limit) > 0.0).any(axis=0))[0]
        if broken.size:
            worst = float((sign * values).max() * sign)
            found.append((int(broken[0]), text.format(show(worst), show(limit))))
    return min(found)[1] if found else ""


def _show_millivolt(value: float) -> str:
    return f"{1000.0 * value:.1f} mV"
