"""Colours of cells: the maps, the scale, the legend and what reaches USD."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pxr import Tf, Usd, UsdGeom, UsdShade

from celltwin.core import Alarm, Kind, Level, PackState, Quality, Reading, Severity, ShapeError, SpecError, load_pack
from celltwin.stage import HeatMap, build_pack_stage, map_colours, prim_paths
from celltwin.stage.colour_maps import COLOUR_MAPS, colour_table
from celltwin.stage.heat_map import UNTRUSTED_COLOUR, build_legend, fit_range

PACKS = Path(__file__).resolve().parents[3] / "data" / "packs"
SPEC = load_pack(PACKS / "leaf_3_modules.toml")
CELLS = prim_paths(SPEC, Level.CELL)
RAMP = np.linspace(298.15, 308.15, SPEC.n_cells)


@pytest.fixture
def stage() -> Usd.Stage:
    return build_pack_stage(SPEC)


def lightness(srgb: np.ndarray) -> np.ndarray:
    """CIE 1976 lightness of sRGB colours, 0 to 100."""
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(luminance > 0.008856, 116.0 * np.cbrt(luminance) - 16.0, 903.3 * luminance)


def display_colours(stage: Usd.Stage) -> np.ndarray:
    return np.array(
        [UsdGeom.PrimvarsAPI(stage.GetPrimAtPath(path)).GetPrimvar("displayColor").Get()[0] for path in CELLS]
    )


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_colour_maps_rise_evenly_in_lightness(name):
    steps = np.diff(lightness(colour_table(name)[::16].astype(float)))

    assert np.all(steps > 0.0)
    assert steps.max() < 2.5 * steps.mean()


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_colour_maps_are_those_of_matplotlib(name):
    import matplotlib

    original = np.array(matplotlib.colormaps[name].colors)

    np.testing.assert_allclose(colour_table(name), original, atol=0.5 / 255.0 + 1e-6)


def test_values_outside_the_scale_take_the_colour_of_its_end():
    colours = map_colours(np.array([290.0, 300.0, 310.0, 320.0]), 300.0, 310.0)

    np.testing.assert_array_equal(colours[0], colours[1])
    np.testing.assert_array_equal(colours[2], colours[3])
    assert colours.dtype == np.float32
    assert colours.shape == (4, 3)


def test_nan_is_a_grey_that_no_scale_uses():
    for quantity in ("temperature", "voltage", "soc", "soh"):
        grey = map_colours(np.array([np.nan]), 0.0, 1.0, quantity=quantity)[0]
        np.testing.assert_allclose(grey, UNTRUSTED_COLOUR, rtol=1e-6)
        scale = map_colours(np.linspace(0.0, 1.0, 256), 0.0, 1.0, quantity=quantity)
        assert np.linalg.norm(scale - grey, axis=1).min() > 0.05


def test_health_does_not_look_like_charge():
    values = np.linspace(0.0, 1.0, 32)

    assert not np.allclose(
        map_colours(values, 0, 1, quantity="soh"), map_colours(values, 0, 1, quantity="soc"), atol=0.2
    )


def test_the_scale_has_round_ends_around_the_values():
    lowest, highest = fit_range(np.array([299.1, 303.7, np.nan]), "temperature")

    assert lowest <= 299.1
    assert highest >= 303.7
    for end in (lowest, highest):
        celsius = end - 273.15
        assert celsius == pytest.approx(round(celsius, 0), abs=1e-6)


def test_the_scale_never_shows_noise_as_structure():
    lowest, highest = fit_range(np.array([3.7000, 3.7003]), "voltage")

    assert highest - lowest >= 0.02


def test_the_scale_grows_and_never_shrinks():
    first = fit_range(np.array([298.0, 302.0]), "temperature")
    wider = fit_range(np.array([300.0, 315.0]), "temperature", first)
    again = fit_range(np.array([305.0, 306.0]), "temperature", wider)

    assert wider[0] <= first[0]
    assert wider[1] >= 315.0
    assert again == wider


def test_without_values_the_scale_is_the_usual_one():
    assert fit_range(np.array([np.nan]), "soc") == pytest.approx((0.0, 1.0))


@pytest.mark.parametrize(
    ("quantity", "ends", "title"),
    [
        ("temperature", (298.15, 308.15), "Temperature [°C]"),
        ("voltage", (3.60, 3.70), "Voltage [V]"),
        ("soc", (0.2, 0.9), "SOC [%]"),
        ("soh", (0.8, 1.0), "SOH [%]"),
    ],
)
def test_the_legend_speaks_display_units(quantity, ends, title):
    legend = build_legend(quantity, *ends)

    assert legend.title == title
    places = [place for place, _ in legend.ticks]
    assert places == sorted(places)
    assert 3 <= len(places) <= 7
    assert -1e-9 <= places[0] <= places[-1] <= 1.0 + 1e-9
    assert legend.stops[0][0] == 0.0
    assert legend.stops[-1][0] == 1.0


def test_legend_ticks_are_where_their_values_are():
    legend = build_legend("temperature", 298.15, 308.15)  # 25 to 35 degrees Celsius

    for place, text in legend.ticks:
        assert float(text) == pytest.approx(25.0 + 10.0 * place)


def test_legend_colours_are_those_of_the_cells():
    legend = build_legend("voltage", 3.0, 4.0)

    for place, colour in legend.stops:
        shown = map_colours(np.array([3.0 + place]), 3.0, 4.0, quantity="voltage")[0]
        np.testing.assert_allclose(shown, colour, atol=0.02)


def test_usd_gets_linear_colour(stage):
    heat_map = HeatMap(stage, SPEC)

    heat_map.paint(RAMP, lowest=298.15, highest=308.15)

    srgb = map_colours(RAMP, 298.15, 308.15).astype(float)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(display_colours(stage), linear, atol=1e-5)


def test_the_body_inside_an_instance_takes_the_colour_of_its_cell(stage):
    heat_map = HeatMap(stage, SPEC)
    heat_map.paint(RAMP)

    for index in (0, 5):
        cell = stage.GetPrimAtPath(CELLS[index])
        bodies = [
            prim
            for prim in Usd.PrimRange(cell, Usd.TraverseInstanceProxies())
            if prim.IsA(UsdGeom.Gprim) and not UsdGeom.Gprim(prim).GetDisplayColorAttr().HasAuthoredValue()
        ]
        assert bodies
        for body in bodies:
            found = UsdGeom.PrimvarsAPI(body).FindPrimvarWithInheritance("displayColor")
            np.testing.assert_allclose(np.array(found.Get()[0]), display_colours(stage)[index], rtol=1e-6)


def test_the_material_of_the_body_reads_the_colour(stage):
    cell = stage.GetPrimAtPath(CELLS[0])
    body = next(
        prim
        for prim in Usd.PrimRange(cell, Usd.TraverseInstanceProxies())
        if prim.IsA(UsdGeom.Gprim) and not UsdGeom.Gprim(prim).GetDisplayColorAttr().HasAuthoredValue()
    )
    material, _ = UsdShade.MaterialBindingAPI(body).ComputeBoundMaterial()

    surface, _, _ = material.ComputeSurfaceSource()
    source = surface.GetInput("diffuseColor").GetConnectedSources()[0][0].source

    assert source.GetPrim().GetAttribute("inputs:varname").Get() == "displayColor"


def test_only_changed_colours_are_written(stage):
    heat_map = HeatMap(stage, SPEC)
    heat_map.paint(RAMP, lowest=298.15, highest=308.15)
    changed = []
    key = Tf.Notice.Register(
        Usd.Notice.ObjectsChanged, lambda notice, _: changed.extend(notice.GetChangedInfoOnlyPaths()), stage
    )
    moved = RAMP.copy()
    moved[6] = 298.15

    heat_map.paint(RAMP, lowest=298.15, highest=308.15)
    heat_map.paint(moved, lowest=298.15, highest=308.15)
    key.Revoke()

    assert [path.GetPrimPath() for path in changed] == [CELLS[6]]


def test_alarms_are_marked_above_their_cells_and_taken_away(stage):
    heat_map = HeatMap(stage, SPEC)
    heat_map.paint(RAMP, alarmed=[3, 11])
    marks = UsdGeom.Points(stage.GetPrimAtPath(f"{prim_paths(SPEC, Level.PACK)[0]}/AlarmMarks"))

    assert len(marks.GetPointsAttr().Get()) == 2
    red, green, blue = marks.GetDisplayColorAttr().Get()[0]
    assert red > 5.0 * max(green, blue)
    heat_map.paint(RAMP)
    assert len(marks.GetPointsAttr().Get()) == 0


def test_a_process_image_paints_untrusted_cells_grey_and_marks_alarms(stage):
    quality = np.zeros(SPEC.n_cells, dtype=np.uint8)
    quality[2] = Quality.STALE
    reading = Reading.at(Kind.ESTIMATED, "temperature", Level.CELL, RAMP, 1.0, quality=quality, provenance="test")
    alarm = Alarm(
        time=1.0,
        severity=Severity.CRITICAL,
        quantity="temperature",
        level=Level.CELL,
        element=9,
        element_id="A03.G01.C02",
        value=330.0,
        limit=328.0,
        message="hot",
    )
    heat_map = HeatMap(stage, SPEC)

    heat_map.paint_state(PackState(time=1.0, step=1, readings={reading.key: reading}, alarms=(alarm,)))

    colours = display_colours(stage)
    assert np.ptp(colours[2]) < 0.05
    assert np.ptp(colours[11]) > 0.1
    assert len(stage.GetPrimAtPath(f"{prim_paths(SPEC, Level.PACK)[0]}/AlarmMarks").GetAttribute("points").Get()) == 1


def test_another_quantity_repaints_on_its_own_scale(stage):
    heat_map = HeatMap(stage, SPEC)
    heat_map.paint(RAMP)
    before = display_colours(stage)

    heat_map.quantity = "soc"
    heat_map.paint(np.linspace(0.2, 0.9, SPEC.n_cells))

    assert heat_map.legend.unit == "%"
    assert not np.allclose(display_colours(stage), before)


def test_colours_never_touch_the_authored_layer_and_go_away(tmp_path):
    stage = build_pack_stage(SPEC, tmp_path / "pack.usda")
    bare = display_colours(stage)
    heat_map = HeatMap(stage, SPEC)
    heat_map.paint(RAMP)
    heat_map.close()

    assert not stage.GetRootLayer().dirty
    np.testing.assert_array_equal(display_colours(stage), bare)


def test_rejects_values_of_another_pack_and_unknown_quantities(stage):
    with pytest.raises(ShapeError, match="values has shape"):
        HeatMap(stage, SPEC).paint(np.zeros(3))
    with pytest.raises(SpecError, match="unknown quantity 'temprature'"):
        HeatMap(stage, SPEC, quantity="temprature")
