"""``celltwin pack``: build, check and show packs."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from celltwin.core import PackSpec, SettingsError, StageError, find_quantity, lay_out, load_pack

if TYPE_CHECKING:
    from pxr import Usd
    from rich.tree import Tree

    from .findings import Finding

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Build, check and show packs.")

_PACK_FILE = typer.Argument(help="Pack file (TOML).")
_PACK_OR_STAGE = typer.Argument(help="Pack file (TOML) or stage (USD).")
_MOST_MODULES = 12


@app.command()
def build(
    file: Annotated[Path, _PACK_FILE],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Stage to write; NAME.usd where left out.")] = None,
) -> None:
    """Build the USD stage of a pack."""
    from rich.console import Console

    from .build import build_pack_stage

    spec = load_pack(file)
    path = out or Path(f"{spec.name}.usd")
    start = time.perf_counter()
    build_pack_stage(spec, path)
    console = Console()
    console.print(f"[bold]{spec.title}[/bold]: {spec.n_modules} modules, {spec.n_groups} groups, {spec.n_cells} cells")
    console.print(f"wrote {path} ({path.stat().st_size / 1e3:,.0f} kB) in {time.perf_counter() - start:.2f} s")


@app.command()
def check(file: Annotated[Path, _PACK_OR_STAGE]) -> None:
    """Check a pack by Celltwin's own rules and by NVIDIA's validator; exit with 1 if it fails."""
    from rich.console import Console

    from .check import check_pack
    from .findings import FindingSeverity
    from .nvidia_validation import nvidia_rules

    console = Console()
    with console.status(f"Checking {file}"):
        findings = check_pack(_open(file))
        rules = len(nvidia_rules())
    counts = Counter(finding.severity for finding in findings)
    if findings:
        console.print(_table(findings))
    console.print(
        f"{file}: {counts[FindingSeverity.FAILURE]} failures, {counts[FindingSeverity.WARNING]} warnings "
        f"by Celltwin's rules and all {rules} default rules of NVIDIA's validator"
    )
    if counts[FindingSeverity.FAILURE]:
        raise typer.Exit(1)


@app.command()
def show(
    file: Annotated[Path, _PACK_OR_STAGE],
    png: Annotated[Path | None, typer.Option(help="Picture to write as well.")] = None,
) -> None:
    """Show a pack as a tree in the terminal, and as a picture with --png."""
    from rich.console import Console

    spec = load_pack(file) if file.suffix == ".toml" else _read(file)
    console = Console()
    console.print(_tree(spec))
    if png is not None:
        from .picture import render_pack

        with console.status("Drawing"):
            render_pack(spec, None, png, title=spec.title)
        console.print(f"wrote {png}")


def _open(file: Path) -> Usd.Stage:
    from .build import build_pack_stage
    from .read import open_pack_stage

    if file.suffix == ".toml":
        return build_pack_stage(load_pack(file))
    if file.suffix not in (".usd", ".usda", ".usdc", ".usdz"):
        raise SettingsError(
            "neither a pack file nor a stage",
            where=str(file),
            remedy="Give a .toml pack file or a .usd, .usda or .usdc stage",
        )
    return open_pack_stage(file)


def _read(file: Path) -> PackSpec:
    from .read import read_pack

    stage = _open(file)
    try:
        return read_pack(stage)
    except StageError as error:
        raise StageError(error.message, where=f"{file} {error.where}", remedy=error.remedy) from None


def _table(findings: list[Finding]) -> object:
    from rich.table import Table

    table = Table("Severity", "Rule", "Prim", "What is wrong", "What to do")
    for finding in findings:
        colour = "red" if finding.severity == "failure" else "yellow"
        table.add_row(
            f"[{colour}]{finding.severity}[/{colour}]", finding.rule, finding.prim, finding.message, finding.remedy
        )
    return table


def _tree(spec: PackSpec) -> Tree:
    from rich.markup import escape
    from rich.tree import Tree

    size_x, size_y, size_z = (1e3 * size for size in lay_out(spec).module_size)
    tree = Tree(f"[bold]{escape(spec.title)}[/bold]  ({spec.name})")
    tree.add(
        f"{spec.topology}, {spec.n_cells} cells, {spec.nominal_voltage:.1f} V, "
        f"{spec.capacity:.1f} A·h, {spec.energy / 1e3:.2f} kWh"
    )
    cell = tree.add(f"Cell: {escape(spec.cell.name)}, {spec.cell.chemistry}, {spec.cell.format}")
    cell.add(
        f"{spec.cell.capacity:g} A·h, {spec.cell.lowest_voltage:g} to {spec.cell.highest_voltage:g} V, "
        f"{1e3 * spec.cell.resistance:g} mΩ, {1e3 * spec.cell.mass:g} g"
    )
    modules = tree.add(
        f"{spec.n_modules} modules of {spec.series} groups of {spec.parallel} cells, "
        f"{size_x:.0f} × {size_y:.0f} × {size_z:.0f} mm, {spec.layout.pattern}"
    )
    for module in spec.modules[:_MOST_MODULES]:
        x, y, z = module.position
        turned = f", turned {module.heading:g}°" if module.heading else ""
        modules.add(f"{module.id} at ({x:.3f}, {y:.3f}, {z:.3f}) m{turned}")
    if spec.n_modules > _MOST_MODULES:
        modules.add(f"and {spec.n_modules - _MOST_MODULES} more")
    tree.add(
        f"Busbars: {escape(spec.busbar.material)}, {1e3 * spec.busbar.width:g} × {1e3 * spec.busbar.thickness:g} mm"
    )
    tree.add(f"Cooling: {spec.cooling.method}, {escape(spec.cooling.coolant)}, {spec.cooling.heat_transfer:g} W/(m²·K)")
    sensors = tree.add(f"{len(spec.sensors)} kinds of sensor")
    for sensor in spec.sensors:
        count = len(sensor.elements) or spec.size(sensor.level)
        branch = sensors.add(
            f"{sensor.id}: {find_quantity(sensor.quantity).label.lower()} of {count} × {sensor.level}, "
            f"± {sensor.standard_uncertainty:g} {find_quantity(sensor.quantity).unit}"
        )
        for mapping in spec.mappings:
            if mapping.sensor == sensor.id:
                source = escape(mapping.topic or mapping.column or mapping.channel)
                branch.add(f"{mapping.direction} {source} \\[{mapping.unit}] at {mapping.rate:g} Hz")
    return tree
