import shutil
import signal
from pathlib import Path

import pytest
import torch

from .brains import brain, save
from .command_line import Outcome, Terminal, TrainedRun

pytestmark = pytest.mark.slow

Options = tuple[str, ...]
ENDLESS = ("trainer.max_epochs=100000", "callbacks.early_stopping=null")


class Interrupted:
    """A training that was stopped by Ctrl-C, and what it left."""

    def __init__(self, terminal: Terminal, run: TrainedRun, outcome: Outcome) -> None:
        self.terminal, self.run, self.outcome = terminal, run, outcome
        self.epoch = torch.load(run.output / "last.ckpt", weights_only=True)["epoch"]
        self.status, self.failure = run.status, run.tags.get("failure")
        self.logged = run.epochs("train/loss")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path, small: Options) -> Interrupted:
    """Ctrl-C a few epochs into a training."""
    terminal = Terminal(tmp_path_factory.mktemp("interrupted"), store=migrated_store)
    command = terminal.start("train.py", *small, *ENDLESS, "trainer=cpu", "threads=1")

    command.wait_for(lambda: terminal.epochs_logged() >= 2)
    command.interrupt()
    return Interrupted(terminal, terminal.newest("training"), command.wait())


@pytest.fixture(scope="module")
def resumed(interrupted: Interrupted) -> TrainedRun:
    """The interrupted training gone on with for three epochs."""
    last = interrupted.epoch + 4
    interrupted.terminal.train(f"resume={interrupted.run.id}", f"trainer.max_epochs={last}").ok()
    return interrupted.terminal.newest("training")


def test_ctrl_c_ends_with_130_and_advice(interrupted: Interrupted) -> None:
    assert interrupted.outcome.code == 130, interrupted.outcome
    assert "Traceback" not in interrupted.outcome.out + interrupted.outcome.err
    lines = [line for line in interrupted.outcome.err.splitlines() if line.startswith("Interrupted")]
    assert lines == [f"Interrupted; go on with: python train.py resume={interrupted.run.id}"]


def test_an_interrupted_run_is_killed_and_keeps_its_checkpoint(interrupted: Interrupted) -> None:
    assert interrupted.status == "KILLED"
    assert interrupted.failure == "interrupted"
    assert interrupted.epoch >= interrupted.logged[-1]


def test_resume_goes_on_in_the_same_run_from_the_right_epoch(interrupted: Interrupted, resumed: TrainedRun) -> None:
    assert resumed.id == interrupted.run.id
    assert resumed.status == "FINISHED"
    assert "failure" not in resumed.tags
    epochs = resumed.epochs("train/loss")
    assert len(epochs) == len(set(epochs))  # an epoch that was done is not done again
    assert set(epochs) == set(range(interrupted.epoch + 4))


def test_a_resumed_run_has_its_results_once_and_whole(interrupted: Interrupted, resumed: TrainedRun) -> None:
    assert len(interrupted.terminal.runs()) == 1
    assert "test/auroc" in resumed.metrics
    assert {"checkpoint/best.ckpt", "scores.parquet", "plots/loss.png"} <= resumed.files()
    assert resumed.tags["resumed.trainer.max_epochs"] == str(interrupted.epoch + 4)
    assert interrupted.terminal.evaluate(f"run={resumed.id}").ok()
    assert interrupted.terminal.newest("evaluation").test_metrics == resumed.test_metrics


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_what_a_cluster_says_stops_a_training_like_ctrl_c(
    terminal: Terminal, small: Options, number: signal.Signals
) -> None:
    in_a_job = {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "1", "SLURM_JOB_NAME": "train"}  # Lightning would requeue it
    command = terminal.start("train.py", *small, *ENDLESS, "trainer=cpu", "threads=1", environment=in_a_job)
    command.wait_for(lambda: terminal.epochs_logged() >= 2)
    command.signal(number)
    outcome, run = command.wait(), terminal.newest("training")
    assert outcome.code == 130, outcome
    assert f"Interrupted; go on with: python train.py resume={run.id}\n" in outcome.err
    assert run.status == "KILLED" and (run.output / "last.ckpt").exists()
    assert "requeue" not in (outcome.out + outcome.err).lower()


def test_a_resumed_training_equals_one_in_a_single_piece(terminal: Terminal, small: Options) -> None:
    terminal.train(*small, "trainer.max_epochs=3").ok()
    whole = terminal.newest("training")
    terminal.train(*small, "trainer.max_epochs=1").ok()
    parts = terminal.newest("training")
    terminal.train(f"resume={parts.output / 'last.ckpt'}", "trainer.max_epochs=3").ok()
    assert parts.epochs("train/loss") == [0, 1, 2]
    assert parts.status == "FINISHED"
    assert parts.scores["path"].tolist() == whole.scores["path"].tolist()
    assert parts.metrics == whole.metrics
    assert parts.scores["score"].tolist() == whole.scores["score"].tolist()
    refused = terminal.train(f"resume={parts.id}", "trainer.max_epochs=2")
    refused.sentence("last.ckpt has 3 epochs behind it, more than trainer.max_epochs=2; give 3 ")


def test_a_finished_run_goes_on_with_more_epochs_and_new_choices(terminal: Terminal, small: Options) -> None:
    terminal.train(*small).ok()
    run = terminal.newest("training")
    terminal.train(
        f"resume={run.id}", "trainer.max_epochs=4", "threshold=quantile", "threshold.q=0.9", "data.on_device=true"
    ).ok()
    assert len(terminal.runs()) == 1
    assert run.status == "FINISHED"
    assert run.epochs("train/loss") == [0, 1, 2, 3]
    record = torch.load(run.checkpoint, weights_only=True)["mriad"]
    assert record["calibration"]["rule"] == "quantile"
    assert record["config"]["trainer"]["max_epochs"] == 4
    assert record["config"]["data"]["on_device"] is True
    assert record["config"]["data"]["image_size"] == 32  # all that was not said again is as it was


def test_a_checkpoint_that_left_its_store_starts_a_run_of_its_own(
    terminal: Terminal, ae: TrainedRun, tmp_path: Path
) -> None:
    file = tmp_path / "travelled" / "last.ckpt"
    file.parent.mkdir()
    shutil.copy(ae.output / "last.ckpt", file)
    terminal.train(f"resume={file}", "trainer.max_epochs=3").ok()
    run = terminal.newest("training")
    assert run.id != ae.id and run.status == "FINISHED"
    assert run.epochs("train/loss") == [2]
    assert ae.epochs("train/loss") == [0, 1]


def test_a_second_interrupt_can_be_resumed_as_well(interrupted: Interrupted, resumed: TrainedRun) -> None:
    terminal = interrupted.terminal
    before = len(resumed.epochs("train/loss"))
    command = terminal.start("train.py", f"resume={resumed.id}", "trainer.max_epochs=100000", "threads=1")
    command.wait_for(lambda: len(resumed.epochs("train/loss")) >= before + 2)
    command.interrupt()
    assert command.wait().code == 130
    assert resumed.status == "KILLED"
    terminal.train(f"resume={resumed.id}", f"trainer.max_epochs={max(resumed.epochs('train/loss')) + 2}").ok()
    assert resumed.status == "FINISHED"


def test_a_resumed_training_keeps_its_roles_whatever_the_data_holds_now(
    terminal: Terminal, small: Options, scans: Path, tmp_path: Path
) -> None:
    grown = tmp_path / "grown"
    shutil.copytree(scans, grown)
    terminal.train(*small, f"data.root={grown}", "model=ae", "trainer.max_epochs=1").ok()
    run = terminal.newest("training")
    before = (run.artifacts / "split.csv").read_text()
    for number in range(5):
        save(grown / "healthy" / f"a{number}.png", brain(900 + number))
    terminal.train(f"resume={run.id}", "trainer.max_epochs=2").ok()
    assert run.epochs("train/loss") == [0, 1]
    assert (run.artifacts / "split.csv").read_text() == before
