"""What a check finds, and that it finds nothing in sound packs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from celltwin.core import DataMappingSpec, Level, SensorSpec, load_pack
from celltwin.stage import (
    Finding,
    FindingSeverity,
    add_sensor,
    build_pack_stage,
    check_pack,
    check_structure,
    move_module,
    prim_paths,
)
from celltwin.stage.nvidia_validation import nvidia_rules, run_nvidia_validator

PACKS = Path(__file__).resolve().parents[3] / "data" / "packs"
LEAF = load_pack(PACKS / "leaf_3_modules.toml")
REFERENCE = load_pack(PACKS / "reference.toml")
ROOT = "/leaf_3_modules"
CELL = f"{ROOT}/Modules/A02/G01/C02"
SENSOR = f"{ROOT}/Sensors/module_temperature"


@pytest.fixture
def stage() -> Usd.Stage:
    return build_pack_stage(LEAF)


def test_nothing_is_wrong_with_the_leaf_pack(stage):
    assert check_pack(stage) == []


def test_nothing_is_wrong_with_the_reference_pack():
    assert check_structure(build_pack_stage(REFERENCE)) == []
    # Its modules are alike: two of them show NVIDIA's validator every prim there is.
    assert check_pack(build_pack_stage(REFERENCE.with_modules(REFERENCE.modules[:2]))) == []


@pytest.mark.nightly
def test_nvidia_finds_nothing_in_the_whole_reference_pack_with_every_instance_opened(tmp_path):
    build_pack_stage(REFERENCE, tmp_path / "reference.usd")

    done = subprocess.run(
        [Path(sys.executable).with_name("nvidia_usd_validate"), tmp_path / "reference.usd"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "No issues found" in done.stdout + done.stderr


def test_nvidia_validates_with_all_of_its_default_rules():
    rules = nvidia_rules()

    assert len(rules) >= 40
    assert {"KindChecker", "ExtentsChecker", "MaterialUsdPreviewSurfaceChecker", "UsdShadeShaderSdrCompliance"} <= {
        *rules
    }


def test_nvidia_looks_at_the_prims_and_inside_their_instances(stage):
    stage.GetPrimAtPath(f"{ROOT}/Prototypes/Cell/Pouch").GetAttribute("extent").Set([(0, 0, 0), (1, 1, 1)])
    stage.GetPrimAtPath(f"{ROOT}/Modules/A01").SetMetadata("kind", "component")
    stage.GetPrimAtPath(f"{ROOT}/Materials/Steel/Surface").GetAttribute("info:id").Set("UsdShinySurface")

    found = {(finding.rule, finding.prim.partition(".")[0]) for finding in run_nvidia_validator(stage)}

    assert ("nvidia:ExtentsChecker", f"{ROOT}/Modules/A01/G01/C01/Pouch") in found
    assert any(rule == "nvidia:KindChecker" for rule, _ in found)
    assert any(prim == f"{ROOT}/Materials/Steel/Surface" for _, prim in found)


def set_centimetres(stage: Usd.Stage) -> None:
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)


def set_grams(stage: Usd.Stage) -> None:
    UsdPhysics.SetStageKilogramsPerUnit(stage, 0.001)


def set_y_up(stage: Usd.Stage) -> None:
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)


def clear_default_prim(stage: Usd.Stage) -> None:
    stage.ClearDefaultPrim()


def remove_cell(stage: Usd.Stage) -> None:
    stage.RemovePrim(CELL)


def add_cell(stage: Usd.Stage) -> None:
    Sdf.CopySpec(stage.GetRootLayer(), CELL, stage.GetRootLayer(), f"{ROOT}/Modules/A02/G01/C03")


def repeat_index(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath(CELL).GetAttribute("battery:index").Set(0)


def invent_uuid(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath(CELL).GetAttribute("battery:uuid").Set("00000000-0000-0000-0000-000000000000")


def shift_cell(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath(CELL).GetAttribute("xformOp:translate").Set(Gf.Vec3d(0.0, 0.0, 0.02))


def pile_modules(stage: Usd.Stage) -> None:
    move_module(stage, "A02", LEAF.modules[0].position, heading=10.0)


def share_a_column(stage: Usd.Stage) -> None:
    sensor = SensorSpec(id="twin", quantity="current", level=Level.PACK, standard_uncertainty=0.1)
    add_sensor(stage, sensor, DataMappingSpec(channel="twin", sensor="twin", column="Current", unit="A", rate=1.0))


def forget_a_channel(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath(ROOT).GetAttribute("battery:channels").Set(["pack_current"])


def unlink_a_sensor(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath(f"{ROOT}/Modules/A03").GetRelationship("battery:sensors").SetTargets([])


def change_a_unit(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath(SENSOR).GetAttribute("battery:sensor:temperature:unit").Set("degC")


def drop_the_schema(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath(CELL).SetMetadata("apiSchemas", Sdf.TokenListOp())


def lose_a_value(stage: Usd.Stage) -> None:
    stage.GetPrimAtPath(f"{ROOT}/Prototypes/Cell").RemoveProperty("battery:cellType:capacity")


@pytest.mark.parametrize(
    ("damage", "rule", "prim", "message"),
    [
        (set_centimetres, "units", "/", "metersPerUnit is 0.01"),
        (set_grams, "units", "/", "kilogramsPerUnit is 0.001"),
        (set_y_up, "units", "/", "upAxis is Y"),
        (clear_default_prim, "default-prim", "/", "no default prim"),
        (remove_cell, "topology", CELL, "no cell A02.G01.C02"),
        (add_cell, "topology", f"{ROOT}/Modules/A02/G01/C03", "no such element"),
        (repeat_index, "topology", CELL, "battery:index is 0, not 5"),
        (invent_uuid, "uuid", CELL, "battery:uuid is not"),
        (shift_cell, "place", CELL, "mm from its place"),
        (pile_modules, "overlap", f"{ROOT}/Modules/A02", "modules A01 and A02 overlap"),
        (share_a_column, "mapping", ROOT, "'Current' is also used by mappings[pack_current]"),
        (forget_a_channel, "mapping", ROOT, "battery:channels lists ['pack_current']"),
        (unlink_a_sensor, "sensor", f"{ROOT}/Modules/A03", "battery:sensors is []"),
        (change_a_unit, "sensor", SENSOR, "the unit is 'degC'"),
        (drop_the_schema, "topology", CELL, "no prim with BatteryCellAPI"),
        (lose_a_value, "pack", f"{ROOT}/Prototypes/Cell", "battery:cellType:capacity has no value"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_damage_is_a_failure_that_names_rule_prim_and_remedy(stage, damage, rule, prim, message):
    damage(stage)

    failures = [finding for finding in check_structure(stage) if finding.severity is FindingSeverity.FAILURE]

    found = next(finding for finding in failures if (finding.rule, finding.prim) == (rule, prim))
    assert message in found.message
    assert found.remedy
    assert rule in str(found)
    assert prim in str(found)


def test_a_sensor_outside_its_element_is_a_warning(stage):
    probe = SensorSpec(
        id="far", quantity="temperature", level=Level.CELL, standard_uncertainty=0.1, position=(0.0, 0.0, 0.5)
    )
    add_sensor(stage, probe)

    found = [finding for finding in check_structure(stage) if finding.rule == "sensor"]

    assert [finding.severity for finding in found] == [FindingSeverity.WARNING]
    assert "outside its cell" in found[0].message


def test_a_module_dragged_by_hand_makes_the_box_around_the_pack_stale(stage):
    stage.GetPrimAtPath(f"{ROOT}/Modules/A03").GetAttribute("xformOp:translate").Set(Gf.Vec3d(2.0, 0.0, 0.0))

    assert [finding.rule for finding in check_structure(stage)] == ["extent"]


def test_a_misspelt_attribute_is_a_warning(stage):
    attribute = stage.GetPrimAtPath(CELL).CreateAttribute("battery:measured:voltagee", Sdf.ValueTypeNames.Double)
    attribute.Set(3.7)

    (found,) = check_structure(stage)

    assert (found.rule, found.prim) == ("attribute", CELL)
    assert "voltagee" in found.message


def test_modules_that_touch_or_stand_apart_do_not_overlap(stage):
    width = LEAF.modules[1].position[0] - LEAF.modules[0].position[0] - 0.02  # the gap of the pack file
    x, y, z = LEAF.modules[0].position
    move_module(stage, "A02", (x + width, y, z))

    assert check_structure(stage) == []


def test_many_findings_of_one_rule_are_summed_up():
    stage = build_pack_stage(REFERENCE.with_modules(REFERENCE.modules[:1]))
    for path in prim_paths(REFERENCE, Level.CELL)[:100]:
        stage.GetPrimAtPath(path).GetAttribute("battery:uuid").Set("x")

    found = check_structure(stage)

    assert len(found) == 20
    assert "81 more like these" in found[-1].message


def test_a_stage_without_a_pack_fails_by_one_clear_finding():
    stage = Usd.Stage.CreateInMemory()
    stage.SetDefaultPrim(stage.DefinePrim("/Sofa", "Xform"))
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)

    (found,) = check_structure(stage)

    assert isinstance(found, Finding)
    assert found.rule == "pack"
    assert "no BatteryPackAPI" in found.message


def test_our_rules_run_inside_nvidias_own_command(tmp_path):
    tool = Path(sys.executable).with_name("nvidia_usd_validate")
    build_pack_stage(LEAF, tmp_path / "good.usd")
    bad = build_pack_stage(replace(LEAF, name="bad"), tmp_path / "bad.usd")
    move_module(bad, "A02", LEAF.modules[0].position)
    bad.Save()

    good, poor = (
        subprocess.run([tool, tmp_path / name], capture_output=True, text=True, check=False)
        for name in ("good.usd", "bad.usd")
    )

    assert "No issues found" in good.stdout + good.stderr
    assert "[CelltwinPackChecker] overlap: modules A01 and A02 overlap" in poor.stdout + poor.stderr
