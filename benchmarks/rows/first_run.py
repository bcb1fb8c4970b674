"""What a newcomer waits for: the default training, before anything was made or prepared."""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import TemporaryDirectory

from benchmarks.bench import Bench
from benchmarks.table import Row, Target

TARGET = Target(limit=90)


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line."""
    with TemporaryDirectory(dir=bench.folder) as folder:
        seconds = bench.train(f"data.cache_dir={folder}", f"hydra.run.dir={folder}/run").seconds
    yield Row(
        work="python train.py, the built-in scans made and prepared by it",
        value=seconds,
        unit="s",
        target=TARGET,
        how="once",
    )
