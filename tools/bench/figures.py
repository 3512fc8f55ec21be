"""What every bench does with its figures: print a table, and write them as JSON with the machine they were taken on."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tools.bench.places import PICTURES

__all__ = ["Figure", "Figures", "bench_parser", "describe_machine", "hand_over", "main"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure.

    Attributes
    ----------
    name : str
        What was measured.
    value : float
        The figure [unit].
    unit : str
        Its unit.
    target : float or None
        Bound that it should keep [unit]; None where there is none.
    at_least : bool
        Whether the target is a lower bound; an upper one otherwise.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the target is kept; None without a target."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value < self.target

    @property
    def target_text(self) -> str:
        """The target as people write it."""
        return "" if self.target is None else f"{'≥' if self.at_least else '<'} {self.target:g} {self.unit}"


@dataclass
class Figures:
    """The figures of one bench, in the order they were taken.

    Attributes
    ----------
    bench : str
        Name of the bench.
    figures : list of Figure
        What was measured so far.
    """

    bench: str
    figures: list[Figure] = field(default_factory=list)

    def add(self, name: str, value: float, unit: str, target: float | None = None, *, at_least: bool = False) -> None:
        """Add a figure; a target is an upper bound unless ``at_least``."""
        self.figures.append(Figure(name=name, value=float(value), unit=unit, target=target, at_least=at_least))

    def as_dict(self) -> dict[str, object]:
        """Return what the JSON file holds."""
        return {
            "bench": self.bench,
            "machine": describe_machine(),
            "figures": {
                figure.name: {
                    "value": figure.value,
                    "unit": figure.unit,
                    "target": figure.target,
                    "met": figure.met,
                }
                for figure in self.figures
            },
        }

    def write(self, path: Path) -> None:
        """Write the figures to a JSON file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def show(self) -> None:
        """Print the figures as a table."""
        from rich.console import Console
        from rich.table import Table

        table = Table(title=f"bench {self.bench}", caption=describe_machine(), title_justify="left")
        for heading, justify in (("figure", "left"), ("value", "right"), ("target", "right"), ("met", "center")):
            table.add_column(heading, justify=justify)  # type: ignore[arg-type]  # rich wants literals
        words = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}
        for figure in self.figures:
            table.add_row(figure.name, f"{figure.value:.4g} {figure.unit}", figure.target_text, words[figure.met])
        Console().print(table)


def describe_machine() -> str:
    """Return processor, cores, memory, operating system and Python in one line."""
    import psutil

    processor = platform.processor() or platform.machine()
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        models = [line for line in listing.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        if models:
            processor = models[0].partition(":")[2].strip()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total / 2**30
    system = platform.system()
    if system == "Linux":
        system = platform.freedesktop_os_release().get("PRETTY_NAME", system)
    return f"{processor}, {cores} cores, {memory:.1f} GiB, {system}, Python {platform.python_version()}"


def bench_parser(description: str | None, *, pictures: bool = False) -> argparse.ArgumentParser:
    """Return a parser with what every bench takes: ``--json FILE``, and ``--plots FOLDER`` where it draws pictures."""
    parser = argparse.ArgumentParser(description=(description or "").strip())
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    if pictures:
        parser.add_argument("--plots", type=Path, metavar="FOLDER", default=PICTURES, help="where pictures go")
    return parser


def hand_over(figures: Figures, path: Path | None) -> int:
    """Print figures, write them to a JSON file where one is named, and return the exit status of a bench."""
    figures.show()
    if path is not None:
        figures.write(path)
    return 0


def main(run: Callable[[], Figures], arguments: list[str] | None = None) -> int:
    """Run a bench as a command: print its table, and write its JSON where ``--json FILE`` asks for it."""
    options = bench_parser(sys.modules[run.__module__].__doc__).parse_args(arguments)
    return hand_over(run(), options.json)
