"""Pictures of packs: drawn without a display, not blank, and telling one state from another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from celltwin.core import RecordingError, ShapeError, load_pack
from celltwin.stage import render_pack

PACKS = Path(__file__).resolve().parents[3] / "data" / "packs"
LEAF = load_pack(PACKS / "leaf_3_modules.toml")
REFERENCE = load_pack(PACKS / "reference.toml")
ONE_MODULE = REFERENCE.with_modules(REFERENCE.modules[:1])
SIZE = (480, 300)


def pixels(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.int64)


def colourful(picture: np.ndarray) -> float:
    """Share of the pack's part of a picture that has a clear hue."""
    pack = picture[:, : int(0.85 * picture.shape[1])]
    return float(np.mean(np.ptp(pack, axis=2) > 60))


@pytest.mark.parametrize("spec", [LEAF, ONE_MODULE], ids=["pouch", "cylindrical"])
def test_a_picture_shows_the_pack_in_its_size(spec, tmp_path):
    path = render_pack(
        spec, np.linspace(298.0, 310.0, spec.n_cells), tmp_path / "new" / "pack.png", quantity="temperature", size=SIZE
    )

    picture = pixels(path)
    assert picture.shape == (SIZE[1], SIZE[0], 3)
    assert 0.08 < colourful(picture) < 0.9


def test_a_picture_changes_with_the_values(tmp_path):
    cold = render_pack(
        LEAF,
        np.full(LEAF.n_cells, 299.0),
        tmp_path / "cold.png",
        quantity="temperature",
        lowest=298,
        highest=310,
        size=SIZE,
    )
    warm = render_pack(
        LEAF,
        np.full(LEAF.n_cells, 309.0),
        tmp_path / "warm.png",
        quantity="temperature",
        lowest=298,
        highest=310,
        size=SIZE,
    )

    changed = np.abs(pixels(cold) - pixels(warm)).max(axis=2) > 40
    assert changed.mean() > 0.05
    assert pixels(warm).mean() > pixels(cold).mean()


def test_untrusted_cells_are_grey(tmp_path):
    path = render_pack(LEAF, np.full(LEAF.n_cells, np.nan), tmp_path / "grey.png", quantity="soc", size=SIZE)

    assert colourful(pixels(path)) < 0.03


def test_an_alarm_is_a_red_ball(tmp_path):
    values = np.full(LEAF.n_cells, 0.5)
    calm = render_pack(LEAF, values, tmp_path / "calm.png", quantity="soc", size=SIZE)
    alarmed = render_pack(LEAF, values, tmp_path / "alarm.png", quantity="soc", size=SIZE, alarmed=[5])

    def red(path: Path) -> int:
        picture = pixels(path)
        return int(np.sum((picture[..., 0] > 140) & (picture[..., 1] < 60) & (picture[..., 2] < 70)))

    assert red(alarmed) > red(calm) + 20


def test_rejects_values_of_another_pack(tmp_path):
    with pytest.raises(ShapeError, match=r"expected \(12,\)"):
        render_pack(LEAF, np.zeros(3), tmp_path / "no.png", quantity="soc")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")

    with pytest.raises(RecordingError, match="picture cannot be written"):
        render_pack(LEAF, np.full(LEAF.n_cells, 0.5), tmp_path / "file" / "pack.png", quantity="soc", size=SIZE)
