"""One run of a campaign on the pack engine, and the campaigns that come with the software."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import CelltwinError
from celltwin.runtime.campaign import load_campaign, parse_campaign
from celltwin.runtime.campaign.simulation import simulate_run

ROOT = Path(__file__).resolve().parents[3]

TEXT = """
name = "rates"
pack = "data/packs/reference.toml"
scenario = "data/scenarios/constant_current.toml"
[base]
pack.topology.parallel = 4
pack.layout.rows = 2
pack.topology.series = 2
pack.modules.count = 1
scenario.initial.soc = 0.8
scenario.steps.0.longest = "3 min"
scenario.steps.1.longest = "2 min"
engine.step = 2.0
[design]
kind = "grid"
[[factors]]
name = "rate"
field = "scenario.steps.0.rate"
values = [1.0, 2.0]
[outputs]
history = true
cells = true
sample_period = "30 s"
"""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    return parse_campaign(tomllib.loads(TEXT), path=tmp_path_factory.mktemp("campaign") / "rates.toml")


@pytest.fixture(scope="module")
def results(campaign):
    return [simulate_run(campaign.request(run)) for run in range(campaign.n_runs)]


def test_the_figures_are_those_of_the_profile(results):
    for result, rate in zip(results, (1.0, 2.0), strict=True):
        figures = result.figures
        assert figures["duration_discharge_1c_s"] == pytest.approx(180.0)
        assert figures["duration_rest_s"] == pytest.approx(120.0)
        assert figures["simulated_s"] == pytest.approx(300.0)
        assert figures["discharged_Ah"] == pytest.approx(rate * 8.0 * 180.0 / 3600.0, rel=1e-3)
        assert result.units["discharged_Ah"] == "A.h"


def test_twice_the_current_heats_more_and_pulls_the_voltage_lower(results):
    slow, fast = (result.figures for result in results)

    assert fast["highest_cell_temperature_K"] > slow["highest_cell_temperature_K"]
    assert fast["lowest_group_voltage_V"] < slow["lowest_group_voltage_V"]


def test_the_history_has_the_terminals_and_every_cell_at_every_sample(results):
    history = results[0].history
    assert history is not None

    assert {values.shape[0] for values in history.values()} == {10}
    np.testing.assert_allclose(history["time"], np.arange(30.0, 301.0, 30.0))
    assert history["cell_current"].shape == (10, 8)
    by_group = history["cell_current"].reshape(10, 2, 4).sum(axis=2)
    np.testing.assert_allclose(by_group, np.tile(history["pack_current"][:, np.newaxis], 2), atol=1e-4)
    np.testing.assert_allclose(history["group_voltage"].min(axis=1), history["lowest_group_voltage"])


def test_a_run_is_repeatable(campaign, results):
    again = simulate_run(campaign.request(1))

    assert again.figures == results[1].figures


def test_figures_of_ageing_swelling_and_runaway_are_collected(campaign):
    tables = tomllib.loads(TEXT)
    tables["base"]["scenario"]["physics"] = {"ageing": "okane_2022", "mechanics": True, "abuse": "kim_2007_lco"}

    result = simulate_run(parse_campaign(tables, path=campaign.path).request(0))

    assert result.figures["mean_cell_soh_last"] < result.figures["mean_cell_soh_first"]
    assert result.figures["cell_soh_spread_last"] > 0.0
    assert result.figures["highest_reaction_heat_W"] == 0.0
    units = {
        name: result.units[name] for name in ("mean_film_resistance_ohm", "highest_thickness_change_m", "cell_soh")
    }
    assert list(units.values()) == ["ohm", "m", "1"]
    assert result.history["cell_soh"].shape == (10, 8)
    assert result.history["lowest_cell_soh"][-1] == pytest.approx(result.figures["lowest_cell_soh_last"])


def test_surroundings_that_the_engine_refuses_fail_the_run_with_the_reason(campaign):
    tables = tomllib.loads(TEXT)
    tables["base"]["scenario"]["ambient"] = {"temperature": 90.0}  # [K], a text with a unit forgotten
    cold = parse_campaign(tables, path=campaign.path)

    with pytest.raises(CelltwinError, match="ambient temperature = 90"):
        simulate_run(cold.request(0))


@pytest.mark.parametrize("path", sorted((ROOT / "data/campaigns").glob("*.toml")), ids=lambda path: path.stem)
def test_campaigns_that_come_with_the_software_are_valid(path):
    campaign = load_campaign(path)

    assert campaign.name == path.stem
    assert campaign.design.advice is None
    assert campaign.description


def test_the_campaign_in_the_manual_is_valid():
    (text,) = re.findall(
        r"```toml\n(.*?)```", (ROOT / "docs/campaigns.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )

    campaign = parse_campaign(tomllib.loads(text), path=ROOT / "docs/campaigns.toml")

    assert campaign.n_runs == 32
    assert campaign.seeds == (1, 2)
