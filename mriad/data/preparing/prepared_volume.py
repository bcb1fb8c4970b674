"""One volume prepared, see ``mriad.data.preparing.prepared``."""

from __future__ import annotations

from dataclasses import asdict, replace

from mriad.data.preparing.entry import PreparedScan, ScanFiles, require_empty_if_healthy
from mriad.data.preparing.fingerprint import Fingerprint, thumbnail
from mriad.data.preparing.lesions import LesionFacts
from mriad.data.preparing.preprocess import BlankScanError
from mriad.data.preparing.volumes import PrepareVolume, middle_slice
from mriad.data.reading.read import read_scan
from mriad.data.reading.volume_masks import read_mask_on
from mriad.errors import MriadError


def prepare_volume(files: ScanFiles, preparation: PrepareVolume) -> PreparedScan:
    """Prepare one volume; hashes and thumbnail are those of the axial slice in its middle.

    Raises:
        ReadError: if it cannot be read now.
        MriadError: if it cannot be used.
    """
    scan = read_scan(files.path, series=files.series or None)
    brain = read_mask_on(files.root / files.brain_mask, scan.grid) if files.brain_mask else None
    try:
        image, geometry = preparation(scan, brain=brain)
    except BlankScanError:
        raise
    except MriadError as error:
        raise MriadError(f"{files.path}: {error}") from error
    mask, lesions = None, LesionFacts()
    if files.mask:
        original = read_mask_on(files.root / files.mask, scan.grid)
        require_empty_if_healthy(files, original)
        if not files.healthy:
            mask = geometry.mask_to_network(original)
            lesions = LesionFacts.of_volume(original, geometry, image=image, seen=mask)
    middle = middle_slice(scan, geometry)
    fingerprint = Fingerprint.of(middle)
    told = asdict(replace(scan.facts, patient=""))  # who it is has no place in a cache
    facts = {**told, **fingerprint.as_record(), **geometry.as_record(), **lesions.as_record()}
    return PreparedScan(image=image, mask=mask, thumbnail=thumbnail(middle.levels), facts=facts)
