"""The premake files, run in a Lua interpreter against a recorder of what premake and the Kit tools offer."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import lupa
import pytest

ROOT = Path(__file__).resolve().parents[1]
EXTENSIONS = sorted(path.name for path in (ROOT / "exts").iterdir() if path.is_dir())
TARGET = "%{root}/_build/%{platform}/%{config}"  # bin_dir of the Kit tools


@dataclass
class Recorder:
    """What a build would have done."""

    links: dict[str, Path] = field(default_factory=dict)  # target to source
    apps: list[str] = field(default_factory=list)
    projects: list[str] = field(default_factory=list)
    set_up: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = ROOT
        self.lua = lupa.LuaRuntime(unpack_returned_tuples=True)
        offered = self.lua.globals()
        offered.bin_dir = TARGET
        offered.include = self.include
        offered.define_app = self.apps.append
        offered.get_current_extension_info = self.describe_extension
        offered.project_ext = self.add_project
        offered.os.matchdirs = lambda pattern: self.lua.table_from(
            sorted(str(path) for path in Path("/").glob(pattern.lstrip("/")) if path.is_dir())
        )
        offered.os.isfile = lambda path: Path(path).is_file()
        modules = {
            "omni/repo/build": self.lua.table(
                get_abs_path=lambda path: str((self.folder / path).resolve()), prebuild_link=self.link
            ),
            "_repo/deps/repo_kit_tools/kit-template/premake5-kit": self.lua.table(
                setup_all=lambda options=None: self.set_up.append(options and options.cppdialect)
            ),
        }
        offered.require = modules.__getitem__

    def include(self, folder: str) -> None:
        """Run the premake file of a folder from within it, as premake does."""
        outer, self.folder = self.folder, Path(folder)
        try:
            self.lua.execute((self.folder / "premake5.lua").read_text(encoding="utf-8"))
        finally:
            self.folder = outer

    def describe_extension(self) -> object:
        name = self.folder.name
        return self.lua.table(id=name, name=name, target_dir=f"{TARGET}/exts/{name}", group="extensions")

    def add_project(self, extension: object, options: object = None) -> None:
        del options
        self.projects.append(extension.id)  # type: ignore[attr-defined]
        if (self.folder / "config").is_dir():  # the Kit tools link it by themselves
            self.links[f"{extension.target_dir}/config"] = self.folder / "config"  # type: ignore[attr-defined]

    def link(self, pairs: object) -> None:
        for pair in pairs.values():  # type: ignore[attr-defined]
            source, target = pair[1], pair[2]
            assert target not in self.links
            self.links[target] = Path(os.path.normpath(self.folder / source))


@pytest.fixture(scope="module")
def build() -> Recorder:
    recorder = Recorder()
    recorder.include(str(ROOT))
    return recorder


def test_the_workspace_is_set_up_once_before_anything_else(build):
    assert build.set_up == ["C++17"]


def test_every_extension_is_a_project(build):
    assert sorted(build.projects) == EXTENSIONS


def test_every_app_is_defined(build):
    assert sorted(build.apps) == sorted(path.name for path in (ROOT / "app").glob("*.kit"))


def test_every_link_starts_at_something_that_exists(build):
    assert [str(source) for source in build.links.values() if not source.exists()] == []


@pytest.mark.parametrize("name", EXTENSIONS)
def test_every_folder_of_an_extension_is_linked_to_its_place(build, name):
    folders = {path.name for path in (ROOT / "exts" / name).iterdir() if path.is_dir()} - {"__pycache__"}

    for folder in folders:
        assert build.links[f"{TARGET}/exts/{name}/{folder}"] == ROOT / "exts" / name / folder


def test_apps_and_data_lie_beside_the_extensions(build):
    assert build.links[f"{TARGET}/apps"] == ROOT / "app"
    assert build.links[f"{TARGET}/data"] == ROOT / "data"


def test_a_link_to_nowhere_would_be_noticed(tmp_path):
    recorder = Recorder()
    (tmp_path / "premake5.lua").write_text(
        "local ext = get_current_extension_info()\n"
        'repo_build = require("omni/repo/build")\n'
        'repo_build.prebuild_link { { "absent", ext.target_dir.."/absent" } }\n'
    )

    recorder.include(str(tmp_path))

    assert [source.exists() for source in recorder.links.values()] == [False]
