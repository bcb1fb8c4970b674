"""Callbacks that look at the clock while the real command trains."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Protocol, cast

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from mriad.data.datamodule import MRIDataModule


class Rival(Protocol):
    """Another way to train on the same scans."""

    def prepare(self, datamodule: MRIDataModule) -> None:
        """Get ready, untimed."""
        ...

    def epoch(self) -> None:
        """Train and validate once."""
        ...


class TakingTurns(Callback):
    """Lets a rival train an epoch before each epoch of this training.

    An epoch lasts until the next one begins, so that validation, checkpoints, every callback and the store count.

    Args:
        rival: the other way.
        file: gets the seconds of both as JSON, those of the first and of the last epoch left out.
    """

    def __init__(self, *, rival: Rival, file: str) -> None:
        self._rival, self._file = rival, Path(file)
        self._began = 0.0
        self._seconds: dict[str, list[float]] = {"ours": [], "theirs": []}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the rival the scans."""
        self._rival.prepare(cast(Any, trainer).datamodule)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """It is the rival's turn."""
        start = time.perf_counter()
        if self._began:
            self._seconds["ours"].append(start - self._began)
        if trainer.current_epoch + 1 < (trainer.max_epochs or 0):  # nobody sees when the last epoch ends
            self._rival.epoch()
        self._began = time.perf_counter()
        self._seconds["theirs"].append(self._began - start)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write down what was measured."""
        epochs = len(self._seconds["ours"])
        kept = {name: seconds[1:epochs] for name, seconds in self._seconds.items()}
        self._file.write_text(json.dumps(kept))


class Marks(Callback):
    """Notes when the first step began and the last one ended, in seconds since 1970.

    Args:
        file: gets both as JSON.
    """

    def __init__(self, *, file: str) -> None:
        self._file = Path(file)
        self._first: float | None = None
        self._last = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """A step begins."""
        self._first = self._first or time.time()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """A step has ended."""
        self._last = time.time()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write them down."""
        self._file.write_text(json.dumps([self._first, self._last]))


class EpochStarts(Callback):
    """Keeps when each epoch began."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """An epoch has begun."""
        self.seconds.append(time.perf_counter())
