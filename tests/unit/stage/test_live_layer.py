"""Live values on the prims: what is written where, and that nothing authored changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Tf, Usd

from celltwin.core import Alarm, Kind, Level, PackState, Quality, Reading, Severity, StageError, load_pack
from celltwin.schema import attribute_name, cell_array_name
from celltwin.stage import LiveLayer, build_pack_stage, prim_paths, remove_module

PACKS = Path(__file__).resolve().parents[3] / "data" / "packs"
SPEC = load_pack(PACKS / "leaf_3_modules.toml")
CELLS = prim_paths(SPEC, Level.CELL)
MODULES = prim_paths(SPEC, Level.MODULE)
GROUPS = prim_paths(SPEC, Level.GROUP)
RAMP = np.linspace(0.0, 1.0, SPEC.n_cells)


@pytest.fixture
def stage() -> Usd.Stage:
    return build_pack_stage(SPEC)


def image(*readings: Reading, time: float = 1.0, alarms: tuple[Alarm, ...] = ()) -> PackState:
    return PackState(time=time, step=int(time), readings={reading.key: reading for reading in readings}, alarms=alarms)


def cell_reading(values, time: float = 1.0, quantity: str = "temperature", kind: Kind = Kind.ESTIMATED, **facets):
    return Reading.at(kind, quantity, Level.CELL, values, time, provenance="model 1", **facets)


def alarm(level: Level, element: int) -> Alarm:
    return Alarm(
        time=1.0,
        severity=Severity.WARNING,
        quantity="temperature",
        level=level,
        element=element,
        element_id=SPEC.element_ids(level)[element],
        value=330.0,
        limit=328.15,
        message="hot",
    )


def value(stage: Usd.Stage, path: str, name: str):
    return stage.GetPrimAtPath(path).GetAttribute(name).Get()


def authored(stage: Usd.Stage, path: str, name: str) -> bool:
    return stage.GetPrimAtPath(path).GetAttribute(name).HasAuthoredValue()


def test_arrays_on_modules_hold_all_cells_in_pack_order(stage):
    live = LiveLayer(stage, SPEC)

    live.publish(image(cell_reading(300.0 + RAMP, standard_uncertainty=0.2)))

    each = SPEC.series * SPEC.parallel
    for index, path in enumerate(MODULES):
        shown = np.array(value(stage, path, cell_array_name(Kind.ESTIMATED, "temperature")))
        np.testing.assert_allclose(shown, (300.0 + RAMP)[index * each : (index + 1) * each], rtol=1e-6)
        assert set(value(stage, path, cell_array_name(Kind.ESTIMATED, "temperature", "time"))) == {1.0}
        uncertainty = value(stage, path, cell_array_name(Kind.ESTIMATED, "temperature", "uncertainty"))
        np.testing.assert_allclose(np.array(uncertainty), 0.2, rtol=1e-6)
        assert value(stage, path, cell_array_name(Kind.ESTIMATED, "temperature", "provenance")) == "model 1"


def test_the_authored_layer_stays_clean_and_the_same(tmp_path):
    stage = build_pack_stage(SPEC, tmp_path / "pack.usda")
    root = stage.GetRootLayer()
    before = root.ExportToString()
    live = LiveLayer(stage, SPEC)
    live.select(range(SPEC.n_cells))

    for step in range(3):
        live.publish(image(cell_reading(300.0 + step + RAMP, time=step), time=step))
    live.close()

    assert not root.dirty
    assert root.ExportToString() == before
    assert live.layer.identifier not in stage.GetSessionLayer().subLayerPaths


def test_four_kinds_stand_side_by_side_with_their_quality(stage):
    live = LiveLayer(stage, SPEC)
    readings = [
        Reading.at(
            kind,
            "voltage",
            Level.PACK,
            np.array([20.0 + place]),
            5.0,
            quality=Quality(place),
            provenance=kind,
            reason="why",
        )
        for place, kind in enumerate(Kind)
    ]

    live.publish(image(*readings, time=5.0))

    path = prim_paths(SPEC, Level.PACK)[0]
    for place, kind in enumerate(Kind):
        assert value(stage, path, attribute_name(kind, "voltage")) == 20.0 + place
        assert value(stage, path, attribute_name(kind, "voltage", "quality")) == Quality(place).name.lower()
        assert value(stage, path, attribute_name(kind, "voltage", "time")) == 5.0
        assert value(stage, path, attribute_name(kind, "voltage", "provenance")) == str(kind)
    assert value(stage, path, attribute_name(Kind.RECOMMENDED, "voltage", "reason")) == "why"


def test_attributes_take_the_types_that_the_schemas_declare(stage):
    live = LiveLayer(stage, SPEC)
    live.select([0])

    live.publish(image(cell_reading(300.0 + RAMP)))

    definition = Usd.SchemaRegistry().BuildComposedPrimDefinition("", ["BatteryTemperatureAPI"])
    for facet in (None, "quality", "time", "provenance"):
        name = attribute_name(Kind.ESTIMATED, "temperature", facet)
        assert (
            live.layer.GetAttributeAtPath(f"{CELLS[0]}.{name}").typeName
            == definition.GetAttributeDefinition(name).GetTypeName()
        )


def test_cells_show_the_voltage_of_their_group(stage):
    live = LiveLayer(stage, SPEC)
    live.select([0, 1, 2])
    voltage = np.linspace(3.6, 3.8, SPEC.n_groups)

    live.publish(image(Reading.at(Kind.MEASURED, "voltage", Level.GROUP, voltage, 1.0, provenance="daq")))

    name = attribute_name(Kind.MEASURED, "voltage")
    assert value(stage, GROUPS[1], name) == voltage[1]
    assert [value(stage, CELLS[cell], name) for cell in (0, 1, 2)] == [voltage[0], voltage[0], voltage[1]]
    array = value(stage, MODULES[0], cell_array_name(Kind.MEASURED, "voltage"))
    np.testing.assert_allclose(np.array(array), np.repeat(voltage[:2], SPEC.parallel), rtol=1e-6)


def test_only_selected_cells_carry_scalars_while_nothing_moves(stage):
    live = LiveLayer(stage, SPEC)
    live.select([4])
    name = attribute_name(Kind.ESTIMATED, "temperature")

    live.publish(image(cell_reading(300.0 + RAMP)))

    assert [cell for cell, path in enumerate(CELLS) if authored(stage, path, name)] == [4]


def test_a_cell_shows_its_value_once_it_has_moved_beyond_the_deadband(stage):
    live = LiveLayer(stage, SPEC, deadbands={"temperature": 0.5})
    name = attribute_name(Kind.ESTIMATED, "temperature")
    values = 300.0 + RAMP
    live.publish(image(cell_reading(values)))
    near, far = values.copy(), values.copy()
    near[3] += 0.4
    far[3] += 0.6

    live.publish(image(cell_reading(near, time=2.0), time=2.0))
    assert not authored(stage, CELLS[3], name)
    live.publish(image(cell_reading(far, time=3.0), time=3.0))

    assert value(stage, CELLS[3], name) == far[3]
    assert value(stage, CELLS[3], f"{name}:quality") == "good"
    assert not authored(stage, CELLS[3], f"{name}:time")  # nobody would keep it up to date
    assert not authored(stage, CELLS[2], name)


def test_a_slow_drift_is_not_missed(stage):
    live = LiveLayer(stage, SPEC, deadbands={"temperature": 0.5})
    name = attribute_name(Kind.ESTIMATED, "temperature")

    for step in range(31):
        live.publish(image(cell_reading(300.0 + 0.1 * step + RAMP, time=step), time=step))

    shown = np.array([value(stage, path, name) for path in CELLS])
    assert np.all(np.abs(shown - (303.0 + RAMP)) <= 0.5 + 1e-9)


def test_cells_with_an_alarm_show_everything(stage):
    live = LiveLayer(stage, SPEC)
    name = attribute_name(Kind.ESTIMATED, "temperature")

    live.publish(image(cell_reading(300.0 + RAMP), alarms=(alarm(Level.CELL, 7), alarm(Level.GROUP, 0))))

    shown = [cell for cell, path in enumerate(CELLS) if authored(stage, path, f"{name}:time")]
    assert shown == [0, 1, 7]


def test_letting_go_of_a_cell_takes_away_the_time_that_would_grow_old(stage):
    live = LiveLayer(stage, SPEC)
    name = attribute_name(Kind.ESTIMATED, "temperature")
    live.select([2])
    live.publish(image(cell_reading(300.0 + RAMP)))

    live.select([])
    live.publish(image(cell_reading(300.0 + RAMP, time=2.0), time=2.0))

    assert value(stage, CELLS[2], name) == 300.0 + RAMP[2]
    assert not authored(stage, CELLS[2], f"{name}:time")
    assert not authored(stage, CELLS[2], f"{name}:provenance")


def test_stale_values_look_stale_everywhere(stage):
    live = LiveLayer(stage, SPEC)
    name = attribute_name(Kind.MEASURED, "temperature")
    good = cell_reading(300.0 + RAMP, kind=Kind.MEASURED)
    live.publish(image(good))

    live.publish(image(good.aged(now=100.0, stale_after=30.0), time=100.0))

    assert value(stage, CELLS[5], f"{name}:quality") == "stale"
    codes = value(stage, MODULES[1], cell_array_name(Kind.MEASURED, "temperature", "quality"))
    assert set(codes) == {int(Quality.STALE)}


def test_a_value_that_is_lost_is_shown_as_none(stage):
    live = LiveLayer(stage, SPEC)
    live.select([1])
    values = 300.0 + RAMP
    live.publish(image(cell_reading(values)))
    lost = values.copy()
    lost[1] = np.nan

    live.publish(image(cell_reading(lost, time=2.0, quality=Quality.BAD), time=2.0))

    name = attribute_name(Kind.ESTIMATED, "temperature")
    assert np.isnan(value(stage, CELLS[1], name))
    assert value(stage, CELLS[1], f"{name}:quality") == "bad"


def test_elements_that_never_had_a_value_get_no_attribute(stage):
    live = LiveLayer(stage, SPEC)
    voltage = np.full(SPEC.n_groups, np.nan)
    voltage[2] = 3.7

    live.publish(image(Reading.at(Kind.MEASURED, "voltage", Level.GROUP, voltage, 1.0, provenance="daq")))

    name = attribute_name(Kind.MEASURED, "voltage")
    assert [group for group, path in enumerate(GROUPS) if authored(stage, path, name)] == [2]


def test_one_step_is_one_notice(stage):
    live = LiveLayer(stage, SPEC)
    live.publish(image(cell_reading(300.0 + RAMP)))
    notices = []
    key = Tf.Notice.Register(Usd.Notice.ObjectsChanged, lambda notice, sender: notices.append(notice), stage)

    live.publish(image(cell_reading(310.0 + RAMP, time=2.0), time=2.0))
    key.Revoke()

    assert len(notices) == 1


def test_a_step_writes_no_more_than_its_budget_and_the_rest_follows(stage):
    live = LiveLayer(stage, SPEC, deadbands={"temperature": 0.0}, cell_writes_a_step=20)
    live.select([SPEC.n_cells - 1])  # never waits
    name = attribute_name(Kind.ESTIMATED, "temperature")
    live.publish(image(cell_reading(300.0 + RAMP)))
    state = image(cell_reading(301.0 + RAMP, time=2.0), time=2.0)

    counts = []
    for _ in range(5):
        live.publish(state)
        counts.append(sum(authored(stage, path, name) for path in CELLS))
        assert value(stage, CELLS[-1], name) == 301.0 + RAMP[-1]

    assert 1 < counts[0] < SPEC.n_cells
    assert counts[-1] == SPEC.n_cells


def test_a_removed_module_is_passed_over_and_leaves_nothing_behind(stage):
    live = LiveLayer(stage, SPEC)
    live.select(range(SPEC.n_cells))
    live.publish(image(cell_reading(300.0 + RAMP)))

    remove_module(stage, SPEC.modules[1].id)
    live.publish(image(cell_reading(305.0 + RAMP, time=2.0), time=2.0))

    assert live.layer.GetPrimAtPath(MODULES[1]) is None
    name = attribute_name(Kind.ESTIMATED, "temperature")
    assert value(stage, CELLS[-1], name) == 305.0 + RAMP[-1]


def test_a_layer_that_somebody_emptied_is_filled_again(stage):
    live = LiveLayer(stage, SPEC)
    live.select([0])
    live.publish(image(cell_reading(300.0 + RAMP)))
    live.layer.Clear()

    live.publish(image(cell_reading(300.0 + RAMP, time=2.0), time=2.0))

    assert value(stage, CELLS[0], attribute_name(Kind.ESTIMATED, "temperature")) == 300.0


def test_two_live_layers_can_follow_each_other_on_one_stage(stage):
    first = LiveLayer(stage, SPEC)
    first.publish(image(cell_reading(300.0 + RAMP)))
    first.close()
    first.close()
    second = LiveLayer(stage, SPEC)

    second.publish(image(cell_reading(310.0 + RAMP)))

    array = value(stage, MODULES[0], cell_array_name(Kind.ESTIMATED, "temperature"))
    assert array[0] == pytest.approx(310.0)


def test_a_pack_below_another_prim_is_found_by_its_root():
    stage = Usd.Stage.CreateInMemory()
    source = build_pack_stage(SPEC).GetRootLayer()
    stage.DefinePrim("/World/Battery").GetReferences().AddReference(source.identifier)
    live = LiveLayer(stage, SPEC, root="/World/Battery")

    live.publish(image(cell_reading(300.0 + RAMP)))

    path = prim_paths(SPEC, Level.MODULE, "/World/Battery")[2]
    assert len(value(stage, path, cell_array_name(Kind.ESTIMATED, "temperature"))) == 4


def test_rejects_a_stage_without_the_pack():
    with pytest.raises(StageError, match="holds no module of the pack 'leaf_3_modules'"):
        LiveLayer(Usd.Stage.CreateInMemory(), SPEC)


def test_rejects_a_stage_without_a_session_layer():
    root = build_pack_stage(SPEC).GetRootLayer()
    with pytest.raises(StageError, match="no session layer"):
        LiveLayer(Usd.Stage.Open(root, sessionLayer=None), SPEC)


@pytest.mark.parametrize("cell", [-1, SPEC.n_cells])
def test_rejects_a_selection_outside_the_pack(stage, cell):
    with pytest.raises(StageError, match=f"no cell {cell}"):
        LiveLayer(stage, SPEC).select([0, cell])


def test_a_recommendation_reaches_its_module_with_reason(stage):
    live = LiveLayer(stage, SPEC)
    advice = Reading.at(
        Kind.RECOMMENDED,
        "coolant_flow",
        Level.MODULE,
        np.full(SPEC.n_modules, 0.02),
        3.0,
        provenance="candidates",
        reason="hottest cell near its limit",
    )

    live.publish(image(advice, time=3.0))
    live.publish(image(replace(advice, reason="cooler now"), time=4.0))

    name = attribute_name(Kind.RECOMMENDED, "coolant_flow")
    assert value(stage, MODULES[0], name) == 0.02
    assert value(stage, MODULES[0], f"{name}:reason") == "cooler now"


def test_the_live_layer_is_anonymous_and_above_the_root(stage):
    live = LiveLayer(stage, SPEC)

    assert live.layer.anonymous
    assert stage.GetLayerStack()[1] == live.layer
    assert isinstance(live.layer, Sdf.Layer)
