"""Calibrated sets in data/parameters: whole, traceable, believable, and the same cell for the engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from celltwin.physics import load_cell_parameters
from celltwin.physics.calibration.calibrated_set import read_calibrated_set
from celltwin.physics.engine import build_cell_model

FOLDER = Path(__file__).resolve().parents[3] / "data/parameters"
SHIPPED = sorted(path.stem for path in FOLDER.glob("*.json") if "Parameterisation" in json.loads(path.read_text()))


def test_some_are_shipped():
    assert "samsung_30q" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_it_says_where_it_comes_from_and_where_it_holds(name):
    content = read_calibrated_set(FOLDER / f"{name}.json")

    assert content["outcome"] in ("passed", "flagged")
    assert any("Fitted on" in text for text in content["limits"])
    assert not any(item["at_bound"] for item in content["parameters"])
    text = json.dumps(content["provenance"])
    assert "sha256" in text
    assert "/home" not in text
    assert "/work" not in text


@pytest.mark.parametrize("name", SHIPPED)
def test_cell_and_engine_agree_on_it(name, tmp_path, monkeypatch):
    monkeypatch.setenv("CELLTWIN_CACHE", str(tmp_path))
    cell, model = load_cell_parameters(name), build_cell_model(name)

    described = json.loads((FOLDER / f"{name}.json").read_text())["Parameterisation"]["Cell"]
    assert cell.capacity == pytest.approx(described["Nominal cell capacity [A.h]"], rel=0.1)
    assert model.capacity == pytest.approx(cell.capacity, rel=1e-3)
    assert np.all(np.diff(cell.voltage) > 0.0)
