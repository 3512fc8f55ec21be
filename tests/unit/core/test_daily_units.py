import pytest

from celltwin.core.units import _DAILY, _registry, unit_conversion

PINT_NAMES = {"%": "percent", "°C": "degC", "A.h": "A*hour", "Ah": "A*hour", "1": "dimensionless"}
PAIRS = [(one, other) for one in _DAILY for other in _DAILY if _DAILY[one][0] == _DAILY[other][0]]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_quick_table_agrees_with_pint(one, other):
    scale, offset = unit_conversion(one, other)
    registry = _registry()

    expected = [
        registry.Quantity(value, PINT_NAMES.get(one, one)).to(PINT_NAMES.get(other, other)).magnitude
        for value in (0.0, 25.0)
    ]

    assert [offset, scale * 25.0 + offset] == pytest.approx(expected)
