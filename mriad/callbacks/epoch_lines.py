"""What a training says where nobody sees a progress bar."""

from __future__ import annotations

import time

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

_TOLD = ("train/loss", "val/loss", "val/auroc")


class EpochLines(Callback):
    """Prints a line after each epoch: its number, its losses, how long it took, and how long the rest will take.

    What remains is the mean over the epochs so far times those that may come; early stopping may make it less.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the time, also of what an epoch has to do before its first batch."""
        self._first, self._began = trainer.current_epoch, time.monotonic()
        self._last = self._began

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line."""
        if not trainer.is_global_zero:
            return
        now, done, most = time.monotonic(), trainer.current_epoch + 1, trainer.max_epochs
        known = trainer.callback_metrics
        values = [f"{name} {float(known[name]):.4g}" for name in _TOLD if name in known]
        words = [f"epoch {done}/{most}" if most else f"epoch {done}", *values, f"{now - self._last:.1f} s"]
        if most and done < most:
            left = (now - self._began) / (done - self._first) * (most - done)
            words.append(f"at most {_shown(left)} left")
        print(*words, sep="  ", flush=True)
        self._last = now


def _shown(seconds: float) -> str:
    """A duration in its largest sensible unit."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
