"""What testing on another data set takes, prepared before."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.bench import JPEG, ROOT, Bench
from benchmarks.table import Row, Target

TARGET = Target(limit=25)
RUNS = 2


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line."""
    slices = JPEG["healthy"] + JPEG["anomalous"]
    trained = bench.folder / "evaluated"
    bench.train("model=synthetic_anomaly", "trainer.max_epochs=1", "data.epoch_scans=64", f"hydra.run.dir={trained}")
    words = (str(ROOT / "evaluate.py"), f"checkpoint={trained / 'best.ckpt'}", "data=folder", "split=all_test")
    prepared, *seconds = (bench.run([*words, f"data.root={bench.jpegs()}"]).seconds for _ in range(RUNS + 1))
    yield Row(
        work=f"python evaluate.py, synthetic_anomaly, {slices:,} slices of another data set, cache there",
        value=1000 * median(seconds) / slices,
        unit="ms a slice",
        target=TARGET,
        how=f"{median(seconds):.1f} s as a whole, median of {RUNS}; {prepared:.1f} s with the cache made",
    )
