"""The training set: what a detector learns from of the healthy scans of train and of the labelled pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from mriad.data.layouts.contrasts import contrast_of
from mriad.data.preparing.prepared import Preparation
from mriad.data.scans import ScansInRoles
from mriad.data.training.datasets import AnomalySource, DeviceTrainDataset, TissueSource, TrainDataset, wants_tissues
from mriad.data.training.loading import TrainData
from mriad.data.training.patches import PatchChoice, PatchDataset
from mriad.data.training.samples import Samples, SliceChoice, mixed
from mriad.errors import MriadError
from mriad.geometry.planes import require_planes

if TYPE_CHECKING:
    from mriad.data.training.augment import Augment  # brings albumentations, for which most trainings need not wait


class TrainingSet:
    """What a detector learns from.

    Args:
        scans: are asked once they have their roles.
        name: of the data set, for what is said.
        preprocess: has prepared the scans.
        augment, anomalies, labelled_train, labelled_share, epoch_scans, planes, slices, patches: see ``MRIDataModule``.

    Attributes:
        spatial_dims: dimensions of what the detector learns from, 2 or 3; it is for the detector to say.

    Raises:
        MriadError: if an option is out of range, or asks of pictures what volumes alone have.
    """

    def __init__(
        self,
        scans: ScansInRoles,
        *,
        name: str,
        preprocess: Preparation,
        augment: Augment | None,
        anomalies: AnomalySource | TissueSource | None,
        labelled_train: int,
        labelled_share: float,
        epoch_scans: int | None,
        planes: Sequence[str],
        slices: Mapping[str, Any] | None,
        patches: Mapping[str, Any] | None,
    ) -> None:
        if not isinstance(labelled_train, int) or labelled_train < 0:
            raise MriadError(f"data.labelled_train={labelled_train} is no number of scans; give 0 or more.")
        if not 0 < labelled_share < 1:
            raise MriadError(f"data.labelled_share={labelled_share} is no share; choose one between 0 and 1.")
        if epoch_scans is not None and (not isinstance(epoch_scans, int) or epoch_scans < 1):
            raise MriadError(f"data.epoch_scans={epoch_scans} is no number of scans; give 1 or more, or null.")
        self._scans, self._name, self._preprocess = scans, name, preprocess
        self._augment, self._anomalies = augment, anomalies
        self._labelled_train, self._labelled_share = labelled_train, labelled_share
        self._epoch_scans = epoch_scans
        self._planes = require_planes(planes)
        pictures = len(preprocess.spatial) == 2
        if wants_tissues(anomalies) and pictures:
            raise MriadError(
                f"anomalies=simulated takes the tissues of volumes, and the scans of data set '{name}' are "
                "pictures; choose data of volumes, or another model, such as model=synthetic_anomaly."
            )
        self._slices = SliceChoice(**dict(slices or {}))
        if self._slices.neighbours and pictures:
            raise MriadError(
                f"data.slices.neighbours={self._slices.neighbours} asks for the neighbours of slices, and the scans of "
                f"data set '{name}' are pictures, which have none; drop it, or choose data of volumes."
            )
        self._patches = PatchChoice.of(patches, preprocess.spatial)
        self.spatial_dims = 2

    @property
    def of_whole_scans(self) -> bool:
        """Whether a sample is a whole scan, but for ``patches``."""
        return self.spatial_dims == len(self._preprocess.spatial)

    def augmented(self, device: torch.device | None = None) -> TrainData:
        """An epoch: healthy samples, augmented, with anomalies and labelled samples where they are asked for.

        Args:
            device: where pictures are kept and augmented; None to make samples on the CPU.

        Raises:
            MriadError: if there is nothing of the kind that is asked for to train on, see also ``labelled_rows``.
        """
        healthy, labels = self._scans.rows("train"), self._scans.labels
        if self._patches is not None:
            rows = mixed(np.repeat(healthy, self._patches.per_scan), least=self._epoch_scans)
            return PatchDataset(
                scans=self._scans.cache, labels=labels, rows=rows, choice=self._patches, augment=self._augment
            )
        if device is not None:
            rows = mixed(healthy, least=self._epoch_scans)
            return DeviceTrainDataset(
                slices=self._scans.cache, labels=labels, rows=rows, device=device, augment=self._augment
            )
        return self._train_dataset()

    def as_it_is(self) -> TrainDataset:
        """The healthy samples of train, each once: not augmented, and nothing put into them."""
        return TrainDataset(samples=self._samples(self._scans.rows("train")), labels=self._scans.labels)

    def anomaly_examples(self, count: int = 8) -> dict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        """Every kind of anomaly that trains, see ``TrainDataset.examples``."""
        return {} if self._patches else self._train_dataset().examples(count)

    def trained_on(self) -> dict[str, Any]:
        """What trains: ``contrasts`` that are known, of scans or as they are imaged anew, and of volumes ``spacing``.

        That is the least and the greatest of their widest voxels in mm.
        """
        train = self._scans.scans("train")
        anomalies = self._anomalies
        shown = anomalies.contrasts if wants_tissues(anomalies) else {*train["contrast"]} - {""}
        trained: dict[str, Any] = {"contrasts": sorted(shown)}
        if len(self._preprocess.spatial) == 3:
            widest = [round(float(max(spacing)), 3) for spacing in self._scans.cache.facts["spacing"].loc[train.index]]
            trained["spacing"] = [min(widest), max(widest)]
        return trained

    def labelled_rows(self) -> NDArray[np.int64]:
        """Catalog rows of the labelled pool that train with their masks, ``labelled_train`` of them.

        They come in the order of their content hashes, which is as good as random: fewer are always among more, and
        neither a seed nor going on with a training changes them.

        Raises:
            MriadError: if the pool has too few scans whose mask holds a lesion.
        """
        if self._labelled_train == 0:
            return np.empty(0, dtype=np.int64)
        cache = self._scans.cache
        pool = self._scans.rows("labelled", 1)
        pool = pool[cache.has_mask(pool)]
        # the crop may have cut a lesion away
        pool = pool[[bool(cache.masks_of(pool[place : place + 1]).any()) for place in range(len(pool))]]
        if len(pool) < self._labelled_train:
            train_on = getattr(self._scans.split, "train_on", None)
            wider = f"widen data.split.train_on={train_on}, which drops scans of the pool, " if train_on else ""
            raise MriadError(
                f"The labelled pool of data set '{self._name}' has {len(pool)} scans with a lesion in their mask, "
                f"fewer than data.labelled_train={self._labelled_train}: {wider}raise data.split.labelled or lower "
                "data.labelled_train."
            )
        order = self._scans.table["content"].to_numpy()[pool].argsort(kind="stable")
        return pool[order[: self._labelled_train]]

    def _train_dataset(self) -> TrainDataset:
        labels = self._scans.labels
        if wants_tissues(self._anomalies):
            self._require_t1()
        samples = self._samples(self._scans.rows("train"), self.labelled_rows())
        diseased = labels[samples.rows] == 1
        healthy, labelled = np.flatnonzero(~diseased), np.flatnonzero(diseased)
        order = mixed(healthy, labelled, share=self._labelled_share, least=self._epoch_scans)
        return TrainDataset(
            samples=samples, labels=labels, order=order, augment=self._augment, anomalies=self._anomalies
        )

    def _require_t1(self) -> None:
        """Raise a MriadError if healthy train scans are known to be of another contrast than T1-weighted."""
        named = {name: contrast_of(name) or name for name in self._scans.scans("train")["contrast"]}
        if others := sorted({contrast for contrast in named.values() if contrast not in ("", "T1")}):
            raise MriadError(
                f"anomalies=simulated tells the tissues of T1-weighted scans apart, and train scans of data set "
                f"'{self._name}' are {', '.join(others)}; choose T1-weighted ones, as by data.contrast=T1, or "
                "anomalies=all."
            )

    def _samples(self, healthy: NDArray[np.int64], labelled: NDArray[np.int64] | None = None) -> Samples:
        """What the detector learns from of healthy and of labelled rows."""
        marked = np.empty(0, dtype=np.int64) if labelled is None else labelled
        rows = np.concatenate([healthy, marked])
        if self.of_whole_scans:
            return Samples(cache=self._scans.cache, rows=rows)
        choice = self._slices.options(self._preprocess)
        return Samples(cache=self._scans.cache, rows=rows, planes=self._planes, labelled=set(marked.tolist()), **choice)
