"""What one acquisition gives, as its file keeps it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mriad.data.reading.levels import Levels
from mriad.geometry import Grid


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a file says of a scan besides its voxels; '' or NaN where it says nothing.

    Args:
        format: what the file is, such as 'NIfTI-1', 'DICOM' or 'JPEG'.
        mode: a picture's colour mode in the file, such as 'RGBA'.
        series: description of a DICOM series.
        series_uid: its SeriesInstanceUID.
        series_number: its number in the study.
        modality: as DICOM calls it, such as 'MR'.
        manufacturer, scanner: maker and model.
        field_strength: in tesla.
        patient: DICOM's PatientID.
        study: DICOM's StudyInstanceUID.
        echo_time, repetition_time, inversion_time: in ms.
        labels: whether the file says that its values are labels, not intensities.
        not_finite: number of voxels that were no finite number, and have the least level now.
    """

    format: str
    mode: str = ""
    series: str = ""
    series_uid: str = ""
    series_number: str = ""
    modality: str = ""
    manufacturer: str = ""
    scanner: str = ""
    field_strength: float = math.nan
    patient: str = ""
    study: str = ""
    echo_time: float = math.nan
    repetition_time: float = math.nan
    inversion_time: float = math.nan
    labels: bool = False
    not_finite: int = 0


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One scan as its file keeps it: axes in the file's order, intensities in its units.

    Args:
        levels: (D, H, W) intensities. Of a volume uint8, uint16 or int16 where the file keeps no more and no scale
            factor, else float32; all finite, any range. Of a picture (1, H, W), see
            ``mriad.data.reading.levels.Levels``.
        grid: where the voxels lie. A NIfTI file's axes are (i, j, k) as nibabel has them, a DICOM series' are (slice,
            row, column), those of NRRD and MetaImage as nibabel would have them too (fastest first).
        facts: what the file says besides.
        header: of a NIfTI file, its first bytes: what is written on the same grid can say the same of it.
        slices: of a DICOM series, for each slice its file and the number of its image in that, from 0 on.
    """

    levels: NDArray[Any]
    grid: Grid
    facts: Facts = field(default_factory=lambda: Facts(format=""))
    header: bytes = field(default=b"", repr=False)
    slices: tuple[tuple[Path, int], ...] = field(default=(), repr=False)

    @classmethod
    def of_picture(cls, levels: Levels, *, facts: Facts) -> Scan:
        """The scan of a picture (H, W)."""
        height, width = levels.shape
        return cls(levels=levels[None], grid=Grid.of_picture(height, width), facts=facts)

    @property
    def is_volume(self) -> bool:
        """Whether it has a place in space; a picture has none."""
        return self.grid.space == "scanner"
