"""Options of ``./repo.sh launch APP -- OPTIONS``, declared by an extension's default settings."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LaunchOption", "OptionsError", "describe_options", "read_options", "translate_options"]

_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class OptionsError(Exception):
    """An option is unknown, lacks its value, or the value is of the wrong kind."""


@dataclass(frozen=True)
class LaunchOption:
    """One setting that may be given when an app is launched.

    Attributes
    ----------
    key : str
        Key below ``/exts/<extension>/``.
    default : str, int, float or bool
        Value where the option is not given; its type is the type of the option.
    summary : str
        The comment above the key.
    """

    key: str
    default: str | int | float | bool
    summary: str

    @property
    def flag(self) -> str:
        """Return the option as it is typed."""
        return "--" + self.key.replace("_", "-")


def read_options(path: Path, extension: str) -> tuple[LaunchOption, ...]:
    """Return the options that an ``extension.toml`` declares by the defaults of its settings."""
    text = path.read_text(encoding="utf-8")
    defaults = tomllib.loads(text)["settings"]["exts"][extension]
    comments = re.findall(rf'^# (.+)\nexts\."{re.escape(extension)}"\.(\w+) =', text, flags=re.MULTILINE)
    summaries = {key: comment for comment, key in comments}
    return tuple(LaunchOption(key, value, summaries.get(key, "")) for key, value in defaults.items())


def describe_options(options: tuple[LaunchOption, ...]) -> str:
    """Return one line for each option, and how to pass other settings."""
    lines = []
    for option in options:
        value = str(option.default).lower() if isinstance(option.default, bool) else str(option.default)
        lines.append(f"  {option.flag:<16} {option.summary} [{value or 'empty'}]")
    lines.append(f"  {'--/path=value':<16} Any other setting of Kit.")
    return "\n".join(lines)


def translate_options(arguments: list[str], options: tuple[LaunchOption, ...], extension: str) -> list[str]:
    """Return arguments of Kit for ``--key value``, ``--key=value`` and, where the key is a switch, ``--key`` alone.

    Raises
    ------
    OptionsError
        If an option is unknown, lacks its value, or the value is of the wrong kind.
    """
    known = {option.flag: option for option in options}
    translated: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word.startswith("--/"):
            translated.append(word)
            continue
        flag, has_value, value = word.partition("=")
        flag = flag.replace("_", "-")
        if flag not in known:
            raise OptionsError(f"unknown option {flag}; the options are\n{describe_options(options)}")
        option = known[flag]
        if not has_value:
            if isinstance(option.default, bool) and (not rest or rest[0].startswith("--")):
                value = "true"
            elif rest:
                value = rest.pop(0)
            else:
                raise OptionsError(f"{flag} needs a value: {option.summary}")
        translated.append(f"--/exts/{extension}/{option.key}={_literal(option, value)}")
    return translated


def _literal(option: LaunchOption, value: str) -> str:
    """Return a value as Kit's command line reads it: quoted, so that a text of digits stays a text."""
    try:
        if isinstance(option.default, bool):
            return str(_WORDS[value.lower()]).lower()
        if isinstance(option.default, str):
            quote = '"' if '"' not in value else "'"
            if quote in value:
                raise OptionsError(f"{option.flag} {value}: cannot hold both kinds of quotation marks")
            return f"{quote}{value}{quote}"
        return str(type(option.default)(value))
    except (KeyError, ValueError):
        kind = {bool: "true or false", int: "a whole number", float: "a number"}[type(option.default)]
        raise OptionsError(f"{option.flag} {value}: must be {kind}. {option.summary}") from None
