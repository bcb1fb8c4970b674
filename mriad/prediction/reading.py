"""A scan file as a detector sees it."""

from __future__ import annotations

from mriad.data.reading.read import read_scan
from mriad.data.reading.scan import Scan
from mriad.data.reading.volume_masks import read_mask_on
from mriad.errors import MriadError
from mriad.prediction.predictor import Predictor, Prepared
from mriad.prediction.scan_files import ScanFile


def read_prepared(file: ScanFile, predictor: Predictor) -> tuple[Scan, Prepared]:
    """Read a scan, and prepare it; may be called in several threads.

    Raises:
        MriadError: if it cannot be read, or is nothing for this detector.
    """
    scan = read_scan(file.path, series=file.series or None)
    return scan, prepared_for(predictor, scan, file)


def prepared_for(predictor: Predictor, scan: Scan, file: ScanFile) -> Prepared:
    """Prepare a scan that was read from a file.

    Raises:
        MriadError: if its brain mask cannot be read, or it is nothing for this detector.
    """
    wanted = file.brain_mask if scan.is_volume and predictor.wants_brain else None
    brain = read_mask_on(wanted, scan.grid) if wanted else None
    try:
        return predictor.prepare(scan, spacing=file.spacing, brain=brain)
    except MriadError as error:
        raise MriadError(f"{file.name}: {error}") from error
