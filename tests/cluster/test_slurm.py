import re
import signal
import subprocess

import optuna
import pytest

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


def queued(slurm):
    """What waits or runs on the cluster."""
    return subprocess.run(
        ["squeue", "-h"], env=slurm | {"PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    ).stdout


def test_every_combination_is_a_child_whatever_becomes_of_the_others(toy, slurm):
    code, sentence = toy.type("-m", *SLURM, "model=ae,vae", "seed=1,13,14", **slurm)
    assert code == 1 and "4 of 6 jobs failed" in sentence
    jobs = {run.data.tags["sweep.job"]: run for run in toy.children()}
    assert len(jobs) == len(toy.children()) == 6
    assert {name: run.info.status for name, run in jobs.items()} == {
        f"model={model} seed={seed}": status
        for model in ("ae", "vae")
        for seed, status in ((1, "FINISHED"), (13, "FAILED"), (14, "FAILED"))
    }
    assert jobs["model=ae seed=13"].data.tags["failure"] == "ValueError: unlucky"
    assert re.match(r"SLURM job \d+_2 ended as .* without a result; see", jobs["model=ae seed=14"].data.tags["failure"])
    code, _ = toy.type(
        "-m", *SLURM, "model=ae,vae", "seed=1,13,14", f"resume_sweep={toy.parent().info.run_id}", HEALED="1", **slurm
    )
    assert code == 0
    assert len(toy.children()) == 6 and {run.info.status for run in toy.children()} == {"FINISHED"}
    assert sorted(toy.finished_seeds()) == [1, 1, 13, 13, 14, 14]


def test_the_options_reach_sbatch(toy, slurm):
    options = ("hydra.launcher.array_parallelism=1", "hydra.launcher.partition=debug", "+hydra.launcher.options.nice=7")
    assert toy.type("-m", *SLURM, *options, "seed=1,2", **slurm)[0] == 0
    script = submission(toy)
    for line in ("--time=10", "--mem=1024M", "--cpus-per-task=1", "--partition=debug", "--array=0-1%1", "--nice=7"):
        assert f"#SBATCH {line}\n" in script, script
    assert "gpus" not in script and "account" not in script


def test_jobs_that_the_cluster_refuses_are_told(toy, slurm):
    code, sentence = toy.type("-m", *SLURM, "hydra.launcher.partition=nowhere", "seed=1,2", **slurm)
    assert code == 1 and "SLURM does not take the jobs" in sentence and "partition" in sentence


def test_ctrl_c_cancels_the_jobs(toy, slurm):
    process = toy.start("-m", *SLURM, "seed=1,16", **slurm)  # one after the other where there is one core
    toy.wait_for(lambda: len(toy.finished_seeds()) == 1 and "RUNNING" in dict(toy.statuses()).values(), process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert toy.statuses() == [("seed=1", "FINISHED"), ("seed=16", "KILLED")]
    toy.wait_for(lambda: queued(slurm) == "")


def test_a_sweep_whose_jobs_still_run_is_not_taken_up(toy, slurm):
    process = toy.start("-m", *SLURM, "seed=1,16", **slurm)
    toy.wait_for(lambda: toy.finished_seeds() == [1] and dict(toy.statuses()).get("seed=16") == "RUNNING", process)
    process.kill()
    process.communicate(timeout=60)
    again = ("-m", *SLURM, "seed=1,16", f"resume_sweep={toy.parent().info.run_id}")
    sentence = toy.type(*again, HEALED="1", **slurm)[1]
    job = re.search(r"seed=16 of this sweep still runs as SLURM job (\d+); wait for it, or scancel it", sentence)
    assert job is not None, toy.said
    subprocess.run(["scancel", job[1]], env=slurm | {"PATH": "/usr/bin:/bin"}, check=True)
    toy.wait_for(lambda: queued(slurm) == "")
    assert toy.type(*again, HEALED="1", **slurm)[0] == 0
    assert toy.statuses() == [("seed=1", "FINISHED"), ("seed=16", "FINISHED")]


def test_a_search_runs_its_trials_on_the_cluster(toy, slurm):
    search = ("sweep=search", "model=vae", "model.beta=interval(0.0,0.3)", "sweep.trials=4", "sweep.workers=2")
    assert toy.type(*SLURM, *search, **slurm)[0] == 0, toy.said
    tags = toy.parent().data.tags
    study = optuna.load_study(study_name=tags["study"], storage=tags["study.storage"])
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 4
    assert len(toy.children()) == 4 and {run.info.status for run in toy.children()} == {"FINISHED"}
