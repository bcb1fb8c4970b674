"""What a second thread brings to a training where another process keeps a core busy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.bench import Bench
from benchmarks.table import Row, Target
from benchmarks.turns import ratio, side_by_side

TARGET = Target(limit=1.0)
RUNS = 3
EPOCHS = 3


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line for ``ae`` and one for ``synthetic_anomaly``."""
    for model in ("ae", "synthetic_anomaly"):
        _seconds(bench, model, threads=1)  # makes the scans and the cache
        with _busy_core():
            turns = [(_seconds(bench, model, threads=2), _seconds(bench, model, threads=1)) for _ in range(RUNS)]
        two, one = zip(*turns, strict=True)
        yield Row(
            work=f"{EPOCHS} epochs of {model} with two threads, beside a busy process",
            against="the same with one thread",
            value=ratio(two, one),
            unit="times as long",
            target=TARGET,
            how=side_by_side(two, one),
        )


def _seconds(bench: Bench, model: str, *, threads: int) -> float:
    """From the first step to the last one."""
    file = bench.folder / "marks.json"
    bench.train(
        f"model={model}",
        f"threads={threads}",
        f"trainer.max_epochs={EPOCHS}",
        f"+callbacks.marks={{_target_: benchmarks.clocks.Marks, file: '{file}'}}",
    )
    first, last = json.loads(file.read_text())
    return last - first


@contextmanager
def _busy_core() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()
