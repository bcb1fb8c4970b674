"""From the pixels of any scan to score, decision and map at the scan's own size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mriad.errors import MriadError
from mriad.tasks.checkpoint import Checkpoint


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a detector says of one scan.

    Args:
        score: anomaly score.
        decision: 1 anomalous, 0 healthy.
        map: (H, W) float32 anomaly map at the scan's size; outside the crop 0, or the smallest value if one is below 0.
    """

    score: float
    decision: int
    map: NDArray[np.float32]


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

    @torch.inference_mode()
    def __call__(self, scans: Sequence[NDArray[np.float32]]) -> list[Prediction]:
        """Predict a batch of scans, each (H, W) float32 in [0, 1], of any size."""
        prepared = [self._preprocess(pixels) for pixels in scans]
        slices = np.stack([image for image, _ in prepared])
        x = torch.from_numpy(slices).unsqueeze(1).float().div_(255.0).to(self._detector.device)
        maps, scores = (part.cpu().numpy() for part in self._detector.scan(x))
        decisions = self.calibration.decide(scores)
        return [
            Prediction(
                score=float(score),
                decision=int(decision),
                map=geometry.to_scan(anomaly_map[0], fill=min(0.0, float(anomaly_map.min()))),
            )
            for score, decision, anomaly_map, (_, geometry) in zip(scores, decisions, maps, prepared, strict=True)
        ]
