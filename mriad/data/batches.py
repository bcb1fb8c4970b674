"""Scans as they are, in the batches that networks take."""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mriad.data.preparing.cache import ScanCache
from mriad.errors import MriadError

_COPIED = 1024  # slices that are copied to a device at a time


class ScanBatch(TypedDict):
    """What a loader yields of scans as they are.

    image (B, 1, *spatial) and pixel_area (B,), see ``as_scans``; label (B,) 0 or 1, row (B,) of the catalog.
    """

    image: Tensor
    pixel_area: Tensor
    label: Tensor
    row: Tensor


class ScanDataset(Dataset[ScanBatch]):
    """The scans of the given catalog rows as they are, fetched a batch at a time.

    Args:
        scans: the prepared scans.
        labels: (N,) label of every catalog row.
        rows: rows to serve, in this order.
        device: where all of them are kept, and served from; None to read them from the cache batch by batch.
    """

    def __init__(
        self,
        *,
        scans: ScanCache,
        labels: NDArray[np.int64],
        rows: NDArray[np.int64],
        device: torch.device | None = None,
    ) -> None:
        self._scans, self._labels, self._rows = scans, labels, rows
        self._pixel_area = scans.pixel_area(rows)
        self._kept = None if device is None else kept_on(device, scans, rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitems__(self, indices: list[int]) -> ScanBatch:
        rows = self._rows[indices]
        images = self._scans.images[rows] if self._kept is None else self._kept[indices]
        scans = as_scans(images, self._pixel_area[indices])
        return ScanBatch(
            image=scans["image"],
            pixel_area=scans["pixel_area"],
            label=torch.from_numpy(self._labels[rows]),
            row=torch.from_numpy(rows),
        )


def as_scans(images: NDArray[np.uint8] | Tensor, pixel_area: NDArray[np.float32]) -> dict[str, Tensor]:
    """Prepared scans as ``Detector.scan`` takes them: in calibration, test, prediction and the served model.

    Args:
        images: (B, *spatial) uint8.
        pixel_area: (B,) mm2 that a pixel of each picture covers, or mm3 that a voxel of each volume fills, NaN where
            unknown.

    Returns:
        image (B, 1, *spatial) float32 in [0, 1] and pixel_area (B,) float32, on the device of the images.
    """
    image = as_tensor(images)
    return {"image": image, "pixel_area": torch.as_tensor(pixel_area, dtype=torch.float32, device=image.device)}


def as_tensor(images: NDArray[np.uint8] | Tensor) -> Tensor:
    """(B, *spatial) uint8 as (B, 1, *spatial) float32 in [0, 1]."""
    return torch.as_tensor(images).unsqueeze(1).float().div_(255.0)


def kept_on(device: torch.device, slices: ScanCache, rows: NDArray[np.int64]) -> Tensor:
    """(n, S, S) uint8 slices of rows, on a device.

    Raises:
        MriadError: if it has no room for them.
    """
    shape = (len(rows), *slices.images.shape[1:])
    try:
        kept = torch.empty(shape, dtype=torch.uint8, device=device)
    except torch.OutOfMemoryError:
        raise MriadError(
            f"{len(rows)} slices of {math.prod(shape) / 1e9:.1f} GB have no room on {device}; set data.on_device=false."
        ) from None
    for start in range(0, len(rows), _COPIED):
        kept[start : start + _COPIED] = torch.from_numpy(slices.images[rows[start : start + _COPIED]])
    return kept
