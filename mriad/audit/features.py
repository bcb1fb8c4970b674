"""How well trivial features separate healthy from anomalous scans, with no model at all."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from mriad.audit.thumbnails import nearest_distance, thumbnails_of
from mriad.data.preparing.packs import Rows
from mriad.metrics.bootstrap import GroupBootstrap, Interval, auroc, interval

Stage = Literal["raw", "scaled"]

_PIXELS = ("mean", "p99", "foreground", "gradient_energy")
_CATEGORIES = ("format", "mode")
OF_VOLUMES = ("depth", "stripped", "voxel_depth", "voxel_height", "voxel_width", "field_strength")
CATEGORIES_OF_VOLUMES = ("format", "orientation", "manufacturer", "scanner")
_CHUNK = 2**22  # pixels at a time
_DARK = 0.05  # what is no brighter is background, as in the scan's fingerprint

FEATURES = {
    "mean": "mean intensity",
    "p99": "99th percentile of intensity",
    "foreground": "foreground share",
    "gradient_energy": "gradient energy",
    "format": "file format",
    "mode": "colour mode",
    "height": "height",
    "width": "width",
    "area": "size",
    "aspect_ratio": "aspect ratio",
    "depth": "number of slices",
    "stripped": "presence of the skull",
    "voxel_depth": "spacing from slice to slice",
    "voxel_height": "spacing from front to back",
    "voxel_width": "spacing from right to left",
    "field_strength": "field strength",
    "orientation": "orientation of the axes",
    "manufacturer": "maker of the scanner",
    "scanner": "scanner model",
    "nearest_train": "distance to the nearest train thumbnail",
}
"""What each feature is called."""


def raw_features(
    facts: pd.DataFrame, thumbnails: NDArray[np.uint8], train_thumbnails: NDArray[np.uint8], labels: NDArray[np.int64]
) -> pd.DataFrame:
    """Measure scans before scaling: what the files give away.

    A category, such as the file format, becomes the share of anomalous scans among the scans that have it. Of volumes,
    the size of voxels, the scanner and whether the skull is there are features, too: where healthy and diseased scans
    come from different places, these give the place away.

    Args:
        facts: n rows of the cache's facts.
        thumbnails: (n, 16, 16) uint8, of the whole images.
        train_thumbnails: (m, 16, 16) uint8; without any the distance to them is left out.
        labels: (n,) 0 healthy, 1 anomalous.

    Returns:
        n rows, a column per feature.
    """
    features = facts[[*_PIXELS, "height", "width"]].astype(float).reset_index(drop=True)
    features["area"] = features["height"] * features["width"]
    features["aspect_ratio"] = features["width"] / features["height"]
    categories: tuple[str, ...] = _CATEGORIES
    if "voxel_volume" in facts:
        sides = np.stack(facts["spacing"].to_numpy()).astype(float)
        told = facts.assign(voxel_depth=sides[:, 0], voxel_height=sides[:, 1], voxel_width=sides[:, 2])
        numbers = told[list(OF_VOLUMES)].astype(float).reset_index(drop=True)
        features = features.join(numbers.loc[:, numbers.notna().all()])  # few files tell of the scanner's field
        categories = CATEGORIES_OF_VOLUMES
    anomalous = pd.Series(labels, dtype=float)
    for category in categories:
        features[category] = anomalous.groupby(facts[category].to_numpy()).transform("mean")
    return _with_distance(features, thumbnails, train_thumbnails)


def scaled_features(images: Rows, rows: NDArray[np.int64], train_rows: NDArray[np.int64]) -> pd.DataFrame:
    """Measure scans after cropping and scaling: what a network could use instead of anatomy.

    Args:
        images: (N, *spatial) uint8; may be mapped from disk.
        rows: (n,) the scans to measure, at least one.
        train_rows: (m,) the train scans; without any the distance to them is left out.

    Returns:
        n rows, a column per feature.
    """
    step = max(1, _CHUNK // math.prod(images.shape[1:]))
    chunks = [_pixel_features(images[rows[start : start + step]]) for start in range(0, len(rows), step)]
    features = pd.concat(chunks, ignore_index=True)
    return _with_distance(features, thumbnails_of(images, rows), thumbnails_of(images, train_rows))


def separation(
    features: pd.DataFrame, labels: NDArray[np.int64], groups: NDArray[np.object_], *, stage: Stage
) -> pd.DataFrame:
    """AUROC of each feature, in the direction in which it separates better.

    The direction, and the order of a feature's categories, are chosen on these very scans, so a feature that tells
    nothing comes out a little above 0.5; its interval then still reaches 0.5 or close to it.

    Args:
        features: n rows, a column per feature.
        labels: (n,) 0 healthy, 1 anomalous, both of them there.
        groups: (n,) names of groups of scans that are no independent witnesses.
        stage: 'raw' or 'scaled', for the table.

    Returns:
        a row per feature: ``feature``, ``stage``, ``auroc`` in [0.5, 1], ``sign`` ('+' higher in anomalous scans, '-'
        lower, '' for categories and where there is no difference), and the 95 % interval from ``low`` to ``high``,
        by bootstrap over groups.
    """
    records = []
    bootstrap = GroupBootstrap.draw(groups=groups, labels=labels)
    for name, values in features.items():
        scores = values.to_numpy(dtype=float)
        plain = float(roc_auc_score(labels, scores))
        low, high = _bounds(labels, scores if plain >= 0.5 else -scores, bootstrap)
        records.append(
            {
                "feature": name,
                "stage": stage,
                "auroc": max(plain, 1 - plain),
                "sign": ""
                if name in (*_CATEGORIES, *CATEGORIES_OF_VOLUMES) or plain == 0.5
                else "+"
                if plain > 0.5
                else "-",
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(records, columns=["feature", "stage", "auroc", "sign", "low", "high"])


def _bounds(labels: NDArray[np.int64], scores: NDArray[np.float64], bootstrap: GroupBootstrap) -> Interval:
    groups = min(len(np.unique(bootstrap.group[labels == label])) for label in (0, 1))
    return interval(auroc(labels, scores, bootstrap.weights), groups)


def _pixel_features(images: NDArray[np.uint8]) -> pd.DataFrame:
    pixels = images.astype(np.float32) / 255.0
    axes = tuple(range(1, pixels.ndim))
    steps = [np.diff(pixels, axis=axis) for axis in axes]
    return pd.DataFrame(
        {
            "mean": pixels.mean(axis=axes, dtype=float),
            "p99": np.percentile(pixels, 99, axis=axes),
            "foreground": (pixels > _DARK).mean(axis=axes),
            "gradient_energy": sum(np.square(step).sum(axis=axes, dtype=float) for step in steps) / pixels[0].size,
        }
    )


def _with_distance(
    features: pd.DataFrame, thumbnails: NDArray[np.uint8], train_thumbnails: NDArray[np.uint8]
) -> pd.DataFrame:
    if len(train_thumbnails) == 0:
        return features
    return features.assign(nearest_train=nearest_distance(thumbnails, train_thumbnails))
