"""The command ``celltwin campaign`` in a terminal: Ctrl-C stops it cleanly, the next call goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from celltwin.runtime.campaign import read_runs

TEXT = """
name = "discharges"
pack = "data/packs/reference.toml"
scenario = "data/scenarios/constant_current.toml"
[base]
pack.topology.parallel = 4
pack.layout.rows = 2
pack.topology.series = 2
pack.modules.count = 1
scenario.steps.0.longest = "2 min"
scenario.steps.1.longest = "1 min"
engine.step = 2.0
[design]
kind = "latin_hypercube"
points = 24
[[factors]]
name = "ambient"
field = "scenario.ambient.temperature"
unit = "degC"
range = [-10.0, 40.0]
"""


def test_ctrl_c_stops_a_campaign_without_a_trace_and_the_same_command_goes_on(tmp_path):
    (tmp_path / "discharges.toml").write_text(TEXT)
    command = [str(Path(sys.executable).parent / "celltwin"), "campaign", "discharges.toml"]
    command += ["--out", "out", "--workers", "2"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "runs done" in line:
                    break
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers as well
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    kept = {row["run"]: row["worker"] for row in read_runs(tmp_path / "out")}

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
    rows = read_runs(tmp_path / "out")

    assert process.returncode == 130, out
    assert "the same command goes on from here" in out
    assert "Traceback" not in out
    assert done.returncode == 0, done.stderr
    assert "24 of 24 runs done" in done.stderr
    assert [row["run"] for row in rows] == list(range(24))
    assert {row["run"]: row["worker"] for row in rows if row["run"] in kept} == kept


def test_a_wrong_file_is_one_clear_line(tmp_path):
    (tmp_path / "wrong.toml").write_text(TEXT.replace('kind = "latin_hypercube"', 'kind = "hypercube"'))
    command = [str(Path(sys.executable).parent / "celltwin"), "campaign", "wrong.toml"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 2
    assert done.stderr.startswith("celltwin: wrong.toml: design.kind = 'hypercube' is unknown. Use one of grid,")
    assert done.stderr.count("\n") == 1
