import pytest

from mriad.errors import MriadError
from mriad.experiment import resume
from mriad.experiment.training import Training
from mriad.tracking.tags import SLURM_TAG
from mriad.tracking.tracker import Tracker


@pytest.fixture
def tracker(tracking_uri, monkeypatch):
    """A store with a run of job 7_1 in this sweep, one of job 7_2, and one of a job 7_1 in another sweep."""
    monkeypatch.setattr(resume, "parent_run", lambda: "this sweep")
    tracker = Tracker(tracking_uri=tracking_uri)
    for job, parent in (("7_1", "this sweep"), ("7_2", "this sweep"), ("7_1", "another")):
        monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", job[-1])
        with tracker.run(name=f"{job} {parent}", tags={}, parent=parent) as run:
            assert tracker.client.get_run(run.run_id).data.tags[SLURM_TAG] == job
    return tracker


def found(tracker):
    run_id = resume.requeued_run(tracker)
    return run_id and tracker.client.get_run(run_id).info.run_name


@pytest.mark.parametrize(("task", "name"), [("1", "7_1 this sweep"), ("2", "7_2 this sweep"), ("3", None)])
def test_a_requeued_job_finds_its_own_run(tracker, monkeypatch, task, name):
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert found(tracker) == name


def test_a_job_that_was_not_requeued_has_none(tracker, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    assert found(tracker) is None


def test_a_job_outside_of_a_sweep_has_none(tracker, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    monkeypatch.setattr(resume, "parent_run", lambda: None)
    assert found(tracker) is None


def test_a_run_without_a_last_checkpoint_starts_again_as_the_same_run(tracker, tmp_path):
    with tracker.run(name="fitted in one pass", tags={"output_dir": str(tmp_path)}) as run:
        pass
    new = Training(config={}, choices={}, folder=tmp_path, tracker=tracker, run_id=run.run_id)
    assert resume._where_it_stopped(new) == new


def test_a_run_whose_folder_was_moved_is_told_so(tracker, tmp_path):
    with tracker.run(name="moved", tags={"output_dir": str(tmp_path / "gone")}) as run:
        pass
    with pytest.raises(
        MriadError, match=r"its folder .*gone is not there, so it was moved or deleted; .*resume=<folder>"
    ):
        resume._last_checkpoint(run.run_id, tracker)
