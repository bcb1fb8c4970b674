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
from mriad.data.training.datasets import AnomalySource, TissueSource, TrainDataset
from mriad.data.training.loading import Batch, TrainData, loader
from mriad.data.training.patches import PatchDataset
from mriad.data.training.training_set import TrainingSet
from mriad.errors import MriadError

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
        labelled_train: number of scans of the labelled pool that train with their masks, see
            ``TrainingSet.labelled_rows``.
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
        training_set: what a detector learns from of these scans.

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
        self.training_set = TrainingSet(
            self,
            name=name,
            preprocess=preprocess,
            augment=augment,
            anomalies=anomalies,
            labelled_train=labelled_train,
            labelled_share=labelled_share,
            epoch_scans=epoch_scans,
            planes=planes,
            slices=slices,
            patches=patches,
        )
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
        self._drop_identical = drop_identical
        self._max_broken = max_broken
        self._max_lesion = max_lesion
        self._num_workers = num_workers or 0
        self._on_device = bool(on_device) and len(preprocess.spatial) == 2
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
        limits = {"most": self._max_lesion, "tolerated": self._max_broken}
        self.cache = self.cache.without_masks(doubtful(self.table, self.cache.facts, root=self.root, **limits))
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
            self.training_set.labelled_rows()

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled, augmented healthy scans, with anomalies and labelled scans where they are asked for.

        Raises:
            MriadError: see ``TrainingSet.augmented``.
        """
        return self._loader(self.training_set.augmented(self._device()), shuffle=True, ranks=self._place()[1])

    def fit_dataloader(self) -> DataLoader[Batch]:
        """What a detector learns from of healthy train scans, as it is: not shuffled, not augmented, none left out."""
        return self.whole("train") if self.training_set.of_whole_scans else self._loader(self.training_set.as_it_is())

    def val_dataloader(self) -> DataLoader[Batch]:
        """Healthy and anomalous scans that thresholds are fitted on; of several processes each has its share."""
        return self._share("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Scans that nothing was fitted on; of several processes each has its share."""
        return self._share("test")

    def whole(self, role: str) -> DataLoader[Batch]:
        """The scans of a role as they are: all of them in every process, each once."""
        return self._loader(self._as_they_are(role))

    def _as_they_are(self, role: str) -> ScanDataset:
        return ScanDataset(scans=self.cache, labels=self.labels, rows=self.rows(role), device=self._device())

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
