"""Mechanics within the pack engine: the pressure of modules, and what it does to contacts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import PackSpec, load_pack
from celltwin.physics.engine import CellPopulation, EngineHistory, EngineOptions, PackEngine, build_pack_engine
from celltwin.physics.engine.mechanics import evaluate_mechanics
from celltwin.physics.engine.mechanics_model import MechanicsModel
from celltwin.physics.engine.mechanics_parameters import pack_mechanics

SOCS = np.linspace(0.86, 0.90, 12)


@pytest.fixture(scope="module")
def leaf(repo_root) -> PackSpec:
    return load_pack(repo_root / "data/packs/leaf_3_modules.toml")


@pytest.fixture(scope="module")
def mechanics(leaf: PackSpec) -> MechanicsModel:
    return pack_mechanics(leaf)


def run(spec: PackSpec, model: MechanicsModel | None) -> tuple[PackEngine, EngineHistory]:
    engine = build_pack_engine(spec, cells=CellPopulation(soc=SOCS), options=EngineOptions(step=10.0, mechanics=model))
    return engine, engine.advance(65.0, 2600.0, sample_period=100.0)


def test_the_engine_leaves_the_pressure_of_every_module(leaf, mechanics):
    engine, history = run(leaf, mechanics)

    pressure = history.extra["pressure"].reshape(-1, 3, 4)
    assert np.ptp(pressure, axis=2).max() == 0.0  # cells of a module share it
    assert (pressure[-1] < pressure[0] - 5e3).all()  # discharge relieves it
    expected = evaluate_mechanics(
        mechanics,
        engine.read_cells("mean_negative")[np.newaxis],
        engine.read_cells("mean_positive")[np.newaxis],
        history.cell_temperature[-1:],
    )
    np.testing.assert_allclose(pressure[-1].reshape(-1), expected.pressure[0], rtol=1e-3)
    np.testing.assert_allclose(history.extra["thickness_change"][-1], expected.thickness_change[0], atol=1e-7)


def test_pressure_lost_is_voltage_lost_in_pressed_contacts(leaf, mechanics):
    pressed = replace(mechanics, contact_share=1.0)

    engine, history = run(leaf, pressed)
    _, welded = run(leaf, None)

    assert engine.read_cells("contact_factor").min() != 1.0
    resistance = engine.model.contact_resistance
    lost = welded.cell_voltage[-1] - history.cell_voltage[-1]
    expected = history.cell_current[-1] * resistance * (engine.read_cells("contact_factor") - 1.0)
    np.testing.assert_allclose(lost, expected, rtol=0.1)
