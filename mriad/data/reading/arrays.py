"""Scans as arrays, as programs send them: understood as files of their kind are, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mriad.data.reading.decode import grayscale
from mriad.data.reading.levels import Levels
from mriad.data.reading.picture import Picture
from mriad.errors import MriadError

KINDS = ("bool", "uint8", "uint16", "int8", "int16", "int32", "uint32", "float16", "float32", "float64")

_WITHOUT_WIDTH = ("int64", "uint64")  # what Python's and JSON's whole numbers become
_COLOURS = (1, 2, 3, 4)  # gray, gray and alpha, RGB, RGBA


def scans_of(values: object, *, kind: str = "") -> list[Levels]:
    """The scans of an array, each as ``mriad.data.reading.decode`` gives a file that holds the same pixels.

    uint8 and uint16 have their full range, other whole numbers and floats the range that ``decode`` gives them; colour
    (uint8 only) becomes luminance, transparency black. int64 does not say how wide its pixels are: within 0 to 255 it
    counts as uint8.

    Args:
        values: (H, W), (n, H, W) or (n, H, W, colours), or lists that make such an array.
        kind: one of ``KINDS`` that the values are meant in, where their own type does not say so, as in JSON; '' takes
            it from the array.

    Raises:
        MriadError: if it is no such array, or a value does not fit ``kind``.
    """
    stack = _stack(values)
    stack = _of_kind(stack, kind) if kind else _own_kind(stack)
    if stack.ndim == 4 and stack.shape[3] == 1:
        stack = stack[..., 0]
    if stack.ndim == 4 and stack.dtype != np.uint8:
        raise MriadError(f"The input is in colour and of type {stack.dtype}; send colour as uint8, or gray alone.")
    return [_levels(scan) for scan in stack]


def _stack(values: object) -> NDArray[Any]:
    if not isinstance(values, np.ndarray | list | tuple):
        raise MriadError(f"The input is a {type(values).__name__}; send an array of images (n, height, width).")
    try:
        stack = np.asarray(values)
    except ValueError:
        raise MriadError("The input holds images of several sizes; send those of one size at a time.") from None
    if stack.dtype.kind not in "biuf" or (stack.dtype.name not in (*KINDS, *_WITHOUT_WIDTH)):
        raise MriadError(f"The input is of type {stack.dtype}; send one of {', '.join(KINDS)}.")
    if stack.ndim == 2:
        stack = stack[np.newaxis]
    if stack.ndim not in (3, 4) or 0 in stack.shape[1:]:
        raise MriadError(f"The input has the shape {stack.shape}; send images (n, height, width).")
    if stack.ndim == 3 and stack.shape[2] in _COLOURS:
        raise MriadError(
            f"The input has the shape {stack.shape}, in which the last axis looks like colours: "
            "send (n, height, width, colours), with n=1 for one image."
        )
    if stack.ndim == 4 and stack.shape[3] not in _COLOURS:
        raise MriadError(f"The input has the shape {stack.shape}; the last axis of four is for 1 to 4 colours.")
    return stack.astype(stack.dtype.newbyteorder("="), copy=False)


def _of_kind(stack: NDArray[Any], kind: str) -> NDArray[Any]:
    if kind not in KINDS:
        raise MriadError(f"dtype={kind} is unknown; choose one of {', '.join(KINDS)}.")
    with np.errstate(invalid="ignore", over="ignore"):
        cast = stack.astype(kind)
        lost = (cast != stack) & ~np.isnan(stack) if cast.dtype.kind in "biu" else np.isinf(cast) & ~np.isinf(stack)
    if lost.any() or (cast.dtype.kind in "biu" and np.isnan(stack).any()):
        example = stack[lost][0] if lost.any() else np.nan
        raise MriadError(f"The input holds {example}, which is no {kind}; name the type that its pixels have.")
    return cast


def _own_kind(stack: NDArray[Any]) -> NDArray[Any]:
    if stack.dtype.name not in _WITHOUT_WIDTH:
        return stack
    low, high = (int(stack.min()), int(stack.max())) if stack.size else (0, 0)
    if low < 0 or high > 255:
        raise MriadError(
            f"The input is of type {stack.dtype} with values from {low} to {high}, which do not say what is white: "
            "name the type of the pixels, as in dtype=uint16 or dtype=int16."
        )
    return stack.astype(np.uint8)


def _levels(scan: NDArray[Any]) -> Levels:
    samples, opacity = scan.astype(np.uint8) * 255 if scan.dtype == bool else scan, None
    if scan.ndim == 3:
        opacity = samples[..., -1] if samples.shape[2] in (2, 4) else None
        samples = samples[..., 0] if samples.shape[2] == 2 else np.ascontiguousarray(samples[..., :3])
    return grayscale(Picture(samples=samples, opacity=opacity, format="", mode=""))
