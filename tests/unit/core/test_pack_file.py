"""Pack files: what they may say, and errors that name file, key and value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from celltwin.core import Level, ModuleSpec, PackSpec, SpecError, load_pack, parse_pack

PACKS = Path(__file__).resolve().parents[3] / "data" / "packs"
LEAF_FILE, REFERENCE_FILE = PACKS / "leaf_3_modules.toml", PACKS / "reference.toml"
LEAF_TEXT = LEAF_FILE.read_text(encoding="utf-8")


def changed(old: str, new: str, text: str = LEAF_TEXT) -> str:
    assert text.count(old) >= 1, old
    return text.replace(old, new, 1)


def complaint(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse_pack(text, where="my_pack.toml")
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("my_pack.toml: ")
    return str(caught.value)


def test_the_reference_pack_is_the_one_of_the_design():
    spec = load_pack(REFERENCE_FILE)

    assert (spec.n_modules, spec.n_groups, spec.n_cells, spec.parallel) == (10, 100, 2800, 28)
    assert spec.nominal_voltage == pytest.approx(360.0)
    assert spec.capacity == pytest.approx(56.0)
    assert spec.energy == pytest.approx(20_160.0)


def test_the_leaf_pack_is_three_modules_as_built():
    spec = load_pack(LEAF_FILE)

    assert [module.id for module in spec.modules] == ["A01", "A02", "A03"]
    assert (spec.series, spec.parallel, spec.n_groups, spec.capacity) == (2, 2, 6, 65.0)
    assert {mapping.column for mapping in spec.mappings} >= {"Cell Voltage A{number}", "Temperature A{number}"}


def test_texts_with_units_become_si():
    cell = load_pack(LEAF_FILE).cell

    assert cell.length == pytest.approx(0.290)
    assert cell.mass == pytest.approx(0.787)
    assert cell.resistance == pytest.approx(0.0014)
    assert cell.highest_temperature == pytest.approx(328.15)
    assert cell.lowest_temperature == pytest.approx(253.15)


def test_an_uncertainty_in_degrees_is_a_difference():
    spec = parse_pack(changed('standard_uncertainty = "0.3 K"', 'standard_uncertainty = "0.3 degC"'))

    assert spec.sensors[-1].standard_uncertainty == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("capacity = 32.5", "capacty = 32.5", "unknown key cell.capacty = 32.5. Did you mean 'capacity'?"),
        ("[busbar]", "[busbars]", "unknown key busbars. Did you mean 'busbar'?"),
        ("capacity = 32.5", "capacity = -32.5", "cell.capacity = -32.5 A.h must be greater than 0"),
        ('mass = "787 g"', 'mass = "-787 g"', "cell.mass = -0.787 kg must be greater than 0"),
        ('mass = "787 g"', 'mass = "787 mm"', "cell.mass: unit 'mm' cannot be converted to 'kg'"),
        ('mass = "787 g"', 'mass = "heavy"', "cell.mass: 'heavy' is not a number with a unit"),
        ('mass = "787 g"', 'mass = "787 gramm"', "cell.mass: unit 'gramm' cannot be converted"),
        ('mass = "787 g"', "mass = true", "cell.mass = True is not a number"),
        ('mass = "787 g"', "mass = nan", "cell.mass = nan kg is not finite"),
        ('mass = "787 g"', "", "cell.mass is missing"),
        ('format = "pouch"', 'format = "round"', "cell.format = 'round' is not one of cylindrical, pouch, prismatic"),
        ('format = "pouch"', "format = 3", "cell.format = 3 is not a text"),
        ("lowest_voltage = 2.5", "lowest_voltage = 4.5", "cell.lowest_voltage = 4.5 must be below"),
        ('length = "290 mm"', "length = 0.0", "cell.length and cell.width must be greater than 0"),
        ("series = 2", "series = 0", "topology.series = 0 must be at least 1"),
        ("series = 2", "series = 2.5", "topology.series = 2.5 is not a whole number"),
        ("series = 2", "", "topology.series is missing"),
        ("[topology]\nseries = 2\nparallel = 2\n", "", "topology is missing"),
        ('cell_gap = "0.5 mm"', 'cell_gap = "-0.5 mm"', "layout.cell_gap = -0.0005 m must be at least 0"),
        ('pattern = "stack"', 'pattern = "square"\nrows = 3', "layout.rows = 3 does not divide the 4 cells"),
        ('width = "20 mm"', 'width = "0 mm"', "busbar.width = 0 m must be greater than 0"),
        ('method = "air"', 'method = "plate"', "cooling.plate_thickness = 0 must be greater than 0"),
        ("heat_transfer = 8.0", "heat_transfer = 8.0\nflow = 0.1", "cooling.highest_flow = 0 kg/s must be at least"),
        ("count = 3", "count = 0", "modules.count = 0 is not a whole number of at least 1"),
        ("columns = 3", 'columns = "three"', "modules.columns = 'three' is not a whole number"),
        ('gap = "20 mm"', 'gap = "20 kg"', "modules.gap: unit 'kg' cannot be converted to 'm'"),
        ('prefix = "A"', 'prefx = "A"', "unknown key modules.prefx = 'A'"),
        ('prefix = "A"', 'prefix = "1-"', "modules.id = '1-01' is not a name"),
        ('name = "leaf_3_modules"', 'name = "leaf 3"', "pack.name = 'leaf 3' is not a name"),
        ('name = "leaf_3_modules"', "", "name is missing"),
        ('id = "pack_voltage"', 'id = "pack_current"', "sensors: the id 'pack_current' is used twice"),
        ('channel = "pack_voltage"', 'channel = "pack_current"', "mappings: the id 'pack_current' is used twice"),
        ('quantity = "voltage"', 'quantity = "volts"', "sensors[pack_voltage].quantity: unknown quantity 'volts'"),
        ('level = "group"', 'level = "row"', "sensors[group_voltage].level = 'row' is not one of pack, module"),
        ('level = "group"', 'level = "group"\nelements = [6]', "sensors[group_voltage].elements: 6 is past the last"),
        ('level = "group"', 'level = "group"\nelements = [-1]', "elements = -1 must be at least 0"),
        ('level = "group"', 'level = "group"\nelements = [1, 1]', "elements = [1, 1] names an element twice"),
        ('level = "group"', 'level = "group"\nelements = ["G01"]', "is not a list of whole numbers"),
        ('level = "group"', 'level = "group"\nposition = [0, 0]', "position = [0, 0] has 2 numbers, not 3"),
        ('sensor = "pack_voltage"', 'sensor = "voltage"', "mappings[pack_voltage].sensor = 'voltage' names no sensor"),
        ('unit = "degC"', 'unit = "V"', "mappings[module_temperature].unit: unit 'V' cannot be converted to 'K'"),
        ("scale = -1.0", "scale = 0.0", "mappings[pack_current].scale = 0 would erase the values"),
        ("rate = 1.0", "rate = -1.0", "mappings[pack_current].rate = -1 Hz must be greater than 0"),
        ('topic = "celltwin', 'type = "text"\ntopic = "celltwin', "mappings[pack_current].type = 'text' is not one of"),
        ('title = "Three', 'modules = 3\ntitle = "Three', "not valid TOML"),
        ("[[sensors]]", "[sensors]", "not valid TOML"),
        ("capacity = 32.5", "capacity = ", "not valid TOML"),
        ("capacity = 32.5", "capacity = 32.5\ncapacity = 33.1", "not valid TOML"),
    ],
)
def test_a_mistake_is_named_by_file_key_and_value(old, new, message):
    assert message in complaint(changed(old, new))


def test_modules_can_be_placed_one_by_one():
    start = LEAF_TEXT.index("[modules]")
    end = LEAF_TEXT.index("[[sensors]]")
    own = (
        '[[modules]]\nid = "left"\nposition = ["-200 mm", 0, 0]\n'
        '[[modules]]\nid = "right"\nposition = [0.2, 0, 0]\nheading = 180\n'
    )

    spec = parse_pack(LEAF_TEXT[:start] + own + LEAF_TEXT[end:])

    assert spec.modules == (
        ModuleSpec(id="left", position=(-0.2, 0.0, 0.0)),
        ModuleSpec(id="right", position=(0.2, 0.0, 0.0), heading=180.0),
    )
    twice = (LEAF_TEXT[:start] + own + LEAF_TEXT[end:]).replace('"right"', '"left"')
    assert "modules: the id 'left' is used twice" in complaint(twice)
    assert "unknown key modules[left].place" in complaint(
        (LEAF_TEXT[:start] + own + LEAF_TEXT[end:]).replace("position", "place", 1)
    )


def test_a_missing_binary_or_wrongly_encoded_file_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"none\.toml: there is no such pack file"):
        load_pack(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SpecError, match=r"binary\.toml: the pack file cannot be read"):
        load_pack(tmp_path / "binary.toml")
    (tmp_path / "latin.toml").write_bytes('title = "Gerät"'.encode("latin-1"))
    with pytest.raises(SpecError, match=r"latin\.toml: the pack file cannot be read") as caught:
        load_pack(tmp_path / "latin.toml")
    assert "UTF-8" in caught.value.remedy
    with pytest.raises(SpecError, match="cannot be read"):
        load_pack(tmp_path)


def test_a_section_that_is_no_table_is_named():
    start, end = LEAF_TEXT.index("[busbar]"), LEAF_TEXT.index("[cooling]")

    assert "busbar = 3 is not a table" in complaint("busbar = 3\n" + LEAF_TEXT[:start] + LEAF_TEXT[end:])
    assert "mappings is not a list of tables" in complaint("mappings = 3\n" + LEAF_TEXT[: LEAF_TEXT.index("[[map")])


def test_an_empty_file_says_what_a_pack_needs():
    assert "name is missing" in complaint("")


@pytest.fixture
def leaf() -> PackSpec:
    return load_pack(LEAF_FILE)


def test_element_ids_are_in_pack_order(leaf):
    assert leaf.element_ids(Level.PACK) == ("leaf_3_modules",)
    assert leaf.element_ids(Level.GROUP)[:3] == ("A01.G01", "A01.G02", "A02.G01")
    assert leaf.element_ids(Level.CELL)[-1] == "A03.G02.C02"
    assert [len(leaf.element_ids(level)) for level in Level] == [leaf.size(level) for level in Level] == [1, 3, 6, 12]


def test_sensors_follow_their_elements_when_modules_change(leaf):
    probe = replace(leaf.sensors[-1], id="probe", elements=(0, 2))
    spec = replace(leaf, sensors=(*leaf.sensors, probe))

    fewer = spec.with_modules(spec.modules[1:])
    turned = spec.with_modules(tuple(reversed(spec.modules)))

    assert fewer.sensors[-1].elements == (1,)
    assert turned.sensors[-1].elements == (0, 2)
    assert spec.with_modules(spec.modules[1:2]).sensors == leaf.sensors  # the probe lost its elements
    assert spec.with_modules(spec.modules) == spec


def test_strings_divide_the_voltage_and_multiply_the_capacity(leaf):
    text = LEAF_TEXT.replace("parallel = 2\n", "parallel = 2\nstrings = 3\n")

    spec = parse_pack(text)

    assert (spec.topology, leaf.topology) == ("3x2s2p", "6s2p")
    assert (spec.n_series, spec.cells_in_parallel, spec.group_capacity) == (2, 6, 65.0)
    assert spec.nominal_voltage == pytest.approx(leaf.nominal_voltage / 3)
    assert spec.capacity == pytest.approx(3 * leaf.capacity)
    assert spec.energy == pytest.approx(leaf.energy)
    assert "strings = 2 does not divide the 3 modules" in complaint(text.replace("strings = 3", "strings = 2"))
    assert "topology.strings = 0 must be at least 1" in complaint(text.replace("strings = 3", "strings = 0"))


def test_what_a_file_leaves_out_is_a_pack_as_before(leaf):
    assert (leaf.strings, leaf.busbar.feed, leaf.cooling.supply, leaf.cooling.flow_direction) == (
        1,
        "plate",
        "parallel",
        "+x",
    )
    assert leaf.cell.conductivity == leaf.cooling.ambient_transfer == leaf.cooling.module_transfer == 0.0


def test_a_pack_has_at_least_one_module(leaf):
    with pytest.raises(SpecError, match=r"pack\.modules is empty"):
        replace(leaf, modules=())


def test_a_distribution_of_cells_is_found_beside_the_pack_file_or_by_its_name(tmp_path):
    named = changed('parameter_set = "leaf_pouch"', 'parameter_set = "leaf_pouch"\ndistribution = "leaf"')
    beside = named.replace('distribution = "leaf"', 'distribution = "cells/mine.json"')
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs/pack.toml").write_text(beside)

    assert parse_pack(named).cell.distribution == "leaf"
    found = load_pack(tmp_path / "packs/pack.toml").cell.distribution
    assert found == str((tmp_path / "packs/cells/mine.json").resolve())
    assert parse_pack(LEAF_TEXT).cell.distribution == ""


def test_recalibration_is_off_until_the_pack_asks_for_it_and_short_windows_are_refused():
    asked = LEAF_TEXT + '\n[recalibration]\ninterval = "1 h"\nmemory = "20 d"\n'

    assert parse_pack(LEAF_TEXT).recalibration.interval == 0.0
    assert parse_pack(asked).recalibration.interval == 3600.0
    assert parse_pack(asked).recalibration.memory == 20.0 * 86400.0
    assert "too short to tell anything" in complaint(asked.replace('"1 h"', '"5 min"'))
    assert "Did you mean 'interval'?" in complaint(asked.replace("interval", "intervall"))
