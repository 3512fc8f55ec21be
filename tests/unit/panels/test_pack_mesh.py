"""Geometry of the pack view, and picking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Level, lay_out
from celltwin.panels import OrbitCamera, frame_pack, pick_cell
from celltwin.panels.pack_mesh import (
    mesh_cells,
    mesh_groups,
    mesh_marks,
    mesh_plates,
    mesh_tiles,
    pack_colours,
    spread_stacks,
)


def outward(mesh, spec) -> np.ndarray:
    """Return for each face whether its normal points away from the middle of its cell."""
    starts = np.r_[0, np.cumsum(mesh.face_sizes)[:-1]]
    corners = mesh.positions
    normal = np.cross(corners[starts + 1] - corners[starts], corners[starts + 2] - corners[starts + 1])
    centres = lay_out(spec).cell_positions[mesh.owners[starts]]
    middles = np.add.reduceat(corners, starts) / mesh.face_sizes[:, np.newaxis]
    return np.einsum("ni,ni->n", normal, middles - centres) > 0.0


@pytest.mark.parametrize("build", [lambda spec: mesh_cells(spec, 12), mesh_tiles])
def test_faces_of_cells_point_outward_and_belong_to_every_cell(reference, build):
    mesh = build(reference)

    assert mesh.face_sizes.sum() == mesh.size == len(mesh.positions) == mesh.brightness.size
    assert set(mesh.owners) == set(range(reference.n_cells))
    assert outward(mesh, reference).all()


def test_walls_between_neighbours_are_left_out(reference):
    mesh = mesh_tiles(reference)

    faces = 1 + 6
    assert len(mesh.face_sizes) < 0.25 * faces * reference.n_cells


def test_tops_keep_their_colour_and_walls_are_darker(reference):
    mesh = mesh_cells(reference, 12)
    tops = mesh.positions[:, 2] == mesh.positions[:, 2].max()

    assert mesh.brightness[: mesh.face_sizes[0]].tolist() == [1.0] * mesh.face_sizes[0]
    assert mesh.brightness.max() == 1.0
    assert mesh.brightness[~tops].max() < 0.9


def test_cells_lie_within_the_plates_of_their_modules(reference, leaf):
    for spec in (reference, leaf):
        plates = mesh_plates(spec).positions.reshape(spec.n_modules, 4, 3)
        cells = mesh_cells(spec, 12)
        per_module = spec.n_cells // spec.n_modules
        for module in range(spec.n_modules):
            own = cells.positions[cells.owners // per_module == module]
            assert (own[:, :2].min(axis=0) >= plates[module, :, :2].min(axis=0)).all()
            assert (own[:, :2].max(axis=0) <= plates[module, :, :2].max(axis=0)).all()


def test_group_boxes_hold_their_cells(reference):
    boxes = mesh_groups(reference)
    positions = lay_out(reference).cell_positions.reshape(reference.n_groups, reference.parallel, 3)
    for group in (0, 37, reference.n_groups - 1):
        own = boxes.positions[boxes.owners == group]
        assert (own.min(axis=0) < positions[group].min(axis=0)).all()
        assert (own.max(axis=0) > positions[group].max(axis=0)).all()


def test_a_turned_module_turns_its_mesh(reference):
    turned = reference.with_modules((replace(reference.modules[0], heading=90.0),))
    straight = reference.with_modules((reference.modules[0],))
    origin = np.array([*reference.modules[0].position[:2], 0.0])

    x, y, z = (mesh_cells(straight, 12).positions - origin).T

    np.testing.assert_allclose(mesh_cells(turned, 12).positions - origin, np.stack([-y, x, z], axis=1), atol=1e-12)


def test_rings_surround_the_tops_of_their_cells(reference):
    cells = np.array([3, 1500])

    rings = mesh_marks(reference, cells)

    for index, cell in enumerate(cells):
        own = rings.positions[rings.owners == index] - lay_out(reference).cell_positions[cell]
        distance = np.linalg.norm(own[:, :2], axis=1)
        assert distance.min() < reference.cell.diameter / 2.0 < distance.max()
        np.testing.assert_allclose(own[:, 2], reference.cell.height / 2.0)


def test_colours_are_packed_as_omni_ui_takes_them(leaf):
    mesh = mesh_plates(leaf)

    packed = pack_colours(mesh, np.array([[1.0, 0.5, 0.0]] * leaf.n_modules))

    assert packed == [0xFF0080FF] * mesh.size


@pytest.mark.parametrize("elevation", [0.3, 0.8, 1.5])
def test_the_framed_pack_lies_within_the_view_and_fills_it(reference, leaf, elevation):
    for spec in (reference, leaf):
        for aspect in (0.7, 1.8):
            camera = frame_pack(spec, aspect, elevation=elevation)
            seen = np.abs(camera.project(mesh_cells(spec, 12).positions, aspect))
            assert seen.max() <= 1.0
            assert seen.max() > 0.75


def test_a_ray_through_the_top_of_a_cell_finds_it(reference):
    aspect = 1.6
    camera = frame_pack(reference, aspect)
    tops = lay_out(reference).cell_positions + np.array([0.0, 0.0, reference.cell.height / 2.0])

    for cell in range(0, reference.n_cells, 97):
        x, y = camera.project(tops[cell : cell + 1], aspect)[0]
        assert pick_cell(reference, *camera.ray(x, y, aspect)) == cell


def test_a_ray_from_above_finds_the_uppermost_pouch_and_from_the_side_each(leaf):
    centres = lay_out(leaf).cell_positions
    down, along = np.array([0.0, 0.0, -1.0]), np.array([0.0, 1.0, 0.0])

    assert pick_cell(leaf, np.array([*centres[0, :2], 1.0]), down) == 3
    for cell in range(4):
        assert pick_cell(leaf, centres[cell] - [0.0, 2.0, 0.0], along) == cell


def test_a_ray_past_the_pack_finds_nothing(reference, leaf):
    for spec in (reference, leaf):
        assert pick_cell(spec, np.array([0.0, 0.0, 5.0]), np.array([0.0, 0.0, 1.0])) is None


def test_view_and_projection_agree_with_the_ray(reference):
    camera = frame_pack(reference, 1.5).orbited(0.4, 0.2).zoomed(3.0)
    origin, direction = camera.ray(0.3, -0.6, 1.5)

    seen = camera.project((origin + 1.7 * direction)[np.newaxis], 1.5)[0]

    np.testing.assert_allclose(seen, (0.3, -0.6), atol=1e-9)


def test_the_camera_stays_above_the_horizon_and_at_a_useful_distance(reference):
    camera = frame_pack(reference, 1.5)

    assert camera.orbited(0.0, -9.0).elevation > 0.0
    assert camera.orbited(0.0, 9.0).elevation < np.pi / 2.0
    assert camera.zoomed(1000.0).distance == pytest.approx(0.08 * camera.size)
    assert camera.zoomed(-1000.0).distance == pytest.approx(8.0 * camera.size)


def test_panning_moves_the_scene_with_the_mouse(reference):
    camera: OrbitCamera = frame_pack(reference, 1.5)
    target = np.array([camera.target])

    moved = camera.panned(0.25, -0.1)

    np.testing.assert_allclose(moved.project(target, 1.0)[0], (0.25, -0.1), atol=1e-9)


def test_stacked_cells_are_drawn_apart_with_all_tops_and_found_by_a_ray(leaf, reference):
    spread = spread_stacks(leaf)
    assert spread_stacks(reference) == reference
    assert spread.element_ids(Level.CELL) == leaf.element_ids(Level.CELL)

    tops = np.count_nonzero(mesh_cells(spread, 12).brightness == 1.0) / 4
    assert tops == leaf.n_cells
    towards = np.array([0.0, 1.0, -0.05])
    for cell, centre in enumerate(lay_out(spread).cell_positions[:4]):
        edge = centre - np.array([0.0, spread.cell.width / 2.0 - 1e-3, 0.0])
        assert pick_cell(spread, edge - towards, towards) == cell


def test_faces_that_look_away_from_the_eye_shrink_to_points(leaf):
    mesh = mesh_cells(spread_stacks(leaf), 12)
    eye = np.array([0.0, -3.0, 2.0])

    corners = mesh.facing(eye).reshape(-1, 4, 3)

    before = mesh.positions.reshape(-1, 4, 3)
    normal = np.cross(before[:, 1] - before[:, 0], before[:, 2] - before[:, 1])
    seen = np.einsum("ni,ni->n", normal, eye - before[:, 0]) > 0.0
    np.testing.assert_array_equal(corners[seen], before[seen])
    assert np.ptp(corners[~seen], axis=1).max() == 0.0
    assert 0 < np.count_nonzero(seen) < seen.size
