"""Keeps what a stopped training needs to go on."""

from __future__ import annotations

import copy
import logging
import time
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from mriad.errors import MriadError
from mriad.interrupts import held

log = logging.getLogger(__name__)


class LastCheckpoint(Checkpoint):
    """Saves weights and optimizer as ``last.ckpt``: now and then after an epoch, at the end, and when it is stopped.

    It always holds the state between two epochs. A training that is stopped within one, or in the validation that ends
    it, goes on from where that epoch began and gives what it would have given undisturbed, to the last bit; what
    counts an epoch, its losses, its scheduler, its early stopping, has then seen all of it.

    With Adam such a file is three times the network; written after every epoch it can cost as much as the epoch. In
    between it is kept in memory.

    Args:
        dirpath: folder of the file.
        every_seconds: least time between two saves of a training that runs undisturbed.
    """

    def __init__(self, *, dirpath: str | Path, every_seconds: float = 60.0) -> None:
        super().__init__()
        self.dirpath = str(dirpath)
        self._every_seconds = every_seconds
        self._saved_at = time.monotonic()
        self._trained = False
        self._unsaved: dict[str, Any] | None = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Know that an epoch is done; its schedulers are not."""
        self._trained = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep what the epoch before has led to, and save it if the last time is long ago."""
        if self._trained and trainer.is_global_zero:
            self._unsaved = _copied(_between_epochs(trainer))
            if time.monotonic() - self._saved_at >= self._every_seconds:
                self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the final state, for a later training that goes on longer."""
        whole = trainer.fit_loop.batch_idx + 1 >= trainer.num_training_batches
        if whole and trainer.is_global_zero:  # else it has come to its number of steps within an epoch
            self._unsaved = _between_epochs(trainer)
        self._save(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save where a training was stopped, be it in a step or in the validation between two epochs."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        try:
            self._save(trainer)
        except MriadError as error:  # must not hide what has stopped it
            if not isinstance(exception, MriadError):
                log.warning("%s", error)

    @held()
    def _save(self, trainer: Trainer) -> None:
        if self._unsaved is not None:  # trainer.save_checkpoint would wait for other ranks, which may be gone
            trainer.strategy.save_checkpoint(self._unsaved, Path(self.dirpath) / "last.ckpt")
            self._unsaved = None
            self._saved_at = time.monotonic()


def _between_epochs(trainer: Trainer) -> dict[str, Any]:
    """A checkpoint as of the last epoch's end: Lightning has begun to count the next one when its hooks are called."""
    checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
    for counts in checkpoint["loops"]["fit_loop"]["epoch_progress"].values():
        counts.update(dict.fromkeys(counts, counts["completed"]))
    return checkpoint


def _copied(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The same, which a training that goes on does not change; what it does not change either is shared."""
    changing = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "loops")
    return checkpoint | {name: _copy(checkpoint[name]) for name in changing}


def _copy(value: Any) -> Any:
    """Containers anew, and tensors on the CPU, in their memory layout."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        new = copy.copy(value)
        new.update({key: _copy(inner) for key, inner in value.items()})
        return new
    return type(value)(map(_copy, value)) if type(value) in (list, tuple) else value
