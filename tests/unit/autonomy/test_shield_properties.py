"""What holds for the shield whatever is asked and whatever is known."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from celltwin.autonomy import Shield
from celltwin.core import Command, Kind, Level, PackState, Quality, Reading

ANY = st.floats(allow_nan=True, allow_infinity=True, width=32)
QUALITY = st.sampled_from([*Quality, Quality.GOOD, Quality.GOOD, Quality.GOOD])
VOLTAGE = st.one_of(st.floats(1.5, 4.6), st.floats(3.0, 4.1), st.just(np.nan))
TEMPERATURE = st.one_of(st.floats(240.0, 345.0), st.floats(285.0, 310.0), st.just(np.nan))


@st.composite
def commands(draw):
    modules, groups = draw(st.sampled_from([(2, 20), (2, 20), (2, 20), (5, 7)]))
    return Command(
        time=100.0,
        pack_current=draw(st.one_of(ANY, st.floats(-300.0, 400.0))),
        coolant_flow=draw(arrays(np.float64, (modules,), elements=ANY)),
        balancing_current=draw(arrays(np.float64, (groups,), elements=ANY)),
        origin="duty",
    )


@st.composite
def states(draw, time=100.0):
    readings = []
    for quantity, level, size, base in (
        ("voltage", Level.GROUP, 20, VOLTAGE),
        ("temperature", Level.MODULE, 2, TEMPERATURE),
        ("current", Level.PACK, 1, st.one_of(ANY, st.floats(-300.0, 300.0))),
    ):
        if draw(st.integers(0, 9)) == 0:
            continue
        values = np.full(size, draw(base))
        values[draw(st.integers(0, size - 1))] = draw(base)
        readings.append(
            Reading.at(
                Kind.MEASURED,
                quantity,
                level,
                values,
                time - draw(st.sampled_from([0.0, 0.0, 5.0, 1000.0, np.nan])),
                quality=draw(QUALITY),
                provenance="test",
            )
        )
    return PackState(time=time, step=0).updated(*readings)


def same(first: Command, second: Command) -> bool:
    return (
        first.pack_current == second.pack_current
        and np.array_equal(first.coolant_flow, second.coolant_flow)
        and np.array_equal(first.balancing_current, second.balancing_current)
        and first.interventions == second.interventions
        and first.origin == second.origin
    )


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(command=commands(), state=states())
def test_whatever_is_asked_the_reviewed_command_is_within_limits_and_reviewing_it_again_changes_nothing(
    pack, command, state
):
    shield = Shield(pack)
    reviewed = shield.review(command, state)

    assert np.isfinite(reviewed.pack_current)
    assert -168.0 <= reviewed.pack_current <= 280.0
    if np.isfinite(command.pack_current):
        assert abs(reviewed.pack_current) <= abs(command.pack_current)
        assert reviewed.pack_current * command.pack_current >= 0.0
    assert reviewed.coolant_flow.shape == (2,)
    assert np.all((reviewed.coolant_flow >= 0.0) & (reviewed.coolant_flow <= 0.15))
    assert reviewed.balancing_current.shape == (20,)
    assert np.all((reviewed.balancing_current >= 0.0) & (reviewed.balancing_current <= 0.02 * 56.0 + 1e-12))
    changed = not same(command, reviewed)
    assert changed == bool(reviewed.interventions)
    assert same(shield.review(reviewed, state), reviewed)


@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(command=commands(), state=states())
def test_no_current_flows_where_a_measured_limit_forbids_it(pack, command, state):
    reviewed = Shield(pack).review(command, state)
    voltage = state.get(Kind.MEASURED, "voltage", Level.GROUP)
    temperature = state.get(Kind.MEASURED, "temperature", Level.MODULE)

    unknown = any(
        reading is None
        or reading.quality[0] != Quality.GOOD
        or not np.isfinite(reading.values).all()
        or not state.time - reading.time[0] <= 60.0
        for reading in (voltage, temperature)
    )
    if unknown:
        assert reviewed.pack_current == 0.0
        return
    if voltage.values.max() > 4.21 or temperature.values.min() < 273.15:
        assert reviewed.pack_current >= 0.0
    if voltage.values.min() < 2.49:
        assert reviewed.pack_current <= 0.0
    current = state.get(Kind.MEASURED, "current", Level.PACK)
    if voltage.values.max() >= 4.2 and (current is None or current.values[0] >= 0.0):
        assert reviewed.pack_current >= 0.0
    if voltage.values.min() <= 2.5 and (current is None or current.values[0] <= 0.0):
        assert reviewed.pack_current <= 0.0
    if temperature.values.max() >= 273.15 + 55.0:
        assert reviewed.pack_current == 0.0


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=st.lists(st.floats(-300.0, 400.0), min_size=2, max_size=6), step=st.floats(0.1, 20.0))
def test_no_step_grows_the_current_faster_than_the_ramp(pack, measured, asked, step):
    shield, before = Shield(pack), None
    for number, current in enumerate(asked):
        command = Command(
            time=0.0,
            pack_current=current,
            coolant_flow=np.full(2, 0.05),
            balancing_current=np.zeros(20),
            origin="duty",
        )
        now = shield.review(command, measured(pack, time=100.0 + number * step)).pack_current
        if before is not None:
            flowing = abs(before) if before * now > 0.0 else 0.0
            highest = 168.0 if now < 0.0 else 280.0
            assert abs(now) <= flowing + 0.1 * highest * step + 1e-6
        before = now
