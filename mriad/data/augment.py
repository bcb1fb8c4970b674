"""Augmentation of training slices, by albumentations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, overload

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks a server for news at every import otherwise

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray

from mriad.data.contrast import any_curve, monotone_curve

Slices = NDArray[np.uint8]  # (B, S, S)
Masks = NDArray[np.bool_]  # (B, S, S)


class Augment:
    """A chain of albumentations transforms, seeded from torch so that a seeded run repeats itself.

    Args:
        transforms: albumentations transforms, applied in this order to each uint8 slice (H, W).
    """

    def __init__(self, *, transforms: Sequence[A.BasicTransform]) -> None:
        self._chain = A.Compose(list(transforms))

    @overload
    def __call__(self, images: Slices) -> Slices: ...

    @overload
    def __call__(self, images: Slices, masks: Masks) -> tuple[Slices, Masks]: ...

    def __call__(self, images: Slices, masks: Masks | None = None) -> Slices | tuple[Slices, Masks]:
        """Augment a batch of slices, each on its own; the torch generator is advanced by one draw.

        Args:
            images: (B, S, S) slices.
            masks: (B, S, S) masks that move along with them; None for none.

        Returns:
            The new slices, and the moved masks where masks were given.
        """
        self._chain.set_random_seed(int(torch.randint(2**31, ())))
        if masks is None:
            return np.stack([self._chain(image=image)["image"] for image in images])
        pairs = [
            self._chain(image=image, mask=mask.astype(np.uint8)) for image, mask in zip(images, masks, strict=True)
        ]
        return np.stack([pair["image"] for pair in pairs]), np.stack([pair["mask"] > 0 for pair in pairs])


class RandomContrast(A.ImageOnlyTransform):
    """Sends the grey values through a random curve, see ``mriad.data.contrast``.

    Args:
        reorder: chance that the curve may change the order of the tissues.
        p: chance that a slice is changed.
    """

    def __init__(self, reorder: float = 0.25, p: float = 0.3) -> None:
        super().__init__(p=p)
        self.reorder = reorder

    def get_params(self) -> dict[str, Any]:
        """Draw a curve."""
        curve = any_curve if self.random_generator.random() < self.reorder else monotone_curve
        return {"curve": curve(self.random_generator)}

    def apply(self, img: NDArray[np.uint8], curve: NDArray[np.uint8], **_: Any) -> NDArray[np.uint8]:
        """Send one slice (H, W) through the curve."""
        return curve[img]
