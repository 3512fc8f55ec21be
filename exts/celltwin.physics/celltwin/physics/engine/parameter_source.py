"""Where the parameters of a cell come from: a file of ours, one of PyBaMM's sets, a BPX file, or a set in memory."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celltwin.core import ModelError

from ..parameter_sets import parameter_values
from ..parameters import PARAMETER_FOLDER, CellParameters, load_cell_parameters
from .bpx_source import read_bpx

if TYPE_CHECKING:
    import pybamm

__all__ = ["ParameterSource", "resolve_source"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ParameterSource:
    """A parameter set that has been found but not yet loaded.

    Attributes
    ----------
    name : str
        Of the set.
    where : str
        File or set, for errors.
    key : str
        Changes with the content and with the libraries that read it; empty where the content cannot be told.
    load : callable
        Returns the set as ``pybamm.ParameterValues``; imports PyBaMM.
    cell : CellParameters or None
        What one of our own files says of the whole cell.
    provenance : dict
        Source, citation, licence.
    """

    name: str
    where: str
    key: str
    load: Callable[[], pybamm.ParameterValues]
    cell: CellParameters | None
    provenance: dict[str, Any]


def resolve_source(source: Any) -> ParameterSource:
    """Return where parameters come from, without importing PyBaMM where that is not needed.

    Parameters
    ----------
    source : str, Path or pybamm.ParameterValues
        Name of a file in ``data/parameters``, path of such a file or of a BPX file, name of a PyBaMM set, or a set.

    Raises
    ------
    ModelError
        If it is none of these.
    """
    if isinstance(source, CellParameters):
        return _own_file(source, source.name)
    if isinstance(source, str | Path):
        text = str(source)
        if text.endswith(".json"):
            return _json_file(Path(text))
        if (PARAMETER_FOLDER / f"{text}.json").is_file():
            return _own_file(load_cell_parameters(text), str(PARAMETER_FOLDER / f"{text}.json"))
        return ParameterSource(
            name=text,
            where=f"PyBaMM set {text}",
            key=_key("pybamm", text),
            load=partial(parameter_values, text, ()),
            cell=None,
            provenance={"source": f"PyBaMM parameter set {text}"},
        )
    if hasattr(source, "process_symbol"):  # pybamm.ParameterValues, without importing PyBaMM to ask
        return ParameterSource(
            name="custom",
            where="pybamm.ParameterValues",
            key="",
            load=source.copy,
            cell=None,
            provenance={"source": "pybamm.ParameterValues given in memory"},
        )
    raise ModelError(
        f"{type(source).__name__} is no source of cell parameters",
        remedy="Give a name or path, or a pybamm.ParameterValues",
    )


def _own_file(cell: CellParameters, where: str) -> ParameterSource:
    def load() -> pybamm.ParameterValues:
        values = parameter_values(cell.base_set, cell.overrides)
        limits = {"Lower": cell.lowest_voltage, "Upper": cell.highest_voltage}
        values.update({f"{side} voltage cut-off [V]": voltage for side, voltage in limits.items()})
        return values

    return ParameterSource(
        name=cell.name,
        where=where,
        key=_key("celltwin", cell.hash),
        load=load,
        cell=cell,
        provenance={"source": f"data/parameters/{cell.name}.json", **cell.provenance},
    )


def _json_file(path: Path) -> ParameterSource:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"the parameter file cannot be read ({error.strerror})", where=str(path), remedy="Give a file that exists"
        ) from None
    if b'"Parameterisation"' not in content and b'"Header"' not in content:
        return _own_file(load_cell_parameters(str(path)), str(path))
    if b'"open_circuit"' in content:  # a calibrated set: BPX, and what we know of the whole cell
        return _own_file(load_cell_parameters(str(path)), str(path))
    title, values = read_bpx(path, content)
    return ParameterSource(
        name=path.stem,
        where=str(path),
        key=_key("bpx", hashlib.sha256(content).hexdigest(), importlib.metadata.version("bpx")),
        load=values,
        cell=None,
        provenance={"source": f"BPX file {path.name}", **title},
    )


def _key(*parts: str) -> str:
    parts = (*parts, importlib.metadata.version("pybamm"))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
