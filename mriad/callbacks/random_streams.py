"""Which random numbers a training draws."""

from __future__ import annotations

import random
from typing import Any, cast

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from mriad.ranks import gather


class RandomStreams(Callback):
    """Gives each process random numbers of its own, and a training that goes on those that it would have had.

    Processes that share a training build their weights alike, from one seed. From there on rank 0 goes on with the
    numbers that it draws, and every other rank with a stream of its own: each augments its scans and draws its noise by
    itself. A checkpoint holds where the streams of all ranks stood between two epochs.

    It is part of every training and no option, and no method that a detector may override.

    Args:
        seed: of the training.
    """

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self._states: list[dict[str, Any]] = []
        self._trained = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take up the streams where a checkpoint has left them, or begin those of the further ranks."""
        rank = trainer.global_rank
        if rank < len(self._states):
            _restore(self._states[rank], trainer.strategy.root_device)
        elif rank > 0:
            own = int(np.random.SeedSequence((self._seed, rank)).generate_state(1)[0])
            for seed in (torch.manual_seed, np.random.seed, random.seed):
                seed(own)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note where the streams stand; the first epoch of a fit began earlier, with its first batch's order."""
        if self._trained:
            self._note(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Know that an epoch is done."""
        self._trained = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note where the streams stand, for a later training that goes on longer."""
        self._note(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Where the streams of all ranks stood at the last note."""
        return {"ranks": self._states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember them until the training begins."""
        self._states = list(state_dict["ranks"])

    def _note(self, trainer: Trainer) -> None:
        self._states = gather(_state(trainer.strategy.root_device))


def _state(device: torch.device) -> dict[str, Any]:
    """All generators of this process that a training may draw from, as plain values."""
    name, keys, *rest = cast(tuple[Any, ...], np.random.get_state())
    state = {"torch": torch.get_rng_state(), "python": random.getstate(), "numpy": (name, keys.tolist(), *rest)}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _restore(state: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["torch"].cpu())
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
