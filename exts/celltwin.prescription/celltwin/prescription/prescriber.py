"""Advice from simulated candidates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from celltwin.core import Advice, Array, Kind, Level, PackSpec, PackState, Quality, find_quantity

from .balancing import BalancingPlan, plan_balancing
from .candidates import Candidate, choose_candidate, worst_cells
from .cooling_model import cell_conductance, coolant_at_outlet
from .module_cases import ModuleCase, find_cases
from .prescription_settings import PrescriptionSettings

if TYPE_CHECKING:
    from celltwin.physics import CellParameters

__all__ = ["CandidatePrescriber", "Prescriber"]

_TEMPERATURE, _FLOW = find_quantity("temperature"), find_quantity("coolant_flow")
_LOOK_AHEAD = 2.0 * 3600.0  # s


class Prescriber(Protocol):
    """Something that advises on a process image."""

    def prescribe(self, state: PackState) -> Advice:
        """Return what is recommended, why, and what to expect."""
        ...


class CandidatePrescriber:
    """Advise the fastest charge that keeps every limit of the worst cell, the least coolant for it, and balancing.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    parameters : CellParameters, optional
        Parameters of the cell; loaded by ``spec.cell.parameter_set`` if not given.
    settings : PrescriptionSettings, optional
        Aims, margins and candidates.
    fidelity : {"SPMe", "DFN"}
        Cell model.

    Notes
    -----
    Meant to live in a worker process: building it loads the cell model, and an advice takes up to seconds.
    """

    def __init__(
        self,
        spec: PackSpec,
        parameters: CellParameters | None = None,
        settings: PrescriptionSettings | None = None,
        *,
        fidelity: str = "SPMe",
    ) -> None:
        from celltwin.physics import CellSimulator

        self._spec = spec
        self._settings = settings or PrescriptionSettings()
        self._simulator = CellSimulator(parameters or spec.cell.parameter_set, fidelity)

    def prescribe(self, state: PackState) -> Advice:
        """Return the advice for a process image.

        Every module gets the largest charge current that its worst cell bears. All modules are in series, so the pack
        can be charged with the least of them; the reasons name that module. Where readings that matter are missing,
        stale, suspect or bad, nothing is recommended (NaN) and the reason says why.
        """
        spec, settings = self._spec, self._settings
        cases = find_cases(spec, state, settings.coverage)
        plan = plan_balancing(spec, state, settings.bleed_rate)
        current = np.full(spec.n_modules, np.nan)
        flow = np.full(spec.n_modules, np.nan)
        choices: list[Candidate | None] = [None] * spec.n_modules
        reasons: list[str] = []
        tried: list[Candidate] = []
        for index, case in enumerate(cases):
            if case.problem:
                reasons.append(f"nothing recommended: {case.problem}")
                continue
            coolant = self._coolant(state, index)
            chosen, candidates = choose_candidate(
                spec, case, self._simulator, settings, coolant=coolant, target=self._target(case)
            )
            tried += candidates
            choices[index] = chosen
            current[index] = 0.0 if chosen is None else chosen.current
            flow[index] = self._flow(state, case, chosen, coolant)
            reasons.append(self._reason(case, chosen, candidates))
        outlook = self._look_ahead(state, cases, choices, float(current.min()))
        expected = [
            "; ".join(part for part in (ahead, self._balancing(plan, index)) if part)
            for index, ahead in enumerate(outlook)
        ]
        return Advice(
            time=state.time,
            charge_current=current,
            coolant_flow=flow,
            balancing_current=plan.current,
            reasons=self._name_the_least(reasons, current),
            expected=tuple(expected),
            provenance=self._simulator.provenance,
            candidates=tuple(_as_table(candidate) for candidate in tried),
        )

    def _target(self, case: ModuleCase) -> float:
        settings = self._settings
        return settings.target_soc if case.soc < settings.target_soc else settings.full_soc

    def _name_the_least(self, reasons: list[str], current: Array) -> tuple[str, ...]:
        """Return the reasons with a word on which module limits the pack."""
        unknown = np.nonzero(~np.isfinite(current))[0]
        if unknown.size:
            module = self._spec.modules[int(unknown[0])].id
            return tuple(
                reason if np.isnan(value) else f"{reason}; the pack waits for {module}: all modules are in series"
                for reason, value in zip(reasons, current, strict=True)
            )
        least = int(current.argmin())
        limit = f"{self._spec.modules[least].id} limits the pack to {_amperes(current[least])}"
        return tuple(
            f"{reason}; this module limits the pack: all are in series" if index == least else f"{reason}; {limit}"
            for index, reason in enumerate(reasons)
        )

    def _coolant(self, state: PackState, module: int) -> float:
        """Return the temperature of a module's coolant [K]: measured, at whichever end, else as designed."""
        reading = state.get(Kind.MEASURED, "coolant_temperature", Level.MODULE)
        if reading is not None and reading.values.size == self._spec.n_modules:
            value, quality = float(reading.values[module]), reading.quality[module]
            if np.isfinite(value) and quality == Quality.GOOD:
                return value
        return self._spec.cooling.inlet_temperature

    def _flow(self, state: PackState, case: ModuleCase, chosen: Candidate | None, coolant: float) -> float:
        """Return the coolant flow that suffices for the chosen charge and for the current that flows now [kg/s]."""
        spec, settings = self._spec, self._settings
        flows = [share * spec.cooling.highest_flow for share in settings.flows]
        least = flows[0] if chosen is None else chosen.flow
        current = state.best("current", Level.PACK)
        known = current is not None and current.usable()[0]
        flowing = float(current.values[0]) / spec.cells_in_parallel if current is not None and known else 0.0
        loss = 2.0 * spec.cell.resistance * case.resistance_ratio * (flowing * case.share) ** 2  # [W], as worst_cells
        heat = loss * spec.series * spec.parallel
        limit = spec.cell.highest_temperature - settings.temperature_margin
        if case.hottest > limit:
            return flows[-1]
        for flow in flows:
            if flow < least:
                continue
            steady = coolant_at_outlet(spec, coolant, flow, heat) + loss / cell_conductance(spec, flow)
            if steady <= limit:
                return flow
        return flows[-1]

    def _reason(self, case: ModuleCase, chosen: Candidate | None, tried: tuple[Candidate, ...]) -> str:
        if chosen is None:
            cold = case.coldest < self._spec.cell.lowest_charge_temperature
            even = "" if cold else f"even at {_amperes(tried[0].current)} "
            return f"no charge: {even}{tried[0].binding}"
        broken = [other for other in tried if other.current > chosen.current and not other.holds]
        if broken:
            least = min(broken, key=lambda other: other.current)
            why = f"at {_amperes(least.current)} {least.binding}"
        elif chosen.current < self._spec.cell.highest_charge_current * self._spec.cells_in_parallel * (1.0 - 1e-9):
            why = (
                f"{case.fullest_id} ({100.0 * min(case.soc, 1.0):.0f} %) reaches the voltage limit, which tapers the "
                f"current: more than {_amperes(chosen.current)} charges no faster"
            )
        else:
            why = f"{_amperes(chosen.current)} is the highest charge current of the cells"
        drier = [other for other in tried if other.current == chosen.current and other.flow < chosen.flow]
        if drier:
            why += f"; with {_FLOW.format(drier[-1].flow)} of coolant {drier[-1].binding}"
        return why

    def _look_ahead(
        self,
        state: PackState,
        cases: tuple[ModuleCase, ...],
        choices: list[Candidate | None],
        current: float,
    ) -> list[str]:
        """Return what happens in each module at the current that the pack can bear."""
        from celltwin.physics import simulate_charge

        spec, settings = self._spec, self._settings
        texts = [""] * len(cases)
        if not current > 0.0:
            return texts
        for index, (case, chosen) in enumerate(zip(cases, choices, strict=True)):
            if chosen is None:
                continue
            target = self._target(case)
            coolant = self._coolant(state, index)
            batch, cell_current = worst_cells(spec, case, self._simulator, current, chosen.flow, coolant)
            outcome = simulate_charge(
                self._simulator,
                replace(batch, **{name: values[:1] for name, values in vars(batch).items()}),  # the hottest
                cell_current,
                target_soc=target,
                highest_voltage=spec.cell.highest_voltage - settings.voltage_margin,
                longest=_LOOK_AHEAD,
                interval=600.0,
                sample_period=30.0,
            )
            minutes = float(outcome.time_to_target[0]) / 60.0
            when = f"in {minutes:.0f} min" if np.isfinite(minutes) else "not within 2 h"
            aim = "is full" if case.soc >= target else f"reaches {100.0 * target:.0f} % {when}"
            texts[index] = (
                f"at {_amperes(current)} the fullest group {aim}, "
                f"hottest cell {_TEMPERATURE.format(float(outcome.peak_temperature[0]))}; "
                f"anode at least {1000.0 * chosen.lowest_anode_potential:.0f} mV above lithium "
                f"in the next {chosen.duration / 60.0:.0f} min"
            )
        return texts

    def _balancing(self, plan: BalancingPlan, module: int) -> str:
        """Return what balancing does in a module, and how long it takes."""
        spec = self._spec
        groups = np.arange(module * spec.series, (module + 1) * spec.series)
        bled = groups[plan.hours[groups] > 0.0]
        if not bled.size:
            return ""
        highest = bled[plan.excess[bled].argmax()]
        return (
            f"bleed {bled.size} group{'s' if bled.size > 1 else ''}: {spec.element_ids(Level.GROUP)[highest]} holds "
            f"{plan.excess[highest]:.2f} A·h more than {plan.emptiest_id}, balanced in {plan.hours[highest]:.1f} h"
        )


def _amperes(value: float) -> str:
    return f"{value:.1f} A"


def _as_table(candidate: Candidate) -> dict[str, object]:
    return {
        "module": candidate.module_id,
        "charge_current_A": candidate.current,
        "coolant_flow_kg_per_s": candidate.flow,
        "minutes": candidate.duration / 60.0,
        "charged": candidate.charged,
        "tapered": candidate.tapered,
        "highest_temperature_K": candidate.highest_temperature,
        "lowest_anode_potential_V": candidate.lowest_anode_potential,
        "holds": candidate.holds,
        "binding": candidate.binding,
    }
