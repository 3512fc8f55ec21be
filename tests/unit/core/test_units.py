"""Units, quantities and ids."""

from __future__ import annotations

import pickle
import subprocess
import sys
from uuid import UUID

import pytest

from celltwin.core import (
    QUANTITIES,
    CelltwinError,
    SpecError,
    StageError,
    convert_to,
    element_uuid,
    find_quantity,
    parse_quantity,
    unit_conversion,
)


@pytest.mark.parametrize(
    ("value", "unit", "target", "expected"),
    [
        (25.0, "degC", "K", 298.15),
        (25.0, "°C", "K", 298.15),
        (77.0, "degF", "K", 298.15),
        (3650.0, "mV", "V", 3.65),
        (2000.0, "mAh", "A.h", 2.0),
        (2.0, "Ah", "A.h", 2.0),
        (7200.0, "C", "A.h", 2.0),
        (80.0, "%", "1", 0.8),
        (1.5, "kW", "W", 1500.0),
        (6.0, "l/min", "m^3/s", 1.0e-4),
        (18.35, "mm", "m", 0.01835),
        (5.0, "V", "V", 5.0),
    ],
)
def test_conversions(value, unit, target, expected):
    assert convert_to(value, unit, target) == pytest.approx(expected, rel=1e-12)


def test_a_conversion_and_its_inverse_cancel():
    scale, offset = unit_conversion("degC", "K")
    back_scale, back_offset = unit_conversion("K", "degC")

    assert scale * back_scale == pytest.approx(1.0)
    assert back_scale * offset + back_offset == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("unit", "target"), [("V", "A"), ("flurb", "V"), ("kg", "m"), ("", "V")])
def test_other_dimensions_and_unknown_units_are_refused(unit, target):
    with pytest.raises(SpecError, match="cannot be converted") as caught:
        unit_conversion(unit, target)
    assert repr(target) in caught.value.remedy


def test_a_text_is_a_number_and_a_unit():
    assert parse_quantity("18.4 mm", "m") == pytest.approx(0.0184)
    assert parse_quantity("-20 degC", "K") == pytest.approx(253.15)
    assert parse_quantity("0.5", "m") == 0.5
    with pytest.raises(SpecError, match="'mm' is not a number with a unit"):
        parse_quantity("mm", "m")


def test_quantities_are_shown_in_display_units():
    assert QUANTITIES["temperature"].format(298.15) == "25.0 °C"
    assert QUANTITIES["soc"].format(0.805) == "80.5 %"
    assert QUANTITIES["voltage"].format(3.65) == "3.650 V"


def test_quantities_have_distinct_names_and_sane_bounds():
    assert len({quantity.usd_name for quantity in QUANTITIES.values()}) == len(QUANTITIES)
    for key, quantity in QUANTITIES.items():
        assert find_quantity(key) is quantity
        assert quantity.lowest < quantity.highest
        unit_conversion(quantity.unit, quantity.unit)


def test_an_unknown_quantity_lists_the_known_ones():
    with pytest.raises(SpecError, match="unknown quantity 'volts'") as caught:
        find_quantity("volts")
    assert "voltage" in caught.value.remedy


def test_uuids_are_the_same_in_every_process_and_differ_between_elements():
    first = element_uuid("reference", "M03.G07.C12")
    code = "from celltwin.core import element_uuid; print(element_uuid('reference', 'M03.G07.C12'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == first
    assert UUID(first).version == 5
    assert first != element_uuid("other", "M03.G07.C12") != element_uuid("other", "M03.G07.C13")


def test_an_error_is_one_line_of_place_message_and_remedy_and_survives_pickling():
    error = StageError("it is gone", where="/pack/M01", remedy="Put it back")

    again = pickle.loads(pickle.dumps(error))

    assert str(again) == str(error) == "/pack/M01: it is gone. Put it back"
    assert isinstance(again, StageError)
    assert isinstance(again, CelltwinError)
    assert (again.message, again.where, again.remedy) == ("it is gone", "/pack/M01", "Put it back")
