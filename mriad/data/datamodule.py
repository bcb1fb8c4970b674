"""Healthy-only train, mixed val and mixed test, served from the cache."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from mriad.data.batches import ScanDataset, as_scans
from mriad.data.catalog import Catalog
from mriad.data.layouts.contrasts import contrast_of
from mriad.data.preparing.brain_extraction import warn_of_contrasts
from mriad.data.preparing.cache import ScanCache
from mriad.data.preparing.lesions import doubtful
from mriad.data.preparing.prepared import Preparation
from mriad.data.roles.grouping import groups
from mriad.data.roles.splits import Split
from mriad.data.scans import ScansInRoles
from mriad.data.training.datasets import (
    AnomalySource,
    DeviceTrainDataset,
    TissueSource,
    TrainDataset,
    wants_tissues,
)
from mriad.data.training.loading import Batch, TrainData, loader
from mriad.data.training.patches import PatchChoice, PatchDataset
from mriad.data.training.samples import Samples, SliceChoice, mixed
from mriad.errors import MriadError
from mriad.geometry.planes import require_planes

if TYPE_CHECKING:
    from mriad.data.training.augment import Augment  # brings albumentations, for which most trainings need not wait

log = logging.getLogger(__name__)


class Layout(Protocol):
    """A way in which a data set lies on disk."""

    def __call__(self, *, root: str | Path | None, download: bool) -> Catalog:
        """Read the catalog of the folder ``root``."""
        ...


class MRIDataModule(ScansInRoles, LightningDataModule):
    """Serves the scans of one layout in their roles.

    Args:
        name: name of the data set, for tables and runs.
        layout: makes the catalog of a folder.
        root: the folder.
        download: fetch the data set if the folder is not there.
        image_size: side of a slice in pixels.
        preprocess: makes slices of scans, of that size.
        split: draws the roles.
        cache_dir: folder of the slice cache; ``~`` is expanded.
        augment: for train only; None for none.
        anomalies: pastes synthetic anomalies into the healthy scans of train, after ``augment``, or images the tissues
            of healthy volumes anew, with anomalies, before it; None for none.
        labelled_train: number of scans of the labelled pool that train with their masks, see ``labelled_rows``.
        labelled_share: share of an epoch's scans that they make up: they are repeated in turn, each at least once,
            beside every healthy scan once.
        epoch_scans: healthy scans of an epoch at least: where there are fewer they are repeated in turn, augmented anew
            each time; None for each once.
        labelled_pool: anomalous scans to set aside where the split's options leave it to the data set; the options
            read it, this module does not.
        drop_identical: count files of identical content once.
        max_broken: largest share of unreadable scans that are skipped with a warning instead of ending the run.
        max_lesion: largest share of the head that a lesion mask may cover. Larger ones are not used, with a warning,
            where their share of all masks is at most ``max_broken``; more of them end the run. 1 takes any.
        batch_size: scans per batch.
        num_workers: loader processes of train; None for none. What is served as it is, is only read from the cache.
        on_device: keep slices on the trainer's device, where they are augmented as well; None for no. Synthetic
            anomalies and masks are made on the CPU and exclude it, as loader processes do. Volumes stay in the cache.
        planes: planes of the slices in which a detector of two dimensions learns from volumes.
        slices: which of these slices it learns from, and what it sees beside each, see ``SliceChoice``; None for its
            defaults.
        patches: of which cubes a detector of three dimensions learns, see ``PatchChoice``; None for whole volumes.
        spacing: of the working grid, mm; the options read it, this module does not.
        contrast: which scans the layout takes; likewise.
        val_on: contrasts of the built-in scans that are measured beside val; likewise.

    Attributes:
        spatial_dims: dimensions of what the detector learns from, 2 or 3; it is for the detector to say.

    After ``setup`` the catalog rows (``table``), the roles (``split_table``: row, group, role) and the ``cache`` are
    set.
    """

    def __init__(
        self,
        *,
        name: str,
        layout: Layout,
        root: str | Path | None = None,
        download: bool = False,
        image_size: int,
        preprocess: Preparation,
        split: Split,
        cache_dir: str | Path,
        augment: Augment | None = None,
        anomalies: AnomalySource | TissueSource | None = None,
        labelled_train: int = 0,
        labelled_share: float = 0.2,
        epoch_scans: int | None = None,
        labelled_pool: int = 0,
        drop_identical: bool = True,
        max_broken: float = 0.05,
        max_lesion: float = 0.5,
        batch_size: int = 32,
        num_workers: int | None = None,
        on_device: bool | None = None,
        planes: Sequence[str] = ("axial",),
        slices: Mapping[str, Any] | None = None,
        patches: Mapping[str, Any] | None = None,
        spacing: float | None = None,
        contrast: str | Sequence[str] | None = None,
        val_on: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if preprocess.image_size != image_size:
            raise MriadError(
                f"data.image_size={image_size} and data.preprocess.image_size={preprocess.image_size} differ; "
                "set data.image_size alone."
            )
        if isinstance(max_lesion, bool) or not isinstance(max_lesion, int | float) or not 0 < max_lesion <= 1:
            raise MriadError(f"data.max_lesion={max_lesion} is no share; choose one above 0 and at most 1.")
        if not isinstance(labelled_train, int) or labelled_train < 0:
            raise MriadError(f"data.labelled_train={labelled_train} is no number of scans; give 0 or more.")
        if not 0 < labelled_share < 1:
            raise MriadError(f"data.labelled_share={labelled_share} is no share; choose one between 0 and 1.")
        if epoch_scans is not None and (not isinstance(epoch_scans, int) or epoch_scans < 1):
            raise MriadError(f"data.epoch_scans={epoch_scans} is no number of scans; give 1 or more, or null.")
        if on_device not in (None, False, True):
            raise MriadError(f"data.on_device={on_device} is neither true nor false.")
        hindrances = {"anomalies": anomalies, "labelled_train": labelled_train, "num_workers": num_workers}
        if on_device and (hindrance := next((name for name, value in hindrances.items() if value), None)):
            raise MriadError(
                f"data.on_device=true and data.{hindrance} exclude each other: what trains is made on the CPU then; "
                "set data.on_device=false."
            )
        self.name = name
        self.preprocess = preprocess
        self.split = split
        self.cache_dir = Path(cache_dir).expanduser()
        self.batch_size = batch_size
        self._read_catalog = partial(layout, root=root, download=download)
        self._augment, self._anomalies = augment, anomalies
        self._labelled_train, self._labelled_share = labelled_train, labelled_share
        self._epoch_scans = epoch_scans
        self._drop_identical = drop_identical
        self._max_broken = max_broken
        self._max_lesion = max_lesion
        self._num_workers = num_workers or 0
        self._on_device = bool(on_device) and len(preprocess.spatial) == 2
        self.planes = require_planes(planes)
        if wants_tissues(anomalies) and len(preprocess.spatial) == 2:
            raise MriadError(
                f"anomalies=simulated takes the tissues of volumes, and the scans of data set '{self.name}' are "
                "pictures; choose data of volumes, or another model, such as model=synthetic_anomaly."
            )
        self._slices = SliceChoice(**dict(slices or {}))
        if self._slices.neighbours and len(preprocess.spatial) == 2:
            raise MriadError(
                f"data.slices.neighbours={self._slices.neighbours} asks for the neighbours of slices, and the scans of "
                f"data set '{name}' are pictures, which have none; drop it, or choose data of volumes."
            )
        self._patches = PatchChoice.of(patches, preprocess.spatial)
        self.spatial_dims = 2
        self._ready = False
        self.root: Path

    def prepare_data(self) -> None:
        """Build the cache where it is missing."""
        self.setup()

    def setup(self, stage: str | None = None) -> None:
        """Read the catalog, open the cache, draw and check the roles; a second call does nothing.

        Raises:
            MriadError: if there is nothing to read, too much is broken, or the roles break a rule.
        """
        if self._ready:
            return
        catalog = self._read_catalog().with_content().with_persons()
        if self._drop_identical:
            catalog = catalog.without_identical_files()
        if len(catalog) == 0:
            raise MriadError(
                f"Every scan of data set '{self.name}' in {catalog.root} also stands under the other label; "
                "sort the files anew, or set data.drop_identical=false."
            )
        self.root = catalog.root
        if self.preprocess.finds_brain:
            warn_of_contrasts([contrast_of(name) or name for name in catalog.table["contrast"]])
        self.cache = ScanCache.open(catalog, self.preprocess, folder=self.cache_dir)
        self.table = catalog.table
        readable = np.flatnonzero(self._readable(catalog))
        self.cache = self.cache.without_masks(self._doubtful_masks(catalog))
        scans = self._with_hashes(readable).reset_index(drop=True)
        scans["group"] = groups(scans, "auto", **self._nearness())
        split = self.split(scans)
        self.split_table = split.assign(row=readable[split["row"]])
        self._groups = scans["group"].set_axis(readable)
        self._check()
        self._ready = True

    def _readable(self, catalog: Catalog) -> NDArray[np.bool_]:
        errors = self.cache.facts["error"]
        broken = errors[errors != ""]
        if len(broken) > self._max_broken * len(catalog):
            raise MriadError(
                f"{len(broken)} of {len(catalog)} scans in {catalog.root} cannot be used, more than "
                f"data.max_broken={self._max_broken:g} allows; the first: {broken.iat[0]}"
            )
        if len(broken):
            log.warning("Skipped %d of %d scans:\n  %s", len(broken), len(catalog), "\n  ".join(broken))
        return (errors == "").to_numpy()

    def _doubtful_masks(self, catalog: Catalog) -> NDArray[np.int64]:
        limits = {"most": self._max_lesion, "tolerated": self._max_broken}
        return doubtful(catalog.table, self.cache.facts, root=catalog.root, **limits)

    def labelled_rows(self) -> NDArray[np.int64]:
        """Catalog rows of the labelled pool that train with their masks, ``labelled_train`` of them.

        They come in the order of their content hashes, which is as good as random: fewer are always among more, and
        neither a seed nor going on with a training changes them.

        Raises:
            MriadError: if the pool has too few scans whose mask holds a lesion.
        """
        if self._labelled_train == 0:
            return np.empty(0, dtype=np.int64)
        pool = self.rows("labelled", 1)
        pool = pool[self.cache.has_mask(pool)]
        # the crop may have cut a lesion away
        pool = pool[[bool(self.cache.masks_of(pool[place : place + 1]).any()) for place in range(len(pool))]]
        if len(pool) < self._labelled_train:
            train_on = getattr(self.split, "train_on", None)
            wider = f"widen data.split.train_on={train_on}, which drops scans of the pool, " if train_on else ""
            raise MriadError(
                f"The labelled pool of data set '{self.name}' has {len(pool)} scans with a lesion in their mask, fewer "
                f"than data.labelled_train={self._labelled_train}: {wider}raise data.split.labelled or lower "
                "data.labelled_train."
            )
        order = self.table["content"].to_numpy()[pool].argsort(kind="stable")
        return pool[order[: self._labelled_train]]

    def trained_on(self) -> dict[str, Any]:
        """What trains: ``contrasts`` that are known, of scans or as they are imaged anew, and of volumes ``spacing``.

        That is the least and the greatest of their widest voxels in mm.
        """
        train = self.scans("train")
        anomalies = self._anomalies
        shown = anomalies.contrasts if wants_tissues(anomalies) else {*train["contrast"]} - {""}
        trained: dict[str, Any] = {"contrasts": sorted(shown)}
        if len(self.preprocess.spatial) == 3:
            widest = [round(float(max(spacing)), 3) for spacing in self.cache.facts["spacing"].loc[train.index]]
            trained["spacing"] = [min(widest), max(widest)]
        return trained

    def images(self, rows: NDArray[np.int64]) -> Tensor:
        """The given rows as they were prepared, (n, 1, *spatial) float32 in [0, 1]."""
        return self.slices(rows)["image"]

    def slices(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """The given rows as ``Detector.scan`` takes them, all at once."""
        return as_scans(self.cache.images[rows], self.cache.pixel_area(rows))

    def require(self, role: str, *, label: int | None = None) -> None:
        """Raise a MriadError if a role holds no scan (of ``label``), or train lacks labelled scans it shall have."""
        if len(self.rows(role, label)) == 0:
            kind = {None: "", 0: "healthy ", 1: "anomalous "}[label]
            counts = ", ".join(f"{n} {name}" for name, n in self.table["class"].value_counts().items())
            raise MriadError(
                f"No {kind}scan is left for {role} in data set '{self.name}' ({counts}): "
                f"{self._why_none_is_left(label) or f'add {kind}scans or change data.split'}."
            )
        if role == "train":
            self.labelled_rows()

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled, augmented healthy scans, with anomalies and labelled scans where they are asked for.

        Raises:
            MriadError: see ``labelled_rows``.
        """
        device = self._device()
        train: TrainData
        if self._patches is not None:
            train = self._train_patches(self._patches)
        else:
            train = self._train() if device is None else self._train_on(device)
        return self._loader(train, shuffle=True, ranks=self._place()[1])

    def anomaly_examples(self, count: int = 8) -> dict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        """Every kind of anomaly that trains, see ``TrainDataset.examples``."""
        return {} if self._patches else self._train().examples(count)

    def fit_dataloader(self) -> DataLoader[Batch]:
        """What a detector learns from of healthy train scans, as it is: not shuffled, not augmented, none left out."""
        if self.spatial_dims == len(self.preprocess.spatial):
            return self.whole("train")
        return self._loader(TrainDataset(samples=self._samples(self.rows("train")), labels=self._labels()))

    def val_dataloader(self) -> DataLoader[Batch]:
        """Healthy and anomalous scans that thresholds are fitted on; of several processes each has its share."""
        return self._share("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Scans that nothing was fitted on; of several processes each has its share."""
        return self._share("test")

    def whole(self, role: str) -> DataLoader[Batch]:
        """The scans of a role as they are: all of them in every process, each once."""
        return self._loader(self._as_they_are(role))

    def _labels(self) -> NDArray[np.int64]:
        return self.table["label"].to_numpy(dtype=np.int64)

    def _train(self) -> TrainDataset:
        labels = self._labels()
        if wants_tissues(self._anomalies):
            self._require_t1()
        samples = self._samples(self.rows("train"), self.labelled_rows())
        diseased = labels[samples.rows] == 1
        healthy, labelled = np.flatnonzero(~diseased), np.flatnonzero(diseased)
        order = mixed(healthy, labelled, share=self._labelled_share, least=self._epoch_scans)
        return TrainDataset(
            samples=samples, labels=labels, order=order, augment=self._augment, anomalies=self._anomalies
        )

    def _require_t1(self) -> None:
        """Raise a MriadError if healthy train scans are known to be of another contrast than T1-weighted."""
        named = {name: contrast_of(name) or name for name in self.scans("train")["contrast"]}
        if others := sorted({contrast for contrast in named.values() if contrast not in ("", "T1")}):
            raise MriadError(
                f"anomalies=simulated tells the tissues of T1-weighted scans apart, and train scans of data set "
                f"'{self.name}' are {', '.join(others)}; choose T1-weighted ones, as by data.contrast=T1, or "
                "anomalies=all."
            )

    def _samples(self, healthy: NDArray[np.int64], labelled: NDArray[np.int64] | None = None) -> Samples:
        """What the detector learns from of healthy and of labelled rows."""
        marked = np.empty(0, dtype=np.int64) if labelled is None else labelled
        rows = np.concatenate([healthy, marked])
        if self.spatial_dims == len(self.preprocess.spatial):
            return Samples(cache=self.cache, rows=rows)
        choice = self._slices.options(self.preprocess)
        return Samples(cache=self.cache, rows=rows, planes=self.planes, labelled=set(marked.tolist()), **choice)

    def _train_patches(self, choice: PatchChoice) -> PatchDataset:
        rows = mixed(np.repeat(self.rows("train"), choice.per_scan), least=self._epoch_scans)
        return PatchDataset(scans=self.cache, labels=self._labels(), rows=rows, choice=choice, augment=self._augment)

    def _train_on(self, device: torch.device) -> DeviceTrainDataset:
        rows = mixed(self.rows("train"), least=self._epoch_scans)
        return DeviceTrainDataset(
            slices=self.cache, labels=self._labels(), rows=rows, device=device, augment=self._augment
        )

    def _as_they_are(self, role: str) -> ScanDataset:
        return ScanDataset(scans=self.cache, labels=self._labels(), rows=self.rows(role), device=self._device())

    def _device(self) -> torch.device | None:
        """Where slices are kept; None if they are not."""
        if not self._on_device:
            return None
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")

    def _share(self, role: str) -> DataLoader[Batch]:
        rank, ranks = self._place()
        scans = self._as_they_are(role)
        if len(scans) < ranks:
            raise MriadError(
                f"The {len(scans)} {role} scans of data set '{self.name}' cannot be shared by {ranks} devices; "
                "lower trainer.devices."
            )
        return self._loader(scans, rank=rank, ranks=ranks)

    def _place(self) -> tuple[int, int]:
        """Rank of this process, and number of processes that share the scans."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(self, dataset: ScanDataset | TrainData, **options: Any) -> DataLoader[Batch]:
        workers = self._num_workers if isinstance(dataset, TrainDataset | PatchDataset) else 0
        whole = isinstance(dataset, ScanDataset) and len(self.preprocess.spatial) == 3  # a volume is a batch of slices
        return loader(dataset, batch_size=1 if whole else self.batch_size, num_workers=workers, **options)
