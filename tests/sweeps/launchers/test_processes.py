import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PARALLEL = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=3")


def log_of(toy, number):
    (file,) = toy.folder.glob(f"multirun/*/*/{number}.log")
    return file.read_text()


def test_one_job_that_is_killed_takes_no_other_with_it(toy):
    code, sentence = toy.type("-m", *PARALLEL, "seed=1,14,13,2")
    assert code == 1
    assert toy.statuses() == [
        ("seed=1", "FINISHED"),
        ("seed=13", "FAILED"),
        ("seed=14", "FAILED"),
        ("seed=2", "FINISHED"),
    ]
    (killed,) = [run for run in toy.children() if run.data.tags["sweep.job"] == "seed=14"]
    assert killed.data.tags["failure"].startswith("The job's process was killed by SIGKILL before it could tell why")
    assert "seed=14 (The job's process was killed" in sentence
    assert sorted(toy.finished_seeds()) == [1, 2]
    assert "ValueError: unlucky" in log_of(toy, 2) and "unlucky" not in log_of(toy, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_reaches_the_jobs_and_closes_their_runs(toy, number):
    command = toy.start("-m", *PARALLEL, "seed=16,1")
    toy.wait_for(lambda: len(toy.finished_seeds()) == 1 and "RUNNING" in dict(toy.statuses()).values(), command)
    command.signal(number)
    assert command.wait().code == 130
    assert toy.statuses() == [("seed=1", "FINISHED"), ("seed=16", "KILLED")]
    assert toy.parent().info.status == "KILLED"


def test_jobs_have_folders_of_their_own(toy):
    toy.type("-m", *PARALLEL, "seed=1,2,3")
    folders = {Path(folder).parent.name for folder in toy.folder.glob("multirun/*/*/*/.hydra")}
    assert folders == {"0", "1", "2"}


@pytest.mark.parametrize("n_jobs", [0, -2])
def test_a_number_of_jobs_that_is_none_is_told(toy, n_jobs):
    assert (
        f"hydra.launcher.n_jobs={n_jobs} is no number of jobs"
        in toy.type("-m", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={n_jobs}", "seed=1,2")[1]
    )
