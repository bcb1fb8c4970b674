"""Augmentation of healthy training slices, by albumentations."""

from __future__ import annotations

import os
from collections.abc import Sequence

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks a server for news at every import otherwise

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray


class Augment:
    """A chain of albumentations transforms, seeded from torch so that a seeded run repeats itself.

    Args:
        transforms: albumentations transforms, applied in this order to each uint8 slice (H, W).
    """

    def __init__(self, *, transforms: Sequence[A.BasicTransform]) -> None:
        self._chain = A.Compose(list(transforms))

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Augment a batch of slices (B, H, W), each on its own; the torch generator is advanced by one draw."""
        self._chain.set_random_seed(int(torch.randint(2**31, ())))
        return np.stack([self._chain(image=image)["image"] for image in images])
