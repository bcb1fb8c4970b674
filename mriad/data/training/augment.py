"""Augmentation of training slices: by albumentations, or the same on a batch of tensors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import singledispatch
from typing import Any, overload

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks a server for news at every import otherwise

import albumentations as A
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mriad.data.training import on_device as batched
from mriad.data.training.contrast import any_curve, monotone_curve
from mriad.errors import MriadError

Slices = NDArray[np.uint8]  # (B, S, S), or (B, C, S, S): C slices that are changed alike
Masks = NDArray[np.bool_]  # (B, S, S)

_AS_USUAL: dict[str, object] = {  # options of moving transforms
    "border_mode": cv2.BORDER_CONSTANT,
    "fill": 0,
    "interpolation": cv2.INTER_LINEAR,
}


class Augment:
    """A chain of albumentations transforms, seeded from torch so that a seeded run repeats itself.

    Args:
        transforms: albumentations transforms, applied in this order to each uint8 slice (H, W).
    """

    def __init__(self, *, transforms: Sequence[A.BasicTransform]) -> None:
        self._transforms = list(transforms)
        self._chain = A.Compose(self._transforms)

    @overload
    def __call__(self, images: Slices) -> Slices: ...

    @overload
    def __call__(self, images: Slices, masks: Masks) -> tuple[Slices, Masks]: ...

    def __call__(self, images: Slices, masks: Masks | None = None) -> Slices | tuple[Slices, Masks]:
        """Augment a batch of slices, each on its own; the torch generator is advanced by one draw.

        Args:
            images: (B, S, S) slices; or slabs or volumes (B, C, S, S), whose C slices all go through the same change.
            masks: (B, S, S) masks that move along with them; None for none.

        Returns:
            The new slices, and the moved masks where masks were given.
        """
        self._chain.set_random_seed(int(torch.randint(2**31, ())))
        what = "image" if images.ndim == 3 else "images"  # of which albumentations changes all alike
        if masks is None:
            return np.stack([self._chain(**{what: image})[what] for image in images])
        pairs = [
            self._chain(**{what: image, "mask": mask.astype(np.uint8)})
            for image, mask in zip(images, masks, strict=True)
        ]
        return np.stack([pair[what] for pair in pairs]), np.stack([pair["mask"] > 0 for pair in pairs])

    def on_device(self, images: Tensor) -> Tensor:
        """Augment a batch of tensors where they lie, each slice on its own, with the same operations and ranges.

        Grey values are not rounded in between, and slices of a batch share the scale of ``Downscale``.

        Args:
            images: (B, 1, S, S) float32 in [0, 1].

        Raises:
            MriadError: if a transform, or an option of it, is not known there.
        """
        for transform in self._transforms:
            change = _changed.registry.get(type(transform), _unknown)  # a class made from a known one may do anything
            changed = change(transform, images).clamp(0.0, 1.0)
            images = torch.where(batched.chance(images, transform.p), changed, images)
        return images

    def runs_on_device(self) -> bool:
        """Whether ``on_device`` knows all transforms and their options."""
        with torch.random.fork_rng(devices=[]):
            try:
                self.on_device(torch.zeros(1, 1, 32, 32))
            except MriadError:
                return False
        return True


class RandomContrast(A.ImageOnlyTransform):
    """Sends the grey values through a random curve, see ``mriad.data.training.contrast``.

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


@singledispatch
def _changed(transform: A.BasicTransform, images: Tensor) -> Tensor:
    """All slices of a batch of tensors after one transform, whatever its ``p``."""
    return _unknown(transform, images)


def _unknown(transform: A.BasicTransform, images: Tensor) -> Tensor:
    raise MriadError(
        f"augment: there is no {type(transform).__name__} for slices on a device; drop it, or set data.on_device=false."
    )


@_changed.register
def _(transform: A.HorizontalFlip, images: Tensor) -> Tensor:
    return images.flip(-1)


@_changed.register
def _(transform: A.Affine, images: Tensor) -> Tensor:
    _require(transform, fit_output=False, keep_ratio=False, balanced_scale=False, **_AS_USUAL)
    shift = transform.translate_percent
    if shift is None:
        _require(transform, translate_px={"x": (0, 0), "y": (0, 0)})
        shift = transform.translate_px
    return batched.affine(images, scale=transform.scale, rotate=transform.rotate, shear=transform.shear, shift=shift)


@_changed.register
def _(transform: A.ElasticTransform, images: Tensor) -> Tensor:
    _require(transform, approximate=False, same_dxdy=False, noise_distribution="gaussian", **_AS_USUAL)
    return batched.elastic(images, alpha=transform.alpha, sigma=transform.sigma)


@_changed.register
def _(transform: RandomContrast, images: Tensor) -> Tensor:
    return batched.remapped(images, reorder=transform.reorder)


@_changed.register
def _(transform: A.RandomBrightnessContrast, images: Tensor) -> Tensor:
    _require(transform, ensure_safe_range=False)
    return batched.brightness_contrast(
        images,
        brightness=transform.brightness_limit,
        contrast=transform.contrast_limit,
        by_mean=not transform.brightness_by_max,
    )


@_changed.register
def _(transform: A.RandomGamma, images: Tensor) -> Tensor:
    low, high = transform.gamma_limit
    return batched.gamma(images, exponent=(low / 100, high / 100))


@_changed.register
def _(transform: A.Illumination, images: Tensor) -> Tensor:
    _require(transform, mode="gaussian")
    darker = {"brighten": 0.0, "both": 0.5, "darken": 1.0}[transform.effect_type]
    return batched.illuminated(
        images,
        strength=transform.intensity_range,
        darker=darker,
        centre=transform.center_range,
        width=transform.sigma_range,
    )


@_changed.register
def _(transform: A.Downscale, images: Tensor) -> Tensor:
    _require(transform, interpolation_pair={"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_LINEAR})
    return batched.coarser(images, scale=transform.scale_range)


@_changed.register
def _(transform: A.GaussianBlur, images: Tensor) -> Tensor:
    low, high = transform.blur_limit
    return batched.blurred(images, size=(int(low), int(high)), sigma=transform.sigma_limit)


@_changed.register
def _(transform: A.GaussNoise, images: Tensor) -> Tensor:
    _require(transform, noise_scale_factor=1, per_channel=True)
    return batched.noisy(images, std=transform.std_range, mean=transform.mean_range)


def _require(transform: A.BasicTransform, **values: object) -> None:
    for option, value in values.items():
        if (found := getattr(transform, option)) != value:
            raise MriadError(
                f"augment: {type(transform).__name__} for slices on a device takes {option}={value} only, not {found}; "
                "change it, or set data.on_device=false."
            )
