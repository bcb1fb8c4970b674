"""What a test found out: the scores table, the maps and the numbers made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.data.datamodule import MRIDataModule
from mriad.metrics.bootstrap import GroupBootstrap, Interval
from mriad.metrics.image import class_report, confusion, image_metrics, metrics_by_class
from mriad.metrics.intervals import image_intervals, intervals_by_class, report_intervals
from mriad.metrics.patients import patient_table
from mriad.metrics.pixel import called_pixels
from mriad.metrics.scans import Scans, Stack, are_volumes
from mriad.metrics.sizes import SizeThird
from mriad.metrics.slices import Slices, slice_intervals, slice_metrics
from mriad.report.masks import MaskCounts, ScanMasks
from mriad.report.pixels import measure_pixels
from mriad.thresholds import Calibration, Drift

Number = TypeVar("Number")
_TAKEN = ("healthy", "anomalous", "slice", "patient")  # what metrics are under, beside classes


@dataclass(frozen=True, kw_only=True)
class Result:
    """A measured test.

    Args:
        data: name of the data set.
        published: whether the split repeats a published, flawed protocol; its numbers have no intervals.
        calibration: the threshold that decided.
        table: scores table, one row per test scan: path, group, class, label, role, score, threshold, decision; of
            volumes also patient, lesion_ml, the true volume of all lesions (NaN where no mask tells it), and called_ml,
            the volume in which the map is above the pixel threshold.
        images: (n, *spatial) float32 scans in [0, 1], aligned with the table and read when they are asked for.
        maps: (n, *spatial) float32 anomaly maps.
        masks: lesion mask (*spatial) of each scan, None where there is none, read when it is asked for.
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
        elsewhere: whether the scans are of other data than those that the threshold was fitted on.
        drift: of other data, whether the scores lie where those lay that the threshold was fitted on; None where there
            is nothing to be compared.
        patients: scores table of the patients of volumes, see ``patient_table``; None where none has several scans.
        slice_scores: (n, D) score of each axial slice of volumes, NaN where it has none; None where none was given.
        voxel_volume: (n,) volume of a voxel of each volume in mm3; None for pictures.
    """

    data: str
    published: bool
    calibration: Calibration
    table: pd.DataFrame
    images: Scans
    maps: NDArray[np.float32]
    masks: Sequence[NDArray[np.bool_] | None]
    metrics: dict[str, float]
    by_class: dict[str, dict[str, float]]
    report: pd.DataFrame
    confusion: NDArray[np.int64]
    intervals: dict[str, Interval]
    thirds: list[SizeThird]
    mask_counts: MaskCounts = field(default_factory=MaskCounts)
    labelled_train: int = 0
    scaled_on_val: bool = False
    elsewhere: bool = False
    drift: Drift | None = None
    patients: pd.DataFrame | None = None
    slice_scores: NDArray[np.floating] | None = None
    voxel_volume: NDArray[np.floating] | None = None

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
        elsewhere: bool = False,
        slice_scores: NDArray[np.floating] | None = None,
        voxel_volume: NDArray[np.floating] | None = None,
    ) -> Result:
        """Decide and measure.

        Args:
            table: scores of the test scans: path, group, class, label, role, score.
            rows: (n,) their catalog rows.
            maps: (n, *spatial) their anomaly maps, which may be mapped from a file.
            datamodule: where their patients, images and masks are.
            calibration: the threshold that decides.
            labelled_train: number of anomalous scans that trained with their masks.
            scaled_on_val: whether healthy val scans also shaped what maps are compared with.
            elsewhere: whether the scans are of other data than those that the calibration was fitted on.
            slice_scores: (n, D) score of each axial slice of volumes, NaN where it has none, as beyond the head.
            voxel_volume: (n,) volume of a voxel of each volume in mm3.
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
        masks = ScanMasks(datamodule.cache, rows)
        if volumes := are_volumes(maps):
            table = table.assign(
                patient=datamodule.table["patient"].to_numpy()[rows],
                **_volumes(table, maps, masks, voxel_volume, calibration.pixel_threshold),
            )
        facts = datamodule.cache.facts.iloc[rows]
        pixels = measure_pixels(
            table,
            maps,
            masks,
            threshold=calibration.pixel_threshold,
            bootstrap=bootstrap,
            level=calibration.lesion_level,
            outside=np.where(masks.used, facts["lesions_outside"], 0).astype(np.int64),
            voxel_volume=voxel_volume if volumes else None,
        )
        anomalous = table["label"].to_numpy() == 1
        reference = datamodule.table["mask"].to_numpy()[rows]
        mask_counts = MaskCounts.of(reference[anomalous], masks.used[anomalous], facts[anomalous])
        metrics = image_metrics(table) | pixels.metrics | mask_counts.numbers()
        intervals |= pixels.intervals
        if slice_scores is not None:
            slices = Slices.of(slice_scores, masks, anomalous=anomalous)
            metrics |= _under("slice", slice_metrics(slices))
            intervals |= _under("slice", slice_intervals(slices, bootstrap))
        patients = patient_table(table) if volumes else None
        if patients is not None:
            metrics |= _under("patient", image_metrics(patients))
            intervals |= _under("patient", image_intervals(patients, bootstrap.of(patients["row"])))
        drift = Drift.of(calibration, table) if elsewhere else None
        if drift is not None:
            metrics |= {"drift_statistic": drift.statistic, "drift_p_value": drift.p_value}
        if published := datamodule.split.published:  # what was trained or calibrated on is no sample of new scans
            intervals = {}
            for name in ("accuracy_p_value", "patient/accuracy_p_value"):
                metrics.pop(name, None)
        return cls(
            data=str(datamodule.name),
            published=published,
            calibration=calibration,
            table=table,
            images=Stack(
                values=_Images(datamodule, rows),
                rows=np.arange(len(rows)),
                spatial=tuple(maps.shape[1:]),
                dtype=np.float32,
            ),
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
            elsewhere=elsewhere,
            drift=drift,
            patients=patients,
            slice_scores=slice_scores,
            voxel_volume=voxel_volume if volumes else None,
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
        while name in {*_TAKEN, *plain.values()}:  # a class may be called 'anomalous'
            name += "_"
        plain[anomaly] = name
    return plain


class _Images(Sequence[Any]):
    """Images of scans, read when they are asked for."""

    def __init__(self, datamodule: MRIDataModule, rows: NDArray[np.int64]) -> None:
        self._datamodule, self._rows = datamodule, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, scan: Any) -> Any:
        return self._datamodule.images(self._rows[[scan]])[0, 0].numpy()


def _volumes(
    table: pd.DataFrame, maps: Scans, masks: ScanMasks, voxel_volume: NDArray[np.floating] | None, threshold: float
) -> dict[str, NDArray[np.float64]]:
    """The columns ``lesion_ml`` and ``called_ml``; none where the volume of a voxel is not known."""
    if voxel_volume is None:
        return {}
    known = [np.nan if mask is None else float(np.count_nonzero(mask)) for mask in masks]
    lesion = np.where(table["label"] == 0, 0.0, known)
    ml = np.asarray(voxel_volume, dtype=np.float64) / 1000
    return {"lesion_ml": lesion * ml, "called_ml": called_pixels(maps, threshold=threshold) * ml}


def _under(prefix: str, numbers: Mapping[str, Number]) -> dict[str, Number]:
    return {f"{prefix}/{name}": number for name, number in numbers.items()}
