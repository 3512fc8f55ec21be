"""Read measured curves of a cell from files of any known kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .cell_description import CellDescription
from .measured_curve import MeasuredCurve, MeasuredSet, MeasurementError
from .measured_readers_sets import read_samsung_30q, read_xjtu_discharge

__all__ = ["MEASURED_KINDS", "read_measured_set"]

FileReader = Callable[[Path], tuple[str, MeasuredCurve]]

_ONE_CURVE_FILES: dict[str, tuple[str, FileReader, float]] = {
    "samsung_30q": ("Q30_S*_*.csv", read_samsung_30q, 3.0),
    "xjtu_discharge": ("XJTU_*_discharge_*.csv", read_xjtu_discharge, 2.0),
}
MEASURED_KINDS = tuple(_ONE_CURVE_FILES)


def read_measured_set(
    path: str | Path | Sequence[str | Path],
    *,
    kind: str | None = None,
    mapping: str | Path | None = None,
    cell: str | CellDescription | None = None,
) -> MeasuredSet:
    """Read the measured curves of one cell.

    Parameters
    ----------
    path : path or sequence of paths
        Files, or a folder whose files are all read.
    kind : str, optional
        One of ``MEASURED_KINDS``; found out where None.
    mapping : path, optional
        TOML file that says what the columns of a cycler's export are.
    cell : str or CellDescription, optional
        Which cell, where the files hold several; or the description of the cell, whose capacity names the rates.

    Returns
    -------
    MeasuredSet
        The curves, slowest first.

    Raises
    ------
    MeasurementError
        If there are no files of a known kind, they are of several cells, or one of them cannot be read.
    """
    if mapping is not None:
        raise MeasurementError("mapping files are read for kind 'csv' only", where=str(mapping), remedy="Leave it out")
    files = _files([path] if isinstance(path, str | Path) else path)
    kind = kind or _find_kind(files)
    if kind not in MEASURED_KINDS:
        raise MeasurementError(f"{kind!r} is no kind of measurement", remedy=f"Use one of {', '.join(MEASURED_KINDS)}")
    pattern, reader, capacity = _ONE_CURVE_FILES[kind]
    found: dict[str, list[MeasuredCurve]] = {}
    for file in files:
        if file.match(pattern):
            name, curve = reader(file)
            found.setdefault(name, []).append(curve)
    wanted = cell if isinstance(cell, str) else None
    if wanted is None and len(found) == 1:
        wanted = next(iter(found))
    if wanted not in found:
        raise MeasurementError(
            f"the files hold cells {', '.join(sorted(found)) or 'none'}" + (f", not {wanted}" if wanted else ""),
            where=str(files[0].parent) if files else None,
            remedy="Name one of them, or give the files of one cell",
        )
    if isinstance(cell, CellDescription):
        capacity = cell.capacity
    curves = sorted(found[wanted], key=lambda curve: abs(curve.mean_current))
    return MeasuredSet(cell=wanted, curves=tuple(curves), nominal_capacity=capacity)


def _files(paths: Iterable[str | Path]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += sorted(file for file in path.rglob("*") if file.is_file())
        else:
            files.append(path)
    return files


def _find_kind(files: Sequence[Path]) -> str:
    for kind, (pattern, _, _) in _ONE_CURVE_FILES.items():
        if any(file.match(pattern) for file in files):
            return kind
    raise MeasurementError(
        "no file is of a known kind",
        where=str(files[0]) if files else None,
        remedy=f"Say kind (one of {', '.join(MEASURED_KINDS)})",
    )
