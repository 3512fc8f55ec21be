"""The shipped schemas are those that the core declares, and USD reads them as documented."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pxr import Sdf, Usd

from celltwin.core import QUANTITIES, CelltwinError, Kind, SpecError
from celltwin.schema import (
    FACETS,
    attribute_name,
    attribute_type,
    camel_case,
    cell_array_name,
    declare_schemas,
    register_schemas,
    render_plugin_file,
    render_schema_file,
    schema_folder,
    value_schema,
)

register_schemas()
SCHEMAS = {schema.name: schema for schema in declare_schemas()}


def test_shipped_files_are_what_the_generator_writes():
    remedy = "run tools/generate_schema.py"

    assert (schema_folder() / "generatedSchema.usda").read_text(encoding="utf-8") == render_schema_file(), remedy
    assert (schema_folder() / "plugInfo.json").read_text(encoding="utf-8") == render_plugin_file(), remedy


def test_registering_twice_does_no_harm():
    register_schemas()

    assert Usd.SchemaRegistry().FindAppliedAPIPrimDefinition("BatteryCellAPI")


def test_registering_after_usd_has_listed_its_schemas_says_what_to_do():
    code = (
        "from pxr import Usd; Usd.SchemaRegistry().FindAppliedAPIPrimDefinition('CollectionAPI');"
        "import celltwin.schema; celltwin.schema.register_schemas()"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "Import celltwin.stage before the first stage is opened" in done.stderr


def test_every_schema_is_known_to_usd_and_needs_no_code():
    layer = Sdf.Layer.FindOrOpen(str(schema_folder() / "generatedSchema.usda"))
    types = json.loads(render_plugin_file())["Plugins"][0]["Info"]["Types"]

    for name, schema in SCHEMAS.items():
        assert Usd.SchemaRegistry().FindAppliedAPIPrimDefinition(name), name
        assert layer.GetPrimAtPath(f"/{name}").customData["skipCodeGeneration"] is True
        kind = types[f"Celltwin{name}"]["schemaKind"]
        assert kind == ("multipleApplyAPI" if schema.multiple else "singleApplyAPI")


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_attribute_is_documented_with_its_unit(name):
    stage = Usd.Stage.CreateInMemory()
    prim = stage.DefinePrim("/prim", "Xform")
    schema = SCHEMAS[name]
    prim.ApplyAPI(name, "voltage") if schema.multiple else prim.ApplyAPI(name)

    for declared in schema.attributes:
        found = prim.GetProperty(declared.name.replace("__INSTANCE_NAME__", "voltage"))
        assert found, declared.name
        assert len(found.GetDocumentation()) > 15
        assert found.GetDisplayGroup().startswith("Battery")
        if declared.type == "rel":
            continue
        numeric = declared.type.removesuffix("[]").rstrip("3") in ("double", "float")
        if numeric and "SI unit of the quantity" not in declared.doc:
            assert found.GetCustomDataByKey("unit") == declared.unit
            assert f"Unit: {declared.unit}" in found.GetDocumentation()
        if declared.allowed:
            assert tuple(found.GetMetadata("allowedTokens")) == declared.allowed


def test_each_value_has_a_kind_and_its_facets():
    for key in QUANTITIES:
        documented = {attribute.name: attribute for attribute in SCHEMAS[value_schema(key)].attributes}
        arrays = {attribute.name: attribute for attribute in SCHEMAS[value_schema(key, cells=True)].attributes}
        for kind in Kind:
            for facet in (None, *FACETS):
                expected = facet != "reason" or kind is Kind.RECOMMENDED
                name, array = attribute_name(kind, key, facet), cell_array_name(kind, key, facet)
                assert (name in documented) is expected
                assert (array in arrays) is expected
                if expected:
                    assert documented[name].type == attribute_type(facet)
                    assert arrays[array].type == attribute_type(facet, cells=True)


def test_names_of_values():
    assert attribute_name(Kind.MEASURED, "voltage") == "battery:measured:voltage"
    assert attribute_name(Kind.MEASURED, "voltage", "quality") == "battery:measured:voltage:quality"
    assert attribute_name(Kind.RECOMMENDED, "charge_current") == "battery:recommended:chargeCurrent"
    assert cell_array_name(Kind.ESTIMATED, "soc", "time") == "battery:estimated:cells:soc:time"
    assert value_schema("coolant_flow") == "BatteryCoolantFlowAPI"
    assert camel_case("standard_uncertainty") == "standardUncertainty"


def test_an_unknown_facet_or_quantity_is_refused():
    with pytest.raises(CelltwinError, match="no facet 'colour'"):
        attribute_name(Kind.MEASURED, "voltage", "colour")
    with pytest.raises(SpecError, match="unknown quantity 'volts'"):
        attribute_name(Kind.MEASURED, "volts")


def test_multiple_sensors_and_mappings_live_on_one_prim():
    stage = Usd.Stage.CreateInMemory()
    prim = stage.DefinePrim("/sensor")
    for name in ("temperature", "voltage"):
        prim.ApplyAPI("BatterySensorAPI", name)
    prim.ApplyAPI("BatteryDataMappingAPI", "channel_a")

    assert prim.GetAttribute("battery:sensor:temperature:level").GetTypeName() == Sdf.ValueTypeNames.Token
    assert prim.GetAttribute("battery:sensor:voltage:standardUncertainty").IsDefined()
    assert prim.GetAttribute("battery:mapping:channel_a:scale").Get() == 1.0
