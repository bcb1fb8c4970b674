"""Private memory of a training on many slices: the cache is memory-mapped, so that jobs share it."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import heads
from benchmarks.bench import Bench, composed
from benchmarks.table import Row, Target
from benchmarks.turns import extrapolated
from mriad.experiment.data import load_data

TARGET = Target(limit=0.8, bound="under")
SCANS = 100_000
FEW = (1_000, 8_000)


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line: extrapolated from two smaller trainings, unless at full size."""
    points = [(count, private(bench, count)) for count in ((SCANS,) if bench.full else FEW)]
    value = points[0][1] if bench.full else extrapolated(points, SCANS)
    seen = " and ".join(f"{memory:.2f} GB with {count:,}" for count, memory in points)
    yield Row(
        work=f"private memory (RssAnon) of python train.py with {SCANS:,} slices of 128 px",
        against=f"the slices as uint8, {SCANS * 128 * 128 / 1e9:.1f} GB",
        value=value,
        unit="GB",
        target=TARGET,
        how=seen if bench.full else f"extrapolated from {seen}; measured with --full",
    )


def private(bench: Bench, count: int) -> float:
    """Most private memory of a training with a few steps on so many slices, in GB.

    The files are small, so that preparing them is quick; the slices are not.
    """
    anomalous = count // 10
    root = heads.write(bench.folder / f"{count}", healthy=count - anomalous, anomalous=anomalous, size=32)
    data = ("data=folder", f"data.root={root}")
    load_data(composed("train", *data, f"data.cache_dir={bench.cache}").data, roles=())  # prepares the slices
    return bench.train(*data, "trainer.max_epochs=1", "+trainer.limit_train_batches=10").private
