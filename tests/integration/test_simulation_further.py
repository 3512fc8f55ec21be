"""Ageing, swelling and runaway from a scenario file to its history and its report."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from celltwin.core import Kind, Level
from celltwin.runtime.simulate import SimulationSettings, run_simulation
from celltwin.telemetry import read_history

AGEING = """
name = "ageing"
[initial]
soc = 1.0
[physics]
ageing = "okane_2022"
mechanics = true
[[steps]]
kind = "repeat"
count = 30
jump = true
tolerance = 0.2
[[steps.steps]]
kind = "discharge"
rate = 1
longest = "10 min"
[[steps.steps]]
kind = "charge"
rate = 1
longest = "20 min"
"""
BURNING = """
name = "burning"
[initial]
soc = 1.0
[physics]
abuse = "kim_2007_lco"
[[steps]]
kind = "rest"
longest = "4 min"
[[faults]]
kind = "internal_short"
target = "cell:1"
at = 10
resistance = 0.02
"""


def simulate(tmp_path, text, pack):
    file = tmp_path / "scenario.toml"
    file.write_text(text)
    settings = SimulationSettings(scenario=str(file), pack=str(pack), out=str(tmp_path / "run"), step=5.0, device="cpu")
    result, folder = run_simulation(settings)
    assert result.ended == "finished", result.failure
    report = (folder.path / "report.html").read_text()
    return read_history(folder.history), json.loads(folder.summary.read_text()), report


def test_what_ages_and_swells_lies_in_the_history_and_stands_in_the_report(tmp_path, repo_root):
    pack = repo_root / "data/packs/leaf_3_modules.toml"
    history, summary, report = simulate(tmp_path, AGEING, pack)

    for quantity in ("soh", "lithium_loss", "film_resistance", "thickness_change", "pressure"):
        found = history.reading(Kind.PREDICTED, quantity, Level.CELL)
        assert found.values.shape == (found.time.size, 12)
        assert np.isfinite(found.values).all()
    figures = summary["figures"]
    assert figures["cycles_jumped"] > 0
    assert figures["mean_cell_soh_last"] < figures["mean_cell_soh_first"]
    assert figures["charged_Ah"] == pytest.approx(figures["discharged_Ah"], rel=0.05)
    for words in (">Ageing<", ">Swelling<", "repetitions were jumped over", "30 times, most of them jumped over"):
        assert words in report
    assert report.count("<svg") >= 8


def test_a_burning_cell_has_a_section_with_its_time_and_place(tmp_path, small_pack):
    history, summary, report = simulate(tmp_path, BURNING, small_pack)

    heat = history.reading(Kind.PREDICTED, "reaction_heat", Level.CELL)
    assert summary["figures"]["runaway_cells"] == 1
    assert heat.values[:, 1].max() > 10.0
    assert re.search(r"1 of \d+ cells runs away, the first, M01\.G01\.C02, after \d", report)
