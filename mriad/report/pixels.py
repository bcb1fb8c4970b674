"""What the maps of a test say about its lesions: by pixel, by lesion, and by lesion size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.metrics.bootstrap import GroupBootstrap, Interval
from mriad.metrics.lesion_volume import lesion_volume_intervals, lesion_volume_metrics
from mriad.metrics.lesions import LesionCounts, lesion_intervals, lesion_metrics
from mriad.metrics.pixel import pixel_metrics
from mriad.metrics.pixel_intervals import pixel_intervals
from mriad.metrics.scans import Scans, Stack
from mriad.metrics.sizes import SizeThird, intervals_by_size, metrics_by_size, size_thirds


@dataclass(frozen=True, kw_only=True)
class PixelFindings:
    """Numbers by their names, their 95 % intervals, and the thirds of the scans by lesion size as rows of the table."""

    metrics: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    thirds: list[SizeThird] = field(default_factory=list)


def measure_pixels(
    table: pd.DataFrame,
    maps: Scans,
    masks: Sequence[NDArray[np.bool_] | None],
    *,
    threshold: float,
    bootstrap: GroupBootstrap,
    level: float | None = None,
    outside: NDArray[np.int64] | None = None,
    voxel_volume: NDArray[np.floating] | None = None,
) -> PixelFindings:
    """Measure the scans that have a lesion in their mask, beside the healthy ones; nothing where no scan has one.

    Args:
        table: n scans with ``label`` and ``decision``, and of volumes in mm ``lesion_ml`` and ``called_ml``.
        maps: (n, *spatial) their anomaly maps, which may be mapped from a file.
        masks: lesion mask (*spatial) of each scan, None where there is none; volumes are asked for one at a time.
        threshold: a pixel is called anomalous where its map value is greater.
        bootstrap: resamples of these n scans.
        level: a component above it is called a lesion; None where none was chosen on val.
        outside: (n,) lesions of each scan that the crop has cut away, which count as missed; None for none.
        voxel_volume: (n,) volume of a voxel in mm3; None where it is not known, and for pictures.
    """
    missed = np.zeros(len(table), dtype=np.int64) if outside is None else outside
    seen = np.array([mask is not None and bool(mask.any()) for mask in masks], dtype=bool)
    every = Stack(values=masks, rows=np.arange(len(table)), spatial=tuple(maps.shape[1:]), dtype=bool)
    healthy = table["label"].to_numpy() == 0
    diseased = np.flatnonzero(seen | (missed > 0))
    if not len(diseased):
        return PixelFindings()
    beside, resamples = Stack.of(maps, np.flatnonzero(healthy)), bootstrap.of(healthy)
    pixels = _measure_seen(
        table, maps, every, np.flatnonzero(seen), threshold, bootstrap, beside, resamples, voxel_volume
    )
    place = np.cumsum(seen | (missed > 0)) - 1  # of a row of the table among the diseased
    thirds = {third.name: place[third.rows] for third in pixels.thirds}
    counts = LesionCounts.of(
        Stack.of(maps, diseased),
        Stack.of(every, diseased),
        threshold=threshold,
        level=level,
        missed=missed[diseased],
        healthy_maps=beside,
    )
    bounds = lesion_intervals(counts, bootstrap=bootstrap.of(diseased), healthy_bootstrap=resamples, thirds=thirds)
    return replace(
        pixels,
        metrics=pixels.metrics | lesion_metrics(counts, thirds),
        intervals=pixels.intervals | bounds,
    )


def _measure_seen(
    table: pd.DataFrame,
    maps: Scans,
    masks: Stack,
    rows: NDArray[np.int64],
    threshold: float,
    bootstrap: GroupBootstrap,
    healthy_maps: Scans,
    healthy_bootstrap: GroupBootstrap,
    voxel_volume: NDArray[np.floating] | None,
) -> PixelFindings:
    """What is measured by pixels, of the rows that have a pixel of a lesion."""
    if not len(rows):
        return PixelFindings()
    diseased = Stack.of(maps, rows), Stack.of(masks, rows)
    resamples = bootstrap.of(rows)
    pixels = pixel_metrics(*diseased, threshold=threshold, healthy_maps=healthy_maps)
    bounds = pixel_intervals(
        pixels,
        *diseased,
        threshold=threshold,
        bootstrap=resamples,
        healthy_maps=healthy_maps,
        healthy_bootstrap=healthy_bootstrap,
    )
    thirds = size_thirds(diseased[1], voxel_volume=None if voxel_volume is None else voxel_volume[rows])
    by_third = thirds, *diseased, table["decision"].to_numpy()[rows]
    found = PixelFindings(
        metrics=pixels | metrics_by_size(*by_third, threshold=threshold),
        intervals=bounds | intervals_by_size(*by_third, threshold=threshold, bootstrap=resamples),
        thirds=[replace(third, rows=rows[third.rows]) for third in thirds],
    )
    if voxel_volume is None:
        return found
    volumes = table["lesion_ml"].to_numpy()[rows], table["called_ml"].to_numpy()[rows]
    return replace(
        found,
        metrics=found.metrics | lesion_volume_metrics(*volumes),
        intervals=found.intervals | lesion_volume_intervals(*volumes, bootstrap=resamples),
    )
