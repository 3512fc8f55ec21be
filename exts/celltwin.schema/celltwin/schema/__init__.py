"""The codeless USD schemas of a battery pack, and the names of their attributes."""

from .declaration import AttributeDeclaration, SchemaDeclaration, declare_fields, declare_schemas
from .names import FACETS, attribute_name, attribute_type, camel_case, cell_array_name, value_schema
from .registration import register_schemas, schema_folder
from .rendering import render_plugin_file, render_schema_file

__all__ = [
    "FACETS",
    "AttributeDeclaration",
    "SchemaDeclaration",
    "attribute_name",
    "attribute_type",
    "camel_case",
    "cell_array_name",
    "declare_fields",
    "declare_schemas",
    "register_schemas",
    "render_plugin_file",
    "render_schema_file",
    "schema_folder",
    "value_schema",
]
