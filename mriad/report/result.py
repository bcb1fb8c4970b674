"""What a test found out: the scores table, the maps and the numbers made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.data import MRIDataModule
from mriad.metrics.image import class_report, confusion, image_metrics, metrics_by_class
from mriad.metrics.pixel import pixel_metrics
from mriad.thresholds import Calibration


@dataclass(frozen=True, kw_only=True)
class Result:
    """A measured test.

    Args:
        data: name of the data set.
        published: whether the split repeats a published, flawed protocol.
        calibration: the threshold that decided.
        table: scores table, one row per test scan: path, group, class, label, role, score, threshold, decision.
        images: (n, S, S) float32 slices in [0, 1], aligned with the table.
        maps: (n, S, S) float32 anomaly maps.
        masks: lesion mask (S, S) of each scan, None where there is none.
        metrics: numbers by their name without 'test/'.
        by_class: the same for each class of anomaly, and its support.
        report: precision, recall, F1 and support of healthy and anomalous.
        confusion: [[TN, FP], [FN, TP]].
    """

    data: str
    published: bool
    calibration: Calibration
    table: pd.DataFrame
    images: NDArray[np.float32]
    maps: NDArray[np.float32]
    masks: list[NDArray[np.bool_] | None]
    metrics: dict[str, float]
    by_class: dict[str, dict[str, float]]
    report: pd.DataFrame
    confusion: NDArray[np.int64]

    @classmethod
    def measure(
        cls,
        *,
        table: pd.DataFrame,
        rows: NDArray[np.int64],
        maps: NDArray[np.float32],
        datamodule: MRIDataModule,
        calibration: Calibration,
    ) -> Result:
        """Decide and measure.

        Args:
            table: scores of the test scans: path, group, class, label, role, score.
            rows: (n,) their catalog rows.
            maps: (n, S, S) their anomaly maps.
            datamodule: where their images and masks are.
            calibration: fitted on val.
        """
        table = table.assign(
            threshold=calibration.threshold, decision=calibration.decide(table["score"].to_numpy(dtype=float))
        )
        metrics = image_metrics(table)
        has_mask = datamodule.cache.has_mask(rows)
        masks: list[NDArray[np.bool_] | None] = [None] * len(rows)
        if has_mask.any():
            lesions = datamodule.cache.masks_of(rows[has_mask])
            for index, lesion in zip(np.flatnonzero(has_mask), lesions, strict=True):
                masks[index] = lesion
            seen = lesions.any(axis=(1, 2))  # the crop may have cut a lesion away
            healthy = maps[table["label"].to_numpy() == 0]
            metrics |= pixel_metrics(
                maps[has_mask][seen],
                lesions[seen],
                threshold=calibration.pixel_threshold,
                healthy_maps=healthy if len(healthy) else None,
            )
        return cls(
            data=str(datamodule.name),
            published=datamodule.split.published,
            calibration=calibration,
            table=table,
            images=datamodule.images(rows).squeeze(1).numpy(),
            maps=maps,
            masks=masks,
            metrics=metrics,
            by_class=metrics_by_class(table),
            report=class_report(table),
            confusion=confusion(table),
        )

    def flat_metrics(self) -> dict[str, float]:
        """All numbers under their full names: ``test/<name>`` and ``test/<class>/<name>``."""
        flat = {f"test/{name}": value for name, value in self.metrics.items()}
        for label, row in self.report.iterrows():
            flat |= {f"test/{label}/{name}": float(value) for name, value in row.items()}
        for anomaly, numbers in self.by_class.items():
            plain = re.sub(r"[^\w.-]+", "_", anomaly)  # MLflow refuses brackets and the like
            while f"test/{plain}/recall" in flat:  # a class may be called 'anomalous'
                plain += "_"
            flat |= {f"test/{plain}/{name}": value for name, value in numbers.items()}
        return flat

    def outcomes(self) -> pd.Series:
        """'true positive', 'false positive', 'false negative' or 'true negative' of each scan."""
        right = np.where(self.table["decision"] == self.table["label"], "true", "false")
        called = np.where(self.table["decision"] == 1, "positive", "negative")
        return pd.Series([f"{r} {c}" for r, c in zip(right, called, strict=True)], index=self.table.index)
