"""What became of the lesion masks of a test: what is left out is counted beside the numbers that it would change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class ScanMasks(Sequence[Any]):
    """Lesion mask (*spatial) of each of n scans, None where there is none, read when it is asked for.

    Args:
        cache: has ``has_mask`` and ``masks_of``.
        rows: (n,) catalog rows.
    """

    def __init__(self, cache: Any, rows: NDArray[np.int64]) -> None:
        self.used: NDArray[np.bool_] = cache.has_mask(rows)
        self._cache, self._rows = cache, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, scan: Any) -> Any:
        return self._cache.masks_of(self._rows[[scan]])[0] if self.used[scan] else None


@dataclass(frozen=True, kw_only=True)
class MaskCounts:
    """Counts over the anomalous test scans.

    Args:
        scans: the scans.
        without: scans without a mask.
        empty: masks that hold nothing.
        doubtful: masks that cover too much of the head and are not used, see ``mriad.data.preparing.lesions``.
        cut: masks of which all lesions lie outside the crop.
        lesions: lesions in all masks that are used, at the scans' own size.
        outside: those that lie wholly outside the crop.
        merged: those that the network's size joins to another.
    """

    scans: int = 0
    without: int = 0
    empty: int = 0
    doubtful: int = 0
    cut: int = 0
    lesions: int = 0
    outside: int = 0
    merged: int = 0

    @classmethod
    def of(cls, masks: NDArray[np.object_], used: NDArray[np.bool_], facts: pd.DataFrame) -> Self:
        """Count.

        Args:
            masks: (n,) reference of the mask of each anomalous scan, '' for none.
            used: (n,) whether it is used.
            facts: n rows of ``mriad.data.preparing.lesions.LesionFacts``.
        """
        columns = ("lesions", "lesions_outside", "lesions_merged")
        lesions, outside, merged = (np.where(used, facts[name], 0).astype(np.int64) for name in columns)
        return cls(
            scans=len(masks),
            without=int((masks == "").sum()),
            empty=int((used & (lesions == 0)).sum()),
            doubtful=int(((masks != "") & ~used).sum()),
            cut=int((used & (lesions > 0) & (outside == lesions)).sum()),
            lesions=int(lesions.sum()),
            outside=int(outside.sum()),
            merged=int(merged.sum()),
        )

    @property
    def measured(self) -> int:
        """Scans with a lesion that the network sees."""
        return self.scans - self.without - self.empty - self.doubtful - self.cut

    def numbers(self) -> dict[str, float]:
        """Counts by the names under which they are logged; none where no scan has a mask."""
        if self.without == self.scans:
            return {}
        counts = {
            "scans_with_lesion": self.measured,
            "masks_empty": self.empty,
            "masks_doubtful": self.doubtful,
            "lesions": self.lesions,
            "lesions_outside": self.outside,
            "lesions_merged": self.merged,
        }
        return {name: float(count) for name, count in counts.items()}

    def sentence(self) -> str | None:
        """What is left out of the pixel and lesion numbers; None where nothing is, or no scan has a mask."""
        if self.without == self.scans or (self.measured == self.scans and not (self.outside or self.merged)):
            return None
        whose = (
            (self.without, "has no mask", "have no mask"),
            (self.empty, "has one that holds nothing", "have one that holds nothing"),
            (
                self.doubtful,
                "has one that covers too much of the head and is not used",
                "have one that covers too much of the head and is not used",
            ),
            (self.cut, "has its lesions outside the crop", "have their lesions outside the crop"),
        )
        left = [f"{count:,} {one if count == 1 else many}" for count, one, many in whose if count]
        scope = f"Pixel numbers are of {self.measured:,} of {self.scans:,} anomalous test scans"
        told = [f"{scope}: {', '.join(left)}" if left else scope]
        if self.outside:
            what = "lies outside the crop and counts" if self.outside == 1 else "lie outside the crop and count"
            told.append(f"{self.outside:,} of {self.lesions:,} lesions {what} as missed")
        if self.merged:
            what = "touches another" if self.merged == 1 else "touch another"
            count = "counts" if self.merged == 1 else "count"
            told.append(f"{self.merged:,} of {self.lesions:,} lesions {what} at network size and {count} with it")
        return f"{'; '.join(told)}."
