"""The battery schemas, declared once from the fields and quantities of the core."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_type_hints

from celltwin.core import (
    QUANTITIES,
    BusbarSpec,
    CellSpec,
    CoolingSpec,
    DataMappingSpec,
    FieldRule,
    Kind,
    LayoutSpec,
    Level,
    PackSpec,
    Quality,
    Quantity,
    RecalibrationSpec,
    SensorSpec,
    field_rules,
)

from .names import FACETS, attribute_name, attribute_type, camel_case, cell_array_name, value_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["INSTANCE_NAME", "AttributeDeclaration", "SchemaDeclaration", "declare_fields", "declare_schemas"]

INSTANCE_NAME = "__INSTANCE_NAME__"  # USD's own placeholder in multiple-apply schemas

_TYPES: dict[Any, str] = {
    str: "string",
    float: "double",
    int: "int",
    Level: "token",
    tuple[float, float, float]: "double3",
    tuple[int, ...]: "int[]",
}
_KIND_DOCS = {
    Kind.MEASURED: "as a sensor measured it",
    Kind.ESTIMATED: "as estimated from measurements",
    Kind.PREDICTED: "as a model predicts it",
    Kind.RECOMMENDED: "as recommended to the operator",
}
_SIGNS = {
    "current": " Positive on discharge.",
    "power": " Positive on discharge.",
    "charge_current": " A magnitude: zero or positive.",
    "balancing_current": " A magnitude: zero or positive.",
}


@dataclass(frozen=True, kw_only=True)
class AttributeDeclaration:
    """One property of a schema.

    Attributes
    ----------
    name : str
        Full name; holds :data:`INSTANCE_NAME` in a multiple-apply schema.
    type : str
        USD type name, or ``"rel"``.
    doc : str
        Meaning, with the unit.
    unit : str or None
        SI unit of a number; None for text, counts and references.
    uniform : bool
        Whether the value is the same at all times.
    default : object
        Fallback value, or None for none.
    allowed : tuple of str
        Allowed texts; empty for any.
    group : str
        Heading in a property window.
    """

    name: str
    type: str
    doc: str
    unit: str | None = None
    uniform: bool = True
    default: object = None
    allowed: tuple[str, ...] = ()
    group: str = "Battery"


@dataclass(frozen=True, kw_only=True)
class SchemaDeclaration:
    """One applied API schema.

    Attributes
    ----------
    name : str
        Identifier, such as ``"BatteryCellAPI"``.
    doc : str
        What a prim is that carries it.
    attributes : tuple of AttributeDeclaration
        Its properties.
    multiple : bool
        Whether it is applied once for each instance name.
    """

    name: str
    doc: str
    attributes: tuple[AttributeDeclaration, ...]
    multiple: bool = False


def declare_fields(
    kind: type, prefix: str, group: str, *, leave_out: tuple[str, ...] = ()
) -> tuple[AttributeDeclaration, ...]:
    """Return one attribute for each declared field of a spec dataclass, in the order of the fields.

    Parameters
    ----------
    kind : type
        Dataclass of :mod:`celltwin.core`.
    prefix : str
        Namespace of the attributes, such as ``"battery:cellType"``.
    group : str
        Heading in a property window.
    leave_out : tuple of str
        Fields that the stage holds otherwise.
    """
    types = get_type_hints(kind)
    defaults = {item.name: item.default for item in fields(kind) if item.default is not MISSING}
    return tuple(
        AttributeDeclaration(
            name=f"{prefix}:{camel_case(name)}",
            type="token" if rule.choices else _TYPES[types[name]],
            doc=_field_doc(rule, types[name]),
            unit=_unit(rule, types[name]),
            default=defaults.get(name),
            allowed=tuple(Level) if types[name] is Level else rule.choices,
            group=group,
        )
        for name, rule in field_rules(kind)
        if name not in leave_out
    )


@lru_cache(maxsize=1)
def declare_schemas() -> tuple[SchemaDeclaration, ...]:
    """Return all battery schemas, in the order of the shipped file."""
    sensor = f"battery:sensor:{INSTANCE_NAME}"
    mapping = f"battery:mapping:{INSTANCE_NAME}"
    pack_fields = ("title", "description", "source", "series", "parallel", "strings")
    others = tuple(name for name, _ in field_rules(PackSpec) if name not in pack_fields)
    return (
        SchemaDeclaration(
            name="BatteryPackAPI",
            doc="A battery pack: the modules below it are in series, in one or more parallel strings.",
            attributes=(
                *_identity("pack", "the name of its specification", index=False),
                *declare_fields(PackSpec, "battery", "Battery", leave_out=others),
                *declare_fields(RecalibrationSpec, "battery:recalibration", "Battery Recalibration"),
                AttributeDeclaration(
                    name="battery:channels",
                    type="token[]",
                    doc="Ids of the pack's data mappings in their order. Each is the instance name of one "
                    "BatteryDataMappingAPI on a sensor.",
                ),
                _sensors("pack"),
            ),
        ),
        SchemaDeclaration(
            name="BatteryModuleAPI",
            doc="A module: series groups of parallel cells in one housing. Its place is its transform in the pack.",
            attributes=(*_identity("module", "such as 'M03'"), _sensors("module")),
        ),
        SchemaDeclaration(
            name="BatteryGroupAPI",
            doc="A series group: cells in parallel that share one voltage.",
            attributes=(*_identity("group", "such as 'M03.G07'"), _sensors("group")),
        ),
        SchemaDeclaration(
            name="BatteryCellAPI",
            doc="One cell: an instance of the pack's cell type at its place in the module.",
            attributes=(
                *_identity("cell", "such as 'M03.G07.C12'"),
                AttributeDeclaration(
                    name="battery:seriesPosition",
                    type="int",
                    doc="Series group of the cell, counted from 0 along the whole pack.",
                ),
                AttributeDeclaration(
                    name="battery:parallelPosition",
                    type="int",
                    doc="Place of the cell in its series group, counted from 0.",
                ),
                _sensors("cell"),
            ),
        ),
        SchemaDeclaration(
            name="BatteryCellTypeAPI",
            doc="The cell type of a pack, on the prototype that every cell instances: what its data sheet says.",
            attributes=declare_fields(CellSpec, "battery:cellType", "Battery Cell Type"),
        ),
        SchemaDeclaration(
            name="BatteryLayoutAPI",
            doc="How the cells of one module stand, on the prototype of the modules' housing.",
            attributes=declare_fields(LayoutSpec, "battery:layout", "Battery Layout"),
        ),
        SchemaDeclaration(
            name="BatteryBusbarAPI",
            doc="The conductors that join parallel cells and series groups of one module.",
            attributes=declare_fields(BusbarSpec, "battery:busbar", "Battery Busbar"),
        ),
        SchemaDeclaration(
            name="BatteryCoolingAPI",
            doc="The cooling of one module: a coolant plate, or air.",
            attributes=declare_fields(CoolingSpec, "battery:cooling", "Battery Cooling"),
        ),
        SchemaDeclaration(
            name="BatterySensorAPI",
            doc="One kind of sensor, applied once under the name of the quantity that it measures.",
            multiple=True,
            attributes=(
                *declare_fields(SensorSpec, sensor, "Battery Sensor", leave_out=("quantity",)),
                AttributeDeclaration(
                    name=f"{sensor}:unit",
                    type="token",
                    doc="SI unit of the quantity that the sensor measures.",
                    group="Battery Sensor",
                ),
            ),
        ),
        SchemaDeclaration(
            name="BatteryDataMappingAPI",
            doc="How the values of the sensor on this prim arrive, or how its set-point leaves; applied once for "
            "each channel, under the channel's id.",
            multiple=True,
            attributes=declare_fields(
                DataMappingSpec, mapping, "Battery Data Mapping", leave_out=("channel", "sensor")
            ),
        ),
        *(_values(quantity) for quantity in QUANTITIES.values()),
        *(_cell_values(quantity) for quantity in QUANTITIES.values()),
    )


def _identity(what: str, example: str, *, index: bool = True) -> Iterator[AttributeDeclaration]:
    yield AttributeDeclaration(name="battery:id", type="string", doc=f"Id of the {what}, {example}.")
    yield AttributeDeclaration(
        name="battery:uuid",
        type="string",
        doc=f"UUID of the {what}: version 5 of the pack's name and the id, so the same pack gives the same UUIDs.",
    )
    if index:
        yield AttributeDeclaration(
            name="battery:index", type="int", doc=f"Place of the {what} in pack order, counted from 0."
        )


def _sensors(what: str) -> AttributeDeclaration:
    return AttributeDeclaration(
        name="battery:sensors",
        type="rel",
        doc=f"Sensors that the {what} carries: prims with BatterySensorAPI.",
        group="Battery Sensor",
    )


def _unit(rule: FieldRule, kind: Any) -> str | None:
    if rule.unit is not None:
        return rule.unit
    return "1" if kind is float and "[SI unit" not in rule.doc else None


def _field_doc(rule: FieldRule, kind: Any) -> str:
    parts = [rule.doc]
    unit = _unit(rule, kind)
    if unit is not None:
        parts.append(f"Unit: {_unit_text(unit)}.")
    for bound, word in ((rule.above, "Greater than"), (rule.at_least, "At least"), (rule.at_most, "At most")):
        if bound is not None:
            parts.append(f"{word} {bound:g}.")
    choices = tuple(Level) if kind is Level else rule.choices
    if choices:
        parts.append(f"One of: {', '.join(choices)}.")
    return " ".join(parts)


def _unit_text(unit: str) -> str:
    return "1 (a pure number)" if unit == "1" else unit


def _values(quantity: Quantity) -> SchemaDeclaration:
    return SchemaDeclaration(
        name=value_schema(quantity.key),
        doc=f"{quantity.label} of the pack, module, group or cell that this prim is, "
        "measured, estimated, predicted and recommended side by side.",
        attributes=tuple(_facets(quantity, cells=False)),
    )


def _cell_values(quantity: Quantity) -> SchemaDeclaration:
    return SchemaDeclaration(
        name=value_schema(quantity.key, cells=True),
        doc=f"{quantity.label} of every cell of the module that this prim is, as arrays in pack order, "
        "measured, estimated, predicted and recommended side by side.",
        attributes=tuple(_facets(quantity, cells=True)),
    )


def _facets(quantity: Quantity, *, cells: bool) -> Iterator[AttributeDeclaration]:
    name = cell_array_name if cells else attribute_name
    of_each = " of each cell in pack order" if cells else ""
    qualities = tuple(quality.name.lower() for quality in Quality)
    for kind in Kind:
        what = f"{quantity.label}{of_each}, {_KIND_DOCS[kind]}"
        docs: dict[str | None, tuple[str, str | None]] = {
            None: (
                f"{what}. Unit: {_unit_text(quantity.unit)}.{_SIGNS.get(quantity.key, '')}"
                + (" NaN where there is none." if cells else ""),
                quantity.unit,
            ),
            "quality": (
                f"How far to trust: {what}. "
                + (
                    f"One of: {', '.join(f'{quality.value} ({quality.name.lower()})' for quality in Quality)}."
                    if cells
                    else f"One of: {', '.join(qualities)}."
                ),
                None,
            ),
            "time": (f"When this was true: {what}. Unit: s since the start of the run.", "s"),
            "uncertainty": (
                f"Standard uncertainty of: {what}. Unit: {_unit_text(quantity.unit)}. NaN where unknown.",
                quantity.unit,
            ),
            "provenance": (f"Source topic or file, or model and parameter hash, of: {what}.", None),
            "reason": (f"Why, and the effect to expect: {what}.", None),
        }
        for facet in (None, *FACETS):
            if facet == "reason" and kind is not Kind.RECOMMENDED:
                continue
            doc, unit = docs[facet]
            yield AttributeDeclaration(
                name=name(kind, quantity.key, facet),
                type=attribute_type(facet, cells=cells),
                doc=doc,
                unit=unit,
                uniform=False,
                allowed=qualities if facet == "quality" and not cells else (),
                group=f"Battery {quantity.label}{' of Cells' if cells else ''}",
            )
