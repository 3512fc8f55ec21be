"""A pack's stage: geometry, structure, ids and metadata."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Kind, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade

from celltwin.core import Level, PackSpec, StageError, element_uuid, lay_out, load_pack
from celltwin.stage import build_pack, build_pack_stage, pack_path, prim_paths

PACKS = Path(__file__).resolve().parents[3] / "data" / "packs"
LEAF = load_pack(PACKS / "leaf_3_modules.toml")
REFERENCE = load_pack(PACKS / "reference.toml")
TWO_MODULES = REFERENCE.with_modules(REFERENCE.modules[:2])


@pytest.fixture(scope="module")
def stage() -> Usd.Stage:
    return build_pack_stage(TWO_MODULES)


def world(prim: Usd.Prim) -> np.ndarray:
    return np.array(UsdGeom.XformCache().GetLocalToWorldTransform(prim).ExtractTranslation())


def test_units_axis_and_default_prim(stage):
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z
    assert UsdPhysics.GetStageKilogramsPerUnit(stage) == 1.0
    assert stage.GetDefaultPrim().GetPath() == pack_path(TWO_MODULES)


@pytest.mark.parametrize("spec", [LEAF, TWO_MODULES], ids=lambda spec: spec.name)
def test_every_element_has_its_prim_schema_and_ids(spec):
    stage = build_pack_stage(spec)

    for level in Level:
        paths, names = prim_paths(spec, level), spec.element_ids(level)
        assert len(paths) == spec.size(level)
        for index, (path, name) in enumerate(zip(paths, names, strict=True)):
            prim = stage.GetPrimAtPath(path)
            assert prim.HasAPI(f"Battery{level.capitalize()}API")
            assert prim.GetAttribute("battery:id").Get() == name
            assert prim.GetAttribute("battery:uuid").Get() == element_uuid(spec.name, name)
            if level is not Level.PACK:
                assert prim.GetAttribute("battery:index").Get() == index


def test_cells_are_instances_of_one_prototype_and_stand_where_the_layout_says(stage):
    cells = [stage.GetPrimAtPath(path) for path in prim_paths(TWO_MODULES, Level.CELL)]

    assert len({cell.GetPrototype().GetPath() for cell in cells}) == 1
    positions = np.array([world(cell) for cell in cells])
    np.testing.assert_allclose(positions, lay_out(TWO_MODULES).cell_positions, atol=1e-12)
    position = np.array([cell.GetAttribute("battery:seriesPosition").Get() for cell in cells])
    np.testing.assert_array_equal(position, np.arange(560) // 28)
    assert cells[30].GetAttribute("battery:parallelPosition").Get() == 2


@pytest.mark.parametrize("spec", [LEAF, REFERENCE], ids=lambda spec: spec.name)
def test_a_cell_fills_its_outer_size_exactly(spec):
    stage = build_pack_stage(spec.with_modules(spec.modules[:1]))
    cell = stage.GetPrimAtPath(prim_paths(spec, Level.CELL)[0])
    cache = UsdGeom.BBoxCache(Usd.TimeCode.Default(), [UsdGeom.Tokens.default_])

    box = Usd.PrimRange(cell, Usd.TraverseInstanceProxies())
    ranges = [cache.ComputeRelativeBound(prim, cell).ComputeAlignedRange() for prim in box if prim.IsA("Mesh")]
    lowest = np.min([np.array(one.GetMin()) for one in ranges], axis=0)
    highest = np.max([np.array(one.GetMax()) for one in ranges], axis=0)

    size = np.array([*spec.cell.footprint, spec.cell.height])
    np.testing.assert_allclose(highest - lowest, size, rtol=1e-5)
    np.testing.assert_allclose(highest + lowest, 0.0, atol=1e-6)


@pytest.mark.parametrize("spec", [LEAF, REFERENCE], ids=lambda spec: spec.name)
def test_cells_stay_inside_the_housing(spec):
    stage = build_pack_stage(spec.with_modules(spec.modules[:1]))
    module = stage.GetPrimAtPath(prim_paths(spec, Level.MODULE)[0])
    cache = UsdGeom.BBoxCache(Usd.TimeCode.Default(), [UsdGeom.Tokens.default_])
    housing = cache.ComputeRelativeBound(module.GetChild("Housing"), module).ComputeAlignedRange()

    np.testing.assert_allclose(np.array(housing.GetSize()), lay_out(spec).module_size, rtol=1e-6)
    for part in ("Busbars", "G01"):
        bound = cache.ComputeRelativeBound(module.GetChild(part), module).ComputeAlignedRange()
        assert np.all(np.array(bound.GetMin()) > np.array(housing.GetMin()) - 1e-9)
        assert np.all(np.array(bound.GetMax()) < np.array(housing.GetMax()) + 1e-9)


def test_one_busbar_junction_before_between_and_after_the_groups(stage):
    busbars = stage.GetPrimAtPath("/reference/Modules/M01/Busbars")

    assert len(busbars.GetFilteredChildren(Usd.TraverseInstanceProxies())) == TWO_MODULES.series + 1
    assert busbars.GetAttribute("battery:busbar:material").Get() == "nickel"


def test_a_coolant_plate_lies_under_each_cooled_module_only(stage):
    plate = stage.GetPrimAtPath("/reference/Modules/M02/Cooling")
    air_cooled = build_pack_stage(LEAF)
    air = air_cooled.GetPrimAtPath("/leaf_3_modules/Modules/A02/Cooling")

    proxies = Usd.TraverseInstanceProxies()
    assert [prim.GetName() for prim in plate.GetFilteredChildren(proxies)] == ["Plate", "Inlet", "Outlet"]
    assert plate.GetAttribute("battery:cooling:plateThickness").Get() == 0.01
    assert air.GetFilteredChildren(proxies) == []
    assert air.GetAttribute("battery:cooling:method").Get() == "air"


def test_kinds_make_one_model_hierarchy(stage):
    cell = stage.GetPrimAtPath(prim_paths(TWO_MODULES, Level.CELL)[-1])

    assert Usd.ModelAPI(cell).GetKind() == Kind.Tokens.component
    ancestor = cell.GetParent()
    while ancestor.GetPath() != Sdf.Path.absoluteRootPath:
        assert ancestor.IsGroup(), ancestor.GetPath()
        ancestor = ancestor.GetParent()


def test_everything_that_is_drawn_has_an_extent_and_a_surface(stage):
    drawn = 0
    for prim in Usd.PrimRange(stage.GetDefaultPrim(), Usd.TraverseInstanceProxies()):
        if not prim.IsA(UsdGeom.Gprim):
            continue
        drawn += 1
        computed = UsdGeom.Boundable.ComputeExtentFromPlugins(UsdGeom.Boundable(prim), Usd.TimeCode.Default())
        np.testing.assert_allclose(prim.GetAttribute("extent").Get(), computed, atol=1e-7)
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
        assert material
    assert drawn > 2 * 280 * 4


@pytest.mark.parametrize("spec", [LEAF, TWO_MODULES], ids=lambda spec: spec.name)
def test_extents_hints_hold_what_is_inside(spec):
    stage = build_pack_stage(spec)
    cache = UsdGeom.BBoxCache(Usd.TimeCode.Default(), [UsdGeom.Tokens.default_], useExtentsHint=False)
    paths = [pack_path(spec), *prim_paths(spec, Level.MODULE), prim_paths(spec, Level.CELL)[0]]

    for path in paths:
        prim = stage.GetPrimAtPath(path)
        box = cache.ComputeRelativeBound(prim, prim).ComputeAlignedRange()
        hint = UsdGeom.ModelAPI(prim).GetExtentsHint()
        np.testing.assert_allclose(hint, [box.GetMin(), box.GetMax()], atol=1e-6, err_msg=path)


def test_a_colour_on_a_cell_reaches_its_skin_but_not_its_steel(stage):
    cell = stage.GetPrimAtPath(prim_paths(TWO_MODULES, Level.CELL)[5])
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        UsdGeom.Gprim(cell).CreateDisplayColorAttr([(1.0, 0.0, 0.0)])

    skin, steel = (
        UsdGeom.PrimvarsAPI(stage.GetPrimAtPath(cell.GetPath().AppendChild(name))).FindPrimvarWithInheritance(
            "displayColor"
        )
        for name in ("Sleeve", "Cap")
    )

    assert tuple(skin.Get()[0]) == (1.0, 0.0, 0.0)
    assert tuple(steel.Get()[0]) != (1.0, 0.0, 0.0)
    shader = UsdShade.Shader(stage.GetPrimAtPath("/reference/Materials/CellSkin/Surface"))
    reader = shader.GetInput("diffuseColor").GetConnectedSources()[0][0].source
    assert reader.GetPrim().GetAttribute("inputs:varname").Get() == "displayColor"


def test_elements_point_to_their_sensors_and_bodies_are_drawn(stage):
    cell = stage.GetPrimAtPath(prim_paths(TWO_MODULES, Level.CELL)[-1])
    sensors = cell.GetRelationship("battery:sensors").GetTargets()

    assert [path.name for path in sensors] == ["cell_temperature", "cell_current"]
    declared = stage.GetPrimAtPath(sensors[0])
    assert declared.GetAttribute("battery:sensor:temperature:unit").Get() == "K"
    assert declared.GetAttribute("battery:mapping:cell_temperature:unit").Get() == "degC"
    assert stage.GetPrimAtPath(cell.GetPath().AppendPath("Sensors/cell_temperature")).IsA(UsdGeom.Sphere)
    assert not stage.GetPrimAtPath(cell.GetPath().AppendPath("Sensors/cell_current"))
    assert stage.GetPrimAtPath("/reference/Modules/M02/Sensors/coolant_flow")


def test_the_same_pack_gives_the_same_stage_in_another_process(tmp_path):
    code = (
        "import sys; from celltwin import core, stage;stage.build_pack_stage(core.load_pack(sys.argv[1]), sys.argv[2])"
    )
    pack, path = PACKS / "leaf_3_modules.toml", tmp_path / "other.usda"
    subprocess.run([sys.executable, "-c", code, str(pack), str(path)], check=True)

    assert Sdf.Layer.FindOrOpen(str(path)).ExportToString() == build_pack_stage(LEAF).GetRootLayer().ExportToString()


def test_building_twice_into_one_file_replaces_it(tmp_path):
    path = tmp_path / "pack.usd"
    first = build_pack_stage(LEAF, path)

    second = build_pack_stage(replace(LEAF, name="other"), path)

    assert second.GetDefaultPrim().GetName() == "other"
    assert not first.GetPrimAtPath("/leaf_3_modules")


def test_a_pack_joins_a_stage_of_the_same_units(stage):
    scene = Usd.Stage.CreateInMemory()
    first = build_pack(scene, LEAF)
    second = build_pack(scene, replace(LEAF, name="other"))

    assert scene.GetDefaultPrim() == first
    assert second.GetPath() == "/other"
    assert UsdGeom.GetStageMetersPerUnit(scene) == 1.0


def test_a_pack_refuses_a_scene_in_centimetres_and_a_name_that_is_taken():
    scene = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(scene, 0.01)
    scene.DefinePrim("/World", "Xform")
    with pytest.raises(StageError, match=r"0\.01 metres per unit") as caught:
        build_pack(scene, LEAF)
    assert "reference" in caught.value.remedy

    scene = Usd.Stage.CreateInMemory()
    build_pack(scene, LEAF)
    with pytest.raises(StageError, match="/leaf_3_modules: there is a prim already"):
        build_pack(scene, LEAF)


@pytest.mark.parametrize("name", ["pack.txt", "pack"])
def test_a_name_that_is_not_usd_is_refused(tmp_path, name):
    with pytest.raises(StageError, match="not a USD file name"):
        build_pack_stage(LEAF, tmp_path / name)


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")

    with pytest.raises(StageError, match="cannot be written") as caught:
        build_pack_stage(LEAF, tmp_path / "file" / "pack.usd")
    assert str(tmp_path / "file") in str(caught.value)


def prismatic(pattern: str) -> PackSpec:
    cell = replace(LEAF.cell, name="prism", format="prismatic", length=0.148, width=0.0265, height=0.095, diameter=0.0)
    layout = replace(LEAF.layout, pattern=pattern, rows=2)
    return replace(LEAF, name="prism", cell=cell, layout=layout)


@pytest.mark.parametrize("pattern", ["square", "stack"])
def test_prismatic_cells_can_stand_or_lie(pattern):
    stage = build_pack_stage(prismatic(pattern))
    can = stage.GetPrimAtPath("/prism/Modules/A01/G01/C01/Can")

    size = np.ptp(np.array(UsdGeom.Mesh(can).GetPointsAttr().Get()), axis=0)
    np.testing.assert_allclose(size, [0.148, 0.0265, 0.95 * 0.095], rtol=1e-5)
