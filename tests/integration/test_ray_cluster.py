"""A campaign on a real Ray cluster of two nodes on this machine: workers and a node are killed, and nothing is lost."""

from __future__ import annotations

import os
import signal
import tomllib
from pathlib import Path

import pytest

from celltwin.core import Task, WorkerError, open_executor
from celltwin.runtime.campaign import CampaignRun, parse_campaign, read_runs

OBJECT_STORE = 80 * 2**20  # [bytes] of each node

# Runs that are over at once, but for those that wait for their end the first time they are started.
FUNCTIONS = """
import os
import signal
from pathlib import Path
import numpy as np
import ray
from celltwin.runtime.campaign import RunResult

WAITING = (5, 17)

def cool(request):
    folder = Path(os.environ["CELLTWIN_RAY_TEST"])
    with open(folder / "starts.txt", "a") as file:
        file.write(f"{request.run}\\n")
    marker = folder / f"waiting-{request.run}"
    if request.run in WAITING and not marker.exists() and ray.is_initialized():
        marker.with_suffix(".new").write_text(f"{os.getpid()} {ray.get_runtime_context().get_node_id()}")
        marker.with_suffix(".new").replace(marker)
        signal.pause()
    ambient = request.scenario.ambient.temperature
    return RunResult(figures={"final_temperature": ambient + (333.15 - ambient) * np.exp(-3.0)}, units={})

def die():
    os.kill(os.getpid(), 9)

def square(number):
    return number * number
"""

TEXT = """
name = "cooling"
pack = "data/packs/reference.toml"
scenario = "data/scenarios/constant_current.toml"
[design]
kind = "latin_hypercube"
points = 24
[[factors]]
name = "ambient"
field = "scenario.ambient.temperature"
unit = "degC"
range = [-10.0, 40.0]
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Return a folder that all workers know, with the functions that they import."""
    folder = tmp_path_factory.mktemp("ray")
    (folder / "ray_functions.py").write_text(FUNCTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLTWIN_RAY_TEST", str(folder))
        patch.setenv("PYTHONPATH", str(folder))  # of the workers, on both nodes and here
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.syspath_prepend(str(folder))
        yield folder


@pytest.fixture
def cluster(shared):
    """Start a cluster with one node of one core; a test may add more."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": OBJECT_STORE, "include_dashboard": False},
    )
    yield cluster
    cluster.shutdown()


def test_a_task_that_kills_its_workers_ends_and_the_others_are_done(cluster):
    executor = open_executor(cluster.address)
    try:
        executor.submit(Task(key="poison", function="ray_functions:die", retries=1))
        for number in range(4):
            executor.submit(Task(key=str(number), function="ray_functions:square", arguments=(number,)))
        outcomes = {}
        while executor.pending:
            outcomes |= {outcome.task.key: outcome for outcome in executor.take(10.0)}
        with pytest.raises(WorkerError, match="connected to a Ray cluster already"):
            open_executor(cluster.address)
    finally:
        executor.close()
        executor.close()

    poison = outcomes.pop("poison")
    assert "2 workers died while it ran" in str(poison.error)
    assert [outcomes[str(number)].value for number in range(4)] == [0, 1, 4, 9]


@pytest.mark.nightly
def test_killing_a_worker_and_then_a_node_midway_loses_no_run(cluster, shared, tmp_path):
    second = cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE)
    campaign = parse_campaign(tomllib.loads(TEXT), path=tmp_path / "cooling.toml")
    run = CampaignRun(campaign, tmp_path / "ray", address=cluster.address, function="ray_functions:cool")
    try:
        killed = advance_until(run, shared / "waiting-5")
        os.kill(int(killed[0]), signal.SIGKILL)
        killed = advance_until(run, shared / "waiting-17")
        finished = run.progress.finished
        if killed[1] == second.node_id:
            cluster.remove_node(second, allow_graceful=False)
        else:
            os.kill(int(killed[0]), signal.SIGKILL)
        while not (progress := run.advance(10.0)).done:
            pass
    finally:
        run.close()
    rows = read_runs(tmp_path / "ray")

    assert finished < 24
    assert (progress.finished, progress.failed) == (24, 0)
    assert [row["run"] for row in rows] == list(range(24))
    assert {row["attempts"] for row in rows if row["run"] in (5, 17)} <= {1, 2}
    assert local_temperatures(campaign, tmp_path / "local") == [row["final_temperature"] for row in rows]


def advance_until(run: CampaignRun, marker: Path) -> list[str]:
    """Work on the campaign until a run has said that it waits; return process and node that it waits in."""
    while not marker.exists():
        assert not run.advance(0.05).done
    return marker.read_text().split()


def local_temperatures(campaign, folder: Path) -> list[float]:
    run = CampaignRun(campaign, folder, workers=1, function="ray_functions:cool")
    while not run.advance(10.0).done:
        pass
    run.close()
    return [row["final_temperature"] for row in read_runs(folder)]
