"""The one declaration of a pack: cell, topology, layout, busbars, cooling, sensors, telemetry map."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property

from .errors import SpecError
from .quantities import Level, find_quantity
from .recalibration_spec import RecalibrationSpec
from .spec_fields import check_fields, spec_field
from .units import unit_conversion

__all__ = [
    "BusbarSpec",
    "CellSpec",
    "CoolingSpec",
    "DataMappingSpec",
    "LayoutSpec",
    "ModuleSpec",
    "PackSpec",
    "SensorSpec",
]

CELL_FORMATS = ("cylindrical", "pouch", "prismatic")


@dataclass(frozen=True, kw_only=True)
class CellSpec:
    """The cell type of a pack: what its data sheet says."""

    name: str = spec_field("Trade or research name of the cell.")
    chemistry: str = spec_field("Chemistry of the cell, such as NMC523, LFP or LMO-NCA.")
    format: str = spec_field("Shape of the cell.", choices=CELL_FORMATS)
    diameter: float = spec_field(
        "Diameter of a cylindrical cell; 0 for other formats.", unit="m", at_least=0.0, default=0.0
    )
    length: float = spec_field(
        "Size of a pouch or prismatic cell along x; 0 for cylinders.", unit="m", at_least=0.0, default=0.0
    )
    width: float = spec_field(
        "Size of a pouch or prismatic cell along y; 0 for cylinders.", unit="m", at_least=0.0, default=0.0
    )
    height: float = spec_field(
        "Size of the cell along z: length of a cylinder, thickness of a pouch.", unit="m", above=0.0
    )
    mass: float = spec_field("Mass of one cell.", unit="kg", above=0.0)
    heat_capacity: float = spec_field("Specific heat capacity of the cell.", unit="J/(kg*K)", above=0.0)
    conductivity: float = spec_field(
        "Thermal conductivity across the layers, along a cylinder's radius or through a pouch; 0 where the cell is "
        "taken to have one temperature.",
        unit="W/(m*K)",
        at_least=0.0,
        default=0.0,
    )
    surface_share: float = spec_field(
        "Share of the cell's heat capacity at its surface, such as the can; of no meaning where conductivity is 0.",
        above=0.0,
        at_most=0.5,
        default=0.1,
    )
    capacity: float = spec_field("Nominal capacity.", unit="A.h", above=0.0)
    nominal_voltage: float = spec_field("Nominal voltage.", unit="V", above=0.0)
    lowest_voltage: float = spec_field("Discharge cut-off voltage.", unit="V", above=0.0)
    highest_voltage: float = spec_field("Charge cut-off voltage.", unit="V", above=0.0)
    resistance: float = spec_field("Ohmic resistance of a fresh cell at 25 degrees Celsius.", unit="ohm", above=0.0)
    highest_charge_current: float = spec_field(
        "Largest continuous charge current, as a magnitude.", unit="A", above=0.0
    )
    highest_discharge_current: float = spec_field("Largest continuous discharge current.", unit="A", above=0.0)
    lowest_charge_temperature: float = spec_field("Lowest temperature for charging.", unit="K", above=0.0)
    lowest_temperature: float = spec_field("Lowest temperature for discharging.", unit="K", above=0.0)
    highest_temperature: float = spec_field("Highest operating temperature of the surface.", unit="K", above=0.0)
    parameter_set: str = spec_field("PyBaMM parameter set, or file in data/parameters, of the physics model.")
    distribution: str = spec_field(
        "How cells of this type differ: name of a file in data/distributions, or path of a .json from the pack file; "
        "where empty, as the scenario says.",
        default="",
    )

    def __post_init__(self) -> None:
        """Check the fields alone and against each other."""
        check_fields(self, "cell")
        if self.format == "cylindrical":
            if self.diameter <= 0.0:
                raise SpecError(
                    "cell.diameter = 0 m must be greater than 0", remedy="Give a cylindrical cell its diameter"
                )
        elif self.length <= 0.0 or self.width <= 0.0:
            raise SpecError(
                "cell.length and cell.width must be greater than 0",
                remedy=f"Give a {self.format} cell its length and width",
            )
        for low, high in (
            ("lowest_voltage", "nominal_voltage"),
            ("nominal_voltage", "highest_voltage"),
            ("lowest_temperature", "highest_temperature"),
            ("lowest_charge_temperature", "highest_temperature"),
        ):
            if not getattr(self, low) < getattr(self, high):
                raise SpecError(
                    f"cell.{low} = {getattr(self, low):g} must be below cell.{high} = {getattr(self, high):g}",
                    remedy="Check the data sheet of the cell",
                )

    @property
    def footprint(self) -> tuple[float, float]:
        """Size along x and y [m]."""
        if self.format == "cylindrical":
            return self.diameter, self.diameter
        return self.length, self.width


@dataclass(frozen=True, kw_only=True)
class LayoutSpec:
    """How the cells of one module stand."""

    pattern: str = spec_field(
        "Arrangement of the cells: hexagonal or square rows, or a stack along z.",
        choices=("hexagonal", "square", "stack"),
    )
    rows: int = spec_field("Cells in one column along y, for hexagonal and square patterns.", at_least=1, default=1)
    cell_gap: float = spec_field("Free space between neighbouring cells.", unit="m", at_least=0.0)
    gap_conductivity: float = spec_field(
        "Thermal conductivity of what fills the space between cells: air 0.026, potting 0.2 to 3.",
        unit="W/(m*K)",
        above=0.0,
        default=0.026,
    )
    housing_wall: float = spec_field("Thickness of the module's housing.", unit="m", above=0.0)

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, "layout")


@dataclass(frozen=True, kw_only=True)
class BusbarSpec:
    """The conductors that join parallel cells and series groups."""

    material: str = spec_field("Material of the busbars, such as nickel, copper or aluminium.")
    width: float = spec_field("Width of a busbar.", unit="m", above=0.0)
    thickness: float = spec_field("Thickness of a busbar.", unit="m", above=0.0)
    weld_resistance: float = spec_field("Resistance of one cell's connection to the busbar.", unit="ohm", at_least=0.0)
    link_resistance: float = spec_field("Resistance of the busbar between two series groups.", unit="ohm", at_least=0.0)
    string_resistance: float = spec_field(
        "Resistance of cable, fuse and contactor of one string of modules.", unit="ohm", at_least=0.0, default=0.0
    )
    feed: str = spec_field(
        "How current enters and leaves a group: straight through a plate over all cells, or along rails from cell to "
        "cell, both ends at the first cell (same) or one at the first and one at the last (opposite).",
        choices=("plate", "same", "opposite"),
        default="plate",
    )

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, "busbar")


@dataclass(frozen=True, kw_only=True)
class CoolingSpec:
    """The coolant plate under every module, or plain air where there is none."""

    method: str = spec_field("How the pack is cooled.", choices=("plate", "air"))
    plate_thickness: float = spec_field(
        "Thickness of the coolant plate; 0 for air.", unit="m", at_least=0.0, default=0.0
    )
    coolant: str = spec_field("Name of the coolant.", default="air")
    coolant_heat_capacity: float = spec_field(
        "Specific heat capacity of the coolant.", unit="J/(kg*K)", above=0.0, default=1006.0
    )
    inlet_temperature: float = spec_field(
        "Temperature of the coolant at the inlet, or of the air.", unit="K", above=0.0
    )
    flow: float = spec_field(
        "Coolant mass flow through one module at the design point.", unit="kg/s", at_least=0.0, default=0.0
    )
    highest_flow: float = spec_field(
        "Largest coolant mass flow through one module.", unit="kg/s", at_least=0.0, default=0.0
    )
    heat_transfer: float = spec_field(
        "Heat transfer coefficient from a cell's outer surface to the coolant at the design flow.",
        unit="W/(m^2*K)",
        above=0.0,
    )
    flow_direction: str = spec_field(
        "Direction of the coolant in the frame of a module.", choices=("+x", "-x", "+y", "-y"), default="+x"
    )
    supply: str = spec_field(
        "Whether every module has an inlet of its own, or one stream passes the modules in their order.",
        choices=("parallel", "series"),
        default="parallel",
    )
    ambient_temperature: float = spec_field(
        "Temperature of the air around the modules.", unit="K", above=0.0, default=298.15
    )
    ambient_transfer: float = spec_field(
        "Heat transfer coefficient from a module's sides and top to the air around it.",
        unit="W/(m^2*K)",
        at_least=0.0,
        default=0.0,
    )
    module_transfer: float = spec_field(
        "Heat transfer coefficient between the facing sides of neighbouring modules.",
        unit="W/(m^2*K)",
        at_least=0.0,
        default=0.0,
    )

    @property
    def air_temperature(self) -> float:
        """Temperature of the air around the cells, or around the modules where a plate cools them [K]."""
        return self.ambient_temperature if self.method == "plate" else self.inlet_temperature

    def __post_init__(self) -> None:
        """Check the fields alone and against each other."""
        check_fields(self, "cooling")
        if self.method == "air" and (self.supply == "series" or self.ambient_transfer > 0.0):
            raise SpecError(
                "cooling.supply = 'series' and cooling.ambient_transfer are for a coolant plate",
                remedy="Where cooling.method = 'air' every cell gives its heat to the air of inlet_temperature already",
            )
        if self.method == "plate":
            for name in ("plate_thickness", "flow"):
                if getattr(self, name) <= 0.0:
                    raise SpecError(
                        f"cooling.{name} = 0 must be greater than 0",
                        remedy="A coolant plate needs it; or set cooling.method = 'air'",
                    )
        if self.highest_flow < self.flow:
            raise SpecError(
                f"cooling.highest_flow = {self.highest_flow:g} kg/s must be at least cooling.flow = {self.flow:g} kg/s",
                remedy="Give the flow that the pump can reach",
            )


@dataclass(frozen=True, kw_only=True)
class ModuleSpec:
    """One module and where it stands in the pack's frame."""

    id: str = spec_field("Unique id of the module: letters, digits and underscores.")
    position: tuple[float, float, float] = spec_field("Centre of the module's floor in the pack's frame.", unit="m")
    heading: float = spec_field("Rotation of the module about z, anticlockwise.", unit="deg", default=0.0)

    def __post_init__(self) -> None:
        """Check the fields."""
        if not self.id.isidentifier():
            raise SpecError(
                f"modules.id = {self.id!r} is not a name",
                remedy="Use letters, digits and underscores, starting with a letter",
            )
        check_fields(self, f"modules[{self.id}]")


@dataclass(frozen=True, kw_only=True)
class SensorSpec:
    """One kind of sensor, on one element of the pack or on every element of a level."""

    id: str = spec_field("Unique id of the sensor: letters, digits and underscores.")
    quantity: str = spec_field("Quantity that the sensor measures.")
    level: Level = spec_field("What the sensor sits on: pack, module, group or cell.")
    elements: tuple[int, ...] = spec_field(
        "Indices in pack order of the elements that carry one; empty for all.", at_least=0, default=()
    )
    standard_uncertainty: float = spec_field(
        "Standard uncertainty of one reading [SI unit of the quantity].", at_least=0.0
    )
    position: tuple[float, float, float] = spec_field(
        "Place of the sensor in the frame of its element.", unit="m", default=(0.0, 0.0, 0.0)
    )

    def __post_init__(self) -> None:
        """Check the fields."""
        if not self.id.isidentifier():
            raise SpecError(
                f"sensors.id = {self.id!r} is not a name",
                remedy="Use letters, digits and underscores, starting with a letter",
            )
        where = f"sensors[{self.id}]"
        check_fields(self, where)
        try:
            find_quantity(self.quantity)
        except SpecError as error:
            raise SpecError(f"{where}.quantity: {error.message}", remedy=error.remedy) from None
        if len(set(self.elements)) != len(self.elements):
            raise SpecError(
                f"{where}.elements = {list(self.elements)} names an element twice", remedy="Name each element once"
            )


@dataclass(frozen=True, kw_only=True)
class DataMappingSpec:
    """How the values of a sensor arrive, or how a set-point leaves.

    ``topic`` and ``column`` may hold ``{index}`` (from 0 in pack order), ``{number}`` (from 1),
    ``{module}`` (id), ``{group}`` and ``{cell}`` (from 1 within their parent), once for each element.
    """

    channel: str = spec_field("Unique id of the mapping: letters, digits and underscores.")
    sensor: str = spec_field("Id of the sensor whose values it carries.")
    topic: str = spec_field("Topic of a message broker.", default="")
    column: str = spec_field("Column of a file; the channel's id where empty.", default="")
    unit: str = spec_field("Unit of the values as sent.")
    scale: float = spec_field(
        "Factor on the values as sent, before the unit: -1 where charging is positive.", default=1.0
    )
    rate: float = spec_field("Expected rate.", unit="Hz", above=0.0)
    type: str = spec_field(
        "Type of the values as sent.", choices=("float64", "float32", "int32", "bool"), default="float64"
    )
    direction: str = spec_field("In from the pack, or out to it.", choices=("in", "out"), default="in")

    def __post_init__(self) -> None:
        """Check the fields."""
        if not self.channel.isidentifier():
            raise SpecError(
                f"mappings.channel = {self.channel!r} is not a name",
                remedy="Use letters, digits and underscores, starting with a letter",
            )
        check_fields(self, f"mappings[{self.channel}]")
        if self.scale == 0.0:
            raise SpecError(
                f"mappings[{self.channel}].scale = 0 would erase the values", remedy="Use 1 or -1 or a gain"
            )


@dataclass(frozen=True, kw_only=True)
class PackSpec:
    """A pack, declared once: stage, electrical network, thermal network and telemetry map follow from it.

    Every module has ``series`` groups of ``parallel`` cells. The modules of a string are in series, in their order;
    ``strings`` strings of as many modules each are in parallel.
    """

    name: str = spec_field("Name of the pack: letters, digits and underscores.")
    title: str = spec_field("Title for people.")
    description: str = spec_field("What the pack is.", default="")
    source: str = spec_field("Where the figures come from.", default="")
    series: int = spec_field("Series groups in one module.", at_least=1)
    parallel: int = spec_field("Cells in one series group.", at_least=1)
    strings: int = spec_field("Strings of modules in parallel.", at_least=1, default=1)
    cell: CellSpec
    layout: LayoutSpec
    busbar: BusbarSpec
    cooling: CoolingSpec
    modules: tuple[ModuleSpec, ...]
    sensors: tuple[SensorSpec, ...] = ()
    mappings: tuple[DataMappingSpec, ...] = ()
    recalibration: RecalibrationSpec = RecalibrationSpec()

    def __post_init__(self) -> None:
        """Check counts, ids and references."""
        if not self.name.isidentifier():
            raise SpecError(
                f"pack.name = {self.name!r} is not a name",
                remedy="Use letters, digits and underscores, starting with a letter",
            )
        check_fields(self, "pack")
        if not self.modules:
            raise SpecError("pack.modules is empty", remedy="A pack has at least one module")
        if len(self.modules) % self.strings:
            raise SpecError(
                f"topology.strings = {self.strings} does not divide the {len(self.modules)} modules",
                remedy="Give every string the same number of modules",
            )
        for what, ids in (
            ("modules", [module.id for module in self.modules]),
            ("sensors", [sensor.id for sensor in self.sensors]),
            ("mappings", [mapping.channel for mapping in self.mappings]),
        ):
            twice = [name for name, count in Counter(ids).items() if count > 1]
            if twice:
                raise SpecError(f"{what}: the id {twice[0]!r} is used twice", remedy="Give each a name of its own")
        cells = self.series * self.parallel
        if self.layout.pattern != "stack" and cells % self.layout.rows:
            raise SpecError(
                f"layout.rows = {self.layout.rows} does not divide the {cells} cells of a module",
                remedy="Choose a number of rows that fills every column",
            )
        sensors = {sensor.id: sensor for sensor in self.sensors}
        for sensor in self.sensors:
            size = self.size(sensor.level)
            last = max(sensor.elements, default=0)
            if last >= size:
                raise SpecError(
                    f"sensors[{sensor.id}].elements: {last} is past the last {sensor.level}, {size - 1}",
                    remedy="Elements count from 0 in pack order",
                )
        for mapping in self.mappings:
            found = sensors.get(mapping.sensor)
            if found is None:
                raise SpecError(
                    f"mappings[{mapping.channel}].sensor = {mapping.sensor!r} names no sensor",
                    remedy=f"Name one of {', '.join(sensors) or 'the sensors, of which there are none'}",
                )
            try:
                unit_conversion(mapping.unit, find_quantity(found.quantity).unit)
            except SpecError as error:
                raise SpecError(f"mappings[{mapping.channel}].unit: {error.message}", remedy=error.remedy) from None

    @cached_property
    def n_modules(self) -> int:
        """Number of modules."""
        return len(self.modules)

    @cached_property
    def n_groups(self) -> int:
        """Number of series groups in the pack, those of all strings."""
        return self.n_modules * self.series

    @property
    def n_series(self) -> int:
        """Number of groups between the pack's terminals along one string."""
        return self.n_groups // self.strings

    @property
    def cells_in_parallel(self) -> int:
        """Number of cells that share the pack's current: those of one group of every string."""
        return self.parallel * self.strings

    @property
    def topology(self) -> str:
        """Short name of the topology, such as ``"100s28p"`` or ``"2x50s28p"`` for two strings."""
        strings = f"{self.strings}x" if self.strings > 1 else ""
        return f"{strings}{self.n_series}s{self.parallel}p"

    @cached_property
    def n_cells(self) -> int:
        """Number of cells in the pack."""
        return self.n_groups * self.parallel

    @property
    def capacity(self) -> float:
        """Nominal capacity of the pack [A.h]."""
        return self.cell.capacity * self.cells_in_parallel

    @property
    def group_capacity(self) -> float:
        """Nominal capacity of one series group [A.h]."""
        return self.cell.capacity * self.parallel

    @property
    def nominal_voltage(self) -> float:
        """Nominal voltage of the pack [V]."""
        return self.cell.nominal_voltage * self.n_series

    @property
    def energy(self) -> float:
        """Nominal energy of the pack [W.h]."""
        return self.capacity * self.nominal_voltage

    def size(self, level: Level) -> int:
        """Return the number of elements of a level."""
        return {Level.PACK: 1, Level.MODULE: self.n_modules, Level.GROUP: self.n_groups, Level.CELL: self.n_cells}[
            level
        ]

    def element_ids(self, level: Level) -> tuple[str, ...]:
        """Return the ids of a level's elements in pack order, such as ``"M03.G07.C12"``."""
        return self._element_ids[level]

    @cached_property
    def _element_ids(self) -> dict[Level, tuple[str, ...]]:
        modules = tuple(module.id for module in self.modules)
        groups = tuple(f"{module}.G{group + 1:02d}" for module in modules for group in range(self.series))
        cells = tuple(f"{group}.C{cell + 1:02d}" for group in groups for cell in range(self.parallel))
        return {Level.PACK: (self.name,), Level.MODULE: modules, Level.GROUP: groups, Level.CELL: cells}

    def with_modules(self, modules: tuple[ModuleSpec, ...]) -> PackSpec:
        """Return the pack with other modules, dropping sensors' elements that are gone.

        A sensor on every element stays on every element; one on some elements follows its element.
        """
        order = {module.id: new for new, module in enumerate(modules)}
        sensors = []
        for sensor in self.sensors:
            if sensor.level is Level.PACK or not sensor.elements:
                sensors.append(sensor)
                continue
            per_module = self.size(sensor.level) // self.n_modules
            moved = [
                order[self.modules[element // per_module].id] * per_module + element % per_module
                for element in sensor.elements
                if self.modules[element // per_module].id in order
            ]
            if moved:
                sensors.append(replace(sensor, elements=tuple(sorted(moved))))
        names = {sensor.id for sensor in sensors}
        mappings = tuple(mapping for mapping in self.mappings if mapping.sensor in names)
        return replace(self, modules=modules, sensors=tuple(sensors), mappings=mappings)
