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

# Runs of the engine; some wait for their end the first time that they are started.
FUNCTIONS = """
import os
import signal
from pathlib import Path
import ray
from celltwin.runtime.campaign.simulation import simulate_run

FOLDER = Path(os.environ["CELLTWIN_RAY_TEST"])

def simulate(request):
    if ray.is_initialized():
        node = ray.get_runtime_context().get_node_id()
        if request.run == 3:
            wait_once("in-worker")
        elif request.run >= 8 and node == (FOLDER / "second-node").read_text():
            wait_once("in-node")
    return simulate_run(request)

def wait_once(name):
    marker = FOLDER / name
    if not marker.exists():
        marker.with_suffix(".new").write_text(str(os.getpid()))
        marker.with_suffix(".new").replace(marker)
        signal.pause()

def die():
    os.kill(os.getpid(), 9)

def square(number):
    return number * number
"""

TEXT = """
name = "discharges"
pack = "data/packs/reference.toml"
scenario = "data/scenarios/constant_current.toml"
[base]
pack.topology.parallel = 4
pack.layout.rows = 2
pack.topology.series = 2
pack.modules.count = 1
scenario.steps.0.longest = "4 min"
scenario.steps.1.longest = "1 min"
engine.step = 2.0
[design]
kind = "latin_hypercube"
points = 16
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
    cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE)
    executor = open_executor(cluster.address)
    try:
        assert executor.workers == 2
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
    (shared / "second-node").write_text(second.node_id)
    campaign = parse_campaign(tomllib.loads(TEXT), path=tmp_path / "discharges.toml")
    run = CampaignRun(campaign, tmp_path / "ray", address=cluster.address, function="ray_functions:simulate")
    try:
        os.kill(advance_until(run, shared / "in-worker"), signal.SIGKILL)
        advance_until(run, shared / "in-node")
        finished = run.progress.finished
        cluster.remove_node(second, allow_graceful=False)
        while not (progress := run.advance(10.0)).done:
            pass
    finally:
        run.close()
    rows = read_runs(tmp_path / "ray")

    assert finished < 16
    assert (progress.finished, progress.failed) == (16, 0)
    assert [row["run"] for row in rows] == list(range(16))
    assert [figures(row) for row in rows] == [figures(row) for row in run_here(campaign, tmp_path / "local")]


def advance_until(run: CampaignRun, marker: Path) -> int:
    """Work on the campaign until a run has said that it waits; return the process that it waits in."""
    while not marker.exists():
        assert not run.advance(0.05).done
    return int(marker.read_text())


def run_here(campaign, folder: Path) -> list[dict[str, object]]:
    run = CampaignRun(campaign, folder, workers=1, function="ray_functions:simulate")
    while not run.advance(10.0).done:
        pass
    run.close()
    return read_runs(folder)


def figures(row: dict[str, object]) -> dict[str, object]:
    """Return what does not depend on where a run was made."""
    return {name: value for name, value in row.items() if name not in {"attempts", "seconds", "worker"}}
