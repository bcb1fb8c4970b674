import json
import time

import torch
from lightning import Trainer

from benchmarks.clocks import EpochStarts, Marks, TakingTurns


class Slow:
    """Takes longer in each epoch."""

    def __init__(self):
        self.prepared, self.epochs = [], 0

    def prepare(self, datamodule):
        self.prepared.append(datamodule)

    def epoch(self):
        self.epochs += 1
        time.sleep(0.2 * self.epochs)


def fit(few, *callbacks, epochs):
    trainer = Trainer(
        accelerator="cpu", callbacks=list(callbacks), max_epochs=epochs, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    torch.manual_seed(0)
    trainer.fit(few.model(), few.datamodule)


def test_a_rival_works_before_each_epoch_whose_end_is_seen(few, tmp_path):
    rival, file = Slow(), tmp_path / "seconds.json"
    fit(few, TakingTurns(rival=rival, file=str(file)), epochs=5)
    assert rival.prepared == [few.datamodule]
    assert rival.epochs == 4
    seconds = json.loads(file.read_text())
    assert len(seconds["ours"]) == len(seconds["theirs"]) == 3
    assert all(least <= took for least, took in zip((0.4, 0.6, 0.8), seconds["theirs"], strict=True))


def test_first_and_last_step_are_marked(few, tmp_path):
    file = tmp_path / "marks.json"
    before = time.time()
    fit(few, Marks(file=str(file)), epochs=2)
    first, last = json.loads(file.read_text())
    assert before < first < last < time.time()


def test_the_start_of_each_epoch_is_kept(few):
    clock = EpochStarts()
    fit(few, clock, epochs=3)
    assert len(clock.seconds) == 3
    assert clock.seconds == sorted(clock.seconds)
