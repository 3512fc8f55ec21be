r"""Bench of conservation: energy, charge and lithium of one module of the reference pack over a 1C cycle.

The balance uses nothing but what can be seen from outside, sample by sample, and the states before and after:

.. math::
    \underbrace{-\Delta H}_{\text{chemical}} = \underbrace{\int V I\,dt}_{\text{electrical}}
    + \underbrace{\int I^2 R\,dt}_{\text{links}}
    + \underbrace{\textstyle\sum_k C_k \Delta T_k}_{\text{stored}}
    + \underbrace{\int \dot m c\,(T_\mathrm{out} - T_\mathrm{in})\,dt}_{\text{to the coolant}}
    + \underbrace{\int \textstyle\sum_k G_k (T_k - T_\mathrm{ambient})\,dt}_{\text{to the ambient}}

The chemical energy of a cell is the enthalpy of the lithium in its particles, a function of state alone:

.. math::
    H = -q_p \langle G_p(y) \rangle - q_n \langle G_n(x) \rangle, \qquad
    G(s) = \int_0^s \left(U - T\, \frac{\partial U}{\partial T}\right) ds

with the charge :math:`q` that fills an electrode and means over the volume of the particles; with a derivative that
does not depend on temperature, :math:`U - T\,\partial U/\partial T` does not either. For this balance the engine counts
the heat of mixing, without which the energy that concentration profiles lose when they relax would go nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import FARADAY, SECONDS_PER_HOUR, Array, CelltwinError, PackSpec
from tools.bench.figures import Figures, main
from tools.bench.pack_speed import build_engine
from tools.bench.places import reference_pack

if TYPE_CHECKING:
    from celltwin.physics.engine import CellModel, ElectrodeModel, PackEngine

__all__ = ["CycleBalance", "balance_cycle", "chemical_energy", "run"]

# Seconds at a rate over 1C: three quarters of the capacity out, since the weakest cells have little more, and in again.
CYCLE = ((2700.0, 1.0), (1800.0, 0.0), (2700.0, -1.0), (1800.0, 0.0))
BLOCK = 60.0  # [s]
TARGET = 0.1  # [%]


@dataclass(frozen=True, kw_only=True)
class CycleBalance:
    """What became of the energy [J], and how far charge [-] and lithium [-] are from being kept.

    Attributes
    ----------
    chemical, electrical, links, stored, coolant, ambient : float
        The terms of the balance [J]: released, delivered at the terminals, lost in links, and three ways of heat.
    discharged : float
        Electrical energy delivered while discharging [J], what errors are related to.
    group_charge : float
        Largest difference of the charge through a group and through the pack, over the charge discharged.
    cell_charge : float
        Largest difference of a cell's charge by its current and by its state of charge, over its capacity.
    lithium : float
        Largest relative change of the lithium in a cell's particles.
    """

    chemical: float
    electrical: float
    links: float
    stored: float
    coolant: float
    ambient: float
    discharged: float
    group_charge: float
    cell_charge: float
    lithium: float

    @property
    def missing(self) -> float:
        """What the balance lacks [J]."""
        found = self.electrical + self.links + self.stored + self.coolant + self.ambient
        return self.chemical - found

    @property
    def heat(self) -> float:
        """Heat made in the cells [J]."""
        return self.stored + self.coolant + self.ambient


def run() -> Figures:
    """Take one module of the reference pack through a cycle, with and without the heat of mixing."""
    from celltwin.physics.engine import EngineOptions

    figures = Figures("pack-energy")
    spec = reference_pack(1)
    mixing = EngineOptions(heat_of_mixing=True)
    half = balance_cycle(build_engine(spec, soc=0.97, options=mixing), spec, CYCLE[:1])
    figures.add("discharge alone: chemical energy released", half.chemical / 1e3, "kJ")
    missing = 100.0 * abs(half.missing) / half.discharged
    figures.add("discharge alone: energy missing, over the energy discharged", missing, "%", target=TARGET)
    whole = balance_cycle(build_engine(spec, soc=0.97, options=mixing), spec)
    figures.add("cells", spec.n_cells, "1")
    figures.add("energy discharged", whole.discharged / 3.6e6, "kWh")
    figures.add("electrical energy of the whole cycle", whole.electrical / 1e3, "kJ")
    figures.add("heat lost in links", whole.links / 1e3, "kJ")
    figures.add("heat to the coolant", whole.coolant / 1e3, "kJ")
    figures.add("heat to the ambient", whole.ambient / 1e3, "kJ")
    figures.add("heat stored in the cells", whole.stored / 1e3, "kJ")
    figures.add("chemical energy released", whole.chemical / 1e3, "kJ")
    missing = 100.0 * abs(whole.missing)
    figures.add("energy missing, over the energy discharged", missing / whole.discharged, "%", target=TARGET)
    figures.add("energy missing, over the heat made", missing / abs(whole.heat), "%")
    figures.add("charge through a group, worst difference to the pack", 100.0 * whole.group_charge, "%", target=1e-6)
    figures.add("charge of a cell, worst difference to its SOC", 100.0 * whole.cell_charge, "%", target=1e-6)
    figures.add("lithium in a cell's particles, worst change", 100.0 * whole.lithium, "%", target=1e-6)
    published = balance_cycle(build_engine(spec, soc=0.97), spec)
    share = 100.0 * published.missing / whole.heat
    figures.add("heat of mixing, which published models leave out, over the heat made", share, "%")
    return figures


def balance_cycle(engine: PackEngine, spec: PackSpec, cycle: Sequence[tuple[float, float]] = CYCLE) -> CycleBalance:
    """Return the balance of a cycle.

    Parameters
    ----------
    engine : PackEngine
        The pack, at rest; it moves on.
    spec : PackSpec
        Its declaration.
    cycle : sequence of (float, float)
        Duration [s] and rate over 1C of each part.
    """
    from celltwin.physics.engine import Drive

    network, step = engine.network, engine.options.step
    heat = network.heat
    link = float(network.circuit.link_resistance.sum())
    capacity = engine.model.capacity * engine.read_cells("capacity_scale") * SECONDS_PER_HOUR
    flow = heat.design_flow * heat.coolant_heat_capacity
    before = chemical_energy(engine)
    start = engine.read_cells("temperature")
    soc = engine.read_cells("soc")
    lithium = _lithium(engine)
    surface = engine.read_cells("surface_temperature")
    electrical = links = coolant = ambient = discharged = pack_charge = 0.0
    charge, drift = np.zeros(engine.n_cells), np.zeros(engine.n_cells)
    for duration, rate in cycle:
        for _ in range(round(duration / BLOCK)):
            history = engine.advance(Drive(values=rate * spec.capacity), BLOCK, sample_period=step)
            current, voltage = history.pack_current[:, 0], history.pack_voltage[:, 0]
            delivered = step * float(current @ voltage)
            electrical += delivered
            discharged += delivered if rate > 0.0 else 0.0
            links += step * link * float(current @ current)
            # heat leaves by the temperatures at the start of each step
            surfaces = np.vstack([surface, history.cell_surface_temperature[:-1]])
            ambient += step * float(((surfaces - heat.ambient_temperature) @ heat.ambient_conductance).sum())
            coolant += step * float(((history.coolant_temperature - heat.inlet_temperature) @ flow).sum())
            surface = history.cell_surface_temperature[-1]
            pack_charge += step * float(current.sum())
            charge += step * history.cell_current.sum(axis=0)
            drift = np.maximum(drift, np.abs(charge - (soc - history.cell_soc[-1]) * capacity))
    through = charge.reshape(engine.n_groups, -1).sum(axis=1)
    moved = sum(duration * rate for duration, rate in cycle if rate > 0.0) * spec.capacity
    return CycleBalance(
        chemical=float((before - chemical_energy(engine)).sum()),
        electrical=electrical,
        links=links,
        stored=float(network.heat_capacity @ (engine.read_cells("temperature") - start)),
        coolant=coolant,
        ambient=ambient,
        discharged=discharged,
        group_charge=float(np.abs(through - pack_charge).max()) / moved,
        cell_charge=float((drift / capacity).max()),
        lithium=float(np.abs(_lithium(engine) / lithium - 1.0).max()),
    )


def chemical_energy(engine: PackEngine) -> Array:
    """Return the enthalpy of the lithium in each cell's particles, of shape (n_cells,) [J]."""
    model, scale = _particle_model(engine), engine.read_cells("capacity_scale")
    energy = np.zeros(engine.n_cells)
    for side, electrode in (("negative", model.negative), ("positive", model.positive)):
        profile = engine.read_cells(f"shells_{side}")
        integral = _integrate_enthalpy(electrode, model.reference_temperature, profile)
        shares = _shell_volumes(engine)
        particles = integral.reshape(-1, shares.size, engine.n_cells).mean(axis=0)  # one, or one in each volume
        energy -= _full_charge(model, electrode) * scale * (shares @ particles)
    return energy


def _particle_model(engine: PackEngine) -> CellModel:
    """Return the engine's cell model, which must have particles: an equivalent circuit has no chemical energy."""
    from celltwin.physics.engine import CellModel

    if not isinstance(engine.model, CellModel):
        raise CelltwinError("an equivalent circuit has no chemical energy", remedy="Balance a physical cell model")
    return engine.model


def _shell_volumes(engine: PackEngine) -> Array:
    """Return the share of each shell in its particle [-]."""
    from celltwin.physics.engine.shared_cell import particle_shells

    return particle_shells(engine.options.shells).volumes


def _lithium(engine: PackEngine) -> Array:
    """Return the lithium in each cell's particles, of shape (n_cells,) [A.s]."""
    model, scale = _particle_model(engine), engine.read_cells("capacity_scale")
    total = np.zeros(engine.n_cells)
    for side, electrode in (("negative", model.negative), ("positive", model.positive)):
        total += _full_charge(model, electrode) * scale * engine.read_cells(f"mean_{side}")
    return total


def _full_charge(model: CellModel, electrode: ElectrodeModel) -> float:
    """Return the charge that fills an electrode from empty to full [A.s]."""
    volume = model.electrode_area * electrode.thickness * electrode.active_fraction
    return FARADAY * volume * electrode.maximum_concentration


def _integrate_enthalpy(electrode: ElectrodeModel, reference: float, stoichiometry: Array) -> Array:
    """Return the integral of U - T dU/dT from 0 to a stoichiometry, exact for the model's cubics [V]."""
    table = electrode.potential
    cubic = table[:, :4] - reference * table[:, 4:]
    count = cubic.shape[0]
    order = np.arange(1, 5)
    whole = np.concatenate([[0.0], np.cumsum((cubic / order).sum(axis=1))]) / count
    place = stoichiometry * count
    interval = np.clip(place.astype(np.int64), 0, count - 1)
    within = (place - interval)[..., np.newaxis]
    part = (cubic[interval] / order * within**order).sum(axis=-1) / count
    total: Array = whole[interval] + part
    return total


if __name__ == "__main__":
    raise SystemExit(main(run))
