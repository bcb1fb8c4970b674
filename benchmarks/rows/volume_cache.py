"""How many volumes are prepared where a data set has one more than before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import Bench
from benchmarks.table import Row, Target
from mriad.data.catalog import Catalog
from mriad.data.preparing.cache import ScanCache
from mriad.data.preparing.volumes import PrepareVolume
from mriad.data.reading.scan import Scan
from mriad.data.synthetic.volumes import make_synthetic_volumes
from mriad.geometry import VolumeGeometry

TARGET = Target(limit=1)
FULL, FEW = 500, 40
_SPACING = 4.0  # mm: what is counted does not hang on it


class Counted(PrepareVolume):
    """Counts the volumes that this process prepares."""

    prepared = 0

    def __call__(self, scan: Scan, *, brain: NDArray[np.bool_] | None = None) -> tuple[Any, VolumeGeometry]:
        """Prepare one scan."""
        Counted.prepared += 1
        return super().__call__(scan, brain=brain)


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line; of fewer scans, unless at full size."""
    count = FULL if bench.full else FEW
    catalog = make_synthetic_volumes(
        bench.cache, healthy_subjects=count + 1, diseased_subjects=0, spacing=_SPACING
    ).with_content()
    with TemporaryDirectory(dir=bench.folder) as folder:
        prepared, seconds = one_more(catalog, Path(folder))
    yield Row(
        work=f"one more scan in a data set of {count} volumes",
        value=prepared,
        unit="prepared",
        target=TARGET,
        how=f"opening the cache took {seconds[0]:.3g} s with {count}, {seconds[1]:.3g} s with one more"
        + ("" if bench.full else f"; {FULL} with --full"),
    )


def one_more(catalog: Catalog, folder: Path) -> tuple[int, list[float]]:
    """Prepare all scans of a catalog but the last, then all; what is prepared the second time, and seconds of both."""
    seconds = []
    for count in (len(catalog) - 1, len(catalog)):
        Counted.prepared = 0
        start = time.perf_counter()
        ScanCache.open(replace(catalog, table=catalog.table[:count]), Counted(), folder=folder)
        seconds.append(time.perf_counter() - start)
    return Counted.prepared, seconds
