"""A pack small enough to simulate in a test, and runs of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_pack(repo_root, tmp_path_factory) -> Path:
    """Return a pack file: the reference pack with 2 modules of 2 groups of 3 cells."""
    text = (repo_root / "data/packs/reference.toml").read_text()
    for old, new in (
        ('name = "reference"', 'name = "small"'),
        ("series = 10", "series = 2"),
        ("parallel = 28", "parallel = 3"),
        ("rows = 14", "rows = 3"),
        ("count = 10", "count = 2"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("packs") / "small.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def short_duty(tmp_path_factory) -> Path:
    """Return a duty of a few minutes: discharge, rest, charge."""
    path = tmp_path_factory.mktemp("duties") / "short.toml"
    path.write_text(
        """
name = "short"
[initial]
soc = 0.6
[[steps]]
name = "Discharge 1C"
kind = "discharge"
rate = 1.0
longest = "5 min"
[[steps]]
name = "Rest"
kind = "rest"
longest = "1 min"
[[steps]]
name = "Charge 1C"
kind = "charge"
rate = 1.0
until_rate = 0.05
longest = "4 min"
"""
    )
    return path


@pytest.fixture
def drive():
    """Return a function that drives a job to its end, as a host's loop would, within a time limit."""

    def run(job, *, limit: float = 120.0, until=lambda job: False):
        begun = last = time.monotonic()
        states = []
        while not job.done and not until(job):
            now = time.monotonic()
            assert now - begun < limit, f"the job did not end in {limit} s; phase {job.phase}"
            states += job.update(now - last)
            last = now
        return states

    return run
