from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Kind, Level, PackSpec, PackState, Reading, load_pack
from celltwin.prognosis import FEATURE_NAMES, REFERENCE_WINDOW, SAMPLING_DEPENDENT, ChargeDoubt, ChargeFeatures

COLUMN = {name: column for column, name in enumerate(FEATURE_NAMES)}
SENSIBLE = [name for name in FEATURE_NAMES if name not in SAMPLING_DEPENDENT]
# A charge at 2C: the voltage rises from 3.8 V with a little curvature, then the current decays in two modes.
RISE, CORNER = 0.4 / 620.0, 640.0  # [V/s], [s]


@pytest.fixture(scope="module")
def spec(repo_root) -> PackSpec:
    pack = load_pack(repo_root / "data" / "packs" / "reference.toml")
    layout = replace(pack.layout, rows=1)
    return replace(pack, series=2, parallel=2, layout=layout, modules=pack.modules[:1], sensors=(), mappings=())


def charge_curve(time, *, rate=4.0, start=3.8, top=4.2, tail=(350.0, 900.0)):
    """Voltage [V] and charging current [A] of one cell."""
    corner = (top - start) / RISE * 4.0 / rate
    share = np.clip(time / corner, 0.0, 1.0)
    voltage = start + (top - start) * (share + 0.03 * share * (share - 1.0))
    after = np.maximum(time - corner, 0.0)
    current = rate * (0.7 * np.exp(-after / tail[0]) + 0.3 * np.exp(-after / tail[1]))
    return voltage, current


def published_features(voltage, current, time):
    """The sixteen features as they were published: statistics of the samples, a sample about every second."""
    window = (voltage >= 4.0) & (voltage <= 4.195)
    tail = (current >= 0.1) & (current <= 0.5)
    values = {}
    for name, prefix, chosen, signal in (("voltage", "CC", window, voltage), ("current", "CV", tail, current)):
        x, t = signal[chosen], time[chosen]
        deviation = x - x.mean()
        values[f"{name} mean"], values[f"{name} std"] = x.mean(), x.std()
        values[f"{name} kurtosis"] = (deviation**4).mean() / x.std() ** 4 - 3.0
        values[f"{name} skewness"] = (deviation**3).mean() / x.std() ** 3
        values[f"{prefix} Q"] = np.trapezoid(current[chosen], t) / 3600.0
        values[f"{prefix} charge time"] = t[-1] - t[0]
    values["voltage slope"] = 0.1 / (np.interp(4.195, voltage, time) - np.interp(4.095, voltage, time))
    falling = np.interp([-0.5, -0.4], -current, time)
    values["current slope"] = -0.1 / (falling[1] - falling[0])
    return np.array([values.get(name, np.nan) for name in FEATURE_NAMES])


def image(step, time, spec, voltage, current, *, level=Level.CELL):
    share = {Level.CELL: 1, Level.PACK: spec.parallel}[level]
    groups = np.broadcast_to(np.asarray(voltage, dtype=float), (spec.n_groups,))
    currents = np.broadcast_to(-share * np.asarray(current, dtype=float), (spec.size(level),))
    readings = (
        Reading.at(Kind.MEASURED, "voltage", Level.GROUP, groups, time, provenance="test"),
        Reading.at(Kind.MEASURED, "current", level, currents, time, provenance="test"),
    )
    return PackState(time=time, step=step).updated(*readings)


def watch(spec, time, voltage, current, **kwargs):
    features = ChargeFeatures(spec)
    for step, (t, v, i) in enumerate(zip(time, voltage, current, strict=True)):
        features.observe(image(step, float(t), spec, v, i, **kwargs))
    return features


DENSE = np.arange(0.0, 4000.0, REFERENCE_WINDOW.sample_period)


@pytest.mark.parametrize("period", [1.0, 5.0, 10.0, 20.0])
def test_features_at_any_period_are_those_of_the_training_data(spec, period):
    time = np.arange(0.0, 4000.0, period)
    expected = published_features(*charge_curve(DENSE), DENSE)

    values = watch(spec, time, *charge_curve(time)).features()

    scale = {"voltage kurtosis": 0.01, "voltage skewness": 0.02, "current kurtosis": 0.02, "current skewness": 0.01}
    for name in SENSIBLE:
        tolerance = scale.get(name) or {"voltage mean": 3e-4, "voltage std": 2e-4}.get(
            name, 0.006 * abs(expected[COLUMN[name]])
        )
        np.testing.assert_allclose(values[:, COLUMN[name]], expected[COLUMN[name]], atol=tolerance, err_msg=name)
