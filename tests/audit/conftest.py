from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from mriad.data.preparing.fingerprint import Fingerprint, thumbnail
from mriad.data.reading.decode import DecodedImage


@dataclass(frozen=True)
class Scans:
    """Scans the way a data module that is set up holds them."""

    scans: pd.DataFrame
    facts: pd.DataFrame
    images: NDArray[np.uint8]
    thumbnails: NDArray[np.uint8]


def picture(seed: int, *, size: int = 64) -> NDArray[np.float32]:
    """(size, size) smooth random picture in [0, 1], like no other seed's."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), size / 16)
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


def facts_of(pictures: Sequence[NDArray[np.float32]], formats: Sequence[str] | None = None) -> pd.DataFrame:
    """The cache's facts of pictures."""
    records = []
    for pixels, format_ in zip(pictures, formats or ["PNG"] * len(pictures), strict=True):
        height, width = pixels.shape
        decoded = DecodedImage(levels=pixels, format=format_, mode="L")
        record = Fingerprint.of(decoded, head=(0, 0, height, width)).as_record()
        records.append({"error": "", **record, "height": height, "width": width})
    return pd.DataFrame(records)


def scans_of(
    pictures: Sequence[NDArray[np.float32]],
    roles: Sequence[str],
    labels: Sequence[int],
    *,
    formats: Sequence[str] | None = None,
) -> Scans:
    """Scans of one role each, every one in a group of its own."""
    n = len(pictures)
    facts = facts_of(pictures, formats)
    table = pd.DataFrame(
        {
            "row": np.arange(n),
            "group": [f"g{index}" for index in range(n)],
            "role": roles,
            "path": [f"scan{index:03}.png" for index in range(n)],
            "label": labels,
            "class": ["tumour" if label else "healthy" for label in labels],
            "patient": "",
            "plane": "axial",
            "contrast": "",
        }
    )
    return Scans(
        scans=table,
        facts=facts,
        images=np.stack([np.round(pixels[::2, ::2] * 255).astype(np.uint8) for pixels in pictures]),
        thumbnails=np.stack([thumbnail(pixels) for pixels in pictures]),
    )


@pytest.fixture(scope="session")
def clean() -> Scans:
    """20 train, 10 + 5 val and 10 + 10 test scans, none like another; the anomalous ones are brighter."""
    roles = ["train"] * 20 + ["val"] * 15 + ["test"] * 20
    labels = [0] * 20 + [0] * 10 + [1] * 5 + [0] * 10 + [1] * 10
    pictures = [np.clip(picture(seed) * (1 + label), 0, 1) for seed, label in enumerate(labels)]
    return scans_of(pictures, roles, labels)


@pytest.fixture(scope="session")
def leaky() -> Scans:
    """10 train, 2 + 2 val and 5 + 5 test scans: 3 healthy test scans are train scans made a little darker."""
    roles = ["train"] * 10 + ["val"] * 4 + ["test"] * 10
    labels = [0] * 10 + [0, 0, 1, 1] + [0] * 5 + [1] * 5
    pictures = [picture(seed) for seed in range(24)]
    for number in range(3):
        pictures[14 + number] = pictures[number] * np.float32(0.98)
    return scans_of(pictures, roles, labels)
