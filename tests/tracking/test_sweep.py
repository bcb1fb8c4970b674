import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from mriad.tracking.store import connect
from mriad.tracking.sweep import PARENT_VARIABLE, parent_run

PROGRAM = """
import hydra

@hydra.main(version_base="1.3", config_path=".", config_name="job")
def job(cfg):
    from mriad.tracking.run import Tracker
    from mriad.tracking.sweep import parent_run

    with Tracker(**cfg.logger).run(name=f"job {cfg.number}", tags={}, parent=parent_run()):
        if cfg.number == 13:
            raise ValueError("unlucky")

if __name__ == "__main__":
    job()
"""
CONFIG = """
number: 0
logger:
  tracking_uri: {uri}
  experiment: sweeps
hydra:
  output_subdir: null
  callbacks:
    parent_run:
      _target_: mriad.tracking.sweep.ParentRun
"""


@pytest.fixture
def command(tracking_uri, tmp_path):
    (tmp_path / "job.py").write_text(PROGRAM)
    (tmp_path / "job.yaml").write_text(CONFIG.format(uri=tracking_uri))

    def run(*options):
        return subprocess.run(
            [sys.executable, "job.py", *options], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )

    return run


def runs_of(tracking_uri):
    client = connect(tracking_uri)
    experiment = client.get_experiment_by_name("sweeps")
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if run.data.tags.get("kind") == "sweep"]
    return parents, [run for run in runs if run not in parents]


def test_the_jobs_of_a_multirun_have_one_parent(command, tracking_uri):
    done = command("--multirun", "number=1,2")
    assert done.returncode == 0, done.stderr
    (parent,), jobs = runs_of(tracking_uri)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["overrides"] == "number=1,2"
    assert sorted(job.info.run_name for job in jobs) == ["job 1", "job 2"]
    assert {job.data.tags["mlflow.parentRunId"] for job in jobs} == {parent.info.run_id}


def test_a_multirun_with_a_job_that_fails_is_a_failed_parent(command, tracking_uri):
    assert command("--multirun", "number=1,13").returncode != 0
    (parent,), jobs = runs_of(tracking_uri)
    assert parent.info.status == "FAILED"
    assert {job.info.run_name: job.info.status for job in jobs} == {"job 1": "FINISHED", "job 13": "FAILED"}


@pytest.mark.parametrize(("mode", "expected"), [("RUN", None), ("MULTIRUN", "parent")])
def test_a_job_has_a_parent_in_a_multirun_only(tmp_path, monkeypatch, mode, expected):
    (tmp_path / "job.yaml").write_text("number: 0\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        cfg = compose("job", overrides=[f"+hydra.mode={mode}"], return_hydra_config=True)
    monkeypatch.setenv(PARENT_VARIABLE, "parent")
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    HydraConfig.instance().set_config(cfg)
    assert parent_run() == expected


def test_outside_hydra_there_is_no_parent(monkeypatch):
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    monkeypatch.setenv(PARENT_VARIABLE, "stale")
    assert parent_run() is None
