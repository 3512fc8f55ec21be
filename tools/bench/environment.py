"""Environments of benches: other people's libraries that cannot live beside Celltwin, installed when first needed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from celltwin.core import CelltwinError

__all__ = ["FOLDER", "BenchEnvironmentError", "prepare_environment"]

FOLDER = Path(__file__).resolve().parent / "environments"
UV_IN_USE = FOLDER.parents[2] / ".cache" / "uv-in-use"


class BenchEnvironmentError(CelltwinError):
    """The environment of another library cannot be made or does not work."""


def prepare_environment(name: str, folder: Path | None = None) -> Path:
    """Return the Python of an environment; make the environment where it does not exist yet.

    Parameters
    ----------
    name : str
        Of the file with its pinned packages in ``tools/bench/environments``, such as ``"pybop"``.
    folder : Path, optional
        Where environments are kept; ``CELLTWIN_CACHE``, else ``~/.cache/celltwin``, where absent.

    Raises
    ------
    BenchEnvironmentError
        If it cannot be made: no package registry in reach, no space.
    """
    requirements = FOLDER / f"{name}.txt"
    mark = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = (folder or _cache_folder() / "environments") / f"{name}-{mark}"
    python = place / "bin" / "python"
    ready = place / "celltwin-ready"
    if ready.exists() and os.access(python, os.X_OK):
        return python
    try:
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        for command in _install_commands(place, python, requirements):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
                raise BenchEnvironmentError(
                    f"{name} cannot be installed: {' '.join(last) or f'exit code {done.returncode}'}",
                    where=str(place),
                    remedy=f"Make a package registry reachable, or run the bench with --no-{name}",
                )
        ready.touch()
    except OSError as error:
        raise BenchEnvironmentError(
            f"{name} cannot be installed: {error}",
            where=str(place),
            remedy=f"Point CELLTWIN_CACHE at a folder with 2 GB of space, or run the bench with --no-{name}",
        ) from error
    return python


def _install_commands(place: Path, python: Path, requirements: Path) -> list[list[str]]:
    """Return what makes the environment: uv's commands where there is uv, else those of Python alone."""
    uv = str(UV_IN_USE) if os.access(UV_IN_USE, os.X_OK) else shutil.which("uv")
    if uv is not None:
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(place)],
            [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(requirements)],
        ]
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [[sys.executable, "-m", "venv", str(place)], [*pip, "--require-hashes", "-r", str(requirements)]]


def _cache_folder() -> Path:
    named = os.environ.get("CELLTWIN_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "celltwin"
