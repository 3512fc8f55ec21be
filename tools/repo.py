"""The verbs of ./repo.sh, run by the project's own Python."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
EXIT_USAGE = 2

sys.path[0] = str(ROOT)  # run as a script, import as tools.*

from tools.launch_options import OptionsError, describe_options, read_options, translate_options  # noqa: E402


def main(arguments: Sequence[str]) -> int:
    """Run one verb with its arguments and return the exit code."""
    verb, *rest = arguments or ["help"]
    config = tomllib.loads((ROOT / "repo.toml").read_text())
    for name, value in config["environment"].items():
        os.environ.setdefault(name, value)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling every start costs seconds
    if verb not in VERBS:
        return complain(f"unknown verb '{verb}'; `./repo.sh help` lists the verbs")
    return VERBS[verb](config, rest)


def launch(config: dict[str, Any], arguments: list[str]) -> int:
    """Run an app."""
    own, forwarded = split_at_dashes(arguments)
    name = own[0] if own else "headless"
    if len(own) > 1 or name not in config["apps"]:
        apps = "\n".join(f"  {key:<10} {app['summary']}" for key, app in config["apps"].items())
        return complain(f"usage: ./repo.sh launch [APP] [-- OPTIONS], where APP is one of\n{apps}")
    app = config["apps"][name]
    options = read_options(ROOT / config["launch"]["options"], config["launch"]["settings"])
    if "--help" in forwarded or "-h" in forwarded:
        print(f"./repo.sh launch {name} -- OPTIONS\n\n{describe_options(options)}")
        return 0
    try:
        settings = translate_options(forwarded, options, config["launch"]["settings"])
    except OptionsError as error:
        return complain(str(error))
    if app["host"] == "sdk":
        return launch_editor(ROOT / app["kit"], settings)
    window = ["--window"] if app["host"] == "kernel with window" else []
    return replace_process(
        [sys.executable, str(ROOT / "tools/kit_host.py"), *window, str(ROOT / app["kit"]), *settings]
    )


def launch_editor(kit_file: Path, settings: list[str]) -> int:
    """Run the full editor with the Kit SDK that CELLTWIN_KIT names."""
    kit = os.environ.get("CELLTWIN_KIT", "")
    if not os.access(kit, os.X_OK):
        return complain(
            "the editor needs NVIDIA's Kit SDK (kit-kernel and its extensions) and an RTX GPU.\n"
            "Set CELLTWIN_KIT to its `kit` executable, run `./repo.sh setup editor` once, and try again."
        )
    if not (ROOT / ".venv-editor/celltwin-ready").exists():
        return complain("run `./repo.sh setup editor` first: it installs the libraries that Kit does not bring")
    return replace_process([kit, str(kit_file), *settings])


def test(config: dict[str, Any], arguments: list[str]) -> int:
    """Run every test, or one suite."""
    own, forwarded = split_at_dashes(arguments)
    name = own[0] if own else "all"
    if len(own) > 1 or name not in config["suites"]:
        return complain(f"usage: ./repo.sh test [SUITE] [-- PYTEST OPTIONS]; suites: {', '.join(config['suites'])}")
    suite = config["suites"][name]
    paths = [str(ROOT / path) for path in suite["paths"]]
    workers = max(1, min(4, os.cpu_count() or 1))
    spread = ["-n", str(workers), "--dist", "loadgroup"] if workers > 1 else []
    command = [sys.executable, "-m", "pytest", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), *spread]
    return run([*command, *suite.get("arguments", []), *forwarded, *paths])


def bench(config: dict[str, Any], arguments: list[str]) -> int:
    """Run one bench."""
    benches = config["benches"]
    if not arguments or arguments[0] not in benches:
        listed = "\n".join(f"  {key:<12} {item['summary']}" for key, item in benches.items())
        return complain(f"usage: ./repo.sh bench NAME [--json FILE], where NAME is one of\n{listed}")
    name, *rest = arguments
    os.environ["PYTHONPATH"] = str(ROOT)  # the benches are modules of tools.bench
    return run([sys.executable, "-m", benches[name]["module"], *rest])


def lint(config: dict[str, Any], arguments: list[str]) -> int:
    """Check format, style and docstrings, types, and layers; report all before failing."""
    del config
    if arguments:
        return complain("usage: ./repo.sh lint")
    packages = sorted(path.parent.name for path in (ROOT / "exts").glob("celltwin.*/celltwin/*/__init__.py"))
    named = [word for package in packages for word in ("-p", f"celltwin.{package}")]
    python = [sys.executable, "-m"]
    checks = {
        "format": [*python, "ruff", "format", "--check", "--quiet", "."],
        "style": [*python, "ruff", "check", "--quiet", "."],
        "types of exts": [*python, "mypy", *named],
        "types of tools": [*python, "mypy", "tools"],
        "layers": [*python, "pytest", "-q", "tests/test_layering.py"],
    }
    failed = []
    for name, command in checks.items():
        print(f"lint: {name}", flush=True)
        if run(command, folder=ROOT):
            failed.append(name)
    print(f"lint: failed in {', '.join(failed)}" if failed else "lint: all good")
    return 1 if failed else 0


def set_up(config: dict[str, Any], arguments: list[str]) -> int:
    """Set up the libraries of the editor; the rest has been set up before this runs."""
    del config
    if arguments == []:
        print("the environment is up to date")
        return 0
    if arguments == ["editor"]:
        return run(["bash", str(ROOT / "tools/setup_editor.sh"), str(ROOT)])
    return complain("usage: ./repo.sh setup [editor]")


def lock(config: dict[str, Any], arguments: list[str]) -> int:
    """Compile requirements.lock from pyproject.toml, with hashes and without index URLs."""
    del config
    command = [str(ROOT / ".cache/uv-in-use"), "pip", "compile", "--python", sys.executable, "--quiet"]
    form = ["--generate-hashes", "--no-emit-index-url", "--no-header", "--output-file", "requirements.lock"]
    return run([*command, *form, "--group", "develop", *arguments, "pyproject.toml"], folder=ROOT)


def celltwin(config: dict[str, Any], arguments: list[str]) -> int:
    """Run the command line."""
    del config
    return replace_process([str(Path(sys.executable).parent / "celltwin"), *arguments])


def split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return what stands before and after the first ``--``."""
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def run(command: list[str], folder: Path | None = None) -> int:
    """Run a command to its end and return its exit code; Ctrl-C goes to the command."""
    try:
        return subprocess.run(command, cwd=folder, check=False).returncode
    except KeyboardInterrupt:
        return 130


def replace_process(command: list[str]) -> NoReturn:
    """Become another command, so that signals reach it and its exit code is ours."""
    sys.stdout.flush()
    os.execv(command[0], command)


def complain(text: str) -> int:
    """Say what is wrong and return the exit code of wrong usage."""
    print(text, file=sys.stderr)
    return EXIT_USAGE


VERBS: dict[str, Callable[[dict[str, Any], list[str]], int]] = {
    "bench": bench,
    "celltwin": celltwin,
    "launch": launch,
    "lint": lint,
    "lock": lock,
    "setup": set_up,
    "test": test,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
