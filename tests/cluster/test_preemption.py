"""Real trainings on a SLURM whose jobs are killed and requeued, and whose MLflow server goes away."""

import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from commands.brains import write_scans
from sweeps.toy_command import Toy

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

REPOSITORY = Path(__file__).parents[2]
EPOCHS = 40
SMALL = (
    "data=folder",
    "data.image_size=32",
    "data.batch_size=8",
    "model.network.latent_dim=16",
    "trainer=cpu",
    "threads=1",
    "callbacks.early_stopping=null",
)
SWEEP = ("model=ae,vae", "threshold=youden,mean_std", "seed=0,1")
SLURM = (
    "hydra/launcher=slurm",
    "hydra.launcher.cpus=1",
    "hydra.launcher.minutes=60",
    "hydra.launcher.memory_gb=2",
    "hydra.launcher.poll_seconds=1",
    "hydra.launcher.array_parallelism=2",  # some must still wait when others have been disturbed
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return {"MRIAD_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return (f"data.root={write_scans(tmp_path_factory.mktemp('data') / 'scans')}", *SMALL)


def epochs(desk, run):
    return [point.step for point in desk.client.get_metric_history(run.info.run_id, "train/loss")]


def restarts(slurm, run):
    said = subprocess.run(
        ["sacct", "-D", "-X", "-n", "-o", "State", "-j", run.data.tags["slurm.job"]],
        env=slurm | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    return len(said.stdout.splitlines()) - 1


class Sweep:
    """Eight trainings: one is requeued, one is killed, and while a third trains the server goes away for a while."""

    def __init__(self, folder, server, slurm, cache, small):
        self.desk = Toy(folder, server.uri, script=REPOSITORY / "train.py", experiment="preemption", patience=1500)
        words = ("-m", *SLURM, *small, *SWEEP, f"trainer.max_epochs={EPOCHS}", "logger.experiment=preemption")
        self._command = self.desk.start(*words, **slurm, **cache)
        self._slurm = slurm
        try:
            self._disturb(server)
            self.said = self._command.wait(self.desk.patience)
        finally:
            if self._command.runs:
                self._command.signal(signal.SIGKILL)
        self.code = self.said.code
        self.children = {run.info.run_id: run for run in self.desk.children()}
        self.resent = subprocess.run(
            [sys.executable, "-m", "mriad.tracking", "resend", "multirun"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        self.again = self.desk.type(*words, f"resume_sweep={self.desk.parent().info.run_id}", **slurm, **cache)

    def _disturb(self, server):
        self.requeued = self._next(epochs_done=3)
        self._signal("USR1", self.requeued)
        self.killed = self._next(self.requeued, epochs_done=2)
        self._signal("KILL", self.killed)
        self.cut_off = self._next(self.requeued, self.killed, epochs_done=1)
        server.stop()
        log = Path(self.cut_off.data.tags["output_dir"]) / "train.log"
        self.desk.wait_for(lambda: "The MLflow store" in log.read_text(), self._command)  # it has noticed
        server.start()

    def _next(self, *but, epochs_done):
        """A job that trains, and has done so for some epochs."""
        known = {run.info.run_id for run in but}

        def trains(run):
            return run.info.status == "RUNNING" and len(epochs(self.desk, run)) >= epochs_done

        def found():
            begun = any(run.data.tags.get("kind") == "sweep" for run in self.desk.runs())
            return begun and [run for run in self.desk.children() if run.info.run_id not in known and trains(run)]

        return self.desk.wait_for(found, self._command)[0]

    def _signal(self, number, run):
        command = ["scancel", f"--signal={number}", run.data.tags["slurm.job"]]
        # a job may leave its node before scancel has its answer, which then tries again, first after five seconds and
        # for a minute and a half: the other jobs would end meanwhile, and one that is requeued be signalled twice
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(command, env=self._slurm | {"PATH": "/usr/bin:/bin"}, timeout=4)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, server, slurm, cache, small):
    return Sweep(tmp_path_factory.mktemp("sweep"), server, slurm, cache, small)


def test_the_sweep_ends_with_what_was_killed_and_the_same_command_runs_it(sweep):
    assert sweep.code == 1, sweep.said
    killed = sweep.children[sweep.killed.info.run_id]
    assert killed.info.status == "FAILED"
    assert re.match(r"SLURM job \S+ ended as .* without a result", killed.data.tags["failure"])
    assert sweep.resent.returncode == 0, sweep.resent
    assert sweep.again == (0, ""), sweep.desk.said


def test_every_combination_is_one_child_that_is_complete(sweep):
    desk = sweep.desk
    children = desk.children()
    assert len(children) == 8
    assert {tuple(run.data.params[name] for name in ("model", "threshold", "seed")) for run in children} == {
        (model, rule, seed) for model in ("ae", "vae") for rule in ("youden", "mean_std") for seed in ("0", "1")
    }
    for run in children:
        assert run.info.status == "FINISHED" and "failure" not in run.data.tags
        assert {"test/auroc", "test/pixel_ap", "val/auroc"} <= run.data.metrics.keys()
        names = {file.path for file in desk.client.list_artifacts(run.info.run_id)}
        assert {"checkpoint", "config.yaml", "plots", "report.html", "scores.parquet", "split.csv"} <= names
        assert desk.client.list_artifacts(run.info.run_id, "checkpoint")[0].path == "checkpoint/best.ckpt"


def test_the_requeued_job_goes_on_in_its_run(sweep, slurm):
    run = sweep.desk.client.get_run(sweep.requeued.info.run_id)
    assert run.info.run_id in {child.info.run_id for child in sweep.desk.children()}
    assert restarts(slurm, run) == 1
    done = epochs(sweep.desk, run)
    assert len(done) == len(set(done))  # an epoch that was done is not done again
    assert len(done) >= EPOCHS - 1 and done[-1] >= EPOCHS - 1  # the one it was stopped in has no value of its own


def test_a_run_whose_server_was_away_has_all_its_epochs(sweep):
    assert epochs(sweep.desk, sweep.cut_off) == list(range(EPOCHS))
    assert sweep.cut_off.info.run_id in {child.info.run_id for child in sweep.desk.children()}


def test_the_parent_tells_of_each_child_once(sweep):
    table = sweep.desk.table()
    assert sorted(table["run_id"]) == sorted(run.info.run_id for run in sweep.desk.children())
    parent = sweep.desk.parent()
    assert parent.info.status == "FINISHED" and parent.data.tags["best_run"] == table["run_id"].iloc[0]


def test_a_single_job_saves_and_says_how_to_go_on(tmp_path, server, slurm, cache, small):
    desk = Toy(tmp_path, server.uri, script=REPOSITORY / "train.py", experiment="single", patience=600)
    words = " ".join((*small, "trainer.max_epochs=100000", "logger.experiment=single"))
    (tmp_path / "job.sh").write_text(f"#!/bin/bash\nsrun {sys.executable} {desk.script} {words}\n")
    environment = slurm | cache | {"PATH": "/usr/bin:/bin", "MLFLOW_TRACKING_URI": server.uri}
    submit = ["sbatch", "--parsable", "--requeue", "--mem=2G", "--output=job.out", "job.sh"]
    job = subprocess.run(submit, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    desk.wait_for(lambda: desk.runs() and len(epochs(desk, desk.runs()[0])) >= 2)
    subprocess.run(["scancel", "--signal=USR1", job.strip()], env=environment, check=True)
    desk.wait_for(lambda: desk.runs()[0].info.status != "RUNNING")
    (run,) = desk.runs()
    desk.wait_for(lambda: "Interrupted; " in (tmp_path / "job.out").read_text())
    assert f"Interrupted; go on with: python train.py resume={run.info.run_id}\n" in (tmp_path / "job.out").read_text()
    assert run.info.status == "KILLED" and (Path(run.data.tags["output_dir"]) / "last.ckpt").exists()
    assert restarts(slurm, run) == 0  # Lightning would have requeued it
