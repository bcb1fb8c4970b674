"""What the maps of a test say about its lesions: by pixel, by lesion, and by lesion size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.metrics.bootstrap import GroupBootstrap, Interval
from mriad.metrics.lesions import LesionCounts, lesion_intervals, lesion_metrics
from mriad.metrics.pixel import pixel_metrics
from mriad.metrics.pixel_intervals import pixel_intervals
from mriad.metrics.sizes import SizeThird, intervals_by_size, metrics_by_size, size_thirds


@dataclass(frozen=True, kw_only=True)
class PixelFindings:
    """Numbers by their names, their 95 % intervals, and the thirds of the scans by lesion size as rows of the table."""

    metrics: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    thirds: list[SizeThird] = field(default_factory=list)


def measure_pixels(
    table: pd.DataFrame,
    maps: NDArray[np.float32],
    masks: Sequence[NDArray[np.bool_] | None],
    *,
    threshold: float,
    bootstrap: GroupBootstrap,
) -> PixelFindings:
    """Measure the scans that have a lesion in their mask, beside the healthy ones; nothing where no scan has one.

    Args:
        table: n scans with ``label`` and ``decision``.
        maps: (n, S, S) their anomaly maps.
        masks: lesion mask (S, S) of each scan, None where there is none.
        threshold: a pixel is called anomalous where its map value is greater.
        bootstrap: resamples of these n scans.
    """
    # a crop may cut a lesion away
    rows = np.array([row for row, mask in enumerate(masks) if mask is not None and mask.any()], dtype=np.int64)
    if not len(rows):
        return PixelFindings()
    healthy = table["label"].to_numpy() == 0
    diseased = maps[rows], np.stack([mask for row in rows if (mask := masks[row]) is not None])
    beside, resamples = maps[healthy], bootstrap.of(rows)
    pixels = pixel_metrics(*diseased, threshold=threshold, healthy_maps=beside)
    pixel_bounds = pixel_intervals(
        pixels,
        *diseased,
        threshold=threshold,
        bootstrap=resamples,
        healthy_maps=beside,
        healthy_bootstrap=bootstrap.of(healthy),
    )
    thirds = size_thirds(diseased[1])
    members = {third.name: third.rows for third in thirds}
    counts = LesionCounts.of(*diseased, threshold=threshold, healthy_maps=beside)
    lesion_bounds = lesion_intervals(
        counts, bootstrap=resamples, healthy_bootstrap=bootstrap.of(healthy), thirds=members
    )
    by_third = thirds, *diseased, table["decision"].to_numpy()[rows]
    return PixelFindings(
        metrics=pixels | lesion_metrics(counts, members) | metrics_by_size(*by_third, threshold=threshold),
        intervals=pixel_bounds | lesion_bounds | intervals_by_size(*by_third, threshold=threshold, bootstrap=resamples),
        thirds=[replace(third, rows=rows[third.rows]) for third in thirds],
    )
