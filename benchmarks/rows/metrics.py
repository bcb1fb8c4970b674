"""Metrics and their intervals on a large test, in time and memory."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from benchmarks.bench import Bench
from benchmarks.table import Row, Target
from mriad.metrics.bootstrap import GroupBootstrap
from mriad.metrics.image import class_report, image_metrics, metrics_by_class
from mriad.metrics.intervals import image_intervals, intervals_by_class, report_intervals
from mriad.report.pixels import measure_pixels

SECONDS = Target(limit=30, bound="under")
MEMORY = Target(limit=2, bound="under")
SCANS = 10_000
MAPS, SIZE = 1_000, 256


def measure(bench: Bench) -> Iterator[Row]:
    """Yield seconds and memory of both, each in a process of its own."""
    works = {
        f"image metrics and intervals of {SCANS:,} scans": (f"{__name__}:of_scans", SCANS),
        f"pixel metrics and intervals of {MAPS:,} maps of {SIZE} px, half with lesions": (f"{__name__}:of_maps", MAPS),
    }
    for work, (function, count) in works.items():
        seconds, ended = bench.call(function, count)
        yield Row(work=work, value=seconds, unit="s", target=SECONDS, how="once, without imports")
        yield Row(work=work, value=ended.private, unit="GB", target=MEMORY, how="private memory of the process at most")


def of_scans(count: int) -> float:
    """Seconds for all that a report says of the scores of so many scans."""
    table = scores(count)
    start = time.perf_counter()
    for numbers in (image_metrics, metrics_by_class, class_report):
        numbers(table)
    bootstrap = GroupBootstrap.draw(groups=table["group"].to_numpy(), labels=table["label"].to_numpy())
    for intervals in (image_intervals, report_intervals, intervals_by_class):
        intervals(table, bootstrap)
    return time.perf_counter() - start


def of_maps(count: int, size: int = SIZE) -> float:
    """Seconds for all that a report says of the maps of so many scans; those of label 1 have a lesion."""
    table = scores(count)
    rng = np.random.default_rng(0)
    maps = np.stack([gaussian_filter(rng.random((size, size), dtype=np.float32), 2) for _ in range(count)])
    y, x = np.ogrid[:size, :size]
    masks: list[np.ndarray | None] = [None] * count
    for row in np.flatnonzero(table["label"]):
        top, left, radius = rng.uniform((0.3, 0.3, 0.02), (0.7, 0.7, 0.12)) * size
        mask = masks[row] = (y - top) ** 2 + (x - left) ** 2 < radius**2
        maps[row][mask] += 0.05
    start = time.perf_counter()
    bootstrap = GroupBootstrap.draw(groups=table["group"].to_numpy(), labels=table["label"].to_numpy())
    measure_pixels(table, maps, masks, threshold=float(np.quantile(maps[0], 0.995)), bootstrap=bootstrap)
    return time.perf_counter() - start


def scores(count: int) -> pd.DataFrame:
    """A scores table: half of the scans anomalous, of two kinds, in groups of two."""
    rng = np.random.default_rng(0)
    group = np.arange(count) // 2
    label = group % 2
    score = rng.normal(label, 1.0)
    return pd.DataFrame(
        {
            "path": [f"{row}.png" for row in range(count)],
            "group": group.astype(str),
            "class": np.where(label == 0, "healthy", np.where(group % 4 == 1, "glioma", "meningioma")),
            "label": label,
            "score": score,
            "decision": (score > 0.5).astype(int),
        }
    )
