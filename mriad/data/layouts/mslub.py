"""The Ljubljana set of multiple sclerosis (MSLUB): T1, T1c, T2 and FLAIR (Lesjak 2018, Neuroinformatics 16:51)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from mriad.data.catalog import Catalog
from mriad.data.layouts.contrasts import contrast_of, of_contrast
from mriad.data.layouts.files import data_folder, volume_files
from mriad.data.reading.suffixes import stem
from mriad.errors import MriadError

_PATIENT = re.compile(r"patient\d+", re.IGNORECASE)


def mslub(*, root: str | Path | None, download: bool = False, contrast: str | Sequence[str] | None = None) -> Catalog:
    """Catalog of multiple sclerosis: ``patientNN/[patientNN_]FLAIR``, ``T1W``, ``T1WKS``, ``T2W``, ``consensus_gt`` ...

    ``T1WKS`` is T1 after a contrast agent, ``brainmask`` the brain mask. The registered scans are taken; those in
    ``patientNN/raw/`` lie on grids of their own and are left out. In MNI space the lesions are in ``GOLD_STANDARD*``.
    Nobody is healthy: the set is for ``split=all_test``.

    Args:
        root: the unzipped folder.
        download: not used.
        contrast: 'FLAIR', 'T1', 'T1c' or 'T2'.

    Raises:
        MriadError: if there is no such folder, no scan in it, a patient lies in several folders, or no contrast is
            chosen.
    """
    start = data_folder(root, holds="the unzipped set, with patient01/ ... below it")
    files: defaultdict[Path, dict[str, Path]] = defaultdict(dict)
    for file in volume_files(start):
        if _PATIENT.fullmatch(file.parent.name):
            files[file.parent][re.sub(rf"^{_PATIENT.pattern}_", "", stem(file), flags=re.IGNORECASE).lower()] = file
    homes: dict[str, Path] = {}
    records = []
    for folder, named in files.items():
        lesions = [file for name, file in named.items() if name.startswith(("consensus_gt", "gold_standard"))]
        brains = [file for name, file in named.items() if name.startswith("brainmask")]
        if not lesions:
            continue
        patient = folder.name.lower()
        if homes.setdefault(patient, folder) != folder:
            raise MriadError(
                f"{patient} lies in {homes[patient]} and in {folder}: point data.root at the folder of one of the two."
            )
        records += [
            {
                "path": file.relative_to(start).as_posix(),
                "label": 1,
                "class": "multiple sclerosis",
                "mask": lesions[0].relative_to(start).as_posix(),
                "brain_mask": brains[0].relative_to(start).as_posix() if brains else "",
                "patient": patient,
                "contrast": known,
            }
            for name, file in named.items()
            if (known := contrast_of(name.split("_")[0]))
        ]
    if not records:
        raise MriadError(
            f"No scans found in {start}: expected folders like patient01/ with FLAIR.nii.gz and consensus_gt.nii.gz."
        )
    return Catalog.from_records(of_contrast(records, contrast, root=start), root=start)
