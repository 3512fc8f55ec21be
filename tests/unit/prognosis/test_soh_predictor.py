import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Kind, Level, ModelError, PackState, Quality, Reading, load_pack
from celltwin.prognosis import (
    FEATURE_NAMES,
    ChargeDoubt,
    ChargeFeatures,
    ChargeRecord,
    SohPredictor,
    combine_health,
    default_model_folder,
    load_cycles,
    published_split,
)

TEN_SECONDS = np.arange(0.0, 4000.0, 10.0)
# A cycle like those of 2C cells at 95 % of nominal capacity.
TYPICAL = {
    "voltage mean": 4.0961,
    "voltage std": 0.0566,
    "CC Q": 0.337,
    "CC charge time": 303.2,
    "current mean": 0.2309,
    "current std": 0.1093,
    "CV Q": 0.0572,
    "CV charge time": 892.0,
}


@pytest.fixture(scope="module")
def predictor(small_pack):
    served = SohPredictor(small_pack)
    served.load()
    return served


def record_of(*rows, doubts=0):
    features = np.full((len(rows), len(FEATURE_NAMES)), np.nan)
    for index, row in enumerate(rows):
        for name, value in row.items():
            features[index, FEATURE_NAMES.index(name)] = value
    size = len(rows)
    return ChargeRecord(
        features=features, completed=np.zeros(size), doubts=np.full(size, doubts, dtype=np.uint8), under_way=0
    )


def test_a_typical_cycle_gets_a_good_value_with_an_interval(predictor):
    prediction = predictor.assess(record_of(TYPICAL))

    assert 0.85 < prediction.soh[0] < 1.0
    assert 0.005 < prediction.standard_uncertainty[0] < 0.03
    assert prediction.half_width[0] > prediction.standard_uncertainty[0]
    assert prediction.quality[0] == Quality.GOOD
    assert not prediction.causes


def test_a_slower_tail_means_less_health(predictor):
    times = np.linspace(850.0, 1250.0, 9)
    rows = [{**TYPICAL, "CV charge time": time, "CV Q": time * 0.2309 / 3600.0} for time in times]

    soh = predictor.assess(record_of(*rows)).soh

    assert (np.diff(soh) < 0.0).all()


def test_inputs_unlike_the_training_data_are_suspect_and_their_interval_wide(predictor):
    strange = {**TYPICAL, "CC charge time": 3000.0}

    prediction = predictor.assess(record_of(TYPICAL, strange))

    np.testing.assert_array_equal(prediction.quality, [Quality.GOOD, Quality.SUSPECT])
    assert prediction.causes["unlike the training data"] == 1
    assert not prediction.standard_uncertainty[1] < 5.0 * prediction.standard_uncertainty[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_input_that_is_not_finite_gives_no_number(predictor, value):
    prediction = predictor.assess(record_of({**TYPICAL, "CV Q": value}))

    assert np.isnan(prediction.soh[0])
    assert np.isnan(prediction.standard_uncertainty[0])
    assert prediction.quality[0] == Quality.BAD


def test_doubts_about_the_charge_make_the_prediction_suspect(predictor):
    prediction = predictor.assess(record_of(TYPICAL, doubts=int(ChargeDoubt.VOLTAGE_NOT_HELD)))

    assert prediction.quality[0] == Quality.SUSPECT
    assert prediction.causes == {"voltage not held at the top": 1}


def test_a_value_of_one_cell_does_not_depend_on_the_others(predictor):
    rows = [{**TYPICAL, "CV charge time": time} for time in (850.0, 900.0, 1000.0)]

    together = predictor.assess(record_of(*rows)).soh

    for row, value in zip(rows, together, strict=True):
        assert predictor.assess(record_of(row)).soh[0] == pytest.approx(value, abs=1e-6)


def test_before_a_charge_there_is_no_number_but_a_reason(predictor, small_pack):
    readings = predictor.predict(PackState(time=0.0, step=0))

    assert [reading.level for reading in readings] == [Level.CELL, Level.GROUP, Level.MODULE, Level.PACK]
    for reading in readings:
        assert reading.kind is Kind.PREDICTED
        assert np.isnan(reading.values).all()
        assert (reading.quality == Quality.BAD).all()
        assert "whole charge" in reading.reason


def test_while_the_model_loads_there_is_no_number_but_a_reason(small_pack):
    waiting = SohPredictor(small_pack)

    assert not waiting.ready
    assert "being loaded" in waiting.predict(PackState(time=0.0, step=0))[0].reason
    with pytest.raises(ModelError, match="load"):
        waiting.assess(record_of(TYPICAL))


def test_a_whole_charge_gives_every_level_a_value_of_its_time(small_pack, charging):
    features = charging.watch(small_pack, TEN_SECONDS, *charging.curve(TEN_SECONDS))
    served = SohPredictor(small_pack, features)
    served.load()

    cells, groups, modules, pack = served.predict(PackState(time=4000.0, step=400))

    assert np.isfinite(cells.values).all()
    np.testing.assert_array_equal(cells.time, features.record().completed)
    assert cells.provenance.startswith("soh_")
    assert "sha256:" in cells.provenance
    np.testing.assert_allclose(groups.values, cells.values.reshape(2, 2).mean(axis=1))
    assert pack.values[0] == modules.values[0] == groups.values.min()
    early = served.predict(PackState(time=features.record().completed[0] - 1.0, step=1))
    assert np.isnan(early[0].values).all(), "a process image does not know of charges after it"


def test_another_chemistry_gets_no_number(repo_root):
    leaf = SohPredictor(load_pack(repo_root / "data" / "packs" / "leaf_3_modules.toml"))
    leaf.load()

    readings = leaf.predict(PackState(time=0.0, step=0))

    assert all(np.isnan(reading.values).all() for reading in readings)
    assert "NMC523" in readings[0].reason
    assert "LMO-NCA" in readings[0].reason


def test_another_nominal_capacity_is_suspect(small_pack):
    served = SohPredictor(replace(small_pack, cell=replace(small_pack.cell, capacity=3.0)))
    served.load()

    prediction = served.assess(record_of(TYPICAL))

    assert prediction.quality[0] == Quality.SUSPECT
    assert "other nominal capacity than the training cells" in prediction.causes


def cell_reading(values, quality):
    values = np.asarray(values, dtype=float)
    return Reading.at(
        Kind.PREDICTED,
        "soh",
        Level.CELL,
        values,
        5.0,
        quality=np.asarray(quality, dtype=np.uint8),
        standard_uncertainty=np.full(values.size, 0.01),
        provenance="test",
    )


def test_a_pack_is_as_good_as_its_weakest_group(small_pack):
    groups, modules, pack = combine_health(cell_reading([0.9, 1.0, 0.8, 0.9], [0, 0, 0, 0]), small_pack)

    np.testing.assert_allclose(groups.values, [0.95, 0.85])
    np.testing.assert_allclose(groups.standard_uncertainty, 0.01)
    assert modules.values[0] == pack.values[0] == pytest.approx(0.85)
    assert (pack.quality == Quality.GOOD).all()
    assert pack.time[0] == 5.0


def test_unknown_and_suspect_cells_show_in_the_levels_above(small_pack):
    unknown = combine_health(cell_reading([np.nan, np.nan, 0.8, 0.9], [3, 3, 0, 0]), small_pack)
    suspect = combine_health(cell_reading([0.9, 1.0, 0.8, 0.9], [0, 0, 2, 0]), small_pack)
    nothing = combine_health(cell_reading([np.nan] * 4, [3] * 4), small_pack)

    np.testing.assert_array_equal(unknown[0].quality, [Quality.BAD, Quality.GOOD])
    assert unknown[1].values[0] == pytest.approx(0.85)
    assert unknown[1].quality[0] == Quality.SUSPECT, "the group that is not known may be weaker"
    np.testing.assert_array_equal(suspect[0].quality, [Quality.GOOD, Quality.SUSPECT])
    assert suspect[2].quality[0] == Quality.SUSPECT
    assert all(np.isnan(reading.values).all() and (reading.quality == Quality.BAD).all() for reading in nothing)


def test_a_missing_model_folder_says_what_to_do(small_pack, tmp_path):
    with pytest.raises(ModelError, match="celltwin train soh"):
        SohPredictor(small_pack, model=tmp_path / "none").load()


@pytest.mark.parametrize("damage", ["network", "text", "field", "format", "feature"])
def test_a_damaged_model_is_refused(small_pack, tmp_path, damage):
    folder = tmp_path / "soh_1"
    shutil.copytree(default_model_folder(), folder)
    description = folder / "model.json"
    content = json.loads(description.read_text(encoding="utf-8"))
    if damage == "network":
        (folder / "soh.onnx").write_bytes((folder / "soh.onnx").read_bytes()[:-100])
    elif damage == "text":
        description.write_text("{", encoding="utf-8")
    else:
        if damage == "field":
            del content["model"]["threshold"]
        elif damage == "format":
            content["format"] = 99
        else:
            content["model"]["inputs"][0] = "colour"
        description.write_text(json.dumps(content), encoding="utf-8")

    with pytest.raises(ModelError, match="soh_1"):
        SohPredictor(small_pack, model=folder).load()


def test_the_newest_model_of_the_project_is_small_and_has_a_card(repo_root):
    folder = default_model_folder()

    assert folder.parent == repo_root / "data" / "models"
    assert (folder / "MODEL_CARD.md").is_file()
    assert sum(file.stat().st_size for file in folder.iterdir()) < 2_000_000


def test_serving_does_not_import_torch():
    program = """
import sys
from celltwin.core import PackState, load_pack
from celltwin.prognosis import SohPredictor
assert "onnxruntime" not in sys.modules and "numpy" in sys.modules
served = SohPredictor(load_pack(sys.argv[1]))
served.load()
served.predict(PackState(time=0.0, step=0))
print(sorted({"torch", "physicsnemo", "onnx"} & set(sys.modules)))
"""
    pack = default_model_folder().parents[1] / "packs" / "reference.toml"

    found = subprocess.run(
        [sys.executable, "-c", program, str(pack)], capture_output=True, text=True, check=True, timeout=60
    )

    assert found.stdout.strip() == "[]"


def test_features_may_be_observed_while_another_thread_predicts(small_pack, charging):
    from concurrent.futures import ThreadPoolExecutor

    features = ChargeFeatures(small_pack)
    served = SohPredictor(small_pack, features)
    served.load()
    with ThreadPoolExecutor(max_workers=1) as pool:
        futures = [pool.submit(served.predict, PackState(time=5000.0, step=0)) for _ in range(50)]
        charging.watch(small_pack, TEN_SECONDS, *charging.curve(TEN_SECONDS), features=features)
        assert all(len(future.result()) == 4 for future in futures)

    assert np.isfinite(served.predict(PackState(time=5000.0, step=1))[0].values).all()


@pytest.mark.measured
def test_the_shipped_model_has_the_figures_of_its_card_on_held_out_cells(predictor, measured_data):
    cycles = load_cycles(measured_data("xjtu_cycles"))
    training = json.loads((default_model_folder() / "model.json").read_text(encoding="utf-8"))["training"]
    assert training["data_sha256"] == cycles.digest
    split = published_split(cycles, folds=len(training["folds"]), seed=training["seed"])
    assert list(split.test) == training["test_cells"]
    figures = training["test_figures"][str(training["seed"])]
    for protocol in cycles.protocols:
        cells = [cell for cell in cycles.select(split.test) if cell.protocol == protocol]
        features = np.concatenate([cell.features for cell in cells])
        soh = np.concatenate([cell.soh for cell in cells])
        size = soh.size
        prediction = predictor.assess(
            ChargeRecord(
                features=features, completed=np.zeros(size), doubts=np.zeros(size, dtype=np.uint8), under_way=0
            )
        )
        error = np.abs(prediction.soh - soh)
        assert 100.0 * np.mean(error / soh) == pytest.approx(figures[protocol]["mape"], abs=0.01)
        assert np.mean(error <= prediction.half_width) == pytest.approx(figures[protocol]["coverage"], abs=0.002)
