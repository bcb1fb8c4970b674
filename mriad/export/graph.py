"""What of a detector can be a graph: from a prepared scan to its post-processed map and its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.data.batches import as_scans
from mriad.errors import MriadError
from mriad.models import Detector
from mriad.models.features import FeatureAutoencoder, PatchCore
from mriad.models.nearest import Nearest
from mriad.models.synthetic_anomaly import SyntheticAnomaly
from mriad.models.unet import UNet
from mriad.scoring.masks import brain
from mriad.scoring.postprocess import SmallestComponent
from mriad.scoring.score import Score


class ScanGraph(nn.Module):
    """``Detector.scan`` as a graph: all but the brain mask, which classical morphology finds.

    Args:
        detector: in evaluation mode; it is changed, and of no other use afterwards.

    Raises:
        MriadError: if it cannot be one graph.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        _require_graph(detector)
        self.detector = detector
        self._brain: Tensor | None = None
        for score in _scores_in_brain(detector):
            score._mask = lambda x, level: self._given()

    def forward(self, image: Tensor, brain: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Maps (B, *spatial) and scores (B,), float32, of prepared scans and their brain masks (B, *spatial), uint8."""
        x = image.unsqueeze(1).float() / 255
        self._brain = None if brain is None else brain.unsqueeze(1) > 0
        maps, scores = self.detector.scan({"image": x, "pixel_area": torch.full_like(x.flatten(1)[:, 0], torch.nan)})
        return maps.squeeze(1), scores

    def _given(self) -> Tensor:
        assert self._brain is not None
        return self._brain


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Prepared scans, and what mriad says of them.

    Args:
        image, brain: (B, *spatial) uint8; brain is None where the graph wants none.
        map: (B, *spatial) float32.
        score: (B,) float32.
    """

    image: NDArray[np.uint8]
    brain: NDArray[np.uint8] | None
    map: NDArray[np.float32]
    score: NDArray[np.float32]

    @classmethod
    @torch.inference_mode()
    def of(cls, images: NDArray[np.uint8], checkpoint: Checkpoint) -> Sample:
        """What a checkpoint's detector says of images (B, *spatial)."""
        detector = checkpoint.detector()
        x = as_scans(images, np.full(len(images), np.nan, dtype=np.float32))
        masks = brain(x["image"], 0.0).squeeze(1).numpy().astype(np.uint8) if _scores_in_brain(detector) else None
        maps, scores = detector.scan(x)
        return cls(image=images, brain=masks, map=maps.squeeze(1).numpy(), score=scores.numpy())

    @property
    def inputs(self) -> dict[str, NDArray[np.uint8]]:
        """What the graph is given, by name."""
        return {"image": self.image} if self.brain is None else {"image": self.image, "brain": self.brain}


def size_factor(detector: Detector) -> int | None:
    """What height and width of pictures must be multiples of, if they may have any; None where they may not."""
    if detector.score.atlas is not None or isinstance(detector, Nearest):
        return None
    if isinstance(detector, FeatureAutoencoder | PatchCore):
        return None  # what their encoders take is their own
    if isinstance(detector, SyntheticAnomaly) and any(detector._turns):
        return None  # a graph turns scans of one size
    network: Any = getattr(detector, "network", None)
    return 2 ** len(network.down) if isinstance(network, UNet) else None


def _scores_in_brain(detector: Detector) -> list[Score]:
    """The scores that count pixels inside the brain alone, for which a graph is given brain masks."""
    return [part for part in detector.modules() if isinstance(part, Score) and part.mask_options[0] == "brain"]


def _require_graph(detector: Detector) -> None:
    what = f"{type(detector).__name__} cannot be exported"
    if detector.patches is not None:
        raise MriadError(
            f"{what}: it sees a volume cube by cube (data.patches.size={detector.patches.size}), which is no graph; "
            "train it on whole volumes, or serve it with mriad."
        )
    steps = [step for part in detector.modules() if isinstance(part, Score) for step in part._steps]
    if any(isinstance(step, SmallestComponent) for step in steps):
        raise MriadError(
            f"{what}: SmallestComponent in score.postprocess tells regions apart, which no graph does; "
            "leave it out, or serve the detector with mriad."
        )
