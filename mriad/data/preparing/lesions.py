"""What a lesion mask holds, what of it reaches the network, and whether it can be meant so."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from mriad.anatomy import head_mask
from mriad.data.reading.levels import Levels
from mriad.errors import MriadError
from mriad.geometry import ScanGeometry, VolumeGeometry

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

VALUES = "every pixel that is neither black nor transparent counts as lesion"


@dataclass(frozen=True, kw_only=True)
class LesionFacts:
    """Facts of the lesion mask of one scan; those of a scan without a mask are the defaults.

    Args:
        lesions: 8-connected components of the mask at the scan's own size; 26-connected ones of a volume's.
        lesions_outside: those of them that lie wholly outside the crop, which no map can point at.
        lesions_merged: those inside it that the network's size joins to another, and that count with it as one.
        lesion_share: area of all lesions as share of the area of the head; above 1 where they are larger.
        lesion_in_head: share of that area which lies in the head.
    """

    lesions: int = 0
    lesions_outside: int = 0
    lesions_merged: int = 0
    lesion_share: float = 0.0
    lesion_in_head: float = 1.0

    @classmethod
    def of(cls, mask: NDArray[np.bool_], levels: Levels, geometry: ScanGeometry) -> Self:
        """Facts of a mask (H, W) beside its scan (H, W) and the way from it to the network."""
        lesions, inside, components = geometry.count_lesions(mask)
        if not lesions:
            return cls()
        head = head_mask(levels)
        return cls(
            lesions=lesions,
            lesions_outside=lesions - inside,
            lesions_merged=inside - components,
            lesion_share=float(mask.sum() / head.sum()),
            lesion_in_head=float(mask[head].sum() / mask.sum()),
        )

    @classmethod
    def of_volume(
        cls, mask: NDArray[np.bool_], geometry: VolumeGeometry, *, image: NDArray[np.uint8], seen: NDArray[np.bool_]
    ) -> Self:
        """Facts of a mask on its scan's grid, beside what the network sees of both.

        Args:
            mask: of the shape of the scan.
            geometry: the way to the network.
            image, seen: (D, S, S) scan and mask as the network sees them.
        """
        from scipy import ndimage  # a picture does without

        lesions, inside, components = geometry.count_lesions(mask)
        if not lesions:
            return cls()
        head = ndimage.binary_fill_holes(image > 0)
        return cls(
            lesions=lesions,
            lesions_outside=lesions - inside,
            lesions_merged=inside - components,
            lesion_share=float(seen.sum() / head.sum()),
            lesion_in_head=float(seen[head].sum() / max(seen.sum(), 1)),
        )

    def as_record(self) -> dict[str, object]:
        """The fields as plain values, for a table row."""
        return asdict(self)


def doubtful(
    table: pd.DataFrame, facts: pd.DataFrame, *, root: Path, most: float, tolerated: float
) -> NDArray[np.int64]:
    """Rows whose mask covers too much of the head to be a lesion; what else is odd about masks is told in the log.

    Args:
        table: N scans of a catalog.
        facts: N rows with ``error`` and the fields of ``LesionFacts``.
        root: of the catalog.
        most: largest share of the head that lesions may cover; 1 asks nothing.
        tolerated: largest share of the masks that may cover more.

    Raises:
        MriadError: if more of them do.
    """
    masked = ((table["mask"] != "") & (table["label"] == 1) & (facts["error"] == "")).to_numpy()
    path, mask = table["path"].to_numpy(), table["mask"].to_numpy()
    share = facts["lesion_share"].to_numpy(dtype=float)
    empty = np.flatnonzero(masked & (facts["lesions"].to_numpy() == 0))
    if len(empty):
        log.warning(
            "%d of %d lesion masks of anomalous scans in %s hold nothing, for example %s: these scans count without a "
            "mask; %s.",
            len(empty), masked.sum(), root, mask[empty[0]], VALUES,
        )  # fmt: skip
    large = np.flatnonzero(masked & (share > most) & (most < 1))
    outside = facts["lesion_in_head"].to_numpy(dtype=float) < 0.5
    elsewhere = np.setdiff1d(np.flatnonzero(masked & outside), large)
    if len(elsewhere):
        log.warning(
            "%d of %d lesion masks in %s lie for the most part outside the head, for example %s on %s: see whether "
            "they are turned, shifted or another scan's.",
            len(elsewhere), masked.sum(), root, mask[elsewhere[0]], path[elsewhere[0]],
        )  # fmt: skip
    if not len(large):
        return large
    first = large[np.argmax(share[large])]
    told = (
        f"{len(large)} of {masked.sum()} lesion masks in {root} cover more than {100 * most:g} % of the head, for "
        f"example {mask[first]} ({100 * min(share[first], 1):.0f} % of {path[first]}); {VALUES}"
    )
    remedy = "paint all else black, or set data.max_lesion=1 where they are right"
    if len(large) > tolerated * masked.sum():
        raise MriadError(f"{told}: {remedy}.")
    log.warning("%s. These masks are not used: %s.", told, remedy)
    return large
