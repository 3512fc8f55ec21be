"""Where cells stand: closed forms of the three patterns, and neighbours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import LayoutSpec, ModuleSpec, PackSpec, lay_out, load_pack

PACKS = Path(__file__).resolve().parents[3] / "data" / "packs"
REFERENCE = load_pack(PACKS / "reference.toml")
LEAF = load_pack(PACKS / "leaf_3_modules.toml")
ONE = REFERENCE.with_modules((ModuleSpec(id="M01", position=(0.0, 0.0, 0.0)),))


def patterned(pattern: str, rows: int, series: int, parallel: int) -> PackSpec:
    layout = LayoutSpec(pattern=pattern, rows=rows, cell_gap=0.001, housing_wall=0.003)
    return replace(ONE, series=series, parallel=parallel, layout=layout, sensors=(), mappings=())


def distances(points: np.ndarray) -> np.ndarray:
    apart = np.linalg.norm(points[:, np.newaxis] - points[np.newaxis], axis=2)
    return apart + np.where(np.eye(len(points)), np.inf, 0.0)


@pytest.mark.parametrize("pattern", ["hexagonal", "square"])
def test_standing_cells_are_one_gap_apart_at_the_closest(pattern):
    spec = patterned(pattern, 6, 4, 9)

    nearest = distances(lay_out(spec).cells_in_module).min(axis=1)

    np.testing.assert_allclose(nearest, spec.cell.diameter + spec.layout.cell_gap, rtol=1e-12)


def test_size_of_a_square_module_is_cells_gaps_and_walls():
    layout = lay_out(patterned("square", 5, 3, 10))

    diameter, gap, wall = 0.01835, 0.001, 0.003
    expected = (6 * diameter + 5 * gap + 2 * wall, 5 * diameter + 4 * gap + 2 * wall, 0.065 + 2 * wall)
    assert layout.module_size == pytest.approx(expected)


def test_size_of_a_hexagonal_module_is_denser_by_the_root_of_three_quarters():
    square, hexagonal = (lay_out(patterned(pattern, 6, 6, 6)).module_size for pattern in ("square", "hexagonal"))

    pitch = 0.01935
    assert square[0] - hexagonal[0] == pytest.approx(5 * pitch * (1.0 - np.sqrt(0.75)))
    assert hexagonal[1] - square[1] == pytest.approx(0.5 * pitch)


def test_a_stack_lies_cell_on_cell():
    layout = lay_out(LEAF)

    np.testing.assert_allclose(np.diff(layout.cells_in_module[:, 2]), 7.6e-3)
    np.testing.assert_array_equal(layout.neighbours[:3], [[0, 1], [1, 2], [2, 3]])
    assert layout.module_size == pytest.approx((0.294, 0.220, 4 * 7.1e-3 + 3 * 0.5e-3 + 4e-3))


@pytest.mark.parametrize("spec", [LEAF, REFERENCE], ids=lambda spec: spec.name)
def test_cells_stand_inside_their_module_on_its_floor(spec):
    layout = lay_out(spec)
    half = np.array([*spec.cell.footprint, spec.cell.height]) / 2.0
    size, wall = np.array(layout.module_size), spec.layout.housing_wall

    low = (layout.cells_in_module - half).min(axis=0)
    high = (layout.cells_in_module + half).max(axis=0)

    np.testing.assert_allclose(low, [wall - size[0] / 2.0, wall - size[1] / 2.0, wall], atol=1e-12)
    np.testing.assert_allclose(high, [size[0] / 2.0 - wall, size[1] / 2.0 - wall, size[2] - wall], atol=1e-12)


def test_inner_cells_of_a_hexagonal_module_touch_six_neighbours():
    layout = lay_out(ONE)
    counts = np.bincount(layout.neighbours.ravel(), minlength=280).reshape(20, 14)

    assert np.all(counts[1:-1, 1:-1] == 6)
    assert counts[[0, 0, -1, -1], [0, -1, 0, -1]].tolist() == [2, 3, 3, 2]


def test_inner_cells_of_a_square_module_touch_four_neighbours():
    layout = lay_out(patterned("square", 5, 5, 5))
    counts = np.bincount(layout.neighbours.ravel(), minlength=25).reshape(5, 5)

    assert np.all(counts[1:-1, 1:-1] == 4)
    assert len(layout.neighbours) == 2 * 5 * 4


@pytest.mark.parametrize("spec", [LEAF, REFERENCE], ids=lambda spec: spec.name)
def test_neighbours_are_pairs_once_and_within_modules(spec):
    pairs = lay_out(spec).neighbours
    per_module = spec.series * spec.parallel

    assert np.all(pairs[:, 0] < pairs[:, 1])
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    np.testing.assert_array_equal(pairs[:, 0] // per_module, pairs[:, 1] // per_module)


def test_a_turned_module_turns_its_cells_about_its_own_place():
    there = ModuleSpec(id="M01", position=(1.0, 2.0, 0.5), heading=90.0)
    local, placed = lay_out(ONE), lay_out(ONE.with_modules((there,)))

    x, y, z = local.cells_in_module.T
    np.testing.assert_allclose(placed.cell_positions, np.stack([1.0 - y, 2.0 + x, 0.5 + z], axis=1), atol=1e-12)


@pytest.mark.parametrize("spec", [LEAF, REFERENCE], ids=lambda spec: spec.name)
def test_no_two_cells_of_a_pack_file_overlap(spec):
    positions = lay_out(spec).cell_positions
    if spec.cell.format == "cylindrical":
        order = np.lexsort((positions[:, 1], positions[:, 0]))
        points = positions[order][:, :2]
        for shift in range(1, 40):
            apart = np.linalg.norm(points[shift:] - points[:-shift], axis=1)
            assert apart.min() > spec.cell.diameter
    else:
        box = np.array([*spec.cell.footprint, spec.cell.height])
        apart = np.abs(positions[:, np.newaxis] - positions[np.newaxis]) >= box - 1e-12
        assert np.all(apart.any(axis=2) | np.eye(len(positions), dtype=bool))


def test_layout_arrays_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        lay_out(LEAF).cell_positions[0, 0] = 1.0
