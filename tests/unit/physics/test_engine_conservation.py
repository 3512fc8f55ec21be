"""What the engine must keep: energy, charge, lithium; seen from outside, and by the engine's own checks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import CelltwinError
from celltwin.physics.engine import CellPopulation, EngineOptions, PackEngine, build_pack_engine
from tools.bench.pack_energy import balance_cycle, chemical_energy

SHORT_CYCLE = ((600.0, 1.0), (300.0, 0.0), (600.0, -1.0))


def _start(spec, **options) -> PackEngine:
    random = np.random.default_rng(2)
    cells = CellPopulation(
        soc=random.uniform(0.75, 0.8, spec.n_cells),
        capacity_scale=random.uniform(0.95, 1.05, spec.n_cells),
        resistance=random.uniform(0.0, 0.01, spec.n_cells),
        temperature=random.uniform(295.0, 303.0, spec.n_cells),
    )
    return build_pack_engine(spec, cells=cells, options=EngineOptions(**options), device="cpu")


def test_energy_of_a_cycle_closes(small_pack):
    balance = balance_cycle(_start(small_pack, heat_of_mixing=True), small_pack, SHORT_CYCLE)

    assert abs(balance.missing) < 1e-5 * balance.discharged
    assert abs(balance.missing) < 1e-3 * abs(balance.heat)
    assert balance.electrical < 0.0 < balance.coolant


def test_energy_of_a_discharge_closes(small_pack):
    balance = balance_cycle(_start(small_pack, heat_of_mixing=True), small_pack, SHORT_CYCLE[:1])

    assert balance.chemical > balance.discharged > 0.0
    assert abs(balance.missing) < 1e-5 * balance.discharged


def test_without_the_heat_of_mixing_only_that_is_missing(small_pack):
    balance = balance_cycle(_start(small_pack), small_pack, SHORT_CYCLE)

    assert 0.01 * balance.heat < balance.missing < 0.3 * balance.heat


def test_charge_and_lithium_are_kept(small_pack):
    balance = balance_cycle(_start(small_pack), small_pack, SHORT_CYCLE)

    assert balance.group_charge < 1e-9
    assert balance.cell_charge < 1e-10
    assert balance.lithium < 1e-12


def test_longer_steps_keep_energy_too(small_pack):
    balance = balance_cycle(_start(small_pack, heat_of_mixing=True, step=10.0), small_pack, SHORT_CYCLE)

    assert abs(balance.missing) < 1e-3 * balance.discharged
    assert balance.lithium < 1e-12


def test_chemical_energy_falls_by_open_circuit_work(cell_model, string_network, cell):
    # With no entropy, the chemical energy is the integral of the open-circuit voltage over the charge.
    flat = {}
    for side in ("negative", "positive"):
        table = np.array(getattr(cell_model, side).potential)
        table[:, 4:] = 0.0
        flat[side] = replace(getattr(cell_model, side), potential=table)
    model = replace(cell_model, **flat)
    engines = [PackEngine(model, string_network(), cells=CellPopulation(soc=soc), device="cpu") for soc in (0.8, 0.4)]

    released = chemical_energy(engines[0])[0] - chemical_energy(engines[1])[0]

    soc = np.linspace(0.4, 0.8, 2001)
    voltage = np.interp(soc, cell.soc, cell.voltage)
    work = 3600.0 * cell_model.capacity * np.trapezoid(voltage, soc)
    assert released == pytest.approx(work, rel=1e-4)


def test_lithium_that_appears_from_nowhere_is_reported_with_its_cell(small_pack):
    engine = _start(small_pack)
    engine.advance(6.0, 60.0, sample_period=1.0)
    state = engine.state()
    state.cells["shells_negative"][:, 5] += 0.01
    engine.restore(state)

    with pytest.raises(CelltwinError, match=rf"lithium.*{engine.cell_id(5)}"):
        engine.advance(6.0, 60.0, sample_period=1.0)
