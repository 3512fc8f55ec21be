import numpy as np
import pytest

from celltwin.core import Kind, Level, PackState, Reading, SpecError, load_pack
from celltwin.runtime import DutyProgress, load_duty
from celltwin.runtime.duty import command_of, next_progress


@pytest.fixture(scope="module")
def spec(repo_root):
    return load_pack(repo_root / "data/packs/leaf_3_modules.toml")


@pytest.fixture
def duty(tmp_path):
    path = tmp_path / "duty.toml"
    path.write_text(
        """
name = "test"
initial_soc = 0.9
[[steps]]
name = "down"
kind = "discharge"
rate = 1.0
until_charge = 0.5
longest = "2 h"
[[steps]]
name = "wait"
kind = "rest"
longest = 100
[[steps]]
name = "up"
kind = "charge"
rate = 0.5
until_rate = 0.05
longest = "3 h"
"""
    )
    return load_duty(path)


def image(spec, time, current, voltage=3.7):
    return PackState(time=time, step=0).updated(
        Reading.at(Kind.MEASURED, "current", Level.PACK, np.array([current]), time, provenance="test"),
        Reading.at(Kind.MEASURED, "voltage", Level.GROUP, np.full(spec.n_groups, voltage), time, provenance="test"),
    )


def test_rates_become_pack_currents_positive_on_discharge(spec, duty):
    discharging = command_of(duty, DutyProgress(step=0), image(spec, 0.0, 0.0), spec)
    resting = command_of(duty, DutyProgress(step=1), image(spec, 0.0, 0.0), spec)
    charging = command_of(duty, DutyProgress(step=2), image(spec, 0.0, 0.0), spec)

    assert discharging.pack_current == pytest.approx(65.0)
    assert resting.pack_current == 0.0
    assert charging.pack_current == pytest.approx(-32.5)


def test_a_step_ends_when_its_charge_has_moved(spec, duty):
    progress = DutyProgress()
    for time in np.arange(0.0, 1800.0, 10.0):
        progress = next_progress(duty, progress, image(spec, time, 65.0), spec)
    assert progress.step == 0

    progress = next_progress(duty, progress, image(spec, 1800.0, 65.0), spec)

    assert progress.step == 1
    assert progress.charge == 0.0


def test_a_discharge_ends_at_the_lowest_group_voltage(spec, duty):
    progress = next_progress(duty, DutyProgress(), image(spec, 10.0, 65.0, voltage=2.505), spec)

    assert progress.step == 1


def test_a_rest_ends_by_its_time(spec, duty):
    resting = DutyProgress(step=1, started=500.0, time=500.0)

    assert next_progress(duty, resting, image(spec, 599.0, 0.0), spec).step == 1
    assert next_progress(duty, resting, image(spec, 600.0, 0.0), spec).step == 2


def test_a_charge_goes_on_at_the_voltage_limit_until_the_current_has_fallen(spec, duty):
    charging = DutyProgress(step=2, started=0.0, time=0.0)

    assert next_progress(duty, charging, image(spec, 10.0, -32.5, voltage=4.2), spec).step == 2
    assert next_progress(duty, charging, image(spec, 10.0, -3.0, voltage=3.9), spec).step == 2
    assert next_progress(duty, charging, image(spec, 10.0, -3.0, voltage=4.2), spec).step == 3


def test_at_the_voltage_limit_the_duty_asks_for_little_more_than_what_flows(spec, duty):
    full = command_of(duty, DutyProgress(step=2), image(spec, 0.0, -20.0, voltage=4.199), spec)
    filling = command_of(duty, DutyProgress(step=2), image(spec, 0.0, -20.0, voltage=4.1), spec)

    assert -21.0 < full.pack_current < -20.0
    assert filling.pack_current == pytest.approx(-32.5)


def test_a_finished_duty_rests(spec, duty):
    assert command_of(duty, DutyProgress(step=3), image(spec, 0.0, 0.0), spec).pack_current == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'x'\ninitial_soc = 0.5", "steps is empty"),
        (
            "name = 'x'\ninitial_soc = 1.5\n[[steps]]\nname='a'\nkind='rest'\nlongest=1",
            r"duty.initial_soc = 1.5 must be at most 1",
        ),
        ("name = 'x'\ninitial_soc = 0.5\n[[steps]]\nname='a'\nkind='sleep'\nlongest=1", "'sleep' is not one of"),
        ("name = 'x'\ninitial_soc = 0.5\n[[steps]]\nname='a'\nkind='charge'\nlongest=1", r"steps\[0\].rate = 0"),
        ("name = 'x'\ninitial_soc = 0.5\n[[steps]]\nname='a'\nkind='rest'\nlongest='5 V'", r"steps\[0\].longest.*'V'"),
        ("name = 'x'\ninitial_soc = 0.5\nloops = 3", "unknown key loops = 3"),
    ],
)
def test_a_wrong_duty_is_named_with_file_key_and_value(tmp_path, text, message):
    path = tmp_path / "wrong.toml"
    path.write_text(text)

    with pytest.raises(SpecError, match=message) as caught:
        load_duty(path)

    assert "wrong.toml" in str(caught.value)


def test_the_shipped_duty_loads(repo_root):
    duty = load_duty(repo_root / "data/scenarios/discharge_and_fast_charge.toml")

    assert [step.kind for step in duty.steps] == ["discharge", "rest", "charge", "rest"]
