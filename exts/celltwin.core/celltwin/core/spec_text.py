"""Files of declarations: TOML read and built, with errors that name the file beside the key."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import SpecError

__all__ = ["build_spec", "read_spec_text"]


def read_spec_text(path: Path, what: str, remedy: str) -> str:
    """Return the text of a declaration.

    Parameters
    ----------
    path : Path
        TOML file.
    what, remedy : str
        What it declares, such as ``"pack"``; what to do where there is none.

    Raises
    ------
    SpecError
        If the file is missing, may not be read or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(f"there is no such {what} file", where=str(path), remedy=remedy) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"the {what} file cannot be read ({error})", where=str(path), remedy="Give a TOML file in UTF-8"
        ) from None


def build_spec[T](text: str, where: str, build: Callable[[dict[str, Any]], T]) -> T:
    """Return what a builder makes of a TOML text.

    Parameters
    ----------
    text, where : str
        The text, and its name in errors.
    build : callable
        Takes the tables; its errors get the name put before their place.

    Raises
    ------
    SpecError
        If the text is not TOML, or the builder refuses it.
    """
    try:
        return build(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"not valid TOML: {error}", where=where, remedy="Mend the line that it names") from None
    except SpecError as error:
        place = f"{where}: {error.where}" if error.where else where
        raise SpecError(error.message, where=place, remedy=error.remedy) from None
