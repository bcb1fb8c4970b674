"""Samples as they train, batch by batch, and what puts anomalies into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NotRequired, Protocol, TypedDict, TypeGuard, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mriad.anatomy import brain_mask
from mriad.data.batches import as_tensor, kept_on
from mriad.data.preparing.cache import ScanCache
from mriad.data.reading.levels import as_pixels
from mriad.data.training.samples import Samples
from mriad.geometry.planes import window_about

if TYPE_CHECKING:
    from mriad.data.training.augment import Augment
    from mriad.data.training.simulation.tissues import Slab


class SeededIndices(list[int]):
    """Indices of a batch, and the seed of what is drawn for it."""

    seed: int


class AnomalySource(Protocol):
    """Puts synthetic anomalies into healthy slices, seeded from torch's generator by itself."""

    def __call__(
        self, images: NDArray[np.uint8], brains: NDArray[np.bool_]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Slices with anomalies in some of them, and where those are, from slices and their brains; all (B, S, S).

        Slabs (B, C, S, S) instead of slices stay slabs; brains and masks are those of the slices in their middle.
        """
        ...

    def examples(
        self, images: NDArray[np.uint8], brains: NDArray[np.bool_]
    ) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
        """One anomaly of each kind in each slice, and where it is, by the name of the kind; torch is not asked."""
        ...


class TissueSource(Protocol):
    """Makes images with anomalies of the tissues of healthy volumes, seeded from torch's generator by itself."""

    wants_tissues: Literal[True]

    @property
    def contrasts(self) -> list[str]:
        """Those of the images."""
        ...

    def __call__(self, slabs: Sequence[Slab]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Images (B, C, S, S) of B slabs of C slices, and where anomalies are in those in the middle, (B, S, S).

        They may show less than the slabs, all of them the same side.
        """
        ...

    def examples(self, slabs: Sequence[Slab]) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
        """The same of each kind of image by its name; torch is not asked."""
        ...


class TrainBatch(TypedDict):
    """What a loader yields to train on.

    image (B, C, *spatial) float32 in [0, 1], of slabs the C slices, else C = 1; label (B,) 0 or 1, row (B,) of the
    catalog; where training has masks, mask (B, 1, *spatial) float32 0 or 1, of slabs that of the slice in the middle.
    """

    image: Tensor
    label: Tensor
    row: Tensor
    mask: NotRequired[Tensor]


class TrainDataset(Dataset[TrainBatch]):
    """Samples to train on: augmented, with masks where there is something to mask.

    Args:
        samples: what there is.
        labels: (N,) label of every catalog row.
        order: (n,) samples to serve, in this order; None for each once. Anomalous ones must have a mask.
        augment: applied to all samples of a batch and their masks; None for none.
        anomalies: applied to the healthy samples of a batch and their brains, after ``augment``, or before it to their
            tissues; None for none.

    Batches have masks where ``anomalies`` are pasted in or some samples are anomalous.
    """

    def __init__(
        self,
        *,
        samples: Samples,
        labels: NDArray[np.int64],
        order: NDArray[np.int64] | None = None,
        augment: Augment | None = None,
        anomalies: AnomalySource | TissueSource | None = None,
    ) -> None:
        self._samples, self._labels = samples, labels
        self._order = np.arange(len(samples)) if order is None else order
        self._augment = augment
        self._tissues = anomalies if wants_tissues(anomalies) else None
        self._anomalies = None if self._tissues else cast(AnomalySource | None, anomalies)
        self._has_masks = anomalies is not None or bool(labels[samples.rows[self._order]].any())
        self._brains: dict[int, NDArray[np.bool_]] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __getitems__(self, indices: list[int]) -> TrainBatch:
        if isinstance(indices, SeededIndices):
            torch.manual_seed(indices.seed)
        drawn = self._order[indices]
        rows = self._samples.rows[drawn]
        healthy = self._labels[rows] == 0
        images = self._samples.images(drawn)
        masks = np.zeros(self._samples.judged(images).shape, dtype=bool)
        if not healthy.all():
            masks[~healthy] = self._samples.masks(drawn[~healthy])
        if self._tissues is not None:
            images, masks = self._imaged(drawn, healthy, images, masks)
        if self._anomalies is not None:
            for index in np.flatnonzero(healthy):
                masks[index] = self._brain(drawn[index])  # until it is known where anomalies go
        if self._augment is not None and self._has_masks:
            images, masks = self._augment(images, masks)
        elif self._augment is not None:
            images = self._augment(images)
        if self._anomalies is not None:
            images[healthy], masks[healthy] = self._anomalies(images[healthy], masks[healthy])
        label, row = torch.from_numpy(self._labels[rows]), torch.from_numpy(rows)
        image = as_tensor(images).squeeze(1) if self._samples.neighbours else as_tensor(images)
        batch = TrainBatch(image=image, label=label, row=row)
        if self._has_masks:
            batch["mask"] = torch.from_numpy(masks).unsqueeze(1).float()
        return batch

    def examples(self, count: int) -> dict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        """Every kind of anomaly in the same healthy samples, which come first and as they are.

        Args:
            count: number of samples, spread over all; fewer where there are fewer.

        Returns:
            By name, slices in [0, 1] and the masks of their anomalies, both (count, S, S), of slabs those in the
            middle; empty without ``anomalies``.
        """
        if self._anomalies is None and self._tissues is None:
            return {}
        healthy = np.unique(self._order[self._labels[self._samples.rows[self._order]] == 0])
        drawn = healthy[np.unique(np.linspace(0, len(healthy) - 1, count).round().astype(int))]
        if self._tissues is not None:
            kinds, middle = self._tissues.examples(self._samples.slabs(drawn)), self._samples.neighbours
            return {name: (as_pixels(images[:, middle]), masks) for name, (images, masks) in kinds.items()}
        assert self._anomalies is not None
        images, brains = self._samples.images(drawn), np.stack([self._brain(sample) for sample in drawn])
        kinds = {"healthy": (images, np.zeros_like(brains))} | self._anomalies.examples(images, brains)
        return {name: (as_pixels(self._samples.judged(altered)), masks) for name, (altered, masks) in kinds.items()}

    def _imaged(
        self,
        drawn: NDArray[np.int64],
        healthy: NDArray[np.bool_],
        images: NDArray[np.uint8],
        masks: NDArray[np.bool_],
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Images of the tissues of the healthy samples, with lesions, and of the others their part about the lesion."""
        assert self._tissues is not None
        if not healthy.any():
            return images, masks
        made, lesions = self._tissues(self._samples.slabs(drawn[healthy]))
        windows = [(..., *window_about(mask, made.shape[-1])) for mask in masks]
        images = np.stack([image[window] for image, window in zip(images, windows, strict=True)])
        masks = np.stack([mask[window] for mask, window in zip(masks, windows, strict=True)])
        images[healthy], masks[healthy] = made if self._samples.neighbours else made[:, 0], lesions
        return images, masks

    def _brain(self, sample: int) -> NDArray[np.bool_]:
        if sample not in self._brains:
            scan = self._samples.judged(self._samples.images([sample]))[0]
            self._brains[sample] = brain_mask(as_pixels(scan))
        return self._brains[sample]


def wants_tissues(anomalies: object) -> TypeGuard[TissueSource]:
    """Whether what makes anomalies makes images of tissues, and does not change images."""
    return getattr(anomalies, "wants_tissues", False)


class DeviceTrainDataset(Dataset[TrainBatch]):
    """Healthy slices to train on that are kept on a device, and augmented there.

    Args:
        slices, labels, rows: see ``TrainDataset``; all rows are healthy.
        device: where the slices are.
        augment: see ``TrainDataset``.
    """

    def __init__(
        self,
        *,
        slices: ScanCache,
        labels: NDArray[np.int64],
        rows: NDArray[np.int64],
        device: torch.device,
        augment: Augment | None = None,
    ) -> None:
        self._labels, self._rows = labels, rows
        self._kept = kept_on(device, slices, rows)
        self._augment = augment

    def __len__(self) -> int:
        return len(self._rows)

    def __getitems__(self, indices: list[int]) -> TrainBatch:
        rows = self._rows[indices]
        images = as_tensor(self._kept[indices])
        return TrainBatch(
            image=images if self._augment is None else self._augment.on_device(images),
            label=torch.from_numpy(self._labels[rows]),
            row=torch.from_numpy(rows),
        )
