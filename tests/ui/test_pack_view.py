"""The pack view, driven as a person would."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import Level


@pytest.fixture
def view(driver, twin, desk) -> object:
    driver.frames(5, desk.refresh)
    return desk.pack_view


def scene_area(view) -> tuple[slice, slice]:
    """Return rows and columns of the picture that show the three-dimensional view."""
    shown = view.scene.view
    top, left = int(shown.screen_position_y), int(shown.screen_position_x)
    return slice(top, top + int(shown.computed_height)), slice(left, left + int(shown.computed_width))


def place_on_screen(view, spec, cell: int) -> tuple[float, float]:
    from celltwin.core import lay_out

    shown = view.scene.view
    aspect = shown.computed_width / shown.computed_height
    top = lay_out(spec).cell_positions[cell] + [0.0, 0.0, spec.cell.height / 2.0]
    x, y = view.camera.project(top[np.newaxis], aspect)[0]
    return (
        shown.screen_position_x + (x + 1.0) / 2.0 * shown.computed_width,
        shown.screen_position_y + (1.0 - y) / 2.0 * shown.computed_height,
    )


def test_the_picture_shows_many_colours_and_changes_with_the_data(driver, twin, view, make_state):
    before = driver.picture()[scene_area(view)]

    twin.state = make_state(twin.spec, 60.0, hotter_module=9)
    driver.frames(3, lambda: view.show(twin))
    after = driver.picture()[scene_area(view)]

    assert len(np.unique(before.reshape(-1, 3), axis=0)) > 100
    assert np.count_nonzero(np.abs(after - before).max(axis=2) > 20) > 5000


def test_choosing_another_quantity_repaints_the_pack_and_its_legend(driver, twin, view):
    before = driver.picture()

    driver.click_on(view.quantity_box)
    driver.frames(3, lambda: view.show(twin))
    box = view.quantity_box
    driver.click(box.screen_position_x + 40, box.screen_position_y + box.computed_height + 60)
    driver.frames(4, lambda: view.show(twin))

    assert view.quantity != "temperature"
    assert view.legend_title.startswith({"voltage": "Voltage [V]", "soc": "SOC [%]", "soh": "SOH [%]"}[view.quantity])
    assert np.count_nonzero(np.abs(driver.picture() - before).max(axis=2) > 20) > 5000


def test_clicking_a_cell_chooses_it_and_shows_its_values(driver, twin, view):
    cell = 1437
    driver.click(*place_on_screen(view, twin.spec, cell))
    driver.frames(3, lambda: view.show(twin))

    assert view.cell == cell
    temperature = twin.state.best("temperature", Level.CELL).values[cell]
    assert view.card_texts["Temperature"].startswith(f"{temperature - 273.15:.1f} °C")


def test_clicking_beside_the_pack_chooses_nothing(driver, twin, view):
    view.select(5)
    rows, columns = scene_area(view)

    driver.click(columns.stop - 20, rows.stop - 20)
    driver.frames(2, lambda: view.show(twin))

    assert view.cell is None


def test_dragging_orbits_and_does_not_choose_a_cell(driver, twin, view):
    before = view.camera
    x, y = place_on_screen(view, twin.spec, 1437)

    driver.drag(x, y, x + 150, y + 40)
    driver.frames(2, lambda: view.show(twin))

    assert view.cell is None
    assert view.camera.azimuth != pytest.approx(before.azimuth)
    assert view.camera.elevation > before.elevation  # dragging down lifts the camera
    assert view.camera.distance == before.distance


def test_right_drag_pans_and_the_pack_follows_the_mouse(driver, twin, view):
    x, y = place_on_screen(view, twin.spec, 1437)

    driver.drag(x, y, x + 100, y + 30, button=1)
    driver.frames(2, lambda: view.show(twin))

    moved = np.array(place_on_screen(view, twin.spec, 1437)) - (x, y)
    np.testing.assert_allclose(moved, (100.0, 30.0), atol=25.0)


def test_the_wheel_zooms_and_detail_follows(driver, twin, view):
    from celltwin.panels.pack_scene import Detail

    before, (x, y) = view.camera.distance, place_on_screen(view, twin.spec, 1437)
    assert view.scene.detail is Detail.TILES

    driver.scroll(x, y, 8.0)
    driver.frames(2, lambda: view.show(twin))
    assert view.camera.distance < before
    assert view.scene.detail is Detail.ROUND

    driver.scroll(x, y, -20.0)
    driver.frames(2, lambda: view.show(twin))
    assert view.scene.detail is Detail.BOXES
