"""Errors that say what was wrong, where, and what to do."""

from __future__ import annotations

__all__ = [
    "CelltwinError",
    "ModelError",
    "PlantError",
    "RecordingError",
    "SettingsError",
    "ShapeError",
    "SpecError",
    "StageError",
    "TelemetryError",
]


class CelltwinError(Exception):
    """Base of every deliberate error.

    Parameters
    ----------
    message : str
        What was wrong, with the offending value.
    where : str, optional
        File and key, prim path, cell id or line.
    remedy : str, optional
        What the user can do about it, as an imperative.
    """

    def __init__(self, message: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message, where, remedy)
        self.message = message
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        """Return one line: place, message, remedy."""
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}. {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle across worker processes with the place and the remedy kept."""
        return (_rebuild, (type(self), self.message, self.where, self.remedy))


def _rebuild(kind: type[CelltwinError], message: str, where: str | None, remedy: str | None) -> CelltwinError:
    return kind(message, where=where, remedy=remedy)


class SpecError(CelltwinError):
    """A pack file or pack specification is wrong."""


class StageError(CelltwinError):
    """A USD stage is missing, or lacks what a battery stage has."""


class TelemetryError(CelltwinError):
    """A telemetry source cannot be read at all."""


class PlantError(CelltwinError):
    """The simulated plant failed or was asked for the impossible."""


class ModelError(CelltwinError):
    """A trained model is missing, damaged or does not fit its input."""


class RecordingError(CelltwinError):
    """A recording could not be written."""


class SettingsError(CelltwinError):
    """A setting or command-line argument is wrong."""


class ShapeError(CelltwinError, ValueError):
    """An array does not have the shape that its contract names."""
