"""Heat between cells, to coolant and ambient: symmetry, conservation, closed forms."""

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import SpecError, lay_out, load_pack
from celltwin.physics.engine.heat_paths import (
    build_heat_paths,
    cell_surface,
    exchange_heat,
    film_share,
    pair_conductance,
    thermal_model,
)


@pytest.fixture(scope="module")
def reference(repo_root):
    return load_pack(repo_root / "data/packs/reference.toml")


def conduction_matrix(heat):
    """Return the conductance from each cell to each other [W/K]."""
    count = heat.segment.size
    matrix = np.zeros((count, count))
    for neighbours, conductance in zip(heat.neighbours, heat.conductance, strict=True):
        np.add.at(matrix, (np.arange(count), neighbours), conductance)
    return matrix


def steady_temperature(heat, power, flow, inlet_temperature=None):
    """Return the cells' temperatures under constant power, from the exchange, which is linear in them."""
    count = power.size

    def respond(temperature):
        found = exchange_heat(heat, temperature, flow, inlet_temperature=inlet_temperature)
        return found.neighbours + found.coolant + found.ambient

    base = respond(np.zeros(count))
    matrix = np.stack([respond(unit) - base for unit in np.eye(count)], axis=1)
    return np.linalg.solve(matrix, -power - base)


def test_conduction_is_symmetric(reference):
    cooling = replace(reference.cooling, module_transfer=20.0)
    for spec in (reference, replace(reference, cooling=cooling)):
        matrix = conduction_matrix(build_heat_paths(replace(spec, modules=spec.modules[:4])))

        np.testing.assert_array_equal(matrix, matrix.T)
        assert not np.diag(matrix).any()


def test_inner_cells_of_a_hexagonal_module_have_six_neighbours_and_corners_two_or_three(reference):
    heat = build_heat_paths(replace(reference, modules=reference.modules[:1]))

    counts = (heat.conductance > 0.0).sum(axis=0)
    assert heat.neighbours.shape == (6, 280)
    assert np.bincount(counts)[6] == 18 * 12  # all but the rim of 20 columns of 14
    assert set(counts[[0, 13, -14, -1]]) == {2, 3}


def test_busbars_conduct_within_a_group_and_to_the_next(reference):
    matrix = conduction_matrix(build_heat_paths(replace(reference, modules=reference.modules[:1])))
    pair = lay_out(reference).neighbours
    pair = pair[pair[:, 1] < 280]
    gap, rail = pair_conductance(reference)[0], 90.9 * 8e-3 * 0.2e-3 / 19.35e-3

    inside = pair[:, 0] // 28 == pair[:, 1] // 28
    np.testing.assert_allclose(matrix[pair[inside, 0], pair[inside, 1]], gap + 2 * rail, rtol=1e-9)
    np.testing.assert_allclose(matrix[pair[~inside, 0], pair[~inside, 1]], gap + rail, rtol=1e-9)


def test_the_gap_of_two_cylinders_conducts_by_their_shape_factor(reference):
    # Shape factor 2 pi L / acosh(...) of cylinders of 18.35 mm at 19.35 mm: 0.62 m times air's 0.026 W/(m.K).
    assert pair_conductance(reference)[0] == pytest.approx(0.0162, abs=2e-4)
    potted = replace(reference, layout=replace(reference.layout, gap_conductivity=0.26))
    assert pair_conductance(potted)[0] == pytest.approx(10 * pair_conductance(reference)[0])


def test_two_cells_come_to_one_temperature_and_keep_their_heat(repo_root):
    leaf = load_pack(repo_root / "data/packs/leaf_3_modules.toml")
    spec = replace(leaf, series=1, parallel=2, modules=leaf.modules[:1], sensors=(), mappings=())
    heat = build_heat_paths(spec)
    conductance = float(heat.conductance[0, 0])
    capacity, still = 787.0, replace(heat, ambient_conductance=np.zeros(2))

    temperature, step = np.array([320.0, 300.0]), 0.01
    for _ in range(5000):
        temperature = temperature + exchange_heat(still, temperature, np.zeros(1)).neighbours / capacity * step

    assert temperature.mean() == pytest.approx(310.0, abs=1e-9)
    assert np.ptp(temperature) == pytest.approx(20.0 * np.exp(-2.0 * conductance * 50.0 / capacity), rel=1e-4)


def test_coolant_takes_up_what_the_cells_give(reference):
    heat = build_heat_paths(reference)
    random = np.random.default_rng(3)
    temperature = 298.0 + 10.0 * random.random(reference.n_cells)
    flow = 0.05 * random.random(10)

    found = exchange_heat(heat, temperature, flow)

    outlet = found.segment_outlet[heat.segment_start[1:] - 1]
    taken = flow * heat.coolant_heat_capacity * (outlet - heat.inlet_temperature)
    np.testing.assert_allclose(taken, -found.coolant.reshape(10, -1).sum(axis=1), rtol=1e-9)
    assert abs(found.neighbours.sum()) < 1e-9


def test_a_plate_under_equal_cells_warms_its_coolant_by_the_closed_form(reference):
    heat = build_heat_paths(reference)
    inlet = reference.cooling.inlet_temperature

    found = exchange_heat(heat, np.full(reference.n_cells, inlet + 10.0), heat.design_flow)

    transfer = 280 * reference.cooling.heat_transfer * cell_surface(reference)
    units = transfer / (reference.cooling.flow * reference.cooling.coolant_heat_capacity)
    expected = inlet + 10.0 * (1.0 - np.exp(-units))
    np.testing.assert_allclose(found.segment_outlet[heat.segment_start[1:] - 1], expected, rtol=1e-12)


def test_turning_the_flow_round_mirrors_the_temperatures(reference):
    layout = replace(reference.layout, pattern="square", rows=4)
    power = np.full(16, 0.5)

    def steady(direction):
        cooling = replace(reference.cooling, flow_direction=direction, flow=1e-3)
        spec = replace(
            reference,
            series=4,
            parallel=4,
            layout=layout,
            cooling=cooling,
            modules=reference.modules[:1],
            sensors=(),
            mappings=(),
        )
        heat = build_heat_paths(spec)
        return steady_temperature(heat, power, heat.design_flow).reshape(4, 4)

    ahead, back = steady("+x"), steady("-x")
    np.testing.assert_allclose(back, ahead[::-1], rtol=1e-12)
    np.testing.assert_allclose(steady("-y"), steady("+y")[:, ::-1], rtol=1e-12)
    assert np.all(np.diff(ahead.mean(axis=1)) > 0.01)  # warmer along the flow


def test_modules_in_series_pass_their_warmth_on(reference):
    def outlets(supply):
        spec = replace(reference, cooling=replace(reference.cooling, supply=supply))
        heat = build_heat_paths(spec)
        found = exchange_heat(heat, np.full(spec.n_cells, 310.0), heat.design_flow)
        return heat, found.segment_outlet.reshape(10, -1)[:, -1]

    heat, parallel = outlets("parallel")
    chain, series = outlets("series")

    np.testing.assert_allclose(parallel, parallel[0])
    np.testing.assert_allclose(
        (310.0 - series) / (310.0 - 298.15), ((310.0 - parallel[0]) / (310.0 - 298.15)) ** np.arange(1, 11)
    )
    assert heat.design_flow.shape == (10,)
    assert chain.design_flow.shape == (1,)


def test_housings_give_heat_in_proportion_to_their_outer_area(reference):
    spec = replace(reference, cooling=replace(reference.cooling, ambient_transfer=5.0))
    size_x, size_y, size_z = lay_out(spec).module_size
    heat = build_heat_paths(spec)

    area = 2.0 * (size_x + size_y) * size_z + size_x * size_y
    assert heat.ambient_conductance.sum() == pytest.approx(10 * 5.0 * area)
    corner, inner = heat.ambient_conductance[0], heat.ambient_conductance[28 + 5]
    assert corner > inner > 0.0


def test_facing_sides_of_modules_exchange_heat_by_their_area(reference):
    layout = replace(reference.layout, pattern="square")
    cooling = replace(reference.cooling, module_transfer=20.0)
    # The first two modules stand side by side along x.
    modules = reference.modules[:2]
    spec = replace(reference, layout=layout, cooling=cooling, modules=modules, sensors=(), mappings=())

    matrix = conduction_matrix(build_heat_paths(spec))

    between = matrix[:280, 280:]
    assert np.count_nonzero(between) == 14  # one column of cells faces another
    pitch = reference.cell.diameter + layout.cell_gap
    assert between.sum() == pytest.approx(20.0 * 14 * pitch * (reference.cell.height + layout.cell_gap))


def test_film_follows_the_flow_and_never_vanishes(reference):
    share = film_share(np.array([0.0, 0.05, 0.1]), np.full(3, 0.05))

    np.testing.assert_allclose(share, [0.05, 1.0, 2.0**0.8])
    assert film_share(np.ones(1), np.zeros(1)) == 0.0


def test_mean_of_a_two_node_cell_lies_above_its_surface_by_the_closed_form(reference):
    spec = replace(reference, cell=replace(reference.cell, conductivity=0.3, surface_share=0.15))
    model, heat = thermal_model(spec), 2.0

    core_above_surface = heat / model.core_conductance
    mean_above_surface = (1.0 - model.surface_share) * core_above_surface

    assert mean_above_surface == pytest.approx(heat / (8.0 * np.pi * 0.3 * 0.065))
    assert thermal_model(reference).core_conductance == 0.0
    assert model.heat_capacity == pytest.approx(43.2)


def test_a_pouch_conducts_through_its_thickness(repo_root):
    leaf = load_pack(repo_root / "data/packs/leaf_3_modules.toml")
    model = thermal_model(replace(leaf, cell=replace(leaf.cell, conductivity=0.6, surface_share=0.1)))

    assert model.core_conductance == pytest.approx(0.9 * 12.0 * 0.6 * 0.29 * 0.216 / 0.0071)


def test_air_takes_the_heat_of_every_cell_and_has_no_stream(repo_root):
    leaf = load_pack(repo_root / "data/packs/leaf_3_modules.toml")
    heat = build_heat_paths(leaf)

    found = exchange_heat(heat, np.full(leaf.n_cells, 305.15), np.zeros(3))

    np.testing.assert_allclose(found.ambient, -10.0 * 8.0 * cell_surface(leaf), rtol=1e-9)
    assert not found.coolant.any()
    np.testing.assert_allclose(found.segment_outlet, leaf.cooling.inlet_temperature)


def test_air_has_no_plate_to_pass_modules_in_series(repo_root):
    leaf = load_pack(repo_root / "data/packs/leaf_3_modules.toml")
    with pytest.raises(SpecError, match="for a coolant plate"):
        replace(leaf.cooling, supply="series")
