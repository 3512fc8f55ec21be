"""Distillation: windows of cells that might be, and a network that answers as kernel regressions do."""

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from celltwin.core import SettingsError
from celltwin.prognosis import CellCycles, CycleSet, window_cycles
from celltwin.prognosis.features import FEATURE_NAMES
from celltwin.prognosis.sequence.distillation import DistillationSettings, distil
from celltwin.prognosis.sequence.distilled_kind import DistilledKind
from celltwin.prognosis.sequence.exportable import known_duties
from celltwin.prognosis.sequence.kinds import KernelKind
from celltwin.prognosis.sequence.possible_windows import PossibleWindows
from celltwin.prognosis.sequence.registry import DUTIFUL, RELATIVE
from celltwin.prognosis.sequence.window_description import WindowDescription, describe_windows
from celltwin.prognosis.sequence.window_export import export_windows

pytestmark = pytest.mark.filterwarnings("ignore")  # physicsnemo's libraries warn of each other

SMALL = DistillationSettings(width=32, steps=300, batch=128, drawn=2048, kept_for=60, learning_rate=1e-2)
TEACHER = KernelKind(name="duty", settings=replace(DUTIFUL, points=120, learnt=400))
KIND = DistilledKind(name="duty-network", teacher=TEACHER, settings=SMALL)


def make_cell(protocol, number, *, fade, cycles=80):
    """A cell whose features fall with its capacity, each cell by a way of its own."""
    random = np.random.default_rng((number, int(1000 * fade)))
    share = np.linspace(0.0, 1.0, cycles)[:, np.newaxis]
    own = random.normal(1.0, 0.02, len(FEATURE_NAMES))
    features = own * (1.0 - fade * share) + random.normal(0.0, 2e-3, (cycles, len(FEATURE_NAMES)))
    soh = 1.0 - fade * share[:, 0] * random.uniform(0.9, 1.1)
    return CellCycles(name=f"{protocol}_{number}", protocol=protocol, number=str(number), features=features, soh=soh)


@pytest.fixture(scope="module")
def cells():
    return tuple(
        make_cell(protocol, number, fade=fade)
        for protocol, fade in (("hard", 0.3), ("mild", 0.1))
        for number in range(5)
    )


@pytest.fixture(scope="module")
def learnt(cells):
    return window_cycles(tuple(cell for cell in cells if cell.number != "4"), window=24)


@pytest.fixture(scope="module")
def scored(cells):
    return window_cycles(tuple(cell for cell in cells if cell.number == "4"), window=24)


@pytest.fixture(scope="module")
def teacher(learnt):
    return TEACHER.fit(learnt, seed=1)


@pytest.fixture(scope="module")
def distilled(learnt):
    return KIND.fit(learnt, seed=1)


@pytest.fixture(scope="module")
def source(teacher, learnt):
    member = teacher.members[0]
    described = describe_windows(learnt, member.scaling, member.duties)
    return described, PossibleWindows(described, learnt.protocol, np.full(len(FEATURE_NAMES), 0.25))


def test_drawn_windows_are_consistent_and_keep_the_duty(source):
    described, windows = source

    drawn = windows.draw(3000, np.random.default_rng(1))

    for difference, first, second in (
        ("jump", "newest", "short"),
        ("trend", "short", "long"),
        ("change", "short", "beginning"),
    ):
        np.testing.assert_allclose(drawn[difference], drawn[first] - drawn[second], atol=1e-12)
    assert set(map(tuple, drawn["duty"])) == {(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)}
    hidden = (drawn["short"] == 0.25).all(axis=1)
    assert not hidden.any(), "never all of a window is unknown"
    some = (drawn["short"] == 0.25).any(axis=1)
    assert 0.05 < some.mean() < 0.15
    # Some are as measured in all but noise; most are of cells that were never measured.
    known = {row.tobytes() for row in described["age"]}
    measured = np.mean([row.tobytes() in known for row in drawn["age"]])
    assert 0.1 < measured < 0.25


def test_drawn_windows_are_as_wide_as_cells_differ_and_repeat_from_their_seed(source):
    described, windows = source
    first, again, other = (windows.draw(2000, np.random.default_rng(seed)) for seed in (1, 1, 2))

    for name in ("short", "beginning", "age"):
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])
    ratio = first["short"].std(axis=0) / described["short"].std(axis=0)
    assert (ratio > 0.9).all()
    assert (ratio < 2.0).all()


def test_the_network_answers_as_its_teacher_on_cells_that_neither_has_seen(teacher, distilled, scored):
    expected, found = teacher.predict(scored)[0], distilled.predict(scored)[0]

    apart, off = np.abs(found - expected).mean(), np.abs(expected - scored.soh).mean()
    assert apart < 0.1 * expected.std()
    assert np.abs(found - scored.soh).mean() < off + apart
    assert known_duties(distilled) == ("hard", "mild")


def test_answers_stay_near_those_of_the_teacher_however_strange_a_window_is(distilled, teacher, learnt):
    strange = replace(learnt, features=learnt.features * 1e3, cycle=learnt.cycle * 1e3)

    found, usual = distilled.predict(strange)[0], teacher.predict(learnt)[0]

    assert np.isfinite(found).all()
    assert found.min() >= usual.min() - 0.06
    assert found.max() <= usual.max() + 0.06


def test_the_served_description_is_that_of_the_training_and_comes_back_from_its_file(cells, distilled):
    broken = cells[4].features.copy()
    broken[40, 3], broken[50, 2], broken[55, 6] = np.inf, np.nan, 1e6
    windows = window_cycles((replace(cells[4], features=broken), cells[9]), window=24)
    description = distilled.description
    exact = describe_windows(windows, description.scaling, description.duties)

    again = WindowDescription.from_dict(json.loads(json.dumps(description.as_dict())))

    np.testing.assert_array_equal(again.rows(windows), description.rows(windows))
    wanted = np.concatenate([exact[name] for name in description.blocks], axis=1)
    np.testing.assert_allclose(description.rows(windows), wanted, atol=2e-3)
    assert np.abs(wanted).max() < 7.0, "the broken feature is held within its bound"


@pytest.mark.nightly
def test_an_exported_network_answers_as_the_fit_in_the_predictor(cells, learnt, scored, distilled, tmp_path):
    names = tuple(cell.name for cell in cells if cell.number != "4")
    cycles = CycleSet(cells=cells, nominal_capacity=2.0, digest="made up")
    export_windows(tmp_path / "m", distilled, KIND, cycles, names, scored, {}, seed=1, chemistry="NMC523")

    content = json.loads((tmp_path / "m" / "model.json").read_text())
    session = onnxruntime.InferenceSession(tmp_path / "m" / "soh.onnx")
    rows = WindowDescription.from_dict(content["description"]).rows(scored)

    np.testing.assert_allclose(session.run(None, {"described": rows})[0], distilled.predict(scored)[0], atol=1e-5)
    assert content["model"]["duties"] == ["hard", "mild"]


def test_an_interrupted_distillation_ends_as_if_it_had_not_been(learnt, scored, tmp_path, monkeypatch):
    monkeypatch.setattr("celltwin.prognosis.sequence.distillation.CHECKPOINT_EVERY", 25)
    kind = replace(KIND, settings=replace(SMALL, steps=80, drawn=256, kept_for=20))
    expected = kind.fit(learnt, seed=1).predict(scored)

    def interrupt(step, _steps):
        if step == 61:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kind.fit(learnt, seed=1, checkpoints=tmp_path, on_step=interrupt)
    resumed = []
    fitted = kind.fit(learnt, seed=1, checkpoints=tmp_path, on_step=lambda step, steps: resumed.append((step, steps)))

    assert resumed[0] == (52, 81), "the teacher's step, fifty of the network, and the next"
    np.testing.assert_array_equal(fitted.predict(scored), expected)
    assert not np.array_equal(kind.fit(learnt, seed=2).predict(scored), expected)


def test_a_kernel_of_ratios_is_refused(learnt):
    ratios = KernelKind(name="relative", settings=replace(RELATIVE, points=50)).fit(learnt, seed=1)

    with pytest.raises(SettingsError, match="looks at ratio cannot be distilled"):
        distil(ratios, learnt, SMALL, seed=1)
