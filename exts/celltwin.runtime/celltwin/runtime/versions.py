"""Versions of what a run was made with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["library_versions"]


def library_versions(names: tuple[str, ...]) -> dict[str, str | None]:
    """Return the version of each installed distribution; None where there is none."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
