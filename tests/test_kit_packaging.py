"""What Kit and pip read: extension.toml, app files, icons, and the lists in pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
EXTENSIONS = sorted(path.name for path in (ROOT / "exts").iterdir() if path.is_dir())
WITH_CODE = [name for name in EXTENSIONS if name != "celltwin.bundle"]
APPS = sorted((ROOT / "app").glob("*.kit"))
KERNEL_APPS = [path for path in APPS if path.stem != "celltwin.editor"]

TABLE_ORDER = ["core", "package", "dependencies", "python", "settings", "test", "documentation"]
PACKAGE_KEYS = [
    "version",
    "category",
    "title",
    "description",
    "keywords",
    "changelog",
    "readme",
    "preview_image",
    "icon",
]  # Isaac Sim's order


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def read_extension(name: str) -> dict[str, Any]:
    return read(ROOT / "exts" / name / "config/extension.toml")


def dependencies_of(name: str) -> set[str]:
    return {other for other in read_extension(name).get("dependencies", {}) if other.startswith("celltwin.")}


def reach(names: set[str]) -> set[str]:
    found: set[str] = set()
    while names:
        found |= names
        names = {other for name in names for other in dependencies_of(name)} - found
    return found


@pytest.mark.parametrize("name", EXTENSIONS)
def test_extension_toml_has_the_keys_in_house_order(name):
    config = read_extension(name)

    assert [table for table in TABLE_ORDER if table in config] == list(config)
    assert list(config["package"]) == PACKAGE_KEYS
    assert list(config.get("dependencies", {})) == sorted(config.get("dependencies", {}))


@pytest.mark.parametrize("name", EXTENSIONS)
def test_every_file_that_an_extension_names_exists(name):
    config = read_extension(name)
    folder = ROOT / "exts" / name
    named = [config["package"][key] for key in ("changelog", "readme", "preview_image", "icon")]

    missing = [path for path in named + config["documentation"]["pages"] if not (folder / path).is_file()]

    assert missing == []
    assert (folder / "premake5.lua").is_file()


@pytest.mark.parametrize("name", EXTENSIONS)
def test_readme_and_changelog_speak_of_this_extension_and_version(name):
    folder = ROOT / "exts" / name
    package = read_extension(name)["package"]

    assert (folder / "docs/README.md").read_text(encoding="utf-8").startswith(f"# {package['title']}\n")
    assert f"## [{package['version']}]" in (folder / "docs/CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EXTENSIONS)
def test_icon_is_256_pixels_square_and_the_preview_is_a_picture(name):
    folder = ROOT / "exts" / name / "data"
    with Image.open(folder / "icon.png") as icon, Image.open(folder / "preview.png") as preview:
        assert icon.size == (256, 256)
        assert preview.width >= 640
        assert len(preview.convert("RGB").resize((64, 36)).getcolors(64 * 36) or []) > 16  # not blank


@pytest.mark.parametrize("name", WITH_CODE)
def test_python_modules_are_the_library_and_the_shell_where_there_is_one(name):
    short = name.removeprefix("celltwin.")
    package = ROOT / "exts" / name / "celltwin" / short
    expected = [name] + [f"{name}.extension"] * (package / "extension.py").is_file()

    assert [module["name"] for module in read_extension(name)["python"]["module"]] == expected
    assert (package / "__init__.py").is_file()


@pytest.mark.parametrize("name", WITH_CODE)
def test_celltwin_stays_a_namespace(name):
    assert not (ROOT / "exts" / name / "celltwin/__init__.py").exists()


@pytest.mark.parametrize("name", WITH_CODE)
def test_an_extension_depends_on_what_its_code_imports(name):
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "exts" / name).rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) (celltwin\.\w+)", source, flags=re.MULTILINE)) - {name}

    assert imported <= dependencies_of(name)


def test_the_bundle_is_dependencies_only_and_complete():
    assert dependencies_of("celltwin.bundle") == set(WITH_CODE)
    assert not (ROOT / "exts/celltwin.bundle/celltwin").exists()


def test_schemas_load_before_anything_else():
    assert read_extension("celltwin.schema")["core"]["order"] == -100


def test_runtime_settings_are_the_fields_of_twin_settings():
    from celltwin.runtime import TwinSettings

    settings = read_extension("celltwin.runtime")["settings"]["exts"]["celltwin.runtime"]
    of_the_host = {"run": False, "quit_when_done": False}

    assert settings == {item.name: item.default for item in fields(TwinSettings)} | of_the_host


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.stem)
def test_an_app_depends_on_extensions_that_exist(path):
    own = {name for name in read(path)["dependencies"] if name.startswith("celltwin.")}

    assert own
    assert reach(own) <= set(EXTENSIONS)


@pytest.mark.parametrize("path", KERNEL_APPS, ids=lambda path: path.stem)
def test_a_kernel_app_can_run_on_the_wheel_and_ends_cleanly(path):
    app = read(path)["settings"]["app"]

    assert app["extensions"]["registryEnabled"] is False
    assert app["exts"]["folders"]["++"] == ["${app}/../exts"]
    assert app["runWithoutRunloop"] is True
    assert app["fastShutdown"] is False


def test_only_apps_with_windows_load_the_panels():
    by_app = {path.stem: reach({n for n in read(path)["dependencies"] if n.startswith("celltwin.")}) for path in APPS}

    assert {app for app, names in by_app.items() if "celltwin.panels" in names} == {"celltwin.desk", "celltwin.editor"}
    assert by_app["celltwin.headless"] == set(WITH_CODE) - {"celltwin.panels"}


def test_settings_of_an_app_are_declared_by_the_extension():
    declared = read_extension("celltwin.runtime")["settings"]["exts"]["celltwin.runtime"]
    for path in APPS:
        for key, value in read(path)["settings"]["exts"]["celltwin.runtime"].items():
            assert type(value) is type(declared[key]), f"{path.name}: {key}"


def test_pyproject_lists_every_extension_with_code():
    tool = read(ROOT / "pyproject.toml")["tool"]
    wheel = tool["hatch"]["build"]["targets"]["wheel"]

    assert wheel["only-include"] == [f"exts/{name}/celltwin" for name in WITH_CODE]
    assert wheel["dev-mode-dirs"] == [f"exts/{name}" for name in WITH_CODE]
    assert tool["mypy"]["mypy_path"] == [f"exts/{name}" for name in WITH_CODE]


def test_the_lock_pins_every_requirement_with_hashes_and_names_no_index():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = re.findall(r"^([\w.-]+)==\S+ \\\n    --hash=sha256:", lock, flags=re.MULTILINE)
    config = read(ROOT / "pyproject.toml")
    wanted = config["project"]["dependencies"] + config["dependency-groups"]["develop"]

    assert {re.split(r"[^\w-]", name)[0] for name in wanted} <= set(pinned)
    assert len(pinned) == len(re.findall(r"^[\w.-]+==", lock, flags=re.MULTILINE))
    assert "://" not in lock


def test_repo_toml_names_files_and_modules_that_exist():
    config = read(ROOT / "repo.toml")
    named = [app["kit"] for app in config["apps"].values()]
    named += [path for suite in config["suites"].values() for path in suite["paths"]]
    named += [bench["module"].replace(".", "/") + ".py" for bench in config["benches"].values()]
    named.append(config["launch"]["options"])

    assert [path for path in named if not (ROOT / path).exists()] == []
    assert {app["kit"] for app in config["apps"].values()} == {f"app/{path.name}" for path in APPS}


def test_every_bench_can_be_run_by_its_name():
    benches = {path.stem for path in (ROOT / "tools/bench").glob("*.py") if "__main__" in path.read_text()}

    assert {name.replace("-", "_") for name in read(ROOT / "repo.toml")["benches"]} == benches


def test_the_environment_of_tests_is_the_environment_of_runs():
    conftest = (ROOT / "tests/conftest.py").read_text(encoding="utf-8")
    for name, value in read(ROOT / "repo.toml")["environment"].items():
        assert f'"{name}": "{value}"' in conftest
