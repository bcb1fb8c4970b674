"""A detector that was trained on DICOM series of patients whose names are easy to find again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from heads import head
from pydicom.uid import generate_uid
from volumes import write_dicom

from .command_line import Terminal

PLANTED = {
    "PatientName": "Zyxwvut^Qlorinda",
    "PatientID": "MRN47110815",
    "OtherPatientNames": "Vonplanter^Qlorinda",
    "PatientBirthDate": "19330708",
    "PatientAddress": "Grepgasse 99",
    "AccessionNumber": "ACC5566778",
    "InstitutionName": "Sankt Grepodorus",
    "ReferringPhysicianName": "Quonkdoc^Xaver",
    "StudyID": "STUDY998877",
}
"""What a scanner writes into each file of one person."""

WORDS = ("Zyxwvut", "Qlorinda", "MRN47110815", "Vonplanter", "19330708", "Grepgasse", "ACC5566778", "Grepodorus",
         "Quonkdoc", "STUDY998877")  # fmt: skip
SMALL = ("data.image_size=32", "data.preprocess.depth=32", "data.spacing=8", "logger.log_model=true")


def write_series(folder: Path, *, seed: int, lesion: bool = False, **tags: object) -> list[Path]:
    """A head as a scanner sends it, in 50 slices of the person of ``PLANTED``."""
    scan = head(codes="SPL", spacing=(4.8, 4.0, 4.0), scalp=300.0, lesion=lesion, seed=seed)
    common = {"StudyDate": "20260102", "StudyTime": "101112", "PatientSex": "F", "FrameOfReferenceUID": generate_uid()}
    return write_dicom(folder, scan.levels.astype(np.int16), scan.grid, **(common | PLANTED | tags))


def train_on_series(folder: Path) -> None:
    """Train plain intensity on DICOM series; the store, the checkpoint and all else lie in ``folder/work``."""
    for number in range(12):
        kind = "healthy" if number < 8 else "tumour"
        write_series(folder / "data" / kind / f"s{number}", seed=number, lesion=number >= 8)
    desk = Terminal(folder / "work")
    options = ("data=volumes", f"data.root={folder / 'data'}", "model=intensity", *SMALL)
    desk.train(*options, "split=grouped", "data.split.group=none", "hydra.run.dir=trained").ok()
