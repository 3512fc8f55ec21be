"""What the engine refuses, and how it says so: cell, quantity, limit, time; never a NaN that travels."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import CelltwinError, ModelError, PlantError, SettingsError
from celltwin.physics.engine import CellPopulation, Drive, DriveKind, EngineOptions, PackEngine

NAN = float("nan")


@pytest.fixture
def start(cell_model, string_network):
    def build(series: int = 1, parallel: int = 2, *, options: EngineOptions | None = None, **cells) -> PackEngine:
        population = CellPopulation(**({"soc": 0.5} | cells))
        network = string_network(series, parallel, ambient=0.2)
        return PackEngine(cell_model, network, cells=population, options=options, device="cpu")

    return build


@pytest.mark.parametrize(
    ("name", "value"),
    [("electrode_area", NAN), ("contact_resistance", -1.0), ("separator_thickness", 0.0), ("capacity", -2.0)],
)
def test_parameters_that_are_not_physical_are_refused_by_name(cell_model, name, value):
    with pytest.raises(ModelError, match=name):
        replace(cell_model, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("soc", 1.2), ("soc", NAN), ("capacity_scale", 0.0), ("resistance", -1e-3), ("temperature", 20.0)],
)
def test_a_population_out_of_range_is_refused_by_name_and_cell(name, value):
    given = np.array([getattr(CellPopulation(temperature=298.15), name)] * 3, dtype=np.float64)
    given[1] = value

    with pytest.raises(SettingsError, match=rf"{name} = .* of cell 1"):
        CellPopulation(**{name: given})


def test_a_population_of_another_size_is_refused(start):
    with pytest.raises(CelltwinError, match=r"3.* 2 cells"):
        start(soc=np.full(3, 0.5))


def test_an_empty_group_is_refused(string_network):
    with pytest.raises(ModelError, match="empty group"):
        string_network(2, 0)


@pytest.mark.parametrize("step", [0.0, -1.0, NAN, 1e3])
def test_a_step_without_sense_is_refused(step):
    with pytest.raises(SettingsError, match="step = "):
        EngineOptions(step=step)


@pytest.mark.parametrize("values", [NAN, np.inf, np.array([1.0, NAN]), np.array([[1.0, 2.0], [NAN, 0.0]])])
def test_a_profile_with_gaps_is_refused(values):
    with pytest.raises(SettingsError, match=r"current asked for .* no number"):
        Drive(values=values)


def test_the_step_of_the_gap_is_named():
    with pytest.raises(SettingsError, match="at step 2"):
        Drive(kind=DriveKind.POWER, values=np.array([1.0, 2.0, NAN, 4.0]))


def test_an_unknown_kind_of_drive_is_refused():
    with pytest.raises(CelltwinError, match="torque"):
        Drive(kind="torque", values=1.0)


def test_a_profile_of_another_length_is_refused(start):
    with pytest.raises(SettingsError, match="5 values for 10 time steps"):
        start().advance(Drive(values=np.zeros(5)), 10.0)


def test_a_profile_for_other_packs_is_refused(start):
    with pytest.raises(SettingsError, match="3 packs"):
        start().advance(Drive(values=np.zeros((10, 3))), 10.0)


@pytest.mark.parametrize("duration", [0.0, -5.0, NAN, np.inf])
def test_a_duration_without_sense_is_refused(start, duration):
    with pytest.raises(SettingsError, match="duration"):
        start().advance(1.0, duration)


@pytest.mark.parametrize("period", [0.0, -3.0, NAN])
def test_a_sample_period_without_sense_is_refused(start, period):
    with pytest.raises(SettingsError, match="sample_period"):
        start().advance(1.0, 10.0, sample_period=period)


@pytest.mark.parametrize("cells", [np.array([2]), np.array([-1]), np.array([0, 9])])
def test_a_cell_that_does_not_exist_is_refused(start, cells):
    with pytest.raises(CelltwinError):
        start().set_cells("resistance", 0.1, cells)


@pytest.mark.parametrize("groups", [np.array([1]), np.array([-1])])
def test_a_group_that_does_not_exist_is_refused(start, groups):
    with pytest.raises(CelltwinError):
        start().set_groups("bypass_conductance", 1.0, groups)


def test_a_node_that_does_not_exist_is_refused(start):
    with pytest.raises(CelltwinError, match="99"):
        start().set_nodes(False, 99)


def test_an_unknown_property_is_refused_with_what_there_is(start):
    with pytest.raises(SettingsError, match=r"colour.*internal_short_conductance"):
        start().set_cells("colour", 1.0)


def test_a_setting_out_of_range_names_the_cell(start):
    with pytest.raises(SettingsError, match="resistance = nan of cell 2 of group 1"):
        start().set_cells("resistance", np.array([0.1, NAN]))


@pytest.mark.parametrize(("soc", "current", "electrode"), [(0.15, 4.0, "negative"), (0.93, -4.0, "positive")])
def test_a_cell_driven_past_its_limits_is_named_with_quantity_limit_and_time(start, soc, current, electrode):
    engine = start(2, 2, soc=np.array([0.5, 0.5, soc, soc]))

    with pytest.raises(PlantError, match=rf"stoichiometry of the {electrode} electrode of cell 1 of group 2") as caught:
        engine.advance(current, 3600.0, sample_period=1.0)

    text = str(caught.value)
    assert "limits are 0 and 1" in text
    assert 100.0 < engine.time < 1500.0
    assert f"at {engine.time:.1f} s" in text


def test_a_cell_driven_past_its_limits_is_found_when_it_happens_without_samples(start):
    sampled, plain = start(soc=0.15), start(soc=0.15)
    with pytest.raises(PlantError):
        sampled.advance(4.0, 3600.0, sample_period=1.0)

    with pytest.raises(PlantError):
        plain.advance(4.0, 3600.0)

    assert plain.time == pytest.approx(sampled.time, abs=60.0)


@pytest.mark.parametrize(
    "drive",
    [
        Drive(values=1e3),
        Drive(values=-1e6),
        Drive(kind=DriveKind.POWER, values=1e5),
        Drive(kind=DriveKind.VOLTAGE, values=100.0),
    ],
)
def test_a_drive_beyond_all_reason_ends_in_an_error_and_not_in_nan(start, drive):
    with pytest.raises(PlantError, match=r" at \d+\.\d s"):
        start().advance(drive, 60.0, sample_period=1.0)


def test_a_cell_that_overheats_is_named(cell_model, string_network):
    network = string_network(2, 1, heat_capacity=np.array([43.2, 0.1]))
    engine = PackEngine(cell_model, network, cells=CellPopulation(soc=0.6), device="cpu")

    with pytest.raises(PlantError, match="temperature of cell 1 of group 2 is"):
        engine.advance(8.0, 600.0, sample_period=1.0)


def test_a_heat_capacity_of_nothing_is_refused(cell_model, string_network):
    with pytest.raises(ModelError, match="heat capacity"):
        PackEngine(cell_model, string_network(heat_capacity=0.0), device="cpu")


def test_stiff_cooling_stays_stable(cell_model, string_network):
    network = string_network(1, 2, heat_capacity=0.05, ambient=0.5, conduction=0.5)
    engine = PackEngine(cell_model, network, cells=CellPopulation(soc=0.6, temperature=330.0), device="cpu")

    history = engine.advance(4.0, 120.0, sample_period=1.0)

    assert np.all((history.cell_temperature > 298.0) & (history.cell_temperature < 302.0))
    assert np.all(np.abs(np.diff(history.cell_temperature, axis=0)) < 0.5)


def test_a_state_with_a_number_missing_ends_in_an_error_and_never_in_a_crash(repo_root, compiled_equations):
    # In a process of its own: what it guards against ends the process.
    script = """
        import sys
        import numpy as np
        from dataclasses import replace
        from celltwin.core import CelltwinError, load_pack
        from celltwin.physics.engine import CellPopulation, build_pack_engine
        spec = load_pack(sys.argv[1])
        engine = build_pack_engine(replace(spec, modules=spec.modules[:1]), cells=CellPopulation(soc=0.5), device="cpu")
        engine.advance(56.0, 2.0)
        state = engine.state()
        for name in ("temperature", "surface_negative"):
            state.cells[name][17] = np.nan
        try:
            engine.restore(state)
            engine.advance(56.0, 5.0, sample_period=1.0)
        except CelltwinError as error:
            print("refused:", error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(repo_root / "data/packs/reference.toml")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-800:]
    assert "refused:" in done.stdout
    assert "M01.G01.C18" in done.stdout
