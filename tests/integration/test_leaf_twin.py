import json

import numpy as np
import pytest

from celltwin.core import Kind, Level
from celltwin.runtime import TwinSettings
from celltwin.runtime.job import TwinJob


@pytest.mark.measured
def test_the_real_leaf_modules_run_and_their_weak_groups_are_named(repo_root, measured_data, tmp_path, drive):
    recording = measured_data("leaf_modules") / "module123-irdischarge-65ah-1_0c.csv"
    job = TwinJob(
        TwinSettings(
            pack=str(repo_root / "data/packs/leaf_3_modules.toml"), telemetry=str(recording), out=str(tmp_path / "run")
        ),
        host="pytest",
    )

    states = drive(job)

    assert job.exit_code == 0
    last = states[-1]
    voltage = last.get(Kind.MEASURED, "voltage", Level.GROUP)
    np.testing.assert_allclose(voltage.values, [3.0, 3.474, 3.478, 3.206, 3.435, 3.429], atol=0.02)
    temperature = last.get(Kind.MEASURED, "temperature", Level.MODULE)
    np.testing.assert_allclose(temperature.values - 273.15, [27.5, 29.0, 28.0], atol=0.6)
    # 65 A drawn, so positive on discharge.
    assert last.get(Kind.MEASURED, "current", Level.PACK).values[0] == pytest.approx(65.0, abs=0.1)
    summary = json.loads(job.folder.summary.read_text())
    weakest = [group["element"] for group in summary["figures"]["groups"][:2]]
    assert weakest == ["A01.G01", "A02.G02"]
    report = job.folder.report.read_text()
    assert "A01.G01" in report
    assert "A02.G02" in report
    assert summary["figures"]["discharged_Ah"] == pytest.approx(55.3, rel=0.01)
