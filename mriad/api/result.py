"""What a detector says of one image."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mriad.errors import MriadError
from mriad.prediction.lesions import Lesion
from mriad.prediction.predictor import Prediction
from mriad.thresholds import Calibration

if TYPE_CHECKING:
    import pandas as pd

OF_VOLUME = ("lesion", "ml", "x", "y", "z", "peak", "mean")
OF_PICTURE = ("lesion", "pixels", "mm2", "row", "column", "peak", "mean")


class Result:
    """What a detector says of one image.

    Attributes:
        error: why there is nothing to say, in a sentence; None where all went well. The other attributes of a result
            with an error raise it as a ``MriadError``: what could not be read is not healthy.
        threshold: a scan is anomalous if its score is above it.
        pixel_threshold: a pixel or voxel is anomalous if its map value is above it.
    """

    def __init__(
        self,
        found: Prediction | MriadError,
        *,
        calibration: Calibration,
        back: Callable[[NDArray[Any]], Any] | None = None,
    ) -> None:
        self._found, self._back = found, back
        self.error = str(found) if isinstance(found, MriadError) else None
        self.threshold = (calibration if isinstance(found, MriadError) else found).threshold
        self.pixel_threshold = calibration.pixel_threshold

    @property
    def score(self) -> float:
        """Anomaly score: the higher, the stranger."""
        return self._known.score

    @property
    def decision(self) -> int:
        """1 anomalous (the score is above the threshold), 0 healthy."""
        return self._known.decision

    @cached_property
    def map(self) -> Any:
        """Anomaly map, float32, of the type and on the grid of the image.

        An array for an array; an image of nibabel or SimpleITK for one of theirs; for a file an array if it is a
        picture, else an image of nibabel. The array of a colour picture (H, W, 3) is (H, W).
        """
        return self._on_image(self._known.map)

    @cached_property
    def mask(self) -> Any:
        """What lies above the pixel threshold, uint8 of 0 and 1, of the type of ``map``."""
        return self._on_image((self._known.map > self.pixel_threshold).astype(np.uint8))

    @cached_property
    def lesions(self) -> pd.DataFrame:
        """The pieces of the map above the pixel threshold, the largest first; no row if there is none.

        Of a volume its number ``lesion`` from 1 on, ``ml``, its centre ``x``, ``y``, ``z`` in mm (to the right, to the
        front, upwards), ``peak`` and ``mean`` of the map in it. Of a picture ``pixels``, ``mm2`` (NaN where the size of
        a pixel is unknown) and its centre ``row`` and ``column`` instead.
        """
        import pandas as pd

        found = self._known
        of_volume = found.map.ndim == 3
        tell = _of_volume if of_volume else _of_picture
        size = 1.0 if of_volume else _pixel_size(found)
        rows = [tell(number, lesion, size) for number, lesion in enumerate(self._lesions, start=1)]
        return pd.DataFrame(rows, columns=list(OF_VOLUME if of_volume else OF_PICTURE))

    def __repr__(self) -> str:
        if self.error is not None:
            return f"Result(error={self.error!r})"
        return f"Result(score={self.score:.5g}, decision={self.decision}, threshold={self.threshold:.5g})"

    @property
    def _lesions(self) -> list[Lesion]:
        return self._known.lesions(self.pixel_threshold)

    @property
    def _known(self) -> Prediction:
        if isinstance(self._found, MriadError):
            raise self._found
        return self._found

    def _on_image(self, values: NDArray[Any]) -> Any:
        assert self._back is not None
        return self._back(values)


def _of_volume(number: int, lesion: Lesion, _: float) -> tuple[float, ...]:
    return number, lesion.ml, *lesion.centre, lesion.peak, lesion.mean


def _of_picture(number: int, lesion: Lesion, size: float) -> tuple[float, ...]:
    return number, lesion.voxels, lesion.voxels * size, *lesion.place[1:], lesion.peak, lesion.mean


def _pixel_size(found: Prediction) -> float:
    """Mm2 of a pixel of a picture; NaN where unknown."""
    spacing = getattr(found.geometry, "spacing", None)
    return float(np.prod(spacing)) if spacing else float("nan")
