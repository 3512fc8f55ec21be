"""The telemetry map of a pack, one entry for each value that arrives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from .errors import SpecError
from .pack_spec import DataMappingSpec, PackSpec, SensorSpec
from .quantities import Level, find_quantity
from .units import unit_conversion

__all__ = ["Channel", "expand_channels"]


@dataclass(frozen=True, slots=True)
class Channel:
    """One column or topic, and the element and quantity that it feeds.

    Attributes
    ----------
    column, topic : str
        Names with the element filled in.
    mapping, sensor : str
        Ids of the mapping and the sensor that it comes from.
    quantity : str
        Key of the quantity.
    level : Level
        Level of the element.
    element : int
        Index of the element in pack order.
    scale, offset : float
        ``SI value = scale * value as sent + offset``, sign convention included.
    standard_uncertainty : float
        Standard uncertainty of a reading [SI].
    rate : float
        Expected rate [Hz].
    direction : str
        ``"in"`` or ``"out"``.
    """

    column: str
    topic: str
    mapping: str
    sensor: str
    quantity: str
    level: Level
    element: int
    scale: float
    offset: float
    standard_uncertainty: float
    rate: float
    direction: str


@lru_cache(maxsize=8)
def expand_channels(spec: PackSpec) -> tuple[Channel, ...]:
    """Return one channel for each element of each data mapping, in the order of the mappings.

    Raises
    ------
    SpecError
        If a template names an unknown field, or two channels have the same column or topic.
    """
    sensors = {sensor.id: sensor for sensor in spec.sensors}
    channels = tuple(
        channel for mapping in spec.mappings for channel in _expand(spec, mapping, sensors[mapping.sensor])
    )
    for what in ("column", "topic"):
        seen: dict[str, str] = {}
        for channel in channels:
            name = getattr(channel, what)
            if name and name in seen:
                raise SpecError(
                    f"mappings[{channel.mapping}].{what}: {name!r} is also used by mappings[{seen[name]}]",
                    remedy="Put {number}, {module}, {group} or {cell} into the template",
                )
            seen[name] = channel.mapping
    return channels


def _expand(spec: PackSpec, mapping: DataMappingSpec, sensor: SensorSpec) -> list[Channel]:
    gain, offset = unit_conversion(mapping.unit, find_quantity(sensor.quantity).unit)
    elements = sensor.elements or tuple(range(spec.size(sensor.level)))
    template = mapping.column or (mapping.channel if len(elements) == 1 else mapping.channel + "_{number}")
    channels = []
    for element in elements:
        names = _names(spec, sensor.level, element)
        try:
            column, topic = template.format(**names), mapping.topic.format(**names)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise SpecError(
                f"mappings[{mapping.channel}]: bad template ({error!r})",
                remedy=f"Use only {', '.join('{' + name + '}' for name in names)}",
            ) from None
        channels.append(
            Channel(
                column=column,
                topic=topic,
                mapping=mapping.channel,
                sensor=sensor.id,
                quantity=sensor.quantity,
                level=sensor.level,
                element=element,
                scale=gain * mapping.scale,
                offset=offset,
                standard_uncertainty=sensor.standard_uncertainty,
                rate=mapping.rate,
                direction=mapping.direction,
            )
        )
    return channels


def _names(spec: PackSpec, level: Level, element: int) -> dict[str, object]:
    names: dict[str, object] = {"index": element, "number": element + 1}
    if level is Level.PACK:
        return names
    per_module = spec.size(level) // spec.n_modules
    names["module"] = spec.modules[element // per_module].id
    within = element % per_module
    if level is Level.GROUP:
        names["group"] = within + 1
    elif level is Level.CELL:
        names["group"], names["cell"] = within // spec.parallel + 1, within % spec.parallel + 1
    return names
