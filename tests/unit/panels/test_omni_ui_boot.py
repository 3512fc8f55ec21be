"""The stand-in for the NVIDIA driver."""

from __future__ import annotations

import ctypes

import pytest

from celltwin.panels import DeskError
from celltwin.panels.omni_ui_boot import DRIVER_LIBRARY, build_stand_in


def test_the_stand_in_answers_that_there_is_no_device_and_is_built_once(tmp_path):
    library = build_stand_in(tmp_path)

    assert ctypes.CDLL(str(library)).cuInit(0) == 100
    assert library.name == DRIVER_LIBRARY
    before = library.stat().st_mtime_ns
    assert build_stand_in(tmp_path) == library
    assert library.stat().st_mtime_ns == before
    assert [path.name for path in library.parent.iterdir()] == [DRIVER_LIBRARY]


def test_without_a_compiler_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(DeskError, match=r"no C compiler was found\. Install one: apt-get install gcc"):
        build_stand_in(tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")

    with pytest.raises(DeskError, match="XDG_CACHE_HOME") as caught:
        build_stand_in(blocked)

    assert str(blocked) in str(caught.value)
