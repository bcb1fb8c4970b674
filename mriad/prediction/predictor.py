"""From the pixels of any scan to score, decision and map at the scan's own size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.data.reading.levels import Levels
from mriad.data.training.batches import as_scans
from mriad.errors import MriadError
from mriad.geometry import ScanGeometry


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A scan as the detector sees it.

    Args:
        image: (S, S) uint8 slice.
        geometry: the way back to the scan.
    """

    image: NDArray[np.uint8]
    geometry: ScanGeometry


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a detector says of one scan.

    Args:
        score: anomaly score.
        decision: 1 anomalous, 0 healthy.
        slice_map: (S, S) float32 anomaly map of the slice.
        geometry: the way back to the scan.
    """

    score: float
    decision: int
    slice_map: NDArray[np.float32]
    geometry: ScanGeometry

    @property
    def map(self) -> NDArray[np.float32]:
        """(H, W) map at the scan's size; outside the crop 0, or the smallest value if one is below 0."""
        return self.geometry.to_scan(self.slice_map, fill=min(0.0, float(self.slice_map.min())))


class Predictor:
    """A calibrated detector with its preprocessing.

    Args:
        checkpoint: where detector, preprocessing and threshold come from.
        device: torch device, or 'auto' for the GPU if there is one.

    Raises:
        MriadError: if the checkpoint is not calibrated, or the device is not there.
    """

    def __init__(self, *, checkpoint: Checkpoint, device: str = "auto") -> None:
        self.calibration = checkpoint.require_calibration()
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._detector = checkpoint.detector().to(device)
        except (RuntimeError, AssertionError) as error:  # torch raises either for a device that is not there
            raise MriadError(f"device={device} cannot be used: {str(error).splitlines()[0]}") from error
        self._preprocess = checkpoint.preprocess()

    def prepare(self, scan: Levels, *, spacing: tuple[float, float] | None) -> Prepared:
        """Crop, scale and resize one scan (H, W) of any size; may be called in several threads.

        Args:
            spacing: millimetres per pixel of the scan, (row, column); None where unknown.
        """
        image, geometry = self._preprocess(scan)
        return Prepared(image=image, geometry=replace(geometry, spacing=spacing))

    @torch.inference_mode()
    def __call__(self, scans: Sequence[Prepared]) -> list[Prediction]:
        """Predict a batch of scans."""
        areas = np.array([scan.geometry.pixel_area for scan in scans], dtype=np.float32)
        images = torch.from_numpy(np.stack([scan.image for scan in scans])).to(self._detector.device)
        maps, scores = (part.cpu().numpy() for part in self._detector.scan(as_scans(images, areas)))
        decisions = self.calibration.decide(scores)
        return [
            Prediction(score=float(score), decision=int(decision), slice_map=anomaly_map[0], geometry=scan.geometry)
            for score, decision, anomaly_map, scan in zip(scores, decisions, maps, scans, strict=True)
        ]
