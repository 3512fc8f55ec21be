"""Benches of the pack engine: what they measure and how they refuse."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tools.bench import environment
from tools.bench.environment import BenchEnvironmentError, prepare_environment
from tools.bench.pack_kernels import KernelTime, StepProfile, profile_step
from tools.bench.pack_liionpack import LiionpackTiming
from tools.bench.pack_plots import plot_scaling
from tools.bench.pack_speed import (
    SizeTiming,
    array_bytes,
    build_engine,
    duty_current,
    time_windows,
)
from tools.bench.places import reference_pack


def test_a_window_of_the_duty_ends_with_the_charge_it_began_with():
    spec = reference_pack(1)

    current = duty_current(spec)

    assert current.size == 600
    assert current.sum() == pytest.approx(0.0)
    assert set(current / spec.capacity) == {1.0, 2.0, 0.0, -2.0}


def test_the_engine_of_copies_has_them_all_and_knows_its_memory():
    spec = reference_pack(1)

    engine = build_engine(spec, copies=2)

    assert engine.n_cells == 2 * 280
    assert engine.n_packs == 2
    # at least two particles of ten shells, of eight bytes each; at most a few thousand bytes a cell
    assert 160 < array_bytes(engine) / engine.n_cells < 5000
    assert time_windows(engine, duty_current(spec, 5), 2).shape == (2,)


def test_the_kernels_of_a_step_take_no_longer_than_the_step():
    engine = build_engine(reference_pack(1))

    profile = profile_step(engine, duty_current(reference_pack(1), 30))

    assert "prepare" in {kernel.name for kernel in profile.kernels}
    assert 0.0 < sum(kernel.seconds for kernel in profile.kernels) < 3.0 * profile.step
    assert all(kernel.bytes > 0.0 for kernel in profile.kernels)
    assert profile.limit in ("launches", "bytes", "arithmetic")


@pytest.mark.parametrize(
    ("seconds", "moved", "launch", "limit"),
    [(1e-3, 9e6, 1e-6, "bytes"), (1e-3, 1e3, 1e-6, "arithmetic"), (1e-4, 1e3, 9e-4, "launches")],
)
def test_the_limit_follows_from_bytes_and_launches(seconds, moved, launch, limit):
    kernel = KernelTime(name="one", launches=1.0, seconds=seconds, bytes=moved)

    assert StepProfile(kernels=(kernel,), step=1e-3, launch=launch, bandwidth=1e10).limit == limit


def test_liionpack_that_cannot_be_installed_is_refused_in_one_line(tmp_path, monkeypatch):
    missing = tmp_path / "liionpack.txt"
    missing.write_text("celltwin-no-such-package==0.0.1 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setattr(environment, "FOLDER", tmp_path)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    with pytest.raises(BenchEnvironmentError, match=r"liionpack cannot be installed: .*--no-liionpack") as caught:
        prepare_environment("liionpack", tmp_path)

    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("celltwin-ready"))


def test_an_environment_that_is_ready_is_used_as_it_is(tmp_path, monkeypatch):
    def install(place, python, requirements):
        return [["mkdir", "-p", str(python.parent)], ["ln", "-s", sys.executable, str(python)]]

    monkeypatch.setattr(environment, "_install_commands", install)
    first = prepare_environment("liionpack", tmp_path)
    monkeypatch.setattr(environment, "_install_commands", lambda *arguments: pytest.fail("made again"))

    assert prepare_environment("liionpack", tmp_path) == first


@pytest.mark.parametrize(
    ("name", "versions"),
    [("liionpack", ("liionpack==0.4.0", "pybamm==25.1.1")), ("pybop", ("pybop==26.3", "pybamm==26.10.1.1"))],
)
def test_requirements_are_pinned_by_hash_without_a_registry(name, versions):
    text = (environment.FOLDER / f"{name}.txt").read_text(encoding="utf-8")

    assert "://" not in text
    assert all(version in text for version in versions)
    pinned = [line for line in text.splitlines() if line and line[0].isalpha()]
    assert all("==" in line for line in pinned)
    assert text.count("--hash=sha256:") >= len(pinned)


def test_the_picture_is_drawn(tmp_path):
    sizes = [
        SizeTiming(n_cells=n, median=3e-7, worst=4e-7, array_bytes=1400.0, resident_bytes=1500.0, build=0.1)
        for n in (280, 2800, 28000)
    ]
    kernels = (KernelTime(name="prepare", launches=1.0, seconds=5e-4, bytes=3e6),)
    profile = StepProfile(kernels=kernels, step=8e-4, launch=1e-6, bandwidth=1e10)
    theirs = LiionpackTiming(
        model="SPM",
        processes=1,
        n_cells=2800,
        setup=1.0,
        seconds=np.array([2.0, 2.1]),
        voltage=np.array([390.0, 389.0]),
        versions={},
    )

    plot_scaling(tmp_path / "new" / "pack.png", sizes, profile, theirs, target=3e6)

    assert (tmp_path / "new" / "pack.png").stat().st_size > 10_000
