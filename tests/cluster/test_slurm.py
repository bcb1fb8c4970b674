"""Sweeps and searches of a training that takes no time, as jobs of a SLURM."""

import re
import signal
import subprocess

import optuna
import pytest
from sweeps.toy_command import Toy

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

SLURM = (
    "hydra/launcher=slurm",
    "hydra.launcher.cpus=1",
    "hydra.launcher.minutes=10",
    "hydra.launcher.memory_gb=1",
    "hydra.launcher.poll_seconds=0.5",
)


def submission(toy):
    (file,) = toy.folder.glob("multirun/*/*/slurm/*_submission.sh")
    return file.read_text()


def slurm_says(slurm, *command):
    return subprocess.run(
        command, env=slurm | {"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    ).stdout


def test_each_job_is_a_child_whatever_becomes_of_the_others(toy, slurm):
    code, sentence = toy.type("-m", *SLURM, "seed=1,13,14", **slurm)
    assert code == 1 and "2 of 3 jobs failed" in sentence
    assert toy.statuses() == [("seed=1", "FINISHED"), ("seed=13", "FAILED"), ("seed=14", "FAILED")]
    jobs = {run.data.tags["sweep.job"]: run for run in toy.children()}
    assert jobs["seed=13"].data.tags["failure"] == "ValueError: unlucky"
    assert re.match(r"SLURM job \d+_2 ended as FAILED without a result; see", jobs["seed=14"].data.tags["failure"])
    assert re.fullmatch(r"\d+_2", jobs["seed=14"].data.tags["slurm.job"])
    again = f"resume_sweep={toy.parent().info.run_id}"
    assert toy.type("-m", *SLURM, "seed=1,13,14", again, HEALED="1", **slurm)[0] == 0
    assert toy.statuses() == [("seed=1", "FINISHED"), ("seed=13", "FINISHED"), ("seed=14", "FINISHED")]
    assert sorted(toy.finished_seeds()) == [1, 13, 14]


def test_the_options_reach_sbatch(toy, slurm):
    options = ("hydra.launcher.array_parallelism=1", "hydra.launcher.partition=debug", "+hydra.launcher.options.nice=7")
    assert toy.type("-m", *SLURM, *options, "hydra.launcher.signal_seconds=90", "seed=1,2", **slurm)[0] == 0
    script = submission(toy)
    for option in ("time=10", "mem=1024M", "cpus-per-task=1", "partition=debug", "array=0-1%1", "nice=7", "requeue"):
        assert f"#SBATCH --{option}\n" in script, script
    assert "#SBATCH --signal=USR2@90\n" in script and "--cpus-per-task=1" in script.split("srun", 1)[1]
    assert "gpus" not in script and "account" not in script


def test_jobs_that_the_cluster_refuses_are_told(toy, slurm):
    code, sentence = toy.type("-m", *SLURM, "hydra.launcher.partition=nowhere", "seed=1,2", **slurm)
    assert code == 1 and "SLURM does not take the jobs" in sentence and "partition" in sentence


def test_ctrl_c_cancels_the_jobs_for_good(toy, slurm):
    command = toy.start("-m", *SLURM, "seed=1,16", **slurm)
    toy.wait_for(lambda: len(toy.finished_seeds()) == 1 and "RUNNING" in dict(toy.statuses()).values(), command)
    command.interrupt()
    assert command.wait().code == 130
    assert toy.statuses() == [("seed=1", "FINISHED"), ("seed=16", "KILLED")]
    toy.wait_for(lambda: slurm_says(slurm, "squeue", "-h") == "")


def test_a_sweep_whose_jobs_still_run_is_not_taken_up(toy, slurm):
    command = toy.start("-m", *SLURM, "seed=1,16", **slurm)
    toy.wait_for(lambda: toy.finished_seeds() == [1] and dict(toy.statuses()).get("seed=16") == "RUNNING", command)
    command.signal(signal.SIGKILL)
    command.wait()
    again = ("-m", *SLURM, "seed=1,16", f"resume_sweep={toy.parent().info.run_id}")
    sentence = toy.type(*again, HEALED="1", **slurm)[1]
    job = re.search(
        r"seed=16 of this sweep still runs or waits as SLURM job (\d+_1); wait for it, or scancel", sentence
    )
    assert job is not None, toy.said
    slurm_says(slurm, "scancel", job[1])
    toy.wait_for(lambda: slurm_says(slurm, "squeue", "-h") == "")
    assert toy.type(*again, HEALED="1", **slurm)[0] == 0
    assert toy.statuses() == [("seed=1", "FINISHED"), ("seed=16", "FINISHED")]


def test_a_job_goes_on_after_its_time_limit_as_often_as_allowed(toy, slurm):
    limit = ("hydra.launcher.minutes=1", "hydra.launcher.signal_seconds=40", "hydra.launcher.requeues=1")
    code, sentence = toy.type("-m", *SLURM, *limit, "seed=16", **slurm)
    assert code == 1 and "stopped by its time limit once more than hydra.launcher.requeues allows" in sentence
    (child,) = toy.children()
    assert child.info.status == "FAILED" and "hydra.launcher.minutes" in child.data.tags["failure"]
    job = child.data.tags["slurm.job"]
    assert len(slurm_says(slurm, "sacct", "-D", "-X", "-n", "-o", "State", "-j", job).split()) == 2
    assert len(toy.table()) == 1


def test_a_search_runs_its_trials_on_the_cluster(tmp_path, slurm, server, database):
    toy = Toy(tmp_path, server.uri, experiment="search")
    search = ("sweep=search", "model=vae", "model.beta=interval(0.0,0.3)", "sweep.trials=12", "sweep.workers=4")
    store = (f"sweep.storage={database.uri('optuna')}", "logger.experiment=search")
    assert toy.type(*SLURM, *search, *store, **slurm)[0] == 0, toy.said
    study = optuna.load_study(study_name=toy.parent().data.tags["study"], storage=database.uri("optuna"))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 12
    children = toy.children()
    assert {run.info.status for run in children} == {"FINISHED"}
    assert len({run.data.tags["sweep.job"] for run in children}) == len(children) == len(toy.table()) == 12
    assert sorted(run.data.metrics["val/auroc"] for run in children) == sorted(trial.value for trial in study.trials)
