"""The maps of a prediction: which files a scan has, and what they are called."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from mriad.data.reading.scan import Scan
from mriad.data.reading.suffixes import DICOM_SUFFIXES, volume_suffix
from mriad.disk import written_whole
from mriad.errors import MriadError
from mriad.prediction.predictor import Prediction
from mriad.prediction.scan_files import (
    DICOM_ENDINGS,
    MAP_ENDING,
    MAPS,
    OVERLAY_ENDING,
    VOLUME_MAP_ENDING,
    VOLUME_MASK_ENDING,
    ScanFile,
)
from mriad.thresholds import Calibration
from mriad.writing import bids
from mriad.writing.dicom.algorithm import Algorithm

_Files = Iterator[tuple[Path, bytes]]


class MapFolder:
    """For each scan its map, at the scan's own size.

    A picture's is a float32 TIFF file, with a PNG of the map laid over the scan; a volume's is a float32 NIfTI file,
    with a mask of what lies above the pixel threshold, both on the scan's own grid. They lie in ``maps/``, by the
    scan's path from the folder that all scans have in common; where all are of one BIDS data set, they are its
    derivatives instead. Of a DICOM series they may be DICOM objects as well, or instead: mask, map and report.

    Args:
        folder: the folder of the prediction.
        scans: all scans.
        calibration: of the detector: it sets colours and masks.
        formats: of the maps of volumes: 'nifti', 'dicom' or both.
        algorithm: what DICOM objects say of the detector; needed for them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        scans: Sequence[ScanFile],
        calibration: Calibration,
        formats: Sequence[str] = ("nifti",),
        algorithm: Algorithm | None = None,
    ) -> None:
        self._folder, self._calibration = folder, calibration
        self._formats, self._algorithm = formats, algorithm
        self._names = _names(scans)
        roots = {scan.bids for scan in scans}
        self._bids = roots.pop() if len(roots) == 1 else None
        self._described = False
        self._written: set[tuple[int, int]] = set()

    def write(self, scan: ScanFile, read: Scan, found: Prediction) -> str:
        """Write the files of a scan.

        Returns:
            What went wrong, '' if nothing did.
        """
        try:
            for target, content in self._files(scan, read, found):
                self._save(target, content)
        except (OSError, ValueError, MemoryError, MriadError) as error:
            return f"its map cannot be written ({getattr(error, 'strerror', None) or error or 'memory is short'})"
        return ""

    def objects(self, scan: ScanFile) -> list[Path]:
        """Where the DICOM objects of a scan lie: mask, map and report."""
        return [Path(f"{self._folder / MAPS / self._names[scan]}{ending}") for ending in DICOM_ENDINGS.values()]

    def _files(self, scan: ScanFile, read: Scan, found: Prediction) -> _Files:
        if not read.is_volume:
            yield from self._of_picture(scan, read, found)
            return
        if "nifti" in self._formats and self._bids is not None:
            yield from self._derivatives(self._bids, scan, read, found)
        elif "nifti" in self._formats:
            yield from self._of_volume(scan, read, found)
        if "dicom" in self._formats:
            yield from self._of_series(scan, read, found)

    def _of_series(self, scan: ScanFile, read: Scan, found: Prediction) -> _Files:
        from mriad.writing.dicom.objects import as_bytes, result_objects  # with highdicom

        assert self._algorithm is not None
        made = result_objects(read, found, self._algorithm)
        yield from zip(self.objects(scan), map(as_bytes, made.values()), strict=True)

    def _of_picture(self, scan: ScanFile, read: Scan, found: Prediction) -> _Files:
        from mriad.writing.tiff import map_as_tiff, overlay_as_png

        # the name of a picture is kept whole, as that of one file among many formats
        name = self._names[scan]
        yield self._folder / MAPS / f"{name}{MAP_ENDING}", map_as_tiff(found.map)
        overlaid = overlay_as_png(read.levels[0], found.map, self._calibration)
        yield self._folder / MAPS / f"{name}{OVERLAY_ENDING}", overlaid

    def _of_volume(self, scan: ScanFile, read: Scan, found: Prediction) -> _Files:
        base = str(self._folder / MAPS / self._names[scan])
        yield Path(base + VOLUME_MAP_ENDING), self._map(read, found)
        yield Path(base + VOLUME_MASK_ENDING), self._mask(read, found)

    def _derivatives(self, root: Path, scan: ScanFile, read: Scan, found: Prediction) -> _Files:
        if not self._described:
            self._folder.mkdir(parents=True, exist_ok=True)
            with written_whole(self._folder / "dataset_description.json") as part:
                part.write_bytes(bids.description(root))
            self._described = True
        path = PurePosixPath(Path(os.path.abspath(scan.path)).relative_to(root).as_posix())
        is_share = found.map.min() >= 0 and found.map.max() <= 1
        anomaly_map = self._folder / bids.derivative(path, "probseg" if is_share else "map")
        yield anomaly_map.with_name(f"{anomaly_map.name}.json"), bids.sidecar(path, level=None)
        yield anomaly_map.with_name(f"{anomaly_map.name}.nii.gz"), self._map(read, found)
        mask = self._folder / bids.derivative(path, "mask")
        yield mask.with_name(f"{mask.name}.json"), bids.sidecar(path, level=self._calibration.pixel_threshold)
        yield mask.with_name(f"{mask.name}.nii.gz"), self._mask(read, found)

    def _map(self, read: Scan, found: Prediction) -> bytes:
        from mriad.writing.nifti import as_nifti  # a picture does without

        return as_nifti(found.map, read, description="mriad anomaly map")

    def _mask(self, read: Scan, found: Prediction) -> bytes:
        from mriad.writing.nifti import as_nifti

        level = self._calibration.pixel_threshold
        mask = (found.map > level).astype(np.uint8)
        return as_nifti(mask, read, description=f"mriad anomaly map above {level:.6g}")

    def _save(self, target: Path, content: bytes) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if self._is_ours(target):
            raise ValueError("the map of another scan has its name")
        with written_whole(target) as part:
            part.write_bytes(content)
        self._written.add(_identity(target))

    def _is_ours(self, target: Path) -> bool:
        """Whether this prediction has written a file, under whatever name the disk takes for the same."""
        try:
            return _identity(target) in self._written
        except FileNotFoundError:
            return False


def _names(scans: Sequence[ScanFile]) -> dict[ScanFile, str]:
    """Path of each scan's files below their folder, without ending.

    It is the scan's own, without the ending of a volume, where that is not the name of another scan too; else it has
    the series in it, or the ending.
    """
    places = {scan: os.path.abspath(scan.path) for scan in scans}
    base = os.path.commonpath([os.path.dirname(place) for place in places.values()])
    whole = {scan: os.path.relpath(place, base) for scan, place in places.items()}  # no '..' is left in it
    series = {scan: scan.series and "_" + re.sub(r"[^\w.-]+", "_", scan.series) for scan in scans}
    names = {scan: _without_ending(name) for scan, name in whole.items()}
    for others in (
        {scan: name + series[scan] for scan, name in names.items()},
        whole,
        {scan: name + series[scan] for scan, name in whole.items()},
    ):
        count = Counter(name.casefold() for name in names.values())
        names = {scan: name if count[name.casefold()] == 1 else others[scan] for scan, name in names.items()}
    return names


def _without_ending(name: str) -> str:
    ending = volume_suffix(name) or next((end for end in DICOM_SUFFIXES if name.lower().endswith(end)), "")
    return name[: len(name) - len(ending)] if len(os.path.basename(name)) > len(ending) else name


def _identity(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_dev, found.st_ino
