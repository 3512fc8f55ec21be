"""The equations of a group, built once by PyBaMM, compiled to machine code and kept on disk for later starts."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .cell_equations import Mesh
from .parameters import CellParameters

__all__ = ["PreparedEquations", "cache_folder", "prepare_equations"]

_logger = logging.getLogger(__name__)

_FORMAT = 3  # raise it when the equations or this file's layout change


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedEquations:
    """A group's equations as texts and arrays, ready for IDAKLU without importing PyBaMM.

    Attributes
    ----------
    n_cells, n_differential, n_algebraic : int
        Cells, and states of each.
    functions : dict of str
        Serialised casadi functions that IDAKLU integrates; compiled ones name their library.
    initial, observe : str
        Serialised casadi functions of one cell, see :class:`CellEquations`.
    column_starts, rows : ndarray of int
        Sparsity of the Jacobian.
    bandwidths : tuple of int
        Its bandwidths.
    temperature_row, stoichiometry_row : ndarray of shape (n_differential,)
        Weights of temperature and mean negative stoichiometry.
    temperature_offset, stoichiometry_offset : float
        Constants to add.
    solver_options : dict
        IDAKLU's options, complete.
    compiled : bool
        Whether the functions are machine code.
    """

    n_cells: int
    n_differential: int
    n_algebraic: int
    functions: dict[str, str]
    initial: str
    observe: str
    column_starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    bandwidths: tuple[int, int]
    temperature_row: Array
    temperature_offset: float
    stoichiometry_row: Array
    stoichiometry_offset: float
    solver_options: dict[str, Any]
    compiled: bool

    @property
    def n_states(self) -> int:
        """States of the whole group."""
        return self.n_cells * (self.n_differential + self.n_algebraic + 1) + 1


def cache_folder() -> Path:
    """Return where compiled equations are kept: ``CELLTWIN_CACHE``, else the user's cache folder."""
    named = os.environ.get("CELLTWIN_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "celltwin"


def prepare_equations(
    parameters: CellParameters, fidelity: str, n_cells: int, mesh: Mesh, *, compiled: bool = True
) -> PreparedEquations:
    """Return the equations of a group of cells, from disk where they have been built before.

    Parameters
    ----------
    parameters : CellParameters
        The cell.
    fidelity : {"SPM", "SPMe", "DFN"}
        PyBaMM's model.
    n_cells : int
        Cells in parallel.
    mesh : Mesh
        Finite volumes.
    compiled : bool
        Compile with the system's C compiler: takes seconds once, and runs six times as fast. Without a compiler
        casadi's virtual machine does the same slowly.
    """
    compiled = compiled and shutil.which("gcc") is not None
    folder = cache_folder() / "equations" / _key(parameters, fidelity, n_cells, mesh, compiled)
    found = _read(folder / "equations.json")
    if found is not None:
        return found
    prepared = _build(parameters, fidelity, n_cells, mesh, folder if compiled else None)
    if prepared.compiled or not compiled:
        _write(folder / "equations.json", prepared)
    return prepared


def _key(parameters: CellParameters, fidelity: str, n_cells: int, mesh: Mesh, compiled: bool) -> str:
    parts = (
        _FORMAT,
        parameters.hash,
        fidelity,
        n_cells,
        vars(mesh),
        compiled,
        platform.machine(),
        *(importlib.metadata.version(name) for name in ("pybamm", "pybammsolvers", "casadi")),
    )
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    return f"{parameters.name}-{fidelity}-{n_cells}-{digest}"


def _build(
    parameters: CellParameters, fidelity: str, n_cells: int, mesh: Mesh, library_folder: Path | None
) -> PreparedEquations:
    import pybamm

    from .cell_equations import discretise_cell
    from .group_equations import join_cells

    cell = discretise_cell(parameters, fidelity, mesh)
    group = join_cells(cell, n_cells)
    functions = dict(group.functions)
    is_compiled = False
    if library_folder is not None:
        library_folder = _writable(library_folder)
        names = [name for name in functions if name not in ("sens", "events")]
        from pybamm.codegen.compilation import aot_compile

        result = aot_compile([functions[name] for name in names], cache_dir=str(library_folder), flags=("-O2", "-fPIC"))
        is_compiled = all(function.class_name() == "External" for function in result)
        if is_compiled:
            functions.update(zip(names, result, strict=True))
        else:
            _logger.warning("the equations could not be compiled; they run in casadi's virtual machine, slowly")
    options = pybamm.IDAKLUSolver(options={"hermite_interpolation": False}).options
    return PreparedEquations(
        n_cells=n_cells,
        n_differential=cell.n_differential,
        n_algebraic=cell.n_algebraic,
        functions={name: function.serialize() for name, function in functions.items()},
        initial=cell.initial.serialize(),
        observe=cell.observe.serialize(),
        column_starts=group.column_starts,
        rows=group.rows,
        bandwidths=group.bandwidths,
        temperature_row=cell.temperature_row,
        temperature_offset=cell.temperature_offset,
        stoichiometry_row=cell.stoichiometry_row,
        stoichiometry_offset=cell.stoichiometry_offset,
        solver_options=dict(options),
        compiled=is_compiled,
    )


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    _logger.warning("%s cannot be written; set CELLTWIN_CACHE to keep the compiled equations elsewhere", folder)
    return Path(tempfile.mkdtemp(prefix="celltwin-"))


_ARRAYS = {"column_starts": np.int64, "rows": np.int64, "temperature_row": np.float64, "stoichiometry_row": np.float64}


def _read(path: Path) -> PreparedEquations | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        for name, kind in _ARRAYS.items():
            data[name] = np.array(data[name], dtype=kind)
        data["bandwidths"] = tuple(data["bandwidths"])
        prepared = PreparedEquations(**data)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _logger.warning("%s is damaged (%s); the equations are built anew", path, error)
        return None
    if prepared.compiled and not any(path.parent.glob("*.so")):
        return None
    return prepared


def _write(path: Path, prepared: PreparedEquations) -> None:
    data = dict(vars(prepared)) | {name: getattr(prepared, name).tolist() for name in _ARRAYS}
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(data), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        _logger.warning("the equations cannot be kept in %s (%s); the next start builds them again", path, error)
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
