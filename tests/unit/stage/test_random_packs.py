"""Any pack, of any format, pattern and set of sensors, makes a sound stage and comes back equal."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from celltwin.core import (
    QUANTITIES,
    BusbarSpec,
    CellSpec,
    CoolingSpec,
    DataMappingSpec,
    LayoutSpec,
    Level,
    ModuleSpec,
    PackSpec,
    SensorSpec,
)
from celltwin.stage import build_pack_stage, check_structure, read_pack

RANDOM = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=30)


def numbers(lowest: float, highest: float) -> st.SearchStrategy[float]:
    return st.floats(lowest, highest, allow_subnormal=False)


def places(reach: float) -> st.SearchStrategy[tuple[float, float, float]]:
    return st.tuples(*[numbers(-reach, reach)] * 3)


@st.composite
def cells(draw: st.DrawFn) -> CellSpec:
    form = draw(st.sampled_from(["cylindrical", "pouch", "prismatic"]))
    low, nominal, high = sorted(draw(st.tuples(*[numbers(1.0, 5.0)] * 3).filter(lambda v: len(set(v)) == 3)))
    round_cell = form == "cylindrical"
    return CellSpec(
        name=draw(TEXTS),
        chemistry=draw(TEXTS),
        format=form,
        diameter=draw(numbers(0.005, 0.1)) if round_cell else 0.0,
        length=0.0 if round_cell else draw(numbers(0.02, 0.6)),
        width=0.0 if round_cell else draw(numbers(0.005, 0.4)),
        height=draw(numbers(0.003, 0.3)),
        mass=draw(numbers(0.01, 10.0)),
        heat_capacity=draw(numbers(100.0, 3000.0)),
        conductivity=draw(st.one_of(st.just(0.0), numbers(0.1, 30.0))),
        surface_share=draw(numbers(0.01, 0.5)),
        capacity=draw(numbers(0.1, 500.0)),
        nominal_voltage=nominal,
        lowest_voltage=low,
        highest_voltage=high,
        resistance=draw(numbers(1e-5, 0.1)),
        highest_charge_current=draw(numbers(0.1, 1000.0)),
        highest_discharge_current=draw(numbers(0.1, 1000.0)),
        lowest_charge_temperature=draw(numbers(230.0, 290.0)),
        lowest_temperature=draw(numbers(230.0, 290.0)),
        highest_temperature=draw(numbers(300.0, 400.0)),
        parameter_set=draw(TEXTS),
    )


@st.composite
def coolings(draw: st.DrawFn) -> CoolingSpec:
    method = draw(st.sampled_from(["plate", "air"]))
    flow = draw(numbers(0.001, 1.0))
    return CoolingSpec(
        method=method,
        plate_thickness=draw(numbers(0.001, 0.05)) if method == "plate" else 0.0,
        coolant=draw(TEXTS),
        inlet_temperature=draw(numbers(250.0, 330.0)),
        flow=flow if method == "plate" else 0.0,
        highest_flow=flow * draw(numbers(1.0, 3.0)),
        heat_transfer=draw(numbers(1.0, 500.0)),
        flow_direction=draw(st.sampled_from(["+x", "-x", "+y", "-y"])),
        supply=draw(st.sampled_from(["parallel", "series"])) if method == "plate" else "parallel",
        ambient_temperature=draw(numbers(230.0, 330.0)),
        ambient_transfer=draw(numbers(0.0, 50.0)) if method == "plate" else 0.0,
        module_transfer=draw(numbers(0.0, 50.0)),
    )


@st.composite
def sensors(draw: st.DrawFn, name: str, series: int, parallel: int, modules: int) -> SensorSpec:
    level = draw(st.sampled_from(list(Level)))
    size = {
        Level.PACK: 1,
        Level.MODULE: modules,
        Level.GROUP: modules * series,
        Level.CELL: modules * series * parallel,
    }[level]
    elements = draw(st.lists(st.integers(0, size - 1), unique=True, max_size=4))
    return SensorSpec(
        id=name,
        quantity=draw(st.sampled_from(sorted(QUANTITIES))),
        level=level,
        elements=tuple(elements) if level is not Level.PACK else (),
        standard_uncertainty=draw(numbers(0.0, 1.0)),
        position=draw(places(0.1)),
    )


@st.composite
def packs(draw: st.DrawFn) -> PackSpec:
    """Draw a pack of up to three modules of up to 24 cells, of any format, pattern and set of sensors."""
    series, parallel = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    rows = draw(st.sampled_from([n for n in range(1, series * parallel + 1) if series * parallel % n == 0]))
    ids = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    sensor_ids = draw(st.lists(NAMES, max_size=5, unique=True))
    own = tuple(draw(sensors(name, series, parallel, len(ids))) for name in sensor_ids)
    channels = draw(st.lists(NAMES, max_size=4, unique=True)) if own else []
    mappings = []
    for channel in channels:
        sensor = draw(st.sampled_from(own))
        mappings.append(
            DataMappingSpec(
                channel=channel,
                sensor=sensor.id,
                topic=draw(TEXTS),
                column=draw(TEXTS),
                unit=QUANTITIES[sensor.quantity].unit,
                scale=draw(st.sampled_from([1.0, -1.0, 0.001])),
                rate=draw(numbers(0.01, 1000.0)),
                type=draw(st.sampled_from(["float64", "float32", "int32", "bool"])),
                direction=draw(st.sampled_from(["in", "out"])),
            )
        )
    return PackSpec(
        name=draw(NAMES),
        title=draw(TEXTS),
        description=draw(TEXTS),
        source=draw(TEXTS),
        series=series,
        parallel=parallel,
        strings=draw(st.sampled_from([n for n in (1, 2, 3) if len(ids) % n == 0])),
        cell=draw(cells()),
        layout=LayoutSpec(
            pattern=draw(st.sampled_from(["hexagonal", "square", "stack"])),
            rows=rows,
            cell_gap=draw(numbers(0.0, 0.01)),
            gap_conductivity=draw(numbers(0.01, 5.0)),
            housing_wall=draw(numbers(0.001, 0.01)),
        ),
        busbar=BusbarSpec(
            material=draw(TEXTS),
            width=draw(numbers(0.001, 0.05)),
            thickness=draw(numbers(0.0001, 0.005)),
            weld_resistance=draw(numbers(0.0, 0.01)),
            link_resistance=draw(numbers(0.0, 0.01)),
            string_resistance=draw(numbers(0.0, 0.01)),
            feed=draw(st.sampled_from(["plate", "same", "opposite"])),
        ),
        cooling=draw(coolings()),
        modules=tuple(
            ModuleSpec(id=name, position=draw(places(10.0)), heading=draw(numbers(-360.0, 360.0))) for name in ids
        ),
        sensors=own,
        mappings=tuple(mappings),
    )


@RANDOM
@given(packs())
def test_any_pack_comes_back_equal(spec: PackSpec):
    assert read_pack(build_pack_stage(spec)) == spec


@RANDOM
@given(packs())
def test_any_pack_is_built_as_its_own_rules_demand(spec: PackSpec):
    kinds = {finding.rule for finding in check_structure(build_pack_stage(spec))}

    # Random places overlap, random sensors stand outside, and random columns collide; nothing else may be wrong.
    assert kinds <= {"overlap", "sensor", "mapping"}
