"""The synthetic set as a folder: made on first use, only read ever after."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mriad.data.catalog import Catalog
from mriad.data.synthetic.atlas import load_atlas
from mriad.data.synthetic.once import made_once, require_within
from mriad.data.synthetic.person import write_person

VERSION = 1  # raise it whenever a change of the code changes a pixel: it is part of the folder's name
_FEW = 24  # people that one process has drawn by the time that others have started

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
        workers: processes that draw at once; None takes one per available core, 8 at most. A few people are drawn by
            this process alone.

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
    return made_once(
        Path(root)
        / f"synthetic-v{VERSION}-h{healthy_subjects}-d{diseased_subjects}-s{slices_per_subject}-px{size}-seed{seed}",
        lambda: partial(
            write_person,
            atlas=load_atlas(),
            healthy_subjects=healthy_subjects,
            slices_per_subject=slices_per_subject,
            size=size,
            seed=seed,
        ),
        people=healthy_subjects + diseased_subjects,
        workers=workers,
        few=_FEW,
        takes="about half a minute",
    )
