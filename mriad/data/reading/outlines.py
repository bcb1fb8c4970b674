"""Lesion outlines drawn in the VGG Image Annotator (VIA), and the masks they enclose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mriad.errors import MriadError, ReadError

Shape = Mapping[str, Any]


def read_outlines(file: Path) -> dict[str, list[Shape]]:
    """Shapes of each image in a VIA export, by image file name.

    Both forms are read: VIA 1 keeps the regions of an image in a mapping, VIA 2 in a list; a VIA 2 project
    file wraps all images in ``_via_img_metadata``. A parsed file is kept until it changes on disk.

    Args:
        file: the JSON file.

    Returns:
        File name to its shapes (VIA's ``shape_attributes``); an image without outlines has an empty list.

    Raises:
        ReadError: if the file cannot be read now.
        MriadError: if the file cannot be read or is no VIA export.
    """
    try:
        return _parse(file, file.stat().st_mtime_ns)
    except OSError as error:
        raise ReadError(f"The outlines {file} cannot be read ({error.strerror}); mend the path.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MriadError(
            f"{file} is no export of the VGG Image Annotator ({error!r}); export it as JSON again."
        ) from error


@lru_cache(maxsize=16)
def _parse(file: Path, modified_ns: int) -> dict[str, list[Shape]]:
    content = json.loads(file.read_text(encoding="utf-8"))
    images = content.get("_via_img_metadata", content)
    outlines: dict[str, list[Shape]] = {}
    for image in images.values():
        regions = image.get("regions") or []
        shapes = [
            region["shape_attributes"] for region in (regions.values() if isinstance(regions, Mapping) else regions)
        ]
        name = image["filename"]
        if shapes and outlines.get(name) and outlines[name] != shapes:
            raise MriadError(
                f"{file} outlines two images that are called '{name}', and it cannot be told which is which; "
                "rename one of them, or keep one entry."
            )
        outlines[name] = outlines.get(name) or shapes
    return outlines


def rasterise(shapes: list[Shape], *, size: tuple[int, int]) -> np.ndarray:
    """Union of the areas that shapes enclose.

    A pixel belongs to a shape that holds its centre. VIA draws upon the image as a browser shows it, which is upright,
    and counts from its corner, so the centre of the first pixel is (0.5, 0.5). What reaches beyond the image is cut
    off.

    Args:
        shapes: VIA's ``shape_attributes``: polygon, ellipse, circle or rect, in pixels.
        size: (height, width) of the image, in pixels.

    Returns:
        Bool array (height, width), True inside.

    Raises:
        MriadError: if a shape is of another kind or lacks a number.
    """
    from skimage.draw import polygon2mask  # brings scipy, which most data sets need not wait for

    mask = np.zeros(size, dtype=bool)
    y, x = np.ogrid[0.5 : size[0], 0.5 : size[1]]
    for shape in shapes:
        kind = shape.get("name")
        try:
            if kind == "polygon":
                corners = np.column_stack([shape["all_points_y"], shape["all_points_x"]]) - 0.5
                mask |= polygon2mask(size, corners)
            elif kind == "ellipse":
                mask |= _inside_ellipse(x, y, shape, theta=float(shape.get("theta") or 0.0))
            elif kind == "circle":
                mask |= (x - shape["cx"]) ** 2 + (y - shape["cy"]) ** 2 <= shape["r"] ** 2
            elif kind == "rect":
                across = (x >= shape["x"]) & (x <= shape["x"] + shape["width"])
                mask |= across & (y >= shape["y"]) & (y <= shape["y"] + shape["height"])
            else:
                raise MriadError(f"An outline is a '{kind}'; draw it as polygon, ellipse, circle or rect.")
        except (KeyError, TypeError, ValueError) as error:
            raise MriadError(f"An outline is a {kind} that is incomplete ({error}); draw it again.") from error
    return mask


def _inside_ellipse(x: np.ndarray, y: np.ndarray, shape: Shape, *, theta: float) -> np.ndarray:
    # VIA turns the canvas by theta radians; with y pointing down a positive theta is clockwise to the eye,
    # so the axis of length rx points along (cos theta, sin theta) in (x, y).
    dx, dy = x - shape["cx"], y - shape["cy"]
    along = dx * np.cos(theta) + dy * np.sin(theta)
    across = dy * np.cos(theta) - dx * np.sin(theta)
    return (along * shape["ry"]) ** 2 + (across * shape["rx"]) ** 2 <= (shape["rx"] * shape["ry"]) ** 2
