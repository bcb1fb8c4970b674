"""Made-up heads: an ellipse with a skull and noisy tissue, each its own, quickly drawn in any number and size."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image


def head(seed: int, *, size: int, lesion: bool = False) -> NDArray[np.uint8]:
    """(size, size) slice of one head, with a bright spot if it has a lesion."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    height, width, top, left = rng.uniform((0.7, 0.55, -0.08, -0.08), (0.88, 0.75, 0.08, 0.08))
    radius = ((y - top) / height) ** 2 + ((x - left) / width) ** 2
    lobes = cv2.resize(rng.normal(size=(12, 12)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    grain = rng.standard_normal((size, size), dtype=np.float32)
    pixels = np.where(radius < 0.85, 110 + 30 * lobes + 6 * grain, 220)
    if lesion:
        down, right = rng.uniform(-0.3, 0.3, 2)
        pixels[(y - top - down) ** 2 + (x - left - right) ** 2 < 0.02] = 245
    return np.where(radius < 1, pixels.clip(0, 255), 2).astype(np.uint8)


def write(root: Path, *, healthy: int, anomalous: int, size: int) -> Path:
    """Write ``healthy/`` and ``tumour/`` with JPEGs below ``root``, unless they are there; gives ``root``."""
    if root.exists():
        return root
    work = root.with_name(f"{root.name}-unfinished")
    shutil.rmtree(work, ignore_errors=True)
    for folder in ("healthy", "tumour"):
        (work / folder).mkdir(parents=True)

    def save(seed: int) -> None:
        lesion = seed >= healthy
        file = work / ("tumour" if lesion else "healthy") / f"{seed:06}.jpg"
        Image.fromarray(head(seed, size=size, lesion=lesion)).save(file, quality=90)

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(save, range(healthy + anomalous)):
            pass
    work.rename(root)
    return root
