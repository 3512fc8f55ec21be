"""Ageing against PyBaMM's single-particle model with electrolyte and the same submodels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from celltwin.physics.engine import CellModel, CellPopulation, EngineOptions, build_cell_model
from celltwin.physics.engine.ageing_parameters import build_ageing_model
from celltwin.physics.engine.ageing_reference import AgeingReference, simulate_ageing
from celltwin.physics.engine.ageing_state import AgeingState, LithiumLoss, lithium_loss
from celltwin.physics.engine.ageing_trajectory import age_along
from celltwin.physics.engine.pack_engine import PackEngine
from celltwin.physics.engine.pack_network import Circuit, HeatPaths, PackNetwork

CYCLES = [("Discharge at 1C until 2.5 V", "Charge at 1C until 4.2 V", "Hold at 4.2 V until C/20")] * 2
FIXED = ["Discharge at 1C for 45 minutes", "Rest for 10 minutes", "Charge at 0.75C for 1 hour", "Rest for 10 minutes"]
STORAGE = ["Rest for 100 hours"]


@pytest.fixture(scope="module")
def lgm50() -> CellModel:
    return build_cell_model("OKane2022")


def compare(state: AgeingState, loss: LithiumLoss, reference: AgeingReference, *, plating: float) -> None:
    """Compare the end of a run: film and active material within 1 %, plated lithium within ``plating``."""
    end = {name: values[-1] for name, values in reference.results.items()}
    np.testing.assert_allclose(state.sei_thickness, end["sei_thickness"], rtol=5e-3, err_msg="thickness")
    np.testing.assert_allclose(loss.sei, end["sei"], rtol=1e-2, err_msg="film")
    np.testing.assert_allclose(loss.plated + loss.dead, end["plating"], rtol=plating, atol=1e-12, err_msg="plating")
    for side in ("negative", "positive"):
        lost = 1.0 - getattr(state, f"active_{side}")
        np.testing.assert_allclose(lost, 1.0 - end[f"active_{side}"], rtol=1e-2, atol=1e-9, err_msg=side)
    np.testing.assert_allclose(loss.active_material, end["lost"], rtol=1e-2, atol=1e-8, err_msg="lost lithium")


def test_storage_grows_film_and_plated_lithium_as_pybamm(lgm50: CellModel) -> None:
    import pybamm

    values = pybamm.ParameterValues("OKane2022")
    reference = simulate_ageing(values, STORAGE, loss="none", temperature=318.15, step=360.0)
    model = build_ageing_model(values, loss="none")

    state = age_along(model, lgm50, reference.operating, sample_every=1000).states[-1]

    compare(state, lithium_loss(model, lgm50, state, np.ones(1)), reference, plating=1e-3)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("sei", "plating", "loss", "temperature", "experiment"),
    [
        ("solvent-diffusion limited", "partially reversible", "stress-driven", 298.15, CYCLES),
        ("solvent-diffusion limited", "partially reversible", "stress-driven", 318.15, CYCLES),
        ("ec reaction limited", "reversible", "stress-driven", 298.15, CYCLES),
        ("ec reaction limited", "irreversible", "stress-driven", 318.15, CYCLES),
        ("reaction limited", "partially reversible", "none", 318.15, CYCLES),
        ("interstitial-diffusion limited", "none", "stress and reaction-driven", 318.15, CYCLES),
        ("electron-migration limited", "none", "stress-driven", 298.15, CYCLES),
        ("ec reaction limited", "none", "none", 298.15, STORAGE),
    ],
)
def test_a_step_of_ageing_is_pybamms(
    lgm50: CellModel, sei: str, plating: str, loss: str, temperature: float, experiment: Sequence[object]
) -> None:
    import pybamm

    values = pybamm.ParameterValues("OKane2022")
    chosen = {"sei": sei, "plating": plating, "loss": loss}
    reference = simulate_ageing(values, experiment, temperature=temperature, **chosen)  # type: ignore[arg-type]
    model = build_ageing_model(values, **chosen)

    state = age_along(model, lgm50, reference.operating, sample_every=1000).states[-1]

    compare(state, lithium_loss(model, lgm50, state, np.ones(1)), reference, plating=0.025)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("sei", "temperature"), [("solvent-diffusion limited", 298.15), ("ec reaction limited", 318.15)]
)
def test_the_engine_ages_a_cell_as_pybamm(lgm50: CellModel, sei: str, temperature: float) -> None:
    import pybamm

    values = pybamm.ParameterValues("OKane2022")
    reference = simulate_ageing(values, FIXED * 2, sei=sei, temperature=temperature, initial_soc=0.95)
    model = build_ageing_model(values, sei=sei)
    engine = PackEngine(
        lgm50,
        single_cell(temperature),
        cells=CellPopulation(soc=0.95),
        options=EngineOptions(ageing=model, shells=20, salt_nodes=(8, 4, 8)),
        device="cpu",
    )
    for _ in range(2):
        for current, duration in ((5.0, 2700.0), (0.0, 600.0), (-3.75, 3600.0), (0.0, 600.0)):
            engine.advance(current, duration)

    state = AgeingState.of(engine.state().cells["ageing"])
    compare(state, lithium_loss(model, lgm50, state, np.ones(1)), reference, plating=0.025)


def single_cell(temperature: float) -> PackNetwork:
    """Return one cell that keeps its temperature."""
    circuit = Circuit(
        n_groups=1,
        parallel=1,
        connection_resistance=np.zeros(1),
        rail_resistance=np.zeros(1),
        opposite_feed=False,
        kind=np.zeros(2, dtype=np.int8),
        child_start=np.array([0, 0, 1], dtype=np.int32),
        children=np.array([0], dtype=np.int32),
        link_resistance=np.zeros(2),
        roots=np.array([1], dtype=np.int32),
    )
    heat = HeatPaths(
        neighbours=np.zeros((1, 1), dtype=np.int32),
        conductance=np.zeros((1, 1)),
        ambient_conductance=np.full(1, 1e3),
        coolant_conductance=np.zeros(1),
        segment=np.zeros(1, dtype=np.int32),
        segment_start=np.array([0, 1], dtype=np.int32),
        design_flow=np.zeros(1),
        coolant_heat_capacity=1.0,
        inlet_temperature=np.array([temperature]),
        ambient_temperature=temperature,
    )
    return PackNetwork(circuit=circuit, heat=heat, heat_capacity=np.full(1, 5e6))
