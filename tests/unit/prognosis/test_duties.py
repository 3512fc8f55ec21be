"""Duties: what repeats with them, and a model of past windows that knows which one a cell has."""

from dataclasses import replace

import numpy as np
import pytest

from celltwin.prognosis import CellCycles, WindowPredictor, default_window_folder, window_cycles
from celltwin.prognosis.features import FEATURE_NAMES
from celltwin.prognosis.sequence.duty import RHYTHM_FEATURE, fit_duties
from celltwin.prognosis.sequence.exportable import exportable_module, known_duties
from celltwin.prognosis.sequence.kinds import KernelKind
from celltwin.prognosis.sequence.registry import DUTIFUL

pytestmark = pytest.mark.filterwarnings("ignore")  # physicsnemo's libraries warn of each other

CHARGE_TIME = FEATURE_NAMES.index(RHYTHM_FEATURE)
SMALL = KernelKind(name="duty", settings=replace(DUTIFUL, points=150, learnt=400))


def make_cell(protocol, number, *, period=0, fade=0.1, cycles=90, seed=0):
    """A cell whose capacity and charge time repeat every ``period`` cycles."""
    random = np.random.default_rng((seed, number, period))
    steps = np.arange(cycles)
    rhythm = np.sin(2.0 * np.pi * steps / period) if period else np.zeros(cycles)
    features = random.normal(1.0, 0.01, (cycles, len(FEATURE_NAMES)))
    features[:, CHARGE_TIME] = 600.0 + 20.0 * rhythm + random.normal(0.0, 1.0, cycles)
    soh = 1.0 - fade * steps / cycles + 0.01 * rhythm
    return CellCycles(name=f"{protocol}_{number}", protocol=protocol, number=str(number), features=features, soh=soh)


@pytest.fixture(scope="module")
def cells():
    """Two duties that fade unlike at the same age; nothing but the age and the duty tells how far."""
    return tuple(
        make_cell(protocol, number, period=period, fade=fade)
        for protocol, period, fade in (("hard", 0, 0.3), ("mixed", 7, 0.05))
        for number in range(4)
    )


@pytest.mark.parametrize("period", [3, 5, 8])
def test_the_period_of_a_duty_is_found_in_its_labels(period):
    steady, repeating = make_cell("steady", 1), make_cell("mixed", 2, period=period)

    duties = fit_duties(window_cycles((steady, repeating), window=24))

    assert duties.period == period
    assert duties.names == ("mixed", "steady")


def test_steady_duties_and_short_lives_have_no_period():
    steady = window_cycles((make_cell("steady", 1), make_cell("steady", 2, cycles=20)), window=24)

    duties = fit_duties(steady)

    assert duties.period == 0
    assert not duties.rhythm(steady).any()


def test_the_rhythm_repeats_with_the_period_and_knows_no_trend():
    cell = make_cell("mixed", 1, period=5)
    features = cell.features.copy()
    features[:, CHARGE_TIME] += 3.0 * np.arange(cell.soh.size)
    windows, drifting = (window_cycles((each,), window=24) for each in (cell, replace(cell, features=features)))
    duties = fit_duties(windows)

    rhythm = duties.rhythm(windows)[30:]

    np.testing.assert_allclose(rhythm[5:], rhythm[:-5], atol=0.4)
    assert np.abs(rhythm).max() > 1.0
    np.testing.assert_allclose(duties.rhythm(drifting)[30:], rhythm, atol=1e-9)


def test_knowing_the_duty_makes_cells_of_unlike_duties_unlike(cells):
    learnt = window_cycles(tuple(cell for cell in cells if cell.number != "3"), window=24)
    scored = window_cycles(tuple(cell for cell in cells if cell.number == "3"), window=24)
    blind_parts = tuple(
        replace(part, blocks={name: factor for name, factor in part.blocks.items() if name not in ("duty", "rhythm")})
        for part in DUTIFUL.parts[:2]
    )
    blind = KernelKind(name="blind", settings=replace(SMALL.settings, parts=blind_parts))

    def error(kind):
        return float(np.abs(kind.fit(learnt, seed=1).predict(scored)[0] - scored.soh).mean())

    assert error(SMALL) < 0.5 * error(blind)
    assert error(SMALL) < 0.01


def test_the_exported_module_takes_the_duty_and_says_what_the_fit_says(cells):
    import torch

    broken = cells[4].features.copy()
    broken[40, CHARGE_TIME], broken[50, 2] = np.inf, np.nan
    windows = window_cycles((cells[0], replace(cells[4], features=broken)), window=24)
    fitted = SMALL.fit(window_cycles(cells, window=24), seed=1)
    inputs = [
        torch.as_tensor(np.array(each, dtype=np.float64))
        for each in (windows.features, windows.seen, windows.beginning, windows.cycle)
    ]

    assert known_duties(fitted) == ("hard", "mixed")
    duty = torch.as_tensor((windows.protocol[:, np.newaxis] == np.array(["hard", "mixed"])).astype(float))
    with torch.no_grad():
        answered = exportable_module(fitted)(*inputs, duty).numpy()
    np.testing.assert_allclose(answered, fitted.predict(windows), atol=2e-5)


def test_the_shipped_model_that_knows_a_duty_is_served_to_a_pack_that_is_used_like_it():
    knowing, other = default_window_folder("R2.5"), default_window_folder("a taxi")
    assert knowing.name != other.name == default_window_folder().name

    served = WindowPredictor(used_like="R2.5")
    served.load()
    assert served.model.name == knowing.name
    assert "R2.5" in served.model.duties
