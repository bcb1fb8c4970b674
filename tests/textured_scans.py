"""A folder of small pictures, no two of them alike, and what tests do with a data module of it."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mriad.data.catalog import Catalog
from mriad.data.layouts import folder


def write_scan(file: Path, seed: int) -> None:
    """A head with texture of its own on black; no two seeds alike."""
    row, column = np.indices((40, 32))
    head = ((row - 20) / 16) ** 2 + ((column - 16) / 12) ** 2 <= 1
    texture = np.random.default_rng(seed).integers(60, 255, (40, 32))
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(head, texture, 0).astype(np.uint8)).save(file)


def write_set(root: Path, *, healthy: int = 24, anomalous: int = 16) -> Path:
    for n in range(healthy):
        write_scan(root / f"healthy/{n:02}.png", n)
    for n in range(anomalous):
        write_scan(root / f"{('glioma', 'meningioma')[n % 2]}/{n:02}.png", 1000 + n)
    return root


def folder_layout(*, root: Path, download: bool) -> Catalog:
    return folder(root=root, download=download, healthy="healthy", anomalies=None, masks="masks", manifest=None)


def rows_of(loader: torch.utils.data.DataLoader) -> list[int]:
    return torch.cat([batch["row"] for batch in loader]).tolist()


class White:
    """An augmentation that is easy to see."""

    def __call__(self, images: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray | tuple[np.ndarray, ...]:
        white = np.full_like(images, 255)
        return white if masks is None else (white, masks)
