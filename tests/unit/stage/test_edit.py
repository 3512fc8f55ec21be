"""Edits of a stage are edits of the specification, on any kind of stage."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from pxr import Sdf, Usd

from celltwin.core import DataMappingSpec, Level, ModuleSpec, SensorSpec, StageError, load_pack
from celltwin.stage import (
    add_module,
    add_sensor,
    build_pack_stage,
    check_structure,
    move_module,
    open_pack_stage,
    prim_paths,
    read_pack,
    remove_module,
    save_stage,
)

PACKS = Path(__file__).resolve().parents[3] / "data" / "packs"
LEAF = load_pack(PACKS / "leaf_3_modules.toml")
PROBE = SensorSpec(
    id="probe",
    quantity="temperature",
    level=Level.CELL,
    elements=(1, 6, 11),
    standard_uncertainty=0.2,
    position=(0.0, 0.0, 0.003),
)
PROBE_CHANNEL = DataMappingSpec(channel="probe", sensor="probe", topic="probe/{number}", unit="degC", rate=1.0)


def in_memory(folder: Path) -> Usd.Stage:
    return build_pack_stage(LEAF)


def from_disk(folder: Path) -> Usd.Stage:
    build_pack_stage(LEAF, folder / "leaf.usd")
    return open_pack_stage(folder / "leaf.usd")


def as_sublayer(folder: Path) -> Usd.Stage:
    """An editor's stage whose root layer holds only what the user changed."""
    build_pack_stage(LEAF, folder / "leaf.usd")
    stage = Usd.Stage.CreateInMemory()
    stage.GetRootLayer().subLayerPaths.append(str(folder / "leaf.usd"))
    for key in ("metersPerUnit", "upAxis", "kilogramsPerUnit", "defaultPrim"):
        stage.SetMetadata(key, open_pack_stage(folder / "leaf.usd").GetMetadata(key))
    return stage


def as_reference(folder: Path) -> Usd.Stage:
    build_pack_stage(LEAF, folder / "leaf.usd")
    stage = build_pack_stage(replace(LEAF, name="unused"))
    stage.RemovePrim("/unused")
    stage.DefinePrim("/World/Bay", "Xform").GetReferences().AddReference(str(folder / "leaf.usd"))
    stage.SetDefaultPrim(stage.GetPrimAtPath("/World"))
    return stage


@pytest.fixture(params=[in_memory, from_disk, as_sublayer, as_reference], ids=lambda make: make.__name__)
def stage(request, tmp_path) -> Usd.Stage:
    return request.param(tmp_path)


def agrees(stage: Usd.Stage, spec) -> bool:
    assert read_pack(stage) == spec
    findings = [finding for finding in check_structure(stage) if finding.rule != "overlap"]
    assert findings == []
    return True


def test_moving_a_module_moves_it_and_nothing_else(stage):
    edited = move_module(stage, "A02", (0.0, 0.5, 0.1), heading=90.0)

    moved = ModuleSpec(id="A02", position=(0.0, 0.5, 0.1), heading=90.0)
    assert edited == replace(LEAF, modules=(LEAF.modules[0], moved, LEAF.modules[2]))
    assert agrees(stage, edited)


def test_moving_keeps_the_heading_unless_told(stage):
    move_module(stage, "A02", (0.0, 0.5, 0.0), heading=45.0)

    assert move_module(stage, "A02", (0.0, 0.6, 0.0)).modules[1].heading == 45.0


def test_removing_a_module_renumbers_those_after_it_and_keeps_their_ids(stage):
    root = str(next(prim for prim in stage.Traverse() if prim.HasAPI("BatteryPackAPI")).GetPath())
    last = prim_paths(LEAF, Level.CELL, root)[-1]
    uuid = stage.GetPrimAtPath(last).GetAttribute("battery:uuid").Get()

    edited = remove_module(stage, "A01")

    assert edited == LEAF.with_modules(LEAF.modules[1:])
    assert agrees(stage, edited)
    gone = stage.GetPrimAtPath(f"{root}/Modules/A01")
    assert not gone or not gone.IsActive()  # what a weaker layer says can only be switched off
    cell = stage.GetPrimAtPath(last)
    assert cell.GetAttribute("battery:index").Get() == 7
    assert cell.GetAttribute("battery:seriesPosition").Get() == 3
    assert cell.GetAttribute("battery:uuid").Get() == uuid


def test_a_sensor_on_some_cells_follows_its_cells(stage):
    add_sensor(stage, PROBE, PROBE_CHANNEL)

    edited = remove_module(stage, "A01")

    assert edited.sensors[-1].elements == (2, 7)
    assert edited.mappings[-1] == PROBE_CHANNEL
    assert agrees(stage, edited)


def test_a_sensor_goes_with_its_last_element_and_takes_its_mappings(stage):
    add_sensor(stage, replace(PROBE, elements=(0, 3)), PROBE_CHANNEL)

    edited = remove_module(stage, "A01")

    assert edited == LEAF.with_modules(LEAF.modules[1:])
    assert agrees(stage, edited)


def test_a_module_comes_back_at_the_end(stage):
    remove_module(stage, "A01")

    edited = add_module(stage, LEAF.modules[0])

    assert edited == LEAF.with_modules((*LEAF.modules[1:], LEAF.modules[0]))
    assert agrees(stage, edited)


def test_a_new_module_has_all_its_cells(stage):
    edited = add_module(stage, ModuleSpec(id="Spare", position=(0.0, 0.5, 0.0), heading=180.0))

    assert edited.n_cells == 16
    assert agrees(stage, edited)


@pytest.mark.parametrize("level", list(Level))
def test_sensors_can_sit_on_every_level(level, stage):
    sensor = replace(PROBE, level=level, elements=())

    edited = add_sensor(stage, sensor, replace(PROBE_CHANNEL, topic=""))

    assert edited == replace(LEAF, sensors=(*LEAF.sensors, sensor), mappings=(*LEAF.mappings, edited.mappings[-1]))
    assert agrees(stage, edited)


def test_an_edited_stage_is_the_stage_of_the_edited_pack():
    stage = build_pack_stage(LEAF)
    move_module(stage, "A03", (0.1, 0.7, 0.0), heading=30.0)
    add_sensor(stage, PROBE, PROBE_CHANNEL)
    remove_module(stage, "A01")
    edited = add_module(stage, LEAF.modules[0])

    rebuilt = build_pack_stage(edited)

    assert stage.GetRootLayer().ExportToString() == rebuilt.GetRootLayer().ExportToString()


def test_an_edited_stage_survives_saving(tmp_path):
    stage = from_disk(tmp_path)
    edited = remove_module(stage, "A02")

    save_stage(stage, tmp_path / "leaf.usd")
    save_stage(stage, tmp_path / "new" / "copy.usda")

    for path in ("leaf.usd", "new/copy.usda"):
        layer = Sdf.Layer.OpenAsAnonymous(str(tmp_path / path))
        assert read_pack(Usd.Stage.Open(layer)) == edited


def test_saving_over_a_file_that_is_open_shows_there(tmp_path):
    opened = from_disk(tmp_path)
    stage = build_pack_stage(LEAF)
    edited = remove_module(stage, "A02")

    save_stage(stage, tmp_path / "leaf.usd")

    assert read_pack(opened) == edited


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda stage: move_module(stage, "B01", (0.0, 0.0, 0.0)), "the pack has no module 'B01'"),
        (lambda stage: move_module(stage, "A01", (math.nan, 0.0, 0.0)), "nan m is not finite"),
        (lambda stage: remove_module(stage, "B01"), "the pack has no module 'B01'"),
        (lambda stage: add_module(stage, LEAF.modules[0]), "the id 'A01' is used twice"),
        (lambda stage: add_sensor(stage, LEAF.sensors[0]), "the id 'pack_current' is used twice"),
        (lambda stage: add_sensor(stage, replace(PROBE, elements=(12,))), "12 is past the last cell, 11"),
        (lambda stage: add_sensor(stage, PROBE, replace(PROBE_CHANNEL, unit="V")), "cannot be converted"),
        (lambda stage: add_sensor(stage, PROBE, replace(PROBE_CHANNEL, sensor="prob")), "'prob' names no sensor"),
        (lambda stage: save_stage(stage, "pack.obj"), "not a USD file name"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_impossible_edit_changes_nothing_and_says_why(edit, message):
    stage = build_pack_stage(LEAF)
    before = stage.GetRootLayer().ExportToString()

    with pytest.raises(StageError) as caught:
        edit(stage)

    assert message in str(caught.value)
    assert caught.value.remedy
    assert stage.GetRootLayer().ExportToString() == before


def test_the_only_module_stays():
    stage = build_pack_stage(LEAF.with_modules(LEAF.modules[:1]))

    with pytest.raises(StageError, match="'A01' is the only module"):
        remove_module(stage, "A01")


def test_saving_where_nothing_can_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")

    with pytest.raises(StageError, match="cannot be written"):
        save_stage(build_pack_stage(LEAF), tmp_path / "file" / "pack.usd")


def test_editing_a_stage_without_a_pack_says_so():
    with pytest.raises(StageError, match="no BatteryPackAPI"):
        remove_module(Usd.Stage.CreateInMemory(), "A01")
