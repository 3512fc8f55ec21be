"""What benches write: figures with unit, target and whether it is met, the machine, and pictures."""

from __future__ import annotations

import importlib
import json
from types import ModuleType

import pytest


@pytest.fixture
def figures_module(repo_root, monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repo_root))
    return importlib.import_module("tools.bench.figures")


def test_a_bench_writes_every_figure_with_its_target(figures_module, tmp_path, capsys):
    def run():
        figures = figures_module.Figures("kettle")
        figures.add("time to boil", 3.0, "min", target=4.0)
        figures.add("time to cool", 30.0, "min", target=4.0)
        figures.add("cups", 2.0, "1", target=2.0, at_least=True)
        figures.add("water", 0.5, "kg")
        return figures

    assert figures_module.main(run, ["--json", str(tmp_path / "new" / "kettle.json")]) == 0

    written = json.loads((tmp_path / "new" / "kettle.json").read_text(encoding="utf-8"))
    assert written["bench"] == "kettle"
    assert "Python 3" in written["machine"]
    assert written["figures"]["time to boil"] == {"value": 3.0, "unit": "min", "target": 4.0, "met": True}
    assert written["figures"]["time to cool"]["met"] is False
    assert written["figures"]["cups"]["met"] is True
    assert written["figures"]["water"] == {"value": 0.5, "unit": "kg", "target": None, "met": None}
    shown = capsys.readouterr().out
    for word in ("kettle", "time to boil", "0.5 kg", "yes", "no"):
        assert word in shown


@pytest.mark.parametrize("framed", [True, False])
def test_a_picture_goes_to_a_new_folder_with_or_without_frames_and_is_closed(repo_root, monkeypatch, tmp_path, framed):
    monkeypatch.syspath_prepend(str(repo_root))
    pictures = importlib.import_module("tools.bench.pictures")
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axis = pyplot.subplots(figsize=(2.0, 1.0))
    axis.plot([0.0, 1.0])

    pictures.save_picture(figure, tmp_path / "new" / "line.png", dpi=50, framed=framed)

    assert pyplot.imread(tmp_path / "new" / "line.png").shape[:2] == (50, 100)
    assert [axis.spines[side].get_visible() for side in ("top", "right", "left")] == [framed, framed, True]
    assert not pyplot.fignum_exists(figure.number)


def test_a_bench_with_pictures_draws_them_for_the_docs_unless_told_otherwise(figures_module, repo_root, tmp_path):
    parser = figures_module.bench_parser("boils water", pictures=True)
    assert parser.parse_args([]).plots == repo_root / "docs" / "images"
    assert parser.parse_args(["--plots", str(tmp_path)]).plots == tmp_path
    with pytest.raises(SystemExit):
        figures_module.bench_parser("boils water").parse_args(["--plots", str(tmp_path)])
