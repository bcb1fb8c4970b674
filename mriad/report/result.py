"""What a test found out: the scores table, the maps and the numbers made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.data.datamodule import MRIDataModule
from mriad.metrics.bootstrap import GroupBootstrap, Interval
from mriad.metrics.image import class_report, confusion, image_metrics, metrics_by_class
from mriad.metrics.intervals import image_intervals, intervals_by_class, report_intervals
from mriad.metrics.sizes import SizeThird
from mriad.report.masks import MaskCounts
from mriad.report.pixels import measure_pixels
from mriad.thresholds import Calibration

Number = TypeVar("Number")


@dataclass(frozen=True)
class ScaledRows:
    """Rows of uint8 images as float32 in [0, 1], made when they are asked for: volumes have no room side by side."""

    images: Any
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        return np.divide(self.images[self.rows[index]], np.float32(255), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Result:
    """A measured test.

    Args:
        data: name of the data set.
        published: whether the split repeats a published, flawed protocol; its numbers have no intervals.
        calibration: the threshold that decided.
        table: scores table, one row per test scan: path, group, class, label, role, score, threshold, decision.
        images: (n, *spatial) float32 in [0, 1], aligned with the table.
        maps: (n, S, S) float32 anomaly maps.
        masks: lesion mask (S, S) of each scan, None where there is none.
        metrics: numbers by their name without 'test/'.
        by_class: the same for each class of anomaly, and its support.
        report: precision, recall, F1 and support of healthy and anomalous.
        confusion: [[TN, FP], [FN, TP]].
        intervals: 95 % interval (low, high) of each number that has one, by its name in ``flat_metrics`` without
            'test/': ``<name>``, ``healthy/<name>``, ``anomalous/<name>``, and ``<class>/<name>`` with the class as
            ``class_names`` writes it.
        thirds: scans that have a lesion mask, by its size, as rows of the table; empty where they are too few.
        mask_counts: what of the masks is left out of the pixel numbers.
        labelled_train: number of anomalous scans that trained with their masks.
        scaled_on_val: whether the healthy val scans that the threshold was fitted on also shaped what maps are compared
            with.
    """

    data: str
    published: bool
    calibration: Calibration
    table: pd.DataFrame
    images: NDArray[np.float32] | ScaledRows
    maps: NDArray[np.float32]
    masks: list[NDArray[np.bool_] | None]
    metrics: dict[str, float]
    by_class: dict[str, dict[str, float]]
    report: pd.DataFrame
    confusion: NDArray[np.int64]
    intervals: dict[str, Interval]
    thirds: list[SizeThird]
    mask_counts: MaskCounts = field(default_factory=MaskCounts)
    labelled_train: int = 0
    scaled_on_val: bool = False

    @classmethod
    def measure(
        cls,
        *,
        table: pd.DataFrame,
        rows: NDArray[np.int64],
        maps: NDArray[np.float32],
        datamodule: MRIDataModule,
        calibration: Calibration,
        labelled_train: int = 0,
        scaled_on_val: bool = False,
    ) -> Result:
        """Decide and measure.

        Args:
            table: scores of the test scans: path, group, class, label, role, score.
            rows: (n,) their catalog rows.
            maps: (n, S, S) their anomaly maps.
            datamodule: where their images and masks are.
            calibration: fitted on val.
            labelled_train: number of anomalous scans that trained with their masks.
            scaled_on_val: whether healthy val scans also shaped what maps are compared with.
        """
        table = table.assign(
            threshold=calibration.threshold, decision=calibration.decide(table["score"].to_numpy(dtype=float))
        )
        by_class = metrics_by_class(table)
        bootstrap = GroupBootstrap.draw(groups=table["group"].to_numpy(), labels=table["label"].to_numpy())
        intervals = image_intervals(table, bootstrap)
        for label, found in report_intervals(table, bootstrap).items():
            intervals |= _under(label, found)
        for anomaly, found in intervals_by_class(table, bootstrap).items():
            intervals |= _under(class_names(by_class)[anomaly], found)
        has_mask = datamodule.cache.has_mask(rows)
        masks: list[NDArray[np.bool_] | None] = [None] * len(rows)
        if has_mask.any():
            for index, lesion in zip(np.flatnonzero(has_mask), datamodule.cache.masks_of(rows[has_mask]), strict=True):
                masks[index] = lesion
        facts = datamodule.cache.facts.iloc[rows]
        pixels = measure_pixels(
            table,
            maps,
            masks,
            threshold=calibration.pixel_threshold,
            bootstrap=bootstrap,
            level=calibration.lesion_level,
            outside=np.where(has_mask, facts["lesions_outside"], 0).astype(np.int64),
        )
        anomalous = table["label"].to_numpy() == 1
        reference = datamodule.table["mask"].to_numpy()[rows]
        mask_counts = MaskCounts.of(reference[anomalous], has_mask[anomalous], facts[anomalous])
        metrics = image_metrics(table) | pixels.metrics | mask_counts.numbers()
        intervals |= pixels.intervals
        if published := datamodule.split.published:  # what was trained or calibrated on is no sample of new scans
            intervals = {}
            metrics.pop("accuracy_p_value", None)
        return cls(
            data=str(datamodule.name),
            published=published,
            calibration=calibration,
            table=table,
            images=ScaledRows(datamodule.cache.images, rows),
            maps=maps,
            masks=masks,
            metrics=metrics,
            by_class=by_class,
            report=class_report(table),
            confusion=confusion(table),
            intervals=intervals,
            thirds=pixels.thirds,
            mask_counts=mask_counts,
            labelled_train=labelled_train,
            scaled_on_val=scaled_on_val,
        )

    def flat_metrics(self) -> dict[str, float]:
        """All numbers under their full names: ``test/<name>`` and ``test/<class>/<name>``.

        The ends of their intervals are called ``<full name>_low`` and ``<full name>_high``.
        """
        flat = dict(self.metrics)
        for label, row in self.report.iterrows():
            flat |= _under(str(label), {str(name): float(value) for name, value in row.items()})
        for anomaly, numbers in self.by_class.items():
            flat |= _under(class_names(self.by_class)[anomaly], numbers)
        for name, (low, high) in self.intervals.items():
            flat |= {f"{name}_low": low, f"{name}_high": high}
        return _under("test", flat)

    def outcomes(self) -> pd.Series:
        """'true positive', 'false positive', 'false negative' or 'true negative' of each scan."""
        right = np.where(self.table["decision"] == self.table["label"], "true", "false")
        called = np.where(self.table["decision"] == 1, "positive", "negative")
        return pd.Series([f"{r} {c}" for r, c in zip(right, called, strict=True)], index=self.table.index)


def class_names(classes: Iterable[str]) -> dict[str, str]:
    """Name each class of anomaly in metrics: without the brackets and the like that MLflow refuses, no two alike."""
    plain: dict[str, str] = {}
    for anomaly in classes:
        name = re.sub(r"[^\w.-]+", "_", anomaly)
        while name in {"healthy", "anomalous", *plain.values()}:  # a class may be called 'anomalous'
            name += "_"
        plain[anomaly] = name
    return plain


def _under(prefix: str, numbers: Mapping[str, Number]) -> dict[str, Number]:
    return {f"{prefix}/{name}": number for name, number in numbers.items()}
