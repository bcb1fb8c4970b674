"""What every anomaly detector is: an anomaly map per scan, scored, learned and saved in one way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NotRequired, TypedDict

import torch
from lightning import LightningModule
from sklearn.metrics import roc_auc_score
from torch import Tensor

from mriad.geometry.planes import require_planes
from mriad.ranks import gather
from mriad.scoring import Score
from mriad.scoring.assemble import assembled
from mriad.scoring.patches import PatchGrid

CHECKPOINT_KEY = "mriad"


class Scanned(TypedDict):
    """What a validation or test step yields, all on the CPU.

    row (B,), score (B,), map (B, *spatial) float32; of volumes slice_score (B, D), the score of each axial slice, NaN
    where nothing of it counts.
    """

    row: Tensor
    score: Tensor
    map: Tensor
    slice_score: NotRequired[Tensor]


class Detector(LightningModule, ABC):
    """Gives each pixel of a scan a number: the higher, the stranger, on one fixed scale for all scans.

    A detector is a ``TrainedDetector`` or a ``FittedDetector``, and a ``ReconstructionDetector`` besides if its map is
    a residual. One of two spatial dimensions looks at a volume slice by slice, plane by plane, and its maps are put
    together to one (``mriad.scoring.assemble``). It may see each slice in a slab, between its neighbours; a picture
    between copies of itself.

    Args:
        score: makes an anomaly score of an anomaly map.
        planes: 'axial', 'coronal', 'sagittal': the planes in which a volume is looked at, where it is slice by slice.
        patches: 'size' and 'overlap' of the cubes in which a detector of three dimensions looks at a volume, see
            ``mriad.scoring.patches``; None, or a 'size' of None, where it sees the whole.

    Attributes:
        spatial_dims: of what ``anomaly_map`` takes: 2 for slices, 3 for volumes.
        neighbours: k slices on each side that it sees beside the slice it judges, so that its samples have C = 2 k + 1
            channels; 0 for the slice alone, as of pictures and of whole volumes.
        learns_masks: whether it learns where anomalies are; if not, it must see healthy scans only.
        record: plain values that every checkpoint of this detector carries: config, calibration, run id.
    """

    learns_masks: ClassVar[bool] = False
    spatial_dims: int = 2
    neighbours: int = 0

    def __init__(
        self, *, score: Score, planes: Sequence[str] = ("axial",), patches: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.score = score
        self.planes = require_planes(planes)
        self.patches = PatchGrid.of(patches)
        self.record: dict[str, Any] = {}
        self._val_scores: list[tuple[Tensor, Tensor]] = []

    @abstractmethod
    def anomaly_map(self, x: Tensor) -> Tensor:
        """Strangeness of each pixel, before post-processing: (B, C, *spatial) in [0, 1] to (B, 1, *spatial)."""

    def judged(self, x: Tensor) -> Tensor:
        """What is judged of samples (B, C, *spatial): the slices in the middle of slabs, else all; (B, 1, *spatial)."""
        return x[:, self.neighbours : self.neighbours + 1]

    def image_score(self, x: Tensor, anomaly_map: Tensor, mask: Tensor) -> Tensor:
        """Anomaly score of each scan, (B,), from the post-processed map and the pixels that count.

        Args:
            x, anomaly_map, mask: (B, 1, *spatial) of pictures or of volumes.
        """
        return self.score.pool(anomaly_map, mask)

    def scan(self, scans: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Post-processed anomaly maps (B, 1, *spatial) and anomaly scores (B,) of a batch, both float32.

        Args:
            scans: what the scans were prepared to: 'image' (B, 1, *spatial) in [0, 1] and 'pixel_area' (B,) mm2 that
                a pixel of a picture covers, or mm3 that a voxel of a volume fills, NaN where unknown.
        """
        anomaly_map, score, _ = self._scan(scans)
        return anomaly_map, score

    def _scan(self, scans: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Maps and scores of ``scan``, and the pixels that count."""
        x = scans["image"].float()
        mask = self.score.mask(x)
        anomaly_map = self.masked_map(x, mask, scans["pixel_area"])
        return anomaly_map, self.image_score(x, anomaly_map, mask).float(), mask

    def masked_map(self, x: Tensor, mask: Tensor, pixel_area: Tensor) -> Tensor:
        """Post-processed anomaly maps of a batch, as ``scan`` gives them, inside a mask that is known already.

        Args:
            x: (B, 1, *spatial) float32 in [0, 1].
            mask: (B, 1, *spatial) what ``score.mask`` gives for x, which takes its time to find.
            pixel_area: (B,) see ``scan``.
        """
        return self.score.postprocess(self._map(x, pixel_area).float(), mask, pixel_area)

    @property
    def fits_scale(self) -> bool:
        """Whether ``fit_scale`` learns anything from the healthy val scans."""
        return self.score.atlas is not None

    def fit_scale(self, healthy: Iterable[Mapping[str, Tensor]]) -> None:
        """Learn how strange healthy scans look, before scores are calibrated: fit the score's atlas, if it has one.

        Args:
            healthy: batches of healthy val scans, as ``scan`` takes them, on the detector's device; it can be gone
                through more than once.

        Raises:
            MriadError: if there is nothing to learn from.
        """
        if self.score.atlas is not None:
            self.score.atlas.reset()
            self.score.atlas.fit(self.maps(healthy))

    def maps(self, batches: Iterable[Mapping[str, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Post-processed anomaly maps (B, 1, *spatial) and the pixels that count, likewise and boolean, by batch."""
        for batch in batches:
            x = batch["image"].float()
            mask = self.score.mask(x)
            yield self.masked_map(x, mask, batch["pixel_area"]), mask

    @property
    def takes_pictures(self) -> bool:
        """Whether axial slices can be judged each by itself: it looks at them so, and needs not know where they lie."""
        return self.spatial_dims == 2 and "axial" in self.planes and self.score.atlas is None

    def _map(self, x: Tensor, pixel_area: Tensor) -> Tensor:
        """The anomaly map of whole scans, put together where the detector looks at them piece by piece."""
        if self.patches is not None:
            return self.patches.assembled(self.anomaly_map, x)
        if x.ndim == 2 + self.spatial_dims:
            return self.anomaly_map(x.expand(-1, 2 * self.neighbours + 1, *x.shape[2:]))
        return assembled(lambda slabs: self.anomaly_map(slabs).float(), x, **self._looks)

    @property
    def _looks(self) -> dict[str, Any]:
        """How it looks at volumes slice by slice, as ``mriad.scoring.assemble`` takes it."""
        return {"planes": self.planes, "neighbours": self.neighbours}

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> Scanned:
        """Score a batch."""
        scanned = self.test_step(batch, batch_idx)
        self._val_scores.append((batch["label"].cpu(), scanned["score"]))
        return scanned

    def on_validation_epoch_end(self) -> None:
        """Log ``val/auroc`` where val holds both healthy and anomalous scans."""
        batches = [batch for part in gather(self._val_scores) for batch in part]
        self._val_scores.clear()
        labels, scores = (torch.cat(values) for values in zip(*batches, strict=True))
        if labels.min() != labels.max() and scores.isfinite().all():
            self.log("val/auroc", float(roc_auc_score(labels.numpy(), scores.numpy())), sync_dist=True)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> Scanned:
        """Score a batch."""
        anomaly_map, score, mask = self._scan(batch)
        scanned = Scanned(row=batch["row"].cpu(), score=score.cpu(), map=anomaly_map.squeeze(1).cpu())
        if anomaly_map.ndim == 5:
            maps, masks = (part.transpose(1, 2).flatten(0, 1) for part in (anomaly_map, mask))
            counts = masks.flatten(1).any(dim=1)
            by_slice = self.score.pool(maps, masks).float().where(counts, torch.nan)
            scanned["slice_score"] = by_slice.view(len(score), -1).cpu()
        return scanned

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put ``record`` into the checkpoint."""
        checkpoint[CHECKPOINT_KEY] = self.record


class ReconstructionDetector(Detector):
    """A detector whose map is the residual between a scan and its reconstruction."""

    @abstractmethod
    def reconstruct(self, x: Tensor) -> Tensor:
        """What is judged of x as it would look if it were healthy; (B, C, *spatial) in [0, 1] to (B, 1, *spatial)."""

    def reconstructions(self, x: Tensor) -> Tensor:
        """Reconstructions of whole scans (B, 1, *spatial), put together where they are made piece by piece."""
        if self.patches is not None:
            return self.patches.assembled(self.reconstruct, x)
        if x.ndim == 2 + self.spatial_dims:
            return self.reconstruct(x)
        return assembled(self.reconstruct, x, **self._looks)

    def anomaly_map(self, x: Tensor) -> Tensor:
        """Residual between what is judged of x and its reconstruction, likewise."""
        return self.score.residual(self.judged(x), self.reconstruct(x).float())
