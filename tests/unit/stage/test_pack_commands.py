"""``celltwin pack`` as a user types it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from celltwin.core import CelltwinError, load_pack
from celltwin.stage import build_pack_stage, move_module, open_pack_stage, read_pack, save_stage
from celltwin.stage.command_line import app

PACKS = Path(__file__).resolve().parents[3] / "data" / "packs"
LEAF_FILE = PACKS / "leaf_3_modules.toml"


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def test_build_writes_the_stage_that_the_file_declares(tmp_path):
    result = run("build", LEAF_FILE, "-o", tmp_path / "deep" / "leaf.usd")

    assert result.exit_code == 0
    assert "3 modules, 6 groups, 12 cells" in result.stdout
    assert read_pack(open_pack_stage(tmp_path / "deep" / "leaf.usd")) == load_pack(LEAF_FILE)


def test_build_names_the_stage_after_the_pack(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert run("build", LEAF_FILE).exit_code == 0
    assert (tmp_path / "leaf_3_modules.usd").exists()


def test_check_passes_a_sound_pack_file():
    result = run("check", LEAF_FILE)

    assert result.exit_code == 0
    assert "0 failures, 0 warnings" in " ".join(result.stdout.split())


def test_check_fails_a_broken_stage_and_shows_what_is_wrong(tmp_path):
    stage = build_pack_stage(load_pack(LEAF_FILE))
    move_module(stage, "A02", (0.31, 0.0, 0.0))
    save_stage(stage, tmp_path / "broken.usd")

    result = run("check", tmp_path / "broken.usd")

    assert result.exit_code == 1
    assert "overlap" in result.stdout
    assert "1 failures" in " ".join(result.stdout.split())


def test_show_draws_the_tree_of_a_file_and_of_a_stage(tmp_path):
    build_pack_stage(load_pack(LEAF_FILE), tmp_path / "leaf.usd")

    from_file, from_stage = run("show", LEAF_FILE), run("show", tmp_path / "leaf.usd")

    assert from_file.exit_code == 0
    assert from_file.stdout == from_stage.stdout
    for text in ("6s2p, 12 cells, 22.5 V, 65.0 A·h", "A03 at (0.314, 0.000, 0.000) m", "[degC] at 1 Hz"):
        assert text in from_file.stdout


def test_show_sums_up_many_modules(tmp_path):
    text = LEAF_FILE.read_text(encoding="utf-8").replace("count = 3", "count = 40")
    (tmp_path / "many.toml").write_text(text, encoding="utf-8")

    assert "and 28 more" in run("show", tmp_path / "many.toml").stdout


def test_show_draws_a_picture(tmp_path):
    result = run("show", LEAF_FILE, "--png", tmp_path / "leaf.png")

    assert result.exit_code == 0
    picture = np.asarray(Image.open(tmp_path / "leaf.png").convert("RGB")).astype(int)
    blue = (picture[..., 2] - picture[..., 0] > 60).mean()  # the cells' skin
    assert 0.1 < blue < 0.6


@pytest.mark.parametrize("command", ["build", "check", "show"])
def test_a_typing_error_in_a_pack_file_is_one_clear_line(tmp_path, command):
    shutil.copy(LEAF_FILE, tmp_path / "typo.toml")
    text = (tmp_path / "typo.toml").read_text(encoding="utf-8").replace("capacity = 32.5", "capacty = 32.5")
    (tmp_path / "typo.toml").write_text(text, encoding="utf-8")

    result = run(command, tmp_path / "typo.toml")

    assert result.exit_code != 0
    assert isinstance(result.exception, CelltwinError)
    assert "typo.toml: unknown key cell.capacty = 32.5. Did you mean 'capacity'?" in str(result.exception)
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize("command", ["check", "show"])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.usd", None, "there is no such stage"),
        ("garbage.usd", b"not usd", "not a USD file"),
        ("picture.png", b"", "neither a pack file nor a stage"),
        ("sofa.usda", b'#usda 1.0\ndef Xform "Sofa"\n{\n}\n', "no BatteryPackAPI"),
    ],
)
def test_a_wrong_stage_is_one_clear_line(tmp_path, command, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)

    result = run(command, tmp_path / name)

    assert result.exit_code != 0
    assert isinstance(result.exception, CelltwinError)
    assert message in str(result.exception)
    assert name in str(result.exception)
    assert "\n" not in str(result.exception)
    assert result.exception.remedy
