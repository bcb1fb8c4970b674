"""Images as programs hold them: each understood as a file that holds the same is, and the way back to its own type."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mriad.data.reading.arrays import scans_of
from mriad.data.reading.scan import Facts, Scan
from mriad.data.reading.volume import volume_scan
from mriad.errors import MriadError

Image: TypeAlias = Any
"""A numpy array, an image of nibabel or SimpleITK, or the path of a file or of the folder of a DICOM series."""

KINDS = "a numpy array, an image of nibabel or SimpleITK, or a path"
CANONICAL = "SPL"  # an array's axes unless it says otherwise: axial slices as radiologists look at them
_CODES = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
_COLOURS = (1, 2, 3, 4)
_LABELS = "{name} says that it holds labels, not intensities; give the scan that they belong to."


@dataclass(frozen=True, kw_only=True)
class Place:
    """What an array does not say of itself.

    Args:
        spacing: mm per pixel or voxel along each axis of the array, or one number for all; None where unknown.
        affine: (4, 4) from the indices of a volume, in the array's own order of axes, to mm towards right, anterior and
            superior, as nibabel has it; None where unknown.
        orientation: where the axes of a volume without an affine lead: one of R L, one of A P, one of S I.
    """

    spacing: float | Sequence[float] | None = None
    affine: ArrayLike | None = None
    orientation: str = CANONICAL

    @property
    def is_known(self) -> bool:
        """Whether anything was said."""
        return self.spacing is not None or self.affine is not None


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An image as a scan.

    Args:
        scan: the scan.
        spacing: mm per pixel of a picture, (row, column); None where unknown.
        back: makes of values on the scan, of its shape, an image of the type that came in.
    """

    scan: Scan
    back: Callable[[NDArray[Any]], Image]
    spacing: tuple[float, float] | None = None


def opened(image: Image, place: Place, *, name: str, labels: bool = False) -> Opened:
    """An image that is in memory.

    Args:
        image: an array, or an image of nibabel or SimpleITK.
        place: where an array lies.
        name: what to call it in errors.
        labels: take what says that it holds labels, as a mask may.

    Raises:
        MriadError: if it is none, or lacks what a scan needs.
    """
    if isinstance(image, np.ndarray):
        return _of_array(image, place, name)
    if place.is_known:
        raise MriadError(f"{name} says itself where it lies; leave out spacing and affine, which belong to arrays.")
    if _is(image, "nibabel.spatialimages", "SpatialImage"):
        found = _of_nibabel(image, name)
    elif _is(image, "SimpleITK", "Image"):
        found = _of_simpleitk(image, name)
    else:
        raise MriadError(f"{name} is a {type(image).__name__}; give {KINDS}.")
    if found.scan.facts.labels and not labels:
        raise MriadError(_LABELS.format(name=name))
    return found


def nibabel_back(scan: Scan, affine: NDArray[np.float64] | None = None) -> Callable[[NDArray[Any]], Image]:
    """Makes images of nibabel of values on a scan, as ``mriad predict`` writes them.

    Args:
        scan: where they lie.
        affine: that of an image in memory, which has more digits than its header; None for the header's.
    """
    # not the levels: a result is kept longer than a scan needs to be
    bare = replace(scan, levels=np.empty((0, 0, 0)))

    def back(values: NDArray[Any]) -> Image:
        from mriad.writing.nifti import nifti_image

        made = nifti_image(values, bare, description="mriad")
        return made if affine is None else type(made)(values, affine, made.header)

    return back


def is_path(image: Image) -> bool:
    """Whether an image is the path of one."""
    return isinstance(image, str | os.PathLike)


def same(values: NDArray[Any]) -> NDArray[Any]:
    """The way back to an array: values as they are."""
    return values


def _is(image: Image, module: str, kind: str) -> bool:
    """Whether an image is of a class of a library, which then has been imported already."""
    return module in sys.modules and isinstance(image, getattr(sys.modules[module], kind))


def _of_array(array: NDArray[Any], place: Place, name: str) -> Opened:
    in_colour = array.ndim == 3 and array.shape[2] in _COLOURS
    if array.ndim == 2 or (in_colour and place.affine is None and np.size(np.asarray(place.spacing)) < 3):
        return _picture(array, place, name)
    if array.ndim != 3:
        raise MriadError(
            f"{name} has the shape {array.shape}; give a picture (H, W) or (H, W, colours), or a volume (D, H, W), and "
            "several as a list."
        )
    if not place.is_known:
        raise MriadError(
            f"{name} is an array {array.shape}, which does not say how large its voxels are: give spacing=(mm, mm, mm) "
            "along its axes (and orientation=, if these are not towards superior, posterior, left), or an affine; "
            "give slices that are pictures as a list, as in detector(list(array))."
        )
    affine = _affine(array.shape, place, name)
    scan = volume_scan(Path(name), np.asarray(array), affine, Facts(format=""))
    return Opened(scan=scan, back=same)


def _picture(array: NDArray[Any], place: Place, name: str) -> Opened:
    if place.affine is not None:
        raise MriadError(f"{name} is a picture, which has no affine; give spacing=(mm, mm) of its rows and columns.")
    kind = array.dtype
    if kind in (np.int64, np.uint64) and array.size and (array.min() < 0 or array.max() > 255):
        raise MriadError(
            f"{name} is of type {kind} with values from {array.min()} to {array.max()}, which do not say what is "
            "white: convert it to the type that its pixels have, as in array.astype('uint16')."
        )
    try:
        (levels,) = scans_of(array[np.newaxis])
    except MriadError as error:
        raise MriadError(str(error).replace("The input", name, 1)) from error
    return Opened(
        scan=Scan.of_picture(levels, facts=Facts(format="")), spacing=_pixel_spacing(place.spacing, name), back=same
    )


def _pixel_spacing(spacing: float | Sequence[float] | None, name: str) -> tuple[float, float] | None:
    if spacing is None:
        return None
    row, column = _millimetres(spacing, 2, name, "a picture")
    return row, column


def _affine(shape: tuple[int, ...], place: Place, name: str) -> NDArray[np.float64]:
    if place.affine is not None:
        if place.spacing is not None:
            raise MriadError(f"{name} is given spacing and affine; the affine says both, leave out the spacing.")
        try:
            affine = np.asarray(place.affine, dtype=np.float64)
        except (TypeError, ValueError):
            affine = np.empty(0)
        if affine.shape != (4, 4):
            raise MriadError(f"{name} is given an affine that is no (4, 4) matrix of numbers; give nibabel's.")
        return affine
    assert place.spacing is not None
    millimetres = _millimetres(place.spacing, 3, name, "a volume")
    codes = place.orientation.upper() if isinstance(place.orientation, str) else ""
    worlds = [_CODES[code][0] for code in codes if code in _CODES]
    if len(codes) != 3 or sorted(worlds) != [0, 1, 2]:
        raise MriadError(
            f"orientation={place.orientation} names no three axes; give one of R L, one of A P and one of S I, such as "
            "'SPL' or 'RAS'."
        )
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (code, mm) in enumerate(zip(codes, millimetres, strict=True)):
        world, sign = _CODES[code]
        affine[world, axis] = sign * mm
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def _millimetres(spacing: float | Sequence[float], axes: int, name: str, what: str) -> list[float]:
    try:
        given = np.asarray(spacing, dtype=np.float64)
    except (TypeError, ValueError):
        given = np.empty(0)
    if given.shape not in ((), (axes,)) or not np.isfinite(given).all() or not (given > 0).all():
        raise MriadError(f"{name} is {what}, and spacing={spacing} is not its {axes} sizes in mm; give one per axis.")
    return [float(mm) for mm in np.broadcast_to(given, axes)]


def _of_nibabel(image: Any, name: str) -> Opened:
    from nibabel.freesurfer.mghformat import MGHImage
    from nibabel.nifti1 import Nifti1Pair

    from mriad.data.reading.nifti import nifti_scan

    values, slope, intercept = _voxels(image)
    if isinstance(image, Nifti1Pair):  # Nifti1Image, Nifti2Image and their pairs are of this class
        scan = nifti_scan(Path(name), image.header, values, slope=slope, intercept=intercept)
        return Opened(scan=scan, back=nibabel_back(scan, np.array(image.affine)))
    if not isinstance(image, MGHImage):
        raise MriadError(
            f"{name} is a {type(image).__name__}, a format that need not say left from right; give a NIfTI or MGH "
            "image, or its array with an affine."
        )
    scan = volume_scan(Path(name), values, image.affine, Facts(format="MGH"), slope=slope, intercept=intercept)
    affine = np.array(image.affine)
    return Opened(scan=scan, back=lambda values: MGHImage(values, affine))


def _voxels(image: Any) -> tuple[NDArray[Any], float, float]:
    """Voxels of an image of nibabel as they are stored, where they are, and what scales them."""
    data = image.dataobj
    if hasattr(data, "get_unscaled"):
        return np.asarray(data.get_unscaled()), float(data.slope), float(data.inter)
    return np.asarray(data), 1.0, 0.0


def _of_simpleitk(image: Any, name: str) -> Opened:
    import SimpleITK as sitk  # noqa: N813

    from mriad.data.reading.itk import itk_scan

    spacing, origin, direction = image.GetSpacing(), image.GetOrigin(), image.GetDirection()

    def back(values: NDArray[Any]) -> Any:
        made = sitk.GetImageFromArray(np.ascontiguousarray(values if values.ndim == 2 else values.T))
        made.SetSpacing(spacing)
        made.SetOrigin(origin)
        made.SetDirection(direction)
        return made

    if image.GetDimension() > 2:
        if image.GetDimension() > 3:
            raise MriadError(f"{name} has {image.GetDimension()} dimensions; take the volume that is meant out of it.")
        return Opened(scan=itk_scan(Path(name), image, "SimpleITK"), back=back)
    # ITK gives pixels of unknown size a spacing of 1
    known = None if set(spacing) == {1.0} else spacing[::-1]
    picture = _picture(sitk.GetArrayFromImage(image), Place(spacing=known), name)
    return replace(picture, back=back)
