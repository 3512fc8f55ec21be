"""Who may import whom, checked on the parsed imports against the table in docs/ARCHITECTURE.md."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "exts").glob("celltwin.*/celltwin/*/**/*.py"))
PACKAGES = sorted(path.name for path in (ROOT / "exts").glob("celltwin.*/celltwin/*") if path.is_dir())

KIT_MODULES = {"extension.py", "commands.py", "menu.py"}
USD_PACKAGES = {"schema", "stage"}
HEAVY = {
    "matplotlib",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pandas",
    "physicsnemo",
    "pint",
    "pyarrow",
    "pybamm",
    "pyvista",
    "ray",
    "torch",
    "vtk",
    "vtkmodules",
    "warp",
}
# Where the name that is imported is not the name that is installed.
INSTALLED_AS = {
    "SALib": "salib",
    "PIL": "pillow",
    "physicsnemo": "nvidia-physicsnemo",
    "pxr": "usd-core",
    "sklearn": "scikit-learn",
    "vtkmodules": "vtk",
    "warp": "warp-lang",
}
BROUGHT_BY_KIT = {"carb", "omni"}


@dataclass(frozen=True)
class Import:
    """One imported module, and where."""

    name: str
    line: int
    on_import: bool  # runs when the module is imported, rather than in a function or for the type checker only


def read_imports(path: Path) -> Iterator[Import]:
    """Yield what a module imports, relative names made absolute."""
    parts = path.relative_to(ROOT).parts[2:-1]

    def visit(node: ast.AST, on_import: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, on_import)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join((*parts[: len(parts) - node.level + 1], node.module or "") if node.level else ())
            name = base.rstrip(".") if node.level else node.module or ""
            if name in {"celltwin", "omni"}:  # from celltwin import core
                for alias in node.names:
                    yield Import(f"{name}.{alias.name}", node.lineno, on_import)
            else:
                yield Import(name, node.lineno, on_import)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.body:
                yield from visit(child, False)
            for child in node.orelse:
                yield from visit(child, on_import)
        else:
            inside = on_import and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, inside)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), True)


def read_table() -> dict[str, set[str]]:
    """Return from docs/ARCHITECTURE.md which packages each package may import."""
    text = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| ([^|]+) \|$", text.split("may import (celltwin)")[1], flags=re.MULTILINE)
    allowed: dict[str, set[str]] = {}
    for package, cell in rows:
        if cell.startswith("everything"):
            allowed[package] = {name for name, _ in rows} - set(re.findall(r"but (\w+)", cell)) - {package}
        else:
            allowed[package] = set(re.findall(r"\w+", cell))
    return allowed


def package_of(path: Path) -> str:
    """Return the name below ``celltwin`` of the package that a module belongs to."""
    return path.relative_to(ROOT).parts[3]


def describe(path: Path, found: Import) -> str:
    """Return a finding as an editor's link."""
    return f"{path.relative_to(ROOT)}:{found.line} imports {found.name}"


def test_the_table_names_every_extension_with_code():
    assert sorted(read_table()) == PACKAGES


def test_the_table_has_no_cycle():
    table = read_table()
    order: list[str] = []
    while len(order) < len(table):
        free = [name for name in table if name not in order and table[name] <= set(order)]
        assert free, f"cycle among {sorted(set(table) - set(order))}"
        order += free


def test_no_package_imports_upward():
    table = read_table()
    wrong = []
    for path in MODULES:
        package = package_of(path)
        for found in read_imports(path):
            top, _, rest = found.name.partition(".")
            target = rest.partition(".")[0]
            if top == "celltwin" and target != package and target not in table[package]:
                wrong.append(describe(path, found))
    assert not wrong, "\n".join(wrong)


def test_only_shells_and_views_import_kit():
    wrong = []
    for path in MODULES:
        # That the public names of the panels need no omni.ui is what test_public_names checks.
        allowed = path.name in KIT_MODULES or (package_of(path) == "panels" and path.name != "__init__.py")
        wrong += [
            describe(path, found)
            for found in read_imports(path)
            if not allowed and found.name.partition(".")[0] in BROUGHT_BY_KIT
        ]
    assert not wrong, "\n".join(wrong)


def test_only_stage_and_schema_import_usd():
    wrong = [
        describe(path, found)
        for path in MODULES
        for found in read_imports(path)
        if found.name.partition(".")[0] == "pxr" and package_of(path) not in USD_PACKAGES
    ]
    assert not wrong, "\n".join(wrong)


def test_heavy_libraries_are_imported_in_functions():
    wrong = [
        describe(path, found)
        for path in MODULES
        for found in read_imports(path)
        if found.on_import and found.name.partition(".")[0] in HEAVY
    ]
    assert not wrong, "\n".join(wrong)


def test_extensions_import_neither_tools_nor_tests():
    wrong = [
        describe(path, found)
        for path in MODULES
        for found in read_imports(path)
        if found.name.partition(".")[0] in {"tools", "tests"}
    ]
    assert not wrong, "\n".join(wrong)


def test_every_library_that_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[^\w-]", name)[0].lower() for name in project["dependencies"]}
    known = declared | BROUGHT_BY_KIT | {"celltwin"} | set(sys.stdlib_module_names)
    wrong = []
    for path in MODULES:
        for found in read_imports(path):
            top = found.name.partition(".")[0]
            if top not in known and INSTALLED_AS.get(top, top.replace("_", "-")) not in known:
                wrong.append(describe(path, found))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch", [("torch", True)]),
        ("def f():\n    import torch", [("torch", False)]),
        ("class A:\n    import torch", [("torch", True)]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", [("typing", True), ("torch", False)]),
        ("try:\n    from omni import ui\nexcept ImportError:\n    pass", [("omni.ui", True)]),
        ("from . import spec\nfrom .spec import Cell", [("celltwin.core", True), ("celltwin.core.spec", True)]),
        ("from celltwin import stage", [("celltwin.stage", True)]),
    ],
)
def test_imports_are_read_wherever_they_stand(source, expected, tmp_path, monkeypatch):
    path = tmp_path / "exts/celltwin.core/celltwin/core/module.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)

    assert [(found.name, found.on_import) for found in read_imports(path)] == expected
