"""What every run costs, however little it trains: start to first step, last step to exit."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmarks.bench import Bench
from benchmarks.table import Row, Target

TARGET = Target(limit=12)
RUNS = 3
FEWER = ("data.layout.healthy_subjects=60", "data.layout.diseased_subjects=20")  # making all takes minutes


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line, of the built-in scans, cache and store already there; a third of them unless at full size."""
    options = () if bench.full else FEWER
    _costs(bench, options)  # makes the scans, the cache and the store
    found = [_costs(bench, options) for _ in range(RUNS)]
    starts, ends = zip(*found, strict=True)
    yield Row(
        work="python train.py with one step: start to first step, last step to exit, figures, report and model in it",
        value=median(map(sum, found)),
        unit="s",
        target=TARGET,
        how=f"{median(starts):.1f} s before and {median(ends):.1f} s after the steps, medians of {len(found)}",
    )


def _costs(bench: Bench, options: Sequence[str]) -> tuple[float, float]:
    file = Path(bench.folder / "marks.json")
    start = time.time()
    bench.train(
        "trainer.max_epochs=1",
        "+trainer.limit_train_batches=1",
        f"+callbacks.marks={{_target_: benchmarks.clocks.Marks, file: '{file}'}}",
        *options,
    )
    first, last = json.loads(file.read_text())
    return first - start, time.time() - last
