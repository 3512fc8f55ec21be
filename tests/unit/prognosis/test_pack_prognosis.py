"""What the twin asks of the predictors of its cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from celltwin.core import Array, Kind, Level, PackSpec, PackState, Quality, Reading, SettingsError, load_pack
from celltwin.prognosis import PackPrognosis

PERIOD = 10.0  # between looks [s]


@pytest.fixture(scope="module")
def spec(repo_root: Path) -> PackSpec:
    return load_pack(repo_root / "data/packs/reference.toml")


@pytest.fixture
def prognosis(spec: PackSpec) -> PackPrognosis:
    loaded = PackPrognosis(spec)
    loaded.load()
    return loaded


def look(spec: PackSpec, step: int, temperature: Array) -> PackState:
    time = step * PERIOD
    values = (
        ("temperature", Level.CELL, temperature),
        ("current", Level.CELL, np.zeros(spec.n_cells)),
        ("voltage", Level.GROUP, np.full(spec.n_groups, 3.7)),
    )
    readings = [Reading.at(Kind.MEASURED, name, level, found, time, provenance="t") for name, level, found in values]
    return PackState(time=time, step=step).updated(*readings)


def risk_of(readings: tuple[Reading, ...]) -> Array:
    return next(one.values for one in readings if (one.quantity, one.level) == ("runaway_risk", Level.CELL))


def test_health_life_and_risk_are_answered_for_every_level(spec, prognosis):
    state = look(spec, 0, np.full(spec.n_cells, 298.15))
    prognosis.observe(state)

    answered = prognosis.ask(state)()

    found = {(one.quantity, one.level) for one in answered}
    assert found == {(name, level) for name in ("soh", "rul", "rul_time", "runaway_risk") for level in Level}
    assert all(one.kind is Kind.PREDICTED for one in answered)
    health = next(one for one in answered if one.quantity == "soh")
    assert np.all(health.quality == Quality.BAD)  # no charge has been seen


def test_an_answer_is_of_the_time_of_the_question_whatever_comes_after(spec, prognosis):
    calm = np.full(spec.n_cells, 298.15)
    for step in range(4):
        state = look(spec, step, calm)
        prognosis.observe(state)
    answer = prognosis.ask(state)
    before = risk_of(answer())
    for step in range(4, 20):  # a cell heats up between the question and the answer
        hot = np.where(np.arange(spec.n_cells) == 100, 298.15 + 12.0 * (step - 3), 298.15)
        later = look(spec, step, hot)
        prognosis.observe(later)

    np.testing.assert_array_equal(risk_of(answer()), before)
    assert risk_of(prognosis.ask(later)())[100] > 1e3 * before[100]


def test_before_the_models_are_loaded_nothing_is_told_and_the_reason_says_so(spec):
    unloaded = PackPrognosis(spec)
    state = look(spec, 0, np.full(spec.n_cells, 298.15))
    unloaded.observe(state)

    answered = unloaded.ask(state)()

    assert np.all(np.isnan(risk_of(answered)))
    assert all("being loaded" in one.reason for one in answered)


def test_a_use_that_no_training_cell_had_is_refused_before_anything_runs(spec):
    with pytest.raises(SettingsError, match=r"used_like = 'a taxi'.*one of 2C, 3C, R2\.5, R3, RW, Sim_satellite"):
        PackPrognosis(spec, used_like="a taxi")
    PackPrognosis(spec, used_like="R2.5")
