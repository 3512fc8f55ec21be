"""Every Python example in an extension's README runs as it stands, from a folder that holds ``data``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
READMES = sorted((ROOT / "exts").glob("*/docs/README.md"))
EXAMPLES = [
    pytest.param(code, id=f"{path.parts[-3]}-{number}")
    for path in READMES
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL))
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_example_runs_and_prints(code, tmp_path):
    (tmp_path / "data").symlink_to(ROOT / "data")

    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_every_extension_with_code_has_an_example():
    without = {path.parts[-3] for path in READMES} - {str(example.id).partition("-")[0] for example in EXAMPLES}

    assert without == {"celltwin.bundle"}
