"""Simulations and campaigns of packs that name a distribution of cells: what is refused before anything is written."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.physics.calibration import CellPopulationDistribution, load_cell_distribution
from celltwin.runtime.campaign import parse_campaign
from celltwin.runtime.simulate import SimulationSettings, run_simulation

SHORT = (
    'name = "short"\n[initial]\nsoc = 0.5\nageing = 0.0\nweak_groups = 0\n[[steps]]\nkind = "rest"\nlongest = 60.0\n'
)


@pytest.fixture
def pack(repo_root, tmp_path):
    """Return a function that writes a pack of one cell in each of two groups that names a distribution."""

    def write(distribution: str):
        text = (repo_root / "data/packs/reference.toml").read_text()
        for old, new in (
            ("series = 10", "series = 2"),
            ("parallel = 28", "parallel = 1"),
            ("rows = 14", "rows = 1"),
            ("count = 10", "count = 1"),
            ('parameter_set = "xjtu_18650"', f'parameter_set = "xjtu_18650"\ndistribution = "{distribution}"'),
        ):
            assert text.count(old) == 1
            text = text.replace(old, new)
        path = tmp_path / "pack.toml"
        path.write_text(text)
        (tmp_path / "short.toml").write_text(SHORT)
        return path

    return write


def _campaign(tmp_path, **base):
    tables = {
        "name": "spread",
        "pack": "pack.toml",
        "scenario": "short.toml",
        "base": base,
        "design": {"kind": "grid"},
        "factors": [{"field": "scenario.initial.soc", "values": [0.4, 0.5]}],
    }
    return parse_campaign(tables, path=tmp_path / "spread.toml")


def test_a_simulation_names_the_distribution_in_its_summary(pack, tmp_path):
    settings = SimulationSettings(
        scenario=str(tmp_path / "short.toml"), pack=str(pack("xjtu_18650")), out=str(tmp_path / "run"), report=False
    )

    run_simulation(settings)

    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert f"cells drawn from xjtu_18650@{load_cell_distribution('xjtu_18650').hash}" in summary["model"]


def test_a_wrong_distribution_leaves_no_folder_and_no_campaign_behind(pack, tmp_path):
    settings = SimulationSettings(
        scenario=str(tmp_path / "short.toml"), pack=str(pack("nowhere.json")), out=str(tmp_path / "run")
    )

    with pytest.raises(ModelError, match="no such distribution of cells") as caught:
        run_simulation(settings)
    assert caught.value.where == str(tmp_path / "nowhere.json")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ModelError, match="no such distribution of cells"):
        _campaign(tmp_path).check()
    _campaign(tmp_path, **{"pack.cell.distribution": "xjtu_18650"}).check()


def test_a_campaign_knows_another_distribution_of_the_same_name_as_another_campaign(pack, tmp_path):
    pack("cells.json")
    first = CellPopulationDistribution(
        names=("capacity_scale",),
        median=np.ones(1),
        covariance=np.full((1, 1), 1e-4),
        low=np.full(1, 0.9),
        high=np.full(1, 1.1),
        cell="xjtu_18650",
    )
    first.save(tmp_path / "cells.json")
    before = _campaign(tmp_path).hashes
    replace(first, covariance=np.full((1, 1), 4e-4)).save(tmp_path / "cells.json")

    after = _campaign(tmp_path).hashes

    assert before["pack"] != after["pack"]
    assert before["scenario"] == after["scenario"]
