"""The promotion test: what is promoted, what is not and why, and how often luck alone would be."""

import json

import numpy as np
import pytest

from celltwin.core import SettingsError, ShapeError
from celltwin.prognosis import PastWindows
from celltwin.prognosis.transfer import (
    Answers,
    PromotionRules,
    ReplayMemory,
    join_windows,
    judge_promotion,
    leave_one_out_answers,
    score_methods,
)

CYCLES = 5


def make_windows(cells=10, protocols=("2C", "3C"), cycles=CYCLES, first=1):
    names = [f"{protocols[n % len(protocols)]}_battery-{n + 1}" for n in range(cells)]
    n = cells * cycles
    return PastWindows(
        features=np.ones((n, 2, 16)),
        seen=np.ones((n, 2), dtype=bool),
        beginning=np.ones((n, 16)),
        cycle=np.tile(np.arange(float(first), first + cycles), cells),
        soh=np.tile(np.linspace(1.0, 0.9, cycles), cells),
        cell=np.repeat(names, cycles),
        protocol=np.repeat([name.split("_")[0] for name in names], cycles),
    )


def answers(windows, error, half_width=0.05, digest="a"):
    """Answers that are off by so much on each cell."""
    offset = np.repeat(np.broadcast_to(error, windows.soh.size // CYCLES), CYCLES)
    return Answers(digest=digest, soh=windows.soh + offset, half_width=np.full(windows.soh.size, half_width))


def kept(verdict):
    return {check.name: check.kept for check in verdict.checks}


def test_a_candidate_better_on_every_cell_is_promoted_with_its_reasons():
    held_out = make_windows()

    verdict = judge_promotion(held_out, answers(held_out, 0.02), answers(held_out, 0.01, digest="b"))

    assert verdict.promoted
    assert verdict.p_value == pytest.approx(2.0**-10)
    assert verdict.shipped_error == pytest.approx(0.02)
    assert "1.000 SOH points against 2.000" in " ".join(verdict.reasons)


def test_a_candidate_that_is_the_same_is_not_promoted():
    held_out = make_windows()

    verdict = judge_promotion(held_out, answers(held_out, 0.02), answers(held_out, 0.02))

    assert not verdict.promoted
    assert kept(verdict)["better"] is False
    assert "not shown to be better" in verdict.reasons[0]


def test_luck_alone_is_promoted_no_oftener_than_the_level_says():
    held_out, random = make_windows(protocols=("2C",)), np.random.default_rng(3)
    rules = PromotionRules(level=0.2, margin=1.0)  # 0.1 in the first test

    promoted = [
        judge_promotion(
            held_out,
            answers(held_out, random.uniform(0.0, 0.04, 10)),
            answers(held_out, random.uniform(0.0, 0.04, 10)),
            rules,
        ).promoted
        for _ in range(100)
    ]

    assert 0 < sum(promoted) <= 18  # 10 expected


def test_a_later_attempt_must_show_more():
    held_out = make_windows(cells=8)
    before, after = answers(held_out, 0.02), answers(held_out, np.r_[[0.01] * 7, 0.021])

    assert judge_promotion(held_out, before, after, attempt=1).promoted
    assert not judge_promotion(held_out, before, after, attempt=4).promoted


def test_few_cells_promote_nothing_however_good():
    held_out = make_windows(cells=7)

    verdict = judge_promotion(held_out, answers(held_out, 0.02), answers(held_out, 0.0))

    assert not verdict.promoted
    assert "Only 7 cells" in verdict.reasons[0]


def test_one_protocol_that_gets_worse_stands_against_it():
    held_out = make_windows(cells=12)
    error = np.where(np.arange(12) % 2 == 1, 0.023, 0.001)

    verdict = judge_promotion(held_out, answers(held_out, 0.02), answers(held_out, error))

    assert kept(verdict) == {"cells": True, "better": True, "protocols": False, "intervals": True}
    assert "3C (+0.300)" in verdict.reasons[0]


@pytest.mark.parametrize(("half_width", "reason"), [(0.005, "at least 85.0 %"), (0.08, "1.25 times as wide")])
def test_intervals_must_neither_lose_coverage_nor_grow_wide(half_width, reason):
    held_out = make_windows()

    verdict = judge_promotion(held_out, answers(held_out, 0.02), answers(held_out, 0.01, half_width))

    assert kept(verdict)["intervals"] is False
    assert reason in verdict.reasons[0]


def test_a_candidate_without_an_answer_is_refused():
    held_out = make_windows()
    broken = answers(held_out, 0.0)
    broken.soh[3] = np.nan

    verdict = judge_promotion(held_out, answers(held_out, 0.02), broken)

    assert not verdict.promoted
    assert "no answer for 1 of 50 windows" in verdict.reasons[0]
    assert verdict.record()["candidate_error"] is None


def test_the_record_holds_hashes_and_changes_with_what_was_judged(tmp_path):
    held_out, other = make_windows(), make_windows(first=2)
    verdict = judge_promotion(held_out, answers(held_out, 0.02), answers(held_out, 0.01, digest="b"))

    verdict.write(tmp_path / "new" / "record.json")

    record = json.loads((tmp_path / "new" / "record.json").read_text())
    assert (record["shipped"], record["candidate"], record["promoted"]) == ("a", "b", True)
    again = judge_promotion(other, answers(other, 0.02), answers(other, 0.01, digest="b"))
    assert again.record()["held_out"] != record["held_out"]
    assert again.record()["sha256"] != record["sha256"]


def test_bad_input_is_refused():
    held_out = make_windows()

    with pytest.raises(ShapeError, match="candidate"):
        judge_promotion(held_out, answers(held_out, 0.02), answers(make_windows(cells=9), 0.01))
    with pytest.raises(SettingsError, match="Count the tests from 1"):
        judge_promotion(held_out, answers(held_out, 0.02), answers(held_out, 0.01), attempt=0)
    with pytest.raises(SettingsError, match="more cells"):
        PromotionRules(fewest_cells=4)


def test_the_interval_of_a_cell_knows_nothing_of_its_own_errors():
    held_out = make_windows(cells=3, protocols=("2C",))
    predicted = held_out.soh + np.repeat([0.01, 0.02, 0.5], CYCLES)

    widths = leave_one_out_answers(held_out, predicted, "a").half_width[::CYCLES]

    np.testing.assert_allclose(widths, [0.5, 0.5, 0.02])


def test_a_memory_keeps_the_same_windows_in_whatever_portions_they_come():
    whole = make_windows(cells=20)
    parts = [make_windows(cells=20, cycles=2, first=first) for first in (1, 3)]

    once = ReplayMemory(capacity=30, seed=5).offer(join_windows(*parts))
    twice = ReplayMemory(capacity=30, seed=5).offer(parts[1]).offer(parts[0])

    assert once.size == twice.size == 30
    assert set(zip(once.windows.cell, once.windows.cycle, strict=True)) == set(
        zip(twice.windows.cell, twice.windows.cycle, strict=True)
    )
    assert ReplayMemory(capacity=30, seed=5).offer(whole).offer(whole).size == 30


def test_a_memory_is_a_fair_draw_of_all_that_was_offered():
    old, new = make_windows(cells=40, cycles=25), make_windows(cells=40, cycles=25, first=26)

    memory = ReplayMemory(capacity=400, seed=1).offer(old).offer(new)

    assert np.mean(memory.windows.cycle > 25) == pytest.approx(0.5, abs=0.08)  # three standard deviations


def test_a_memory_without_room_stays_empty():
    assert ReplayMemory(capacity=0, seed=1).offer(make_windows()).size == 0


def test_gains_are_paired_over_cells_and_seeds():
    soh, cell = np.ones(40), np.repeat([f"c{n}" for n in range(10)], 4)
    base = 1.0 + np.random.default_rng(0).uniform(0.01, 0.09, (3, 10)).repeat(4, axis=1)

    figures = score_methods({"scratch": base, "tuned": base - 0.01}, soh, cell)

    assert figures["tuned"].gain == pytest.approx(1.0)
    assert figures["tuned"].gain_low == pytest.approx(figures["tuned"].gain_high) == pytest.approx(1.0)
    assert figures["scratch"].low < figures["scratch"].mape < figures["scratch"].high
