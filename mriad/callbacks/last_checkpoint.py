"""Keeps what a stopped training needs to go on."""

from __future__ import annotations

import time
from pathlib import Path

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn


class LastCheckpoint(Checkpoint):
    """Saves weights and optimizer as ``last.ckpt``: now and then after an epoch, at the end, and when it is stopped.

    With Adam such a file is three times the network; written after every epoch it can cost as much as the epoch.

    Args:
        dirpath: folder of the file.
        every_seconds: least time between two saves of a training that runs undisturbed.
    """

    def __init__(self, *, dirpath: str | Path, every_seconds: float = 60.0) -> None:
        super().__init__()
        self.dirpath = str(dirpath)
        self._every_seconds = every_seconds
        self._saved_at = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save if the last time is long ago."""
        if time.monotonic() - self._saved_at >= self._every_seconds:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the final state, for a later training that goes on longer."""
        self._save(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save where a training was stopped, be it in a step or in the validation between two epochs."""
        if trainer.state.fn == TrainerFn.FITTING and trainer.global_step > 0:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        if trainer.is_global_zero:  # trainer.save_checkpoint would wait for the others, which may be gone
            checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
            trainer.strategy.save_checkpoint(checkpoint, Path(self.dirpath) / "last.ckpt")
        self._saved_at = time.monotonic()
