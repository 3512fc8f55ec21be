"""The five lines of the README are run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from celltwin.core import load_pack
from celltwin.stage import check_structure, open_pack_stage, read_pack

ROOT = Path(__file__).resolve().parents[3]
SNIPPET = ROOT / "exts" / "celltwin.stage" / "docs" / "README-snippet.md"


def test_five_lines_build_edit_and_save_a_pack(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", SNIPPET.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 5
    (tmp_path / "data").symlink_to(ROOT / "data")

    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={**os.environ})

    stage = open_pack_stage(tmp_path / "out" / "my_pack.usd")
    found, declared = read_pack(stage), load_pack(ROOT / "data" / "packs" / "reference.toml")
    assert found.modules[:-1] == declared.modules[:-1]
    assert found.modules[-1].heading == 90.0
    assert found.sensors[-1].id == "bus"
    assert check_structure(stage) == []
