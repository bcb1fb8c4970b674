"""One person's slices, drawn and written; a worker process imports this file and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mriad.data.synthetic.atlas import Atlas
from mriad.data.synthetic.cohort import Scan, diseased_scans, healthy_scans, kind_of


def write_person(
    number: int, folder: Path, *, atlas: Atlas, healthy_subjects: int, slices_per_subject: int, size: int, seed: int
) -> list[dict[str, object]]:
    """Draw a person's slices and write them with their masks.

    Args:
        number: of the person, from 0 on; the healthy ones come first.
        folder: of the set.
        atlas: the mean brain.
        healthy_subjects, slices_per_subject, size, seed: see ``make_synthetic``.

    Returns:
        What the catalog says of each slice; class '' for a healthy one.
    """
    diseased = number - healthy_subjects
    rng = np.random.default_rng([seed, max(diseased, -1) + 1, number])
    patient = f"patient-{diseased + 1:04d}" if diseased >= 0 else f"control-{number + 1:04d}"
    scans = _scans(diseased, rng=rng, atlas=atlas, size=size, slices=slices_per_subject)
    return [_write(folder, scan, patient, index) for index, scan in enumerate(scans)]


def _scans(diseased: int, *, rng: np.random.Generator, atlas: Atlas, size: int, slices: int) -> Iterator[Scan]:
    if diseased < 0:
        return healthy_scans(rng=rng, atlas=atlas, size=size, slices=slices)
    return diseased_scans(kind=kind_of(diseased), rng=rng, atlas=atlas, size=size, slices=slices)


def _write(folder: Path, scan: Scan, patient: str, index: int) -> dict[str, object]:
    name = f"{patient}/{index + 1:02d}-{scan.plane}-{scan.contrast}.png"
    images = {f"scans/{name}": scan.picture.pixels}
    if scan.kind:
        images[f"masks/{name}"] = scan.picture.mask.astype(np.uint8) * 255
    for path, pixels in images.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / path, compress_level=3)
    return {
        "path": f"scans/{name}",
        "label": int(bool(scan.kind)),
        "class": scan.kind,
        "mask": f"masks/{name}" if scan.kind else "",
        "patient": patient,
        "plane": scan.plane,
        "contrast": scan.contrast,
        "pool": "",
    }
