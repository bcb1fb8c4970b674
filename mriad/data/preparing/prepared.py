"""One scan prepared: what a network sees of it, its mask, its thumbnail, and the facts of its file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
from joblib import Parallel, cpu_count, delayed
from joblib.externals.loky import get_reusable_executor
from numpy.typing import NDArray

from mriad.data.preparing.fingerprint import Fingerprint, thumbnail
from mriad.data.preparing.lesions import VALUES, LesionFacts
from mriad.data.preparing.preprocess import BlankScanError, Preprocess
from mriad.data.reading.decode import decode
from mriad.data.reading.masks import read_mask
from mriad.errors import MriadError, ReadError
from mriad.geometry import ScanGeometry

if TYPE_CHECKING:
    from mriad.data.preparing.volumes import PrepareVolume

_MOST_WORKERS = 8
_FEW = 400  # scans that threads have prepared by the time that processes have started

Preparation: TypeAlias = "Preprocess | PrepareVolume"

FACTS = tuple(name for facts in (Fingerprint, ScanGeometry, LesionFacts) for name in facts.__dataclass_fields__)


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


def prepare_all(scans: Sequence[ScanFiles], preparation: Preparation) -> Iterator[PreparedScan | MriadError]:
    """Prepare scans side by side, in their order; in the place of one that cannot be used there is the reason.

    Python's lock lets a second thread save a fifth of the time; processes do not share it, but take time to start.

    Raises:
        ReadError: if one cannot be read now, which tells nothing of what it holds.
    """
    workers = min(_MOST_WORKERS, cpu_count())
    if workers == 1 or len(scans) < _FEW:
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(_or_why, scans, repeat(preparation))
        return
    pool = Parallel(n_jobs=workers, backend="loky", return_as="generator", batch_size=16)
    try:
        yield from pool(delayed(_or_why)(scan, preparation) for scan in scans)
    finally:
        get_reusable_executor().shutdown()  # else they wait five minutes for more


def prepare(scan: ScanFiles, preparation: Preparation) -> PreparedScan:
    """Prepare one scan.

    Raises:
        ReadError: if it cannot be read now.
        MriadError: if it cannot be used.
    """
    if len(preparation.spatial) == 3:
        from mriad.data.preparing.prepared_volume import prepare_volume  # with libraries that a picture does without

        return prepare_volume(scan, cast("PrepareVolume", preparation))
    preparation = cast(Preprocess, preparation)
    decoded = decode(scan.path, channel=scan.series) if scan.series else decode(scan.path)
    image, geometry = preparation(decoded.levels)
    geometry = replace(geometry, spacing=scan.spacing)
    mask, lesions = None, LesionFacts()
    if scan.mask:
        original = read_mask(scan.root, scan.mask, size=decoded.levels.shape)
        require_empty_if_healthy(scan, original)
        if not scan.healthy:
            mask = geometry.mask_to_network(original)
            lesions = LesionFacts.of(original, decoded.levels, geometry)
    # finding the head takes time, and a slice that is cut to it has its box
    box = (geometry.top, geometry.left, geometry.bottom, geometry.right)
    fingerprint = Fingerprint.of(decoded, head=box if preparation.crop == "head" else None)
    facts = {**fingerprint.as_record(), **geometry.as_record(), **lesions.as_record()}
    return PreparedScan(image=image, mask=mask, thumbnail=thumbnail(decoded.levels), facts=facts)


def _or_why(scan: ScanFiles, preparation: Preparation) -> PreparedScan | MriadError:
    try:
        return prepare(scan, preparation)
    except ReadError:
        raise
    except BlankScanError as error:
        return MriadError(f"{scan.path}: {error}")
    except MriadError as error:
        return error


def require_empty_if_healthy(scan: ScanFiles, mask: NDArray[np.bool_]) -> None:
    """Raise a MriadError if a healthy scan has a mask that holds something."""
    if scan.healthy and mask.any():
        raise MriadError(
            f"{scan.path} is labelled healthy but its mask {scan.mask} is not empty ({VALUES}); mend one of the two."
        )
