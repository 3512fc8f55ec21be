"""Transfer between fleets and continual learning, on made-up cells; these tests import torch."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from celltwin.core import ModelError, SettingsError
from celltwin.prognosis import FEATURE_NAMES, CellCycles, CycleSet, window_cycles
from celltwin.prognosis.command_line import app as train
from celltwin.prognosis.command_line_evaluate import app as evaluate
from celltwin.prognosis.sequence.settings import WindowSettings
from celltwin.prognosis.sequence.window_inputs import fit_window_inputs
from celltwin.prognosis.transfer import (
    FLEET_VIEWS,
    METHODS,
    Configuration,
    ContinualLearner,
    ContinualSettings,
    FewLabels,
    PromotionRules,
    StreamSettings,
    TransferSettings,
    TuningRecipe,
    begin_learner,
    between_fleets,
    between_protocols,
    digest_networks,
    run_stream,
    run_transfer,
    transfer_methods,
    transfer_runs,
    tune_networks,
    update_learner,
)
from celltwin.prognosis.transfer.transfer_cases import draw_cells

# physicsnemo and the libraries it loads warn of each other while they are imported.
pytestmark = pytest.mark.filterwarnings("ignore")

SETTINGS = TransferSettings(
    network=WindowSettings(window=4, width=8, steps=20, batch=32, learning_rate=1e-2, dropout=0.0), steps=20
)
KIND = SETTINGS.kind
VIEW = "source scale and age"
RECIPE = TuningRecipe(steps=20, batch=32, learning_rate=5e-3)


# One of every method, so that nothing has to be chosen.
TRIED = (
    *(Configuration(method=method) for method in ("mean", "kernel")),
    *(Configuration(method=method, view=VIEW) for method in ("scratch", "pretrained", "corrected")),
    *(Configuration(method=method, view=VIEW, recipe=RECIPE) for method in ("tuned", "rehearsed")),
)


def make_fleet(protocols=("2C", "3C"), cells=8, cycles=40, size=1.0, slope=1.0):
    """Cells whose health shows in the time and the charge of the constant-current phase, in units of the fleet."""
    random = np.random.default_rng(7)
    made = []
    for protocol in protocols:
        for number in range(1, cells + 1):
            soh = np.linspace(0.99, 0.80 + 0.03 * random.random(), cycles)
            features = size * random.normal(1.0, 0.01, (cycles, 16))
            features[:, 4] = size * (0.35 - 0.3 * slope * (1.0 - soh)) + random.normal(0.0, 1e-3, cycles)
            features[:, 5] = size * (600.0 - 900.0 * slope * (1.0 - soh)) + random.normal(0.0, 2.0, cycles)
            made.append(
                CellCycles(
                    name=f"{protocol}_battery-{number}",
                    protocol=protocol,
                    number=str(number),
                    features=features,
                    soh=soh,
                )
            )
    return CycleSet(cells=tuple(made), nominal_capacity=2.0, digest=f"{protocols} {size} {slope}")


@pytest.fixture(scope="module")
def fleet():
    return make_fleet()


@pytest.fixture(scope="module")
def windows(fleet):
    return window_cycles(fleet.cells, window=4)


@pytest.fixture(scope="module")
def fitted(windows):
    return KIND.fit(windows, seed=1)


def test_frozen_parts_stay_and_the_source_is_untouched(fitted, windows):
    before = digest_networks(fitted)

    tuned = tune_networks(fitted, KIND, windows, replace(RECIPE, frozen=("memory",)), seed=3)

    assert digest_networks(fitted) == before
    old, new = fitted.networks[0].state_dict(), tuned.networks[0].state_dict()
    changed = {name.split(".")[0] for name in old if not bool((old[name] == new[name]).all())}
    assert changed == {"encoder", "head"}


def test_an_unknown_part_cannot_be_frozen(fitted, windows):
    with pytest.raises(SettingsError, match="encoder, memory, dropout, head"):
        tune_networks(fitted, KIND, windows, replace(RECIPE, frozen=("tail",)), seed=3)


def test_the_view_from_the_own_beginning_is_the_same_for_a_cell_of_any_size(windows):
    view = FLEET_VIEWS["own beginning"]
    larger = replace(windows, features=3.0 * windows.features, beginning=3.0 * windows.beginning)

    np.testing.assert_allclose(view.show(larger).features, view.show(windows).features, atol=1e-12)
    assert view.carry(fit_window_inputs(view.show(windows)), view.show(larger)).scaling.spread.size == 9


def test_a_fleets_own_scale_makes_other_units_look_alike_and_keeps_the_target(windows):
    view = FLEET_VIEWS["fleet scale and age"]
    larger = replace(windows, features=3.0 * windows.features, beginning=3.0 * windows.beginning)
    source = fit_window_inputs(view.show(windows))

    carried = view.carry(source, view.show(larger))

    np.testing.assert_allclose(carried.channels(view.show(larger)), source.channels(view.show(windows)), atol=1e-4)
    assert carried.target == source.target


@pytest.mark.parametrize("name", sorted(FLEET_VIEWS))
def test_no_view_shows_the_future(fleet, name):
    cell = fleet.cells[0]
    cut = replace(cell, features=cell.features[:20], soh=cell.soh[:20])

    whole, begun = (FLEET_VIEWS[name].show(window_cycles((one,), window=4)) for one in (cell, cut))

    np.testing.assert_array_equal(whole.features[:20], begun.features)
    np.testing.assert_array_equal(whole.beginning[:20], begun.beginning)


def test_more_cells_hold_fewer_and_come_from_all_protocols(fleet):
    few, more = (draw_cells(fleet.cells, count, 2) for count in (2, 6))

    assert more[:2] == few
    assert {cell.protocol for cell in few} == {"2C", "3C"}
    with pytest.raises(SettingsError, match="at most 15 cells"):
        draw_cells(fleet.cells, 16, 2)


def test_a_protocol_is_transferred_to_without_having_been_seen(fleet):
    case = next(case for case in between_protocols(fleet) if case.name == "others to 3C")

    assert {cell.protocol for cell in case.source} == {"2C"}
    assert {cell.number for cell in case.test} == {"4", "8"}
    assert not {cell.name for cell in case.pool} & {cell.name for cell in case.test}


def test_the_better_configuration_is_chosen_without_a_look_at_the_scored_cells(fleet, tmp_path):
    (case,) = between_fleets(fleet, make_fleet(("fast",)), "old to new")
    tried = tuple(Configuration(method="scratch", view=view) for view in (VIEW, "own beginning"))
    spoilt = replace(case, test=tuple(replace(cell, soh=0.5 * cell.soh) for cell in case.test))

    def run(one):
        return run_transfer((one,), FewLabels(cells=2), seeds=(1,), settings=SETTINGS, tried=tried)

    found, other = run(case), run(spoilt)

    assert found.tried == other.tried
    assert found.chosen == other.chosen
    tries = {name: value for name, value in found.tried.items() if name.startswith("scratch")}
    assert min(tries, key=tries.get) == f"scratch: {found.chosen['scratch'].name}"


def test_every_method_is_scored_and_a_finished_run_is_read_again(fleet, tmp_path):
    cases = between_fleets(fleet, make_fleet(("fast",), size=2.0), "old to new")
    said = []

    def run(labels):
        return run_transfer(
            cases,
            labels,
            seeds=(1,),
            settings=SETTINGS,
            tried=TRIED,
            out=tmp_path,
            on_step=lambda *step: said.append(step),
        )

    found = run(FewLabels(cells=2, cycles=30))
    made = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "answers").iterdir()}
    again = run(FewLabels(cells=2, cycles=30))

    assert set(found.predicted) == set(METHODS)
    assert set(found.cell) == {"fast_battery-4", "fast_battery-8"}
    assert all(values.shape == (1, 80) and np.isfinite(values).all() for values in found.predicted.values())
    assert all(np.array_equal(found.predicted[name], again.predicted[name]) for name in METHODS)
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / "answers").iterdir()} == made
    assert said[-1][1] == said[-1][2]


def test_the_same_labels_and_seed_give_the_same_candidate(fitted, windows):
    first, second = (
        ContinualLearner(KIND, fitted, windows, ContinualSettings(memory=50, recipe=RECIPE), seed=4).update(windows)
        for _ in range(2)
    )

    assert first.digest == second.digest != digest_networks(fitted)
    assert (first.recent, first.replayed) == (windows.soh.size, 50)


def test_a_learner_that_was_saved_goes_on_as_if_it_had_not_been(fitted, windows, tmp_path):
    learner = ContinualLearner(KIND, fitted, windows, ContinualSettings(memory=50, recipe=RECIPE), seed=4)
    new = window_cycles(make_fleet(("RW",), cells=2).cells, window=4)
    learner.update(new)
    learner.save(tmp_path)

    resumed = ContinualLearner.load(tmp_path)

    assert resumed.newest == learner.newest
    assert resumed.unseen(new).soh.size == 0
    assert resumed.update(windows).digest == learner.update(windows).digest


def test_only_what_is_adopted_is_shipped_and_remembered(fitted, windows):
    learner = ContinualLearner(KIND, fitted, windows, ContinualSettings(memory=900, recipe=RECIPE))
    new = window_cycles(make_fleet(("RW",), cells=2).cells, window=4)

    candidate = learner.update(new)

    assert learner.digest == digest_networks(fitted)
    assert learner.memory.size == windows.soh.size
    learner.adopt(candidate)
    assert learner.digest == candidate.digest
    assert (learner.memory.size, learner.recent.size) == (windows.soh.size + new.soh.size, 0)
    with pytest.raises(ModelError, match="was tuned from"):
        learner.adopt(candidate)


def test_a_damaged_learner_is_refused(fitted, windows, tmp_path):
    ContinualLearner(KIND, fitted, windows, ContinualSettings(memory=50, recipe=RECIPE)).save(tmp_path)
    (file,) = tmp_path.glob("model_*.bin")
    file.write_bytes(file.read_bytes()[:-1] + b"x")

    with pytest.raises(ModelError, match="is damaged"):
        ContinualLearner.load(tmp_path)


def test_labels_that_are_not_numbers_are_refused(fitted, windows):
    learner = ContinualLearner(KIND, fitted, windows, ContinualSettings(recipe=RECIPE))

    with pytest.raises(SettingsError, match="1 of them without a label"):
        learner.update(replace(windows, soh=np.r_[np.nan, windows.soh[1:]]))
    with pytest.raises(SettingsError, match="nothing to learn"):
        ContinualSettings(replay=1.0)


def test_replay_keeps_what_a_contrary_protocol_would_erase():
    old, new = make_fleet(("old",)), make_fleet(("new",), slope=-1.0)
    cycles = CycleSet(cells=old.cells + new.cells, nominal_capacity=2.0, digest="both")
    stream = StreamSettings(known=("old",), arriving=("new",), portions=1, test_every=1)
    kind = replace(KIND, settings=replace(KIND.settings, steps=60))

    forgotten = {}
    for memory in (0, 200):
        settings = ContinualSettings(memory=memory, recipe=replace(RECIPE, steps=40))
        run = run_stream(cycles, stream, kind, settings, seed=1)
        forgotten[memory] = run.mean_error(1, ("old",)) - run.mean_error(0, ("old",))
        assert run.mean_error(1, ("new",)) < run.mean_error(0, ("new",))

    assert forgotten[200] < 0.5 * forgotten[0]


def test_an_update_is_judged_recorded_and_takes_each_label_once(fleet, tmp_path):
    new = make_fleet(("RW",), cells=8, slope=-0.5)
    rules = PromotionRules(fewest_cells=6)
    learner = begin_learner(tmp_path, fleet, KIND, ContinualSettings(memory=100, recipe=RECIPE), seed=1)
    before = learner.digest

    first = update_learner(tmp_path, learner, fleet, new, rules, through=20)
    second = update_learner(tmp_path, learner, fleet, new, rules)

    assert first.labels == second.labels == 6 * 20
    record = json.loads(first.record.read_text())
    assert record["shipped"] == before
    assert record["cells"] == 6
    assert ContinualLearner.load(tmp_path).digest == learner.digest
    assert learner.digest in (before, first.verdict.candidate, second.verdict.candidate)
    with pytest.raises(SettingsError, match="learnt from already"):
        update_learner(tmp_path, learner, fleet, new, rules)


def test_a_cell_that_was_learnt_from_is_never_held_out(fleet, tmp_path):
    learner = begin_learner(tmp_path, fleet, KIND, ContinualSettings(memory=100, recipe=RECIPE), seed=1)
    renumbered = replace(
        fleet, cells=tuple(replace(cell, number="4") if cell.number == "1" else cell for cell in fleet.cells)
    )

    with pytest.raises(SettingsError, match="which is to be held out"):
        update_learner(tmp_path, learner, renumbered, make_fleet(("RW",)), PromotionRules())


def write_fleet(folder, fleet):
    folder.mkdir()
    for cell in fleet.cells:
        rows = np.column_stack([cell.features, 2.0 * cell.soh])
        lines = [",".join((*FEATURE_NAMES, "capacity")), *(",".join(map(str, row)) for row in rows)]
        (folder / f"{cell.name}.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_the_commands_compare_and_update(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer_methods, "TransferSettings", lambda steps=20: replace(SETTINGS, steps=steps))
    monkeypatch.setattr(transfer_runs, "configurations", lambda _: TRIED)
    folder = write_fleet(tmp_path / "fleet", make_fleet(cycles=30))
    runner = CliRunner()

    compared = runner.invoke(
        evaluate,
        ["transfer", "--from", str(folder), "--from-capacity", "2", "--protocols", "--cells", "1", "--seeds", "1",
         "--steps", "20", "--out", str(tmp_path / "out")],
        env={"COLUMNS": "200"}, catch_exceptions=False,
    )  # fmt: skip
    assert compared.exit_code == 0
    assert METHODS["tuned"] in compared.output
    content = json.loads((tmp_path / "out/fleet_protocols.json").read_text())
    assert set(content["1 cell"]["figures"]) == set(METHODS)

    updated = runner.invoke(
        train,
        ["soh-update", "--base", str(folder), "--base-capacity", "2", "--base-protocol", "2C", "--new", str(folder),
         "--nominal-capacity", "2", "--new-protocol", "3C", "--steps", "20", "--out", str(tmp_path / "learner")],
        env={"COLUMNS": "200"}, catch_exceptions=False,
    )  # fmt: skip
    assert updated.exit_code == 0
    assert "180 new labels" in updated.output
    assert "Only 4 cells were held out" in updated.output
