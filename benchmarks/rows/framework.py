"""What the whole framework adds to a bare PyTorch loop: loaders, validation, checkpoints, callbacks, MLflow."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.duel import duel
from benchmarks.table import Row, Target
from benchmarks.turns import ratio, side_by_side

TARGET = Target(limit=1.08)


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line for ``ae`` and one for ``vae``."""
    for model in ("ae", "vae"):
        seconds = duel(
            bench,
            "{_target_: benchmarks.rivals.BareLoop, model: '${model}'}",
            f"model={model}",
            "trainer.precision=32-true",
        )
        yield Row(
            work=f"an epoch of {model} through train.py, {bench.to_train_on()[1]:,} scans of 128 px, with validation",
            against="a bare PyTorch loop, tensors in memory, same validation",
            value=ratio(seconds["ours"], seconds["theirs"]),
            unit="times as long",
            target=TARGET,
            how=side_by_side(seconds["ours"], seconds["theirs"]),
        )
