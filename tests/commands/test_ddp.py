"""Trainings and tests on two devices, which are two processes on the CPU."""

from pathlib import Path

import pytest
import torch

from .command_line import Terminal, TrainedRun

pytestmark = pytest.mark.slow

Options = tuple[str, ...]
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.enable_progress_bar=false", "threads=1")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Terminal:
    return Terminal(tmp_path_factory.mktemp("ddp"), store=migrated_store)


@pytest.fixture(scope="module")
def shared(place: Terminal, small: Options) -> TrainedRun:
    """A network that two processes have trained."""
    outcome = place.run("train.py", *small, *DDP, "model=vae").ok()
    assert outcome.out.count("average precision") == outcome.out.count("Test again") == 1
    return place.newest("training")


def test_two_processes_train_one_network_in_one_run_and_one_folder(place: Terminal, shared: TrainedRun) -> None:
    assert [run.info.status for run in place.runs()] == ["FINISHED"]
    assert shared.epochs("train/loss") == sorted(set(shared.epochs("val/loss"))) == [0, 1]
    (folder,) = place.folder.glob("outputs/*/*")
    assert {file.name for file in folder.iterdir()} == {".hydra", "train.log", "best.ckpt", "last.ckpt"}
    assert {"checkpoint/best.ckpt", "report.html", "scores.parquet"} <= shared.files()


def test_two_processes_test_like_one(place: Terminal, shared: TrainedRun) -> None:
    place.evaluate(f"run={shared.id}").ok()
    alone = place.newest("evaluation")
    place.run("evaluate.py", f"run={shared.id}", *DDP).ok()
    both = place.newest("evaluation")
    assert both.id != alone.id and len(place.runs("evaluation")) == 2
    assert both.test_metrics == pytest.approx(alone.test_metrics, abs=1e-6)
    assert both.scores["path"].is_unique and list(both.scores["path"]) == list(alone.scores["path"])
    assert both.scores["score"].to_numpy() == pytest.approx(alone.scores["score"].to_numpy(), abs=1e-6)


def test_two_processes_calibrate_like_one_in_a_sweep(terminal: Terminal, small: Options) -> None:
    options = [option for option in (*small, *DDP[1:]) if "latent_dim" not in option]
    terminal.run("train.py", "-m", *options, "trainer=cpu,ddp", "model=pca", "model.n_components=8", "score=atlas").ok()
    alone, both = (TrainedRun(terminal, run.info.run_id) for run in terminal.runs("training"))
    assert len(terminal.runs("sweep")) == 1 and (alone.status, both.status) == ("FINISHED", "FINISHED")
    assert both.metrics == pytest.approx(alone.metrics, abs=1e-6)
    stored = [torch.load(run.checkpoint, weights_only=True)["mriad"]["calibration"] for run in (alone, both)]
    for name in ("threshold", "pixel_threshold"):
        assert stored[1][name] == pytest.approx(stored[0][name], abs=1e-6)


def test_a_job_of_its_own_process_has_its_devices(terminal: Terminal, small: Options) -> None:
    terminal.run("train.py", "-m", "hydra/launcher=joblib", *small, *DDP, "model=ae", "seed=3").ok()
    (job,) = terminal.runs("training")
    assert (job.info.status, job.data.params["seed"]) == ("FINISHED", "3")
    assert job.data.tags["mlflow.parentRunId"] == terminal.newest("sweep").id
    (folder,) = terminal.folder.glob("multirun/*/*/0")
    assert {file.name for file in folder.iterdir()} == {".hydra", "train.log", "best.ckpt", "last.ckpt"}
