import pytest
import torch
from lightning import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mriad.callbacks import epoch_lines
from mriad.callbacks.epoch_lines import EpochLines


class Clock:
    """A clock that every look at moves on by a minute and a half."""

    def __init__(self):
        self._now = 0.0

    def monotonic(self):
        self._now += 90.0
        return self._now


class Logged(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        self.log_dict({"train/loss": 0.0123456, "train/kl": 1.0}, on_step=False, on_epoch=True)
        return self.layer(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters())

    def validation_step(self, batch, batch_idx):
        self.log_dict({"val/loss": 0.5, "val/auroc": 0.875})


def test_a_line_per_epoch(monkeypatch, capsys):
    monkeypatch.setattr(epoch_lines, "time", Clock())
    trainer = Trainer(
        max_epochs=3,
        callbacks=[EpochLines()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        num_sanity_val_steps=0,
    )
    batches = DataLoader(TensorDataset(torch.rand(4, 1)), batch_size=2)
    trainer.fit(Logged(), batches, batches)
    assert capsys.readouterr().out.splitlines() == [
        "epoch 1/3  train/loss 0.01235  val/loss 0.5  val/auroc 0.875  90.0 s  at most 3 min left",
        "epoch 2/3  train/loss 0.01235  val/loss 0.5  val/auroc 0.875  90.0 s  at most 90 s left",
        "epoch 3/3  train/loss 0.01235  val/loss 0.5  val/auroc 0.875  90.0 s",
    ]


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7300, "2 h")])
def test_durations_are_told_in_their_unit(seconds, shown):
    assert epoch_lines._shown(seconds) == shown
