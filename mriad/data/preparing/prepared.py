"""Scans prepared, one or many side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING, TypeAlias, cast

from joblib import Parallel, cpu_count, delayed
from joblib.externals.loky import get_reusable_executor

from mriad.data.preparing.entry import PreparedScan, ScanFiles, require_empty_if_healthy
from mriad.data.preparing.fingerprint import Fingerprint, thumbnail
from mriad.data.preparing.lesions import LesionFacts
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
    decoded = decode(scan.path, channel=scan.series)
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
