"""A stage gives back the pack that it was built from, or says which prim is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pxr import Gf, Sdf, Usd, UsdGeom

from celltwin.core import StageError, load_pack
from celltwin.stage import build_pack_stage, find_pack, open_pack_stage, read_pack, save_stage

PACKS = Path(__file__).resolve().parents[3] / "data" / "packs"
LEAF = load_pack(PACKS / "leaf_3_modules.toml")
REFERENCE = load_pack(PACKS / "reference.toml")
SENSOR = "/leaf_3_modules/Sensors/module_temperature"


@pytest.mark.parametrize("spec", [LEAF, REFERENCE], ids=lambda spec: spec.name)
@pytest.mark.parametrize("suffix", [".usd", ".usda", ".usdc"])
def test_a_pack_comes_back_equal_from_disk(spec, suffix, tmp_path):
    path = tmp_path / f"pack{suffix}"
    build_pack_stage(spec, path)

    assert read_pack(open_pack_stage(path)) == spec


def test_nothing_is_read_from_a_copy_of_the_pack_file():
    stage = build_pack_stage(LEAF)
    stage.GetPrimAtPath("/leaf_3_modules/Prototypes/Cell").GetAttribute("battery:cellType:capacity").Set(33.1)

    assert read_pack(stage).cell.capacity == 33.1
    assert read_pack(stage) == replace(LEAF, cell=replace(LEAF.cell, capacity=33.1))


def test_a_pack_in_a_larger_scene_is_found(tmp_path):
    build_pack_stage(LEAF, tmp_path / "pack.usd")
    scene = Usd.Stage.CreateInMemory()
    prim = scene.DefinePrim("/World/Lab/Battery", "Xform")
    prim.GetReferences().AddReference(str(tmp_path / "pack.usd"))
    UsdGeom.Xformable(prim).AddTranslateOp().Set(Gf.Vec3d(5.0, 0.0, 1.0))

    assert find_pack(scene).GetPath() == "/World/Lab/Battery"
    assert read_pack(scene) == LEAF


def test_a_module_turned_by_a_manipulator_is_read_from_its_transform():
    stage = build_pack_stage(LEAF)
    module = UsdGeom.Xformable(stage.GetPrimAtPath("/leaf_3_modules/Modules/A02"))
    module.ClearXformOpOrder()
    matrix = Gf.Matrix4d().SetRotate(Gf.Rotation(Gf.Vec3d.ZAxis(), 90.0)) * Gf.Matrix4d().SetTranslate((1.0, 2.0, 0.5))
    module.MakeMatrixXform().Set(matrix)

    found = read_pack(stage).modules[1]

    assert found.position == pytest.approx((1.0, 2.0, 0.5))
    assert found.heading == pytest.approx(90.0)


@pytest.mark.parametrize("how", ["tilted", "scaled"])
def test_a_tilted_or_scaled_module_is_refused(how):
    stage = build_pack_stage(LEAF)
    module = UsdGeom.Xformable(stage.GetPrimAtPath("/leaf_3_modules/Modules/A02"))
    module.AddRotateXOp().Set(10.0) if how == "tilted" else module.AddScaleOp().Set(Gf.Vec3f(2.0))

    with pytest.raises(StageError, match="/leaf_3_modules/Modules/A02: the module is tilted or scaled"):
        read_pack(stage)


def test_modules_keep_pack_order_however_the_prims_are_sorted():
    stage = build_pack_stage(LEAF)
    stage.GetPrimAtPath("/leaf_3_modules/Modules").SetChildrenReorder(["A03", "A01"])

    assert read_pack(stage) == LEAF


def test_a_switched_off_module_is_not_part_of_the_pack():
    stage = build_pack_stage(LEAF)
    stage.GetPrimAtPath("/leaf_3_modules/Modules/A03").SetActive(False)

    assert [module.id for module in read_pack(stage).modules] == ["A01", "A02"]


def break_nothing_applied(stage: Usd.Stage) -> None:
    stage.GetDefaultPrim().ClearMetadata("apiSchemas")


def break_no_modules(stage: Usd.Stage) -> None:
    stage.RemovePrim("/leaf_3_modules/Modules")


def break_no_prototype(stage: Usd.Stage) -> None:
    stage.RemovePrim("/leaf_3_modules/Prototypes/Housing")


def break_missing_value(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath("/leaf_3_modules/Prototypes/Cell").RemoveProperty("battery:cellType:mass")


def break_impossible_value(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath("/leaf_3_modules/Prototypes/Cell").GetAttribute("battery:cellType:mass").Set(-1.0)


def break_type(stage: Usd.Stage) -> None:
    prim = stage.GetRootLayer().GetPrimAtPath("/leaf_3_modules/Prototypes/Cell")
    del prim.properties["battery:cellType:mass"]
    Sdf.AttributeSpec(prim, "battery:cellType:mass", Sdf.ValueTypeNames.String).default = "heavy"


def break_quantity(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath(SENSOR).AddAppliedSchema("BatterySensorAPI:wetness")


def break_level(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath(SENSOR).GetAttribute("battery:sensor:temperature:level").Set("lid")


def break_identity(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath("/leaf_3_modules/Modules/A01").RemoveProperty("battery:id")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_nothing_applied, "no BatteryPackAPI is applied"),
        (break_no_modules, "/leaf_3_modules: the pack has no module"),
        (break_no_prototype, "/leaf_3_modules: no prim of the pack has BatteryLayoutAPI"),
        (break_missing_value, "/leaf_3_modules/Prototypes/Cell: the attribute battery:cellType:mass has no value"),
        (break_impossible_value, "/leaf_3_modules/Prototypes/Cell: cell.mass = -1 kg must be greater than 0"),
        (break_type, "Prototypes/Cell: the attribute battery:cellType:mass = 'heavy' is not of its type"),
        (break_quantity, f"{SENSOR}: BatterySensorAPI:wetness names no quantity"),
        (break_level, "battery:sensor:temperature:level = 'lid' is not of its type"),
        (break_identity, "/leaf_3_modules/Modules/A01: the attribute battery:id has no value"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_damage_is_named_by_prim_and_attribute_with_a_remedy(damage, message):
    stage = build_pack_stage(LEAF)
    damage(stage)

    with pytest.raises(StageError) as caught:
        read_pack(stage)

    assert message in str(caught.value)
    assert caught.value.remedy


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StageError, match=r"nowhere\.usd: there is no such stage"):
        open_pack_stage(tmp_path / "nowhere.usd")


@pytest.mark.parametrize("content", [b"", b"not usd at all", b"PXR-USDC\x00\x01truncated", b"#usda 1.0\ndef {"])
def test_a_file_that_is_not_usd_is_refused(tmp_path, content):
    path = tmp_path / "broken.usd"
    path.write_bytes(content)

    with pytest.raises(StageError, match=r"broken\.usd: not a USD file"):
        open_pack_stage(path)


def test_a_folder_is_not_a_stage(tmp_path):
    with pytest.raises(StageError, match="not a USD file"):
        open_pack_stage(tmp_path)


def test_a_stage_without_our_schema_is_refused_with_a_remedy(tmp_path):
    stage = Usd.Stage.CreateNew(str(tmp_path / "sofa.usda"))
    stage.SetDefaultPrim(stage.DefinePrim("/Sofa", "Xform"))
    stage.Save()

    with pytest.raises(StageError, match=r"sofa\.usda /Sofa: .*no BatteryPackAPI") as caught:
        open_pack_stage(tmp_path / "sofa.usda")
    assert "celltwin pack build" in caught.value.remedy


def test_live_values_of_a_session_are_not_saved(tmp_path):
    stage = build_pack_stage(LEAF)
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        stage.GetDefaultPrim().GetAttribute("battery:measured:voltage").Set(24.1)

    save_stage(stage, tmp_path / "saved.usd")

    assert stage.GetDefaultPrim().GetAttribute("battery:measured:voltage").Get() == 24.1
    saved = open_pack_stage(tmp_path / "saved.usd")
    assert saved.GetDefaultPrim().GetAttribute("battery:measured:voltage").Get() is None
    assert read_pack(saved) == LEAF


def test_two_packs_of_the_same_cell_differ_only_where_they_should():
    other = replace(LEAF, title="Another")

    assert read_pack(build_pack_stage(other)) == other != LEAF
