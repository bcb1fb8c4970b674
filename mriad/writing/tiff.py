"""The map of a picture: its values as a TIFF file, and as colours over the picture."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mriad.data.reading.levels import Levels, percentiles, rescaled
from mriad.plots import overlay
from mriad.thresholds import Calibration


def map_as_tiff(anomaly_map: NDArray[np.float32]) -> bytes:
    """A TIFF file of (H, W) float32 values."""
    return encoded(anomaly_map, "TIFF")


def overlay_as_png(levels: Levels, anomaly_map: NDArray[np.float32], calibration: Calibration) -> bytes:
    """A PNG file of a picture (H, W) with its map laid over it."""
    low, high = percentiles(levels, [0.5, 99.5])  # a 12-bit scan in a 16-bit file would be black
    picture = overlay(
        rescaled(levels, low, high) / 255,
        anomaly_map,
        map_scale=calibration.map_scale,
        pixel_threshold=calibration.pixel_threshold,
    )
    return encoded(picture, "PNG")


def encoded(picture: NDArray[Any], form: str) -> bytes:
    """A file of a picture, (H, W) or (H, W, 3), in one of Pillow's formats."""
    stream = BytesIO()
    Image.fromarray(picture).save(stream, format=form)  # Pillow hides why a disk does not take what it writes
    return stream.getvalue()
