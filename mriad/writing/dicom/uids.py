"""Names of results: the same input under the same detector has the same UIDs, whoever scores it and how often."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

_MARK = uuid.UUID("5d0c8f4e-2c1b-4d8e-9a55-6f7b0f3f1a01")  # of mriad's results, chosen by chance


@dataclass(frozen=True, kw_only=True)
class Uids:
    """SOPInstanceUIDs of the results of one series, and the UIDs of the series that they stand in.

    Args:
        series: of mask, map and report.
        mask, map, report: instances.
    """

    series: tuple[str, str, str]
    mask: str
    map: str
    report: str


def result_uids(series: str, images: Iterable[str], *, detector: str) -> Uids:
    """The UIDs of what a detector says of a series.

    Args:
        series: SeriesInstanceUID.
        images: SOPInstanceUIDs of its files in any order: with an image more it is another result of the same series.
        detector: what tells the detector, with its thresholds, from any other.
    """
    of_images = " ".join(sorted(set(images)))
    own = (uid_of(series, detector, kind) for kind in ("mask series", "map series", "report series"))
    first, second, third = own
    mask, map_, report = (uid_of(series, detector, of_images, kind) for kind in ("mask", "map", "report"))
    return Uids(series=(first, second, third), mask=mask, map=map_, report=report)


def tracking_uid(result: str, lesion: int) -> str:
    """The UID of a lesion, by the UID of the result that shows it and its number there."""
    return uid_of(result, "lesion", str(lesion))


def uid_of(*parts: str) -> str:
    """The UID that texts make, always the same: a UUID (DICOM PS3.5, B.2) that hashes them."""
    return f"2.25.{uuid.uuid5(_MARK, chr(0).join(parts)).int}"
