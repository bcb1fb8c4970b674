"""What a detector of volumes says of axial slices that are given to it as pictures."""

from __future__ import annotations

from contextlib import suppress
from typing import cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mriad.data.batches import as_scans
from mriad.data.datamodule import MRIDataModule
from mriad.data.preparing.preprocess import BlankScanError
from mriad.data.preparing.volumes import PrepareVolume
from mriad.models.detector import Detector

_SLICES = 16  # of a volume
_LEAST = 0.5  # of the brain in the slice that shows most of it


@torch.inference_mode()
def picture_scores(detector: Detector, datamodule: MRIDataModule, scans: pd.DataFrame) -> pd.DataFrame | None:
    """Scores of axial slices of volumes, each prepared as a picture of its own: as those of any scanner are.

    Args:
        detector: one of volumes that takes pictures, in evaluation mode.
        datamodule: its scans.
        scans: label and group of those that are asked for, indexed by catalog row. Anomalous ones whose lesions are
            not known are left out.

    Returns:
        Columns label (1 with a lesion), score and group; None where no scan is left.
    """
    found = []
    for row, label, group in zip(scans.index, scans["label"], scans["group"], strict=True):
        one = np.array([row])
        if label and not datamodule.cache.has_mask(one)[0]:
            continue
        volume = datamodule.cache.images[row]
        lesion = datamodule.cache.masks_of(one)[0] if label else np.zeros(volume.shape, dtype=bool)
        brain = detector.score.mask(datamodule.images(one).to(detector.device))[0, 0]
        places, pictures = _pictures(volume, brain.cpu().numpy(), cast(PrepareVolume, datamodule.preprocess))
        if places:
            sizes = np.full(len(places), np.nan, dtype=np.float32)
            images = torch.from_numpy(np.stack(pictures)).to(detector.device)
            scores = detector.scan(as_scans(images, sizes))[1].cpu().numpy().astype(np.float64)
            labels = lesion[places].any(axis=(1, 2)).astype(np.int64)
            found.append(pd.DataFrame({"label": labels, "score": scores, "group": group}))
    return pd.concat(found, ignore_index=True) if found else None


def _pictures(
    volume: NDArray[np.uint8], brain: NDArray[np.bool_], prepare: PrepareVolume
) -> tuple[list[int], list[NDArray[np.uint8]]]:
    """Places of axial slices that show much of the brain, from below upwards, and each as a prepared picture."""
    shown = brain.sum(axis=(1, 2))
    candidates = np.flatnonzero((shown > 0) & (shown >= _LEAST * shown.max()))
    places, pictures = [], []
    for place in candidates[np.unique(np.linspace(0, len(candidates) - 1, _SLICES).astype(int))]:
        with suppress(BlankScanError):  # a few pixels
            pictures.append(prepare.of_pictures(volume[place].astype(np.float32))[0])
            places.append(int(place))
    return places, pictures
