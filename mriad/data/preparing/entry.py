"""One entry of the cache: where its scan lies, what a network sees of it, its mask, its thumbnail, and its facts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mriad.data.preparing.lesions import VALUES
from mriad.errors import MriadError


@dataclass(frozen=True, kw_only=True)
class ScanFiles:
    """Where a scan lies, and what is known of it besides its pixels.

    Args:
        path: its file or folder.
        series: which DICOM series of the folder, or which channel of the picture; '' where there is one.
        root: folder that ``mask`` and ``brain_mask`` start from.
        mask, brain_mask: references, '' for none.
        spacing: mm per pixel of a picture, (row, column); None where unknown.
        healthy: whether it is labelled healthy, so that its mask must be empty.
    """

    path: Path
    root: Path
    series: str = ""
    mask: str = ""
    brain_mask: str = ""
    spacing: tuple[float, float] | None = None
    healthy: bool = False


@dataclass(frozen=True, kw_only=True)
class PreparedScan:
    """A scan as the cache keeps it.

    Args:
        image: (*spatial) uint8.
        mask: (*spatial) boolean; None where it has none.
        thumbnail: (16, 16) uint8.
        facts: the fields of ``Fingerprint``, of the geometry and of ``LesionFacts``.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    thumbnail: NDArray[np.uint8]
    facts: dict[str, object]


def require_empty_if_healthy(scan: ScanFiles, mask: NDArray[np.bool_]) -> None:
    """Raise a MriadError if a healthy scan has a mask that holds something."""
    if scan.healthy and mask.any():
        raise MriadError(
            f"{scan.path} is labelled healthy but its mask {scan.mask} is not empty ({VALUES}); mend one of the two."
        )
