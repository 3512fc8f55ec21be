"""What ./repo.sh says and does before anything is launched, and how its set-up finds what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def repo(*arguments: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "OMNI_KIT_ACCEPT_EULA"} | variables
    return subprocess.run(
        [str(ROOT / "repo.sh"), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def set_up_function(call: str, path: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Call a function of tools/setup.sh where the PATH is ``path`` and the essential tools."""
    script = f'source "{ROOT}/tools/setup.sh" "$1"\n{call}'
    environment = {"PATH": f"{path}:/usr/bin:/bin", "HOME": str(home)}
    return subprocess.run(
        ["bash", "-c", script, "bash", str(home)], env=environment, capture_output=True, text=True, check=False
    )


def write_command(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("verb", ["launch", "test"])
@pytest.mark.parametrize("answer", ["", "no", "maybe"])
def test_nothing_starts_before_the_licence_is_accepted(verb, answer):
    done = repo(verb, OMNI_KIT_ACCEPT_EULA=answer)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "NVIDIA Omniverse License Agreement" in done.stderr
    assert f"OMNI_KIT_ACCEPT_EULA=yes ./repo.sh {verb}" in done.stderr


@pytest.mark.parametrize("answer", ["yes", "Y", "1"])
def test_kits_own_words_of_acceptance_are_understood(answer):
    assert repo("launch", "--", "--help", OMNI_KIT_ACCEPT_EULA=answer).returncode == 0


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",), ("-h",)])
def test_help_names_every_verb(arguments):
    done = repo(*arguments)

    assert done.returncode == 0
    for verb in ("launch", "test", "bench", "lint", "celltwin", "setup", "lock"):
        assert f"./repo.sh {verb}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fly",), "unknown verb 'fly'"),
        (("launch", "desktop"), "headless"),
        (("launch", "headless", "--", "--packs", "x"), "unknown option --packs"),
        (("test", "everything"), "suites: all, unit"),
        (("bench", "nothing"), "startup"),
        (("setup", "everything"), "usage: ./repo.sh setup"),
        (("launch", "editor"), "CELLTWIN_KIT"),
    ],
)
def test_wrong_usage_ends_with_two_and_says_what_is_right(arguments, message, tmp_path):
    done = repo(*arguments, folder=tmp_path, OMNI_KIT_ACCEPT_EULA="yes")

    assert done.returncode == 2
    assert message in done.stderr


def test_a_warm_call_sets_nothing_up(tmp_path):
    done = repo("setup", folder=tmp_path)

    assert done.returncode == 0
    assert done.stdout == "the environment is up to date\n"
    assert done.stderr == ""


def test_a_shim_without_a_python_behind_it_is_passed_over(tmp_path):
    write_command(tmp_path / "bin/python3.12", 'echo "pyenv: python3.12: command not found" >&2; exit 127')
    real = tmp_path / ".pyenv/versions/3.12.9/bin/python3.12"
    write_command(real, f'exec "{sys.executable}" "$@"')

    done = set_up_function("find_python", tmp_path / "bin", tmp_path)

    assert done.returncode == 0
    assert done.stdout.strip() in {str(real), sys.executable, "/usr/bin/python3.12", "/usr/bin/python3"}


def test_a_python_of_another_version_is_passed_over(tmp_path):
    write_command(tmp_path / "bin/python3.12", "echo 3.11")

    assert set_up_function(f'works "{tmp_path}/bin/python3.12"', tmp_path / "bin", tmp_path).returncode == 1
    assert set_up_function(f'works "{sys.executable}"', tmp_path / "bin", tmp_path).returncode == 0


def test_a_user_without_root_is_told_what_to_type(tmp_path):
    write_command(tmp_path / "bin/id", "echo 1000")
    write_command(tmp_path / "bin/apt-get", "exit 9")

    done = set_up_function("install_packages libvulkan1 libgl1", tmp_path / "bin", tmp_path)

    assert done.returncode == 1
    assert "sudo apt-get update && sudo apt-get install -y --no-install-recommends libvulkan1 libgl1" in done.stderr


def test_root_gets_the_packages_installed(tmp_path):
    (tmp_path / ".cache").mkdir()
    write_command(tmp_path / "bin/id", "echo 0")
    write_command(tmp_path / "bin/apt-get", f'echo "$@" >>"{tmp_path}/calls"')

    done = set_up_function("install_packages libvulkan1", tmp_path / "bin", tmp_path)

    assert done.returncode == 0
    assert (tmp_path / "calls").read_text().splitlines() == [
        "update -qq",
        "install -y -qq --no-install-recommends libvulkan1",
    ]


def test_a_failed_installation_shows_what_apt_said(tmp_path):
    (tmp_path / ".cache").mkdir()
    write_command(tmp_path / "bin/id", "echo 0")
    write_command(tmp_path / "bin/apt-get", "echo 'E: Unable to locate package libvulkan1' >&2; exit 100")

    done = set_up_function("install_packages libvulkan1", tmp_path / "bin", tmp_path)

    assert done.returncode == 1
    assert "E: Unable to locate package" in done.stderr


def test_nothing_is_missing_on_the_machine_that_runs_the_tests(tmp_path):
    assert set_up_function("missing_packages", tmp_path, tmp_path).stdout == ""


def test_a_python_without_venv_gets_it_from_apt_before_uv_is_given_up(tmp_path):
    (tmp_path / ".cache").mkdir()
    bare = write_command(
        tmp_path / "bin/python3.12",
        f'[[ "$*" == *venv* || "$*" == *ensurepip* ]] && exit 1\nexec "{sys.executable}" "$@"',
    )
    write_command(tmp_path / "bin/id", "echo 0")
    write_command(tmp_path / "bin/apt-get", f'echo "$@" >>"{tmp_path}/calls"')

    done = set_up_function(f'find_uv "{bare}"', tmp_path / "bin", tmp_path)

    assert "python3.12-venv" in (tmp_path / "calls").read_text()
    assert done.returncode == 1
    assert "uv could not be installed" in done.stderr
