"""All that is made of one scan before any network sees it; a worker process imports this file and no more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mriad.data.preparing.fingerprint import Fingerprint, thumbnail
from mriad.data.preparing.lesions import VALUES, LesionFacts
from mriad.data.preparing.preprocess import BlankScanError, Preprocess
from mriad.data.reading.decode import decode
from mriad.data.reading.masks import read_mask
from mriad.errors import MriadError, ReadError
from mriad.geometry import ScanGeometry, spacing_of

FACTS = tuple(name for facts in (Fingerprint, ScanGeometry, LesionFacts) for name in facts.__dataclass_fields__)


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where a scan lies, and what the catalog says of it.

    Args:
        root: of the catalog.
        path, mask, spacing, series: as in the catalog.
        healthy: whether it is labelled so.
        unread: whether scan or mask could not be read when their content was asked for.
    """

    root: Path
    path: str
    mask: str = ""
    spacing: str = ""
    series: str = ""
    healthy: bool
    unread: bool = False


@dataclass(frozen=True, kw_only=True)
class PreparedScan:
    """What is kept of a scan.

    Args:
        facts: ``error``, '' where the scan can be used, and with it the fields that ``FACTS`` names.
        images, thumbnails: (S, S) and (16, 16) uint8, see ``Preprocess`` and ``thumbnail``; None where it cannot.
        masks: (S, S) booleans; None for a healthy scan, and for one without a mask.
    """

    facts: dict[str, object]
    images: NDArray[np.uint8] | None = None
    masks: NDArray[np.bool_] | None = None
    thumbnails: NDArray[np.uint8] | None = None


def prepare(files: Files, preprocess: Preprocess) -> PreparedScan:
    """Read a scan and its mask, and prepare them.

    Raises:
        ReadError: if a file cannot be read now; that tells nothing of what it holds.
    """
    if files.unread:
        return PreparedScan(facts={"error": "not read"})
    file, mask = files.root / files.path, None
    try:
        decoded = decode(file, channel=files.series) if files.series else decode(file)
        image, geometry = preprocess(decoded.levels)
        geometry = replace(geometry, spacing=spacing_of(files.spacing))
        lesions = LesionFacts()
        if files.mask:
            drawn = read_mask(files.root, files.mask, size=decoded.levels.shape)
            if files.healthy and drawn.any():
                raise MriadError(
                    f"{file} is labelled healthy but its mask {files.mask} is not empty ({VALUES}); "
                    "mend one of the two."
                )
            if not files.healthy:
                mask = geometry.mask_to_network(drawn)
                lesions = LesionFacts.of(drawn, decoded.levels, geometry)
    except ReadError:
        raise
    except BlankScanError as error:
        return PreparedScan(facts={"error": f"{file}: {error}"})
    except MriadError as error:
        return PreparedScan(facts={"error": str(error)})
    # finding the head takes time, and a slice that is cut to it has its box
    box = (geometry.top, geometry.left, geometry.bottom, geometry.right)
    fingerprint = Fingerprint.of(decoded, head=box if preprocess.crop == "head" else None)
    return PreparedScan(
        facts={"error": "", **fingerprint.as_record(), **geometry.as_record(), **lesions.as_record()},
        images=image,
        masks=mask,
        thumbnails=thumbnail(decoded.levels),
    )
