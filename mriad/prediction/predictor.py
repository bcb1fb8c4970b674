"""From the levels of any scan to score, decision and map at the scan's own size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.data.batches import as_scans
from mriad.data.preparing.preprocess import Preprocess
from mriad.data.preparing.volumes import PrepareVolume
from mriad.data.reading.scan import Scan
from mriad.errors import MriadError
from mriad.geometry import Grid, ScanGeometry, VolumeGeometry
from mriad.prediction.lesions import Lesion, lesions_of


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A scan as the detector sees it.

    Args:
        image: (*spatial) uint8.
        geometry: the way back to the scan.
    """

    image: NDArray[np.uint8]
    geometry: ScanGeometry | VolumeGeometry

    @property
    def voxel_size(self) -> float:
        """Area in mm2 of a pixel, or volume in mm3 of a voxel, of what the detector sees; NaN where unknown."""
        return self.geometry.voxel_volume if isinstance(self.geometry, VolumeGeometry) else self.geometry.pixel_area


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a detector says of one scan.

    Args:
        score: anomaly score.
        threshold: above it a scan of this kind is anomalous.
        working_map: (*spatial) float32 anomaly map of what the detector saw.
        geometry: the way back to the scan.
    """

    score: float
    threshold: float
    working_map: NDArray[np.float32]
    geometry: ScanGeometry | VolumeGeometry

    @property
    def decision(self) -> int:
        """1 anomalous, 0 healthy."""
        return int(self.score > self.threshold)

    @cached_property
    def map(self) -> NDArray[np.float32]:
        """Map of a picture (H, W) or a volume (D, H, W) at the scan's own size and in its own order of axes.

        Where the detector has not looked it is 0, or the smallest value if one is below 0.
        """
        return self.geometry.to_scan(self.working_map, fill=min(0.0, float(self.working_map.min())))

    def lesions(self, level: float) -> list[Lesion]:
        """What the map shows above a level, the largest first; see ``lesions_of``; of a picture as of one slice."""
        return lesions_of(self.map.reshape(self.grid.shape), self.grid, level=level)

    @property
    def grid(self) -> Grid:
        """Where the voxels of the scan lie; of a picture, as ``Grid.of_picture`` has it."""
        if isinstance(self.geometry, VolumeGeometry):
            return self.geometry.scan
        return Grid.of_picture(self.geometry.height, self.geometry.width, spacing=self.geometry.spacing)


class Predictor:
    """A calibrated detector with its preparation.

    Args:
        checkpoint: where detector, preparation and threshold come from.
        device: torch device, or 'auto' for the GPU if there is one.

    Attributes:
        calibration: what turns a score into a decision.
        trained: what the scans were like that it was trained on, see ``Checkpoint``.
        run_id: MLflow run of the training, None where unknown.
        key: of that training alone, see ``Checkpoint``.

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
        self._preparation = checkpoint.preprocess()
        self.trained, self.run_id, self.key = checkpoint.trained, checkpoint.run_id, checkpoint.key

    @property
    def of_volumes(self) -> bool:
        """Whether the detector was trained on volumes, and not on pictures."""
        return len(self._preparation.spatial) == 3

    @property
    def takes_pictures(self) -> bool:
        """Whether it takes pictures; one of volumes does, as axial slices, unless it needs to know where they lie."""
        return self._detector.takes_pictures or not self.of_volumes

    @property
    def wants_brain(self) -> bool:
        """Whether it cuts scans to the brain masks that come with them."""
        return self._preparation.wants_brain

    @property
    def working_spacing(self) -> float:
        """Mm per voxel of what the detector sees of a volume."""
        return cast(PrepareVolume, self._preparation).spacing

    def prepare(
        self, scan: Scan, *, spacing: tuple[float, float] | None = None, brain: NDArray[np.bool_] | None = None
    ) -> Prepared:
        """Make of one scan of any size what the detector sees; may be called in several threads.

        Args:
            spacing: millimetres per pixel of a picture, (row, column); None where unknown.
            brain: brain mask of a volume, on its grid; None where there is none.

        Raises:
            BlankScanError: if nothing is to be seen on it.
            MriadError: if it is a volume and the detector was trained on pictures; or a picture, and the detector looks
                at whole volumes, or at none in axial slices.
        """
        if isinstance(self._preparation, Preprocess):
            if scan.is_volume:
                raise MriadError(
                    "this is a volume, but the detector was trained on pictures; take one that was trained on volumes."
                )
            image, geometry = self._preparation(scan.levels[0])
            return Prepared(image=image, geometry=replace(geometry, spacing=spacing))
        if not scan.is_volume:
            if not self.takes_pictures:
                raise MriadError(
                    "this is a picture, but the detector looks at no axial slices of their own; give volumes, such as "
                    "NIfTI files or DICOM series, or take a detector that was trained on pictures."
                )
            image, geometry = self._preparation.of_pictures(scan.levels[0])
            return Prepared(image=image, geometry=replace(geometry, spacing=spacing))
        image, of_volume = self._preparation(scan, brain=brain)
        return Prepared(image=image, geometry=of_volume)

    @torch.inference_mode()
    def __call__(self, scans: Sequence[Prepared]) -> list[Prediction]:
        """Predict a batch of scans, volumes and pictures each by themselves."""
        found: dict[int, Prediction] = {}
        for ndim in sorted({scan.image.ndim for scan in scans}):
            places = [place for place, scan in enumerate(scans) if scan.image.ndim == ndim]
            found |= zip(places, self._predictions([scans[place] for place in places]), strict=True)
        return [found[place] for place in range(len(scans))]

    def _predictions(self, scans: Sequence[Prepared]) -> list[Prediction]:
        sizes = np.array([scan.voxel_size for scan in scans], dtype=np.float32)
        images = torch.from_numpy(np.stack([scan.image for scan in scans])).to(self._detector.device)
        maps, scores = (part.cpu().numpy() for part in self._detector.scan(as_scans(images, sizes)))
        calibration = self.calibration
        if images.ndim == 3 and calibration.pictures is not None:
            calibration = calibration.pictures
        threshold = calibration.threshold
        return [
            Prediction(score=float(score), threshold=threshold, working_map=anomaly_map[0], geometry=scan.geometry)
            for score, anomaly_map, scan in zip(scores, maps, scans, strict=True)
        ]
