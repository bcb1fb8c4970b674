"""A real training that takes turns with a rival, epoch by epoch, in one process with one number of threads."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bench import Bench
from benchmarks.turns import TURNS

_UNTIMED = 2  # epochs: the first is slower, and the last ends where the training does


def duel(bench: Bench, rival: str, *options: str) -> dict[str, list[float]]:
    """Train on the JPEGs with ``python train.py``, beside a rival.

    Args:
        rival: the options of a ``Rival``.
        options: further options of the training.

    Returns:
        Seconds of each epoch, of the training ('ours') and of the rival ('theirs').
    """
    with TemporaryDirectory(dir=bench.folder) as folder:
        file = Path(folder) / "seconds.json"
        bench.train(
            "data=folder",
            f"data.root={bench.to_train_on()[0]}",
            f"trainer.max_epochs={TURNS + _UNTIMED}",
            f"callbacks.early_stopping.patience={TURNS + _UNTIMED}",
            f"+callbacks.turns={{_target_: benchmarks.clocks.TakingTurns, file: '{file}', rival: {rival}}}",
            f"hydra.run.dir={folder}/run",
            *options,
        )
        return json.loads(file.read_text())
