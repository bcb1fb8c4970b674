"""Small made-up brains: bright ellipses with smooth texture, and lesions with exact masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

SIZE = 64


def brain(seed: int, *, size: int = SIZE) -> NDArray[np.uint8]:
    """(size, size) healthy scan."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    height, width = rng.uniform(0.75, 0.85), rng.uniform(0.6, 0.7)
    head = (y / height) ** 2 + (x / width) ** 2 < 1
    texture = gaussian_filter(rng.normal(size=(size, size)), 4) * 3
    return (np.clip(0.45 + 0.2 * np.cos(6 * x) * np.cos(5 * y) + texture * 0.3, 0.1, 0.8) * head * 255).astype(np.uint8)


def lesion(seed: int, *, size: int = SIZE) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A scan with a bright lesion, and its mask."""
    rng = np.random.default_rng(10_000 + seed)
    y, x = np.mgrid[:size, :size]
    centre = size / 2 + rng.uniform(-0.15, 0.15, 2) * size
    mask = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < (rng.uniform(0.07, 0.12) * size) ** 2
    return np.where(mask, 250, brain(20_000 + seed, size=size)).astype(np.uint8), mask


def write_scans(root: Path, *, healthy: int = 40, anomalous: int = 20, masks: bool = True) -> Path:
    """``healthy/``, ``tumour/`` and ``masks/tumour/`` below ``root``; returns ``root``."""
    for index in range(healthy):
        save(root / "healthy" / f"h{index:02}.png", brain(index))
    for index in range(anomalous):
        scan, mask = lesion(index)
        save(root / "tumour" / f"t{index:02}.png", scan)
        if masks:
            save(root / "masks" / "tumour" / f"t{index:02}.png", mask.astype(np.uint8) * 255)
    return root


def save(file: Path, pixels: NDArray[np.uint8 | np.uint16]) -> Path:
    """Write an image, with its folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    return file
