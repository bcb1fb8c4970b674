"""The synthetic set as a folder: made on first use, only read ever after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mriad.data.catalog import HEALTHY, Catalog
from mriad.data.synthetic.atlas import Atlas, load_atlas
from mriad.data.synthetic.cohort import Scan, diseased_scans, healthy_scans, kind_of
from mriad.data.synthetic.once import Records, made_once, of_all, require_within

VERSION = 1  # raise it whenever a change of the code changes a pixel: it is part of the folder's name

_LIMITS = {
    "healthy_subjects": (1, 100_000),
    "diseased_subjects": (1, 100_000),
    "slices_per_subject": (1, 64),
    "size": (128, 512),
    "seed": (0, 2**63 - 1),
    "workers": (1, 256),
}


def make_synthetic(
    root: Path | str,
    *,
    healthy_subjects: int = 180,
    diseased_subjects: int = 60,
    slices_per_subject: int = 4,
    size: int = 200,
    seed: int = 0,
    workers: int | None = None,
) -> Catalog:
    """The synthetic set below ``root``; it is made if no earlier call with these settings has made it.

    Subjects are bent from the MNI152 template that nilearn carries; nothing is downloaded. The same settings
    and seed give the same bytes, whatever ``workers`` is. Processes that make the set at once do not disturb
    each other: each makes its own, the first to finish wins, the others use what it made.

    Args:
        root: folder of the cached sets; each combination of settings has a folder of its own below it.
        healthy_subjects: people without a lesion.
        diseased_subjects: people with one lesion each, the kinds in turn.
        slices_per_subject: slices of each person; of a diseased one's a quarter, rounded down, is lesion-free.
        size: pixels along each side of a slice, 128..512.
        seed: draws the people, 0 or more.
        workers: threads that draw at once; None takes a thread per available core, 8 at most.

    Returns:
        A catalog whose root is the set's own folder.

    Raises:
        MriadError: if an argument is out of range, the folder cannot be written, or a made set has lost files.
    """
    settings = {
        "healthy_subjects": healthy_subjects,
        "diseased_subjects": diseased_subjects,
        "slices_per_subject": slices_per_subject,
        "size": size,
        "seed": seed,
    }
    require_within({**settings, "workers": 1 if workers is None else workers}, _LIMITS)
    folder = Path(root) / (
        f"synthetic-v{VERSION}-h{healthy_subjects}-d{diseased_subjects}-s{slices_per_subject}-px{size}-seed{seed}"
    )

    def make(unfinished: Path) -> Records:
        atlas = load_atlas()

        def make_subject(number: int) -> Records:
            diseased = number - healthy_subjects
            rng = np.random.default_rng([seed, max(diseased, -1) + 1, number])
            scans = _scans(diseased, rng=rng, atlas=atlas, size=size, slices=slices_per_subject)
            patient = f"patient-{diseased + 1:04d}" if diseased >= 0 else f"control-{number + 1:04d}"
            return [_write(unfinished, scan, patient, index) for index, scan in enumerate(scans)]

        return of_all(range(healthy_subjects + diseased_subjects), make_subject, workers=workers)

    return made_once(folder, make)


def _scans(diseased: int, *, rng: np.random.Generator, atlas: Atlas, size: int, slices: int) -> Iterator[Scan]:
    if diseased < 0:
        return healthy_scans(rng=rng, atlas=atlas, size=size, slices=slices)
    return diseased_scans(kind=kind_of(diseased), rng=rng, atlas=atlas, size=size, slices=slices)


def _write(folder: Path, scan: Scan, patient: str, index: int) -> dict[str, object]:
    """Write one slice and its mask; what the manifest says of it."""
    from PIL import Image

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
        "class": scan.kind or HEALTHY,
        "mask": f"masks/{name}" if scan.kind else "",
        "patient": patient,
        "plane": scan.plane,
        "contrast": scan.contrast,
        "pool": "",
    }
