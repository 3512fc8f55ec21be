"""Battery Parameter eXchange files: checked, and handed to PyBaMM."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celltwin.core import ModelError

if TYPE_CHECKING:
    import pybamm

__all__ = ["read_bpx"]


def read_bpx(path: Path, content: bytes) -> tuple[dict[str, Any], Callable[[], pybamm.ParameterValues]]:
    """Return what a BPX file says of itself, and a function that loads it.

    Parameters
    ----------
    path : Path
        The file, for errors.
    content : bytes
        What it holds.

    Raises
    ------
    ModelError
        If it is no BPX file of a DFN; when loaded, if its content does not follow the standard.

    References
    ----------
    .. [1] Battery Parameter eXchange (BPX), the Faraday Institution, https://bpxstandard.com.
    """
    try:
        data = json.loads(content)
        header = data["Header"]
        title = {"title": header.get("Title", path.stem), "references": header.get("References", "")}
        model = str(header["Model"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"this is no BPX file ({error!r})", where=str(path), remedy="See bpxstandard.com for the format"
        ) from None
    if model not in ("DFN", "SPMe"):
        raise ModelError(
            f"the BPX model {model!r} lacks what an electrolyte needs",
            where=str(path),
            remedy="Give a BPX file for the DFN or the SPMe",
        )

    def load() -> pybamm.ParameterValues:
        import pybamm

        try:
            with warnings.catch_warnings():
                # Of old schema versions and absent voltage limits, and PyBaMM's of its own use of pydantic.
                for category in (UserWarning, DeprecationWarning):
                    warnings.simplefilter("ignore", category)
                values = pybamm.ParameterValues.create_from_bpx(path)
        except (ValueError, KeyError, TypeError, NotImplementedError, AttributeError) as error:
            raise ModelError(
                f"the BPX file does not follow the standard ({_first_line(error)})",
                where=str(path),
                remedy="Check it with bpx.parse_bpx_file",
            ) from None
        return values

    return title, load


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:3]) or type(error).__name__
