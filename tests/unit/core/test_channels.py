"""The telemetry map: one channel for each value that arrives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from celltwin.core import Level, SpecError, expand_channels, load_pack

PACKS = Path(__file__).resolve().parents[3] / "data" / "packs"
LEAF = load_pack(PACKS / "leaf_3_modules.toml")
REFERENCE = load_pack(PACKS / "reference.toml")


def with_mapping(**changes):
    mappings = tuple(
        replace(mapping, **changes) if mapping.channel == "group_voltage" else mapping for mapping in LEAF.mappings
    )
    return replace(LEAF, mappings=mappings)


def test_the_leaf_recording_has_eleven_channels_with_their_columns():
    channels = expand_channels(LEAF)

    assert [channel.column for channel in channels] == [
        "Current",
        "Voltage",
        *(f"Cell Voltage A{number}" for number in range(1, 7)),
        *(f"Temperature A{number}" for number in range(1, 4)),
    ]
    assert [channel.element for channel in channels if channel.level is Level.GROUP] == list(range(6))


def test_scale_and_offset_take_what_is_sent_to_si():
    channels = {channel.column: channel for channel in expand_channels(LEAF)}

    current, warm = channels["Current"], channels["Temperature A2"]
    assert current.scale * 65.0 + current.offset == -65.0  # the recording is negative on discharge
    assert warm.scale * 25.0 + warm.offset == pytest.approx(298.15)


def test_every_cell_of_the_reference_pack_has_its_own_topics():
    channels = expand_channels(REFERENCE)

    topics = [channel.topic for channel in channels]
    assert len(channels) == 2 + 100 + 10 + 10 + 2800 + 2800
    assert len(set(topics)) == len(topics)
    assert "celltwin/reference/M10/group/10/cell/28/temperature" in topics
    assert "celltwin/reference/M03/group/7/voltage" in topics


def test_a_column_left_empty_is_named_after_the_channel():
    columns = [channel.column for channel in expand_channels(with_mapping(column=""))]

    assert columns[2:8] == [f"group_voltage_{number}" for number in range(1, 7)]


def test_sensors_on_some_elements_have_channels_for_those_only():
    sensors = tuple(
        replace(sensor, elements=(4, 1)) if sensor.id == "group_voltage" else sensor for sensor in LEAF.sensors
    )

    channels = [channel for channel in expand_channels(replace(LEAF, sensors=sensors)) if channel.level is Level.GROUP]

    assert [(channel.element, channel.column) for channel in channels] == [
        (4, "Cell Voltage A5"),
        (1, "Cell Voltage A2"),
    ]


@pytest.mark.parametrize("template", ["{row}", "{", "{0}", "{index.x}"])
def test_a_bad_template_is_refused_with_the_fields_it_may_use(template):
    with pytest.raises(SpecError, match=r"mappings\[group_voltage\]: bad template") as caught:
        expand_channels(with_mapping(column=template))
    assert "{module}, {group}" in caught.value.remedy


@pytest.mark.parametrize("what", ["column", "topic"])
def test_two_channels_cannot_share_a_name(what):
    with pytest.raises(SpecError, match=rf"mappings\[group_voltage\].{what}: 'same' is also used by") as caught:
        expand_channels(with_mapping(**{what: "same"}))
    assert "{number}" in caught.value.remedy


def test_empty_topics_do_not_collide():
    assert len(expand_channels(with_mapping(topic=""))) == 11
