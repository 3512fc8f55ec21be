"""Campaign files: fields by dotted name, units by the fields' own rules, mistakes named with the remedy."""

from __future__ import annotations

import copy
import tomllib

import pytest

from celltwin.core import SettingsError, SpecError
from celltwin.runtime.campaign import load_campaign, parse_campaign
from celltwin.runtime.campaign.tables import replaced, toml_text

TEXT = """
name = "rates"
pack = "data/packs/reference.toml"
scenario = "data/scenarios/discharge_and_fast_charge.toml"
seed = 7
repetitions = 2

[base]
pack.topology.series = 2
pack.topology.parallel = 4
pack.layout.rows = 2
pack.modules.count = 1
engine.step = 2.0

[design]
kind = "grid"

[[factors]]
name = "charge_rate"
field = "scenario.steps[Charge 2C].rate"
range = [0.5, 2.0]
levels = 4

[[factors]]
field = "scenario.ambient.temperature"
unit = "degC"
values = [0.0, 25.0, 45.0]

[[factors]]
name = "resistance"
fields = ["pack.busbar.weld_resistance", "pack.busbar.link_resistance"]
unit = "mohm"
range = [0.05, 5]
scale = "log"
levels = 2
"""


@pytest.fixture
def tables():
    return tomllib.loads(TEXT)


def parse(tables, tmp_path):
    return parse_campaign(tables, path=tmp_path / "rates.toml")


def test_every_run_has_its_own_pack_and_scenario(tables, tmp_path):
    campaign = parse(tables, tmp_path)
    request = campaign.request(campaign.n_runs - 1)

    assert campaign.n_runs == 2 * 4 * 3 * 2
    assert campaign.parameters(campaign.n_runs - 1) == {
        "run": 47,
        "point": 23,
        "repetition": 1,
        "seed": 8,
        "charge_rate": 2.0,
        "temperature": 45.0,
        "resistance": 5.0,
    }
    assert request.scenario.steps[2].rate == 2.0
    assert request.scenario.seed == 8
    assert request.scenario.ambient.temperature == pytest.approx(318.15)
    assert request.pack.busbar.weld_resistance == request.pack.busbar.link_resistance == pytest.approx(5e-3)
    assert request.pack.n_cells == 8
    assert request.engine == {"step": 2.0}


def test_all_points_are_seen_once_before_any_is_repeated(tables, tmp_path):
    campaign = parse(tables, tmp_path)
    runs = [campaign.parameters(run) for run in range(campaign.n_runs)]

    assert [run["point"] for run in runs] == [*range(24), *range(24)]
    assert {run["seed"] for run in runs[:24]} == {7}


def test_the_hashes_tell_which_part_of_the_design_changed(tables, tmp_path):
    before = parse(tables, tmp_path).hashes
    tables["factors"][0]["levels"] = 5
    tables["description"] = "said otherwise"
    after = parse(tables, tmp_path).hashes

    assert {name for name in before if before[name] != after[name]} == {"factors", "points"}


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"none.toml: there is no such campaign file"):
        load_campaign(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("nam", "x", r"unknown key nam = 'x'. Did you mean 'name'\?"),
        ("pack", "no.toml", r"no.toml: there is no such pack file. See data/packs"),
        ("design.kind", "random", "design.kind = 'random' is unknown. Use one of grid, latin_hypercube, sobol"),
        ("design.points", 4, "design.points does not go with a grid"),
        ("factors.0.range", [2.0, 0.5], r"range = \[2, 0.5\] does not increase"),
        ("factors.0.levels", 1, "factors\\[0\\].levels = 1 is not a whole number of at least 2"),
        (
            "factors.0.field",
            "scenario.steps[Charge 3C].rate",
            r"'Charge 3C' names none of the 4 entries.*2 \(Charge 2C\)",
        ),
        ("factors.0.field", "charge.rate", r"'charge.rate' is no field. Begin with pack\., scenario\., engine\."),
        ("factors.0.unit", "degC", r"rate: unit 'degC' cannot be converted.*\(at charge_rate = 0.5 degC, "),
        ("factors.0.range", [-1.0, 2.0], r"rate = -1 must be greater than 0 \(at charge_rate = -1.0, "),
        ("factors.1.unit", "V", r"unit 'V' cannot be converted to 'K'.*temperature = 0.0 V"),
        ("factors.1.values", [1.0, "a"], "mixes kinds"),
        ("factors.1.values", [1.0, 1.0], "has one twice"),
        ("factors.1.name", "charge_rate", "two columns would be named 'charge_rate'"),
        ("factors.1.name", "seed", "two columns would be named 'seed'"),
        ("factors.2.range", [0.0, 5.0], "begins at 0, which has no logarithm"),
        ("factors.2.field", "pack.cooling.flow", "needs field or fields"),
        ("base.scenario.ambient.temperature", 300.0, "is set by base and by factor temperature"),
        ("seeds", [1, 2], "seeds and repetitions are both given"),
        ("outputs.cells", True, "outputs.cells is part of the history"),
        ("base.engine.stpe", 1.0, "engine.stpe is unknown .*Use one of engine.fidelity, engine.device, engine.step"),
        ("base.engine.shells", 10.0, "engine.shells = 10.0 is not of the kind of its default 11"),
        ("base.engine.step", 100.0, "step = 100 s must be greater than 0 and at most"),
        ("base.pack.cooling.flwo", 1.0, r"unknown key cooling.flwo = 1.0 .*Did you mean 'flow'\?"),
    ],
)
def test_a_mistake_is_named_with_the_remedy_before_anything_runs(tables, tmp_path, path, value, message):
    tables.setdefault("outputs", {})

    with pytest.raises((SpecError, SettingsError), match=message) as raised:
        parse(replaced(tables, {path: value}), tmp_path)

    assert str(raised.value).startswith(str(tmp_path / "rates.toml"))


def test_replacing_leaves_the_tables_as_they_were(tables):
    before = copy.deepcopy(tables)

    replaced(tables, {"factors.0.levels": 9, "base.pack.new.field": 1})

    assert tables == before


def test_tables_survive_being_written_as_toml(tables):
    tables["odd key"] = {"text": 'quoted "text" in °C\n', "flags": [True, False], "numbers": [1, -2.5e-7]}

    assert tomllib.loads(toml_text(tables)) == tables
