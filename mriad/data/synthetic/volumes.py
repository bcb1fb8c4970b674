"""The synthetic set of whole heads as a folder of NIfTI files, as ``data=volumes`` reads it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mriad.data.catalog import Catalog
from mriad.data.synthetic.atlas import load_atlas
from mriad.data.synthetic.head_files import write_head
from mriad.data.synthetic.heads import HEAD_CONTRASTS
from mriad.data.synthetic.once import made_once, require_within
from mriad.errors import MriadError, unknown

VERSION = 2  # raise it whenever a change of the code changes a voxel: it is part of the folder's name

_FEW = 6  # people that one process has drawn by the time that others have started

_LIMITS = {
    "healthy_subjects": (1, 100_000),
    "diseased_subjects": (0, 100_000),
    "seed": (0, 2**63 - 1),
    "workers": (1, 256),
}


def make_synthetic_volumes(
    root: Path | str,
    *,
    healthy_subjects: int = 24,
    diseased_subjects: int = 16,
    spacing: float = 2.0,
    contrast: str = "T1",
    seed: int = 0,
    workers: int | None = None,
) -> Catalog:
    """The set below ``root``; it is made if no earlier call with these settings has made it.

    Heads are bent from the MNI152 template that nilearn carries, those of one seed are the same people in any contrast.
    Files differ in what scanners differ in: the order and direction of their axes, how oblique they are, and the factor
    between their numbers and intensities; none of it tells the diseased from the healthy. The same settings and seed
    give the same bytes, whatever ``workers`` is.

    Args:
        root: folder of the cached sets; each combination of settings has a folder of its own below it.
        healthy_subjects: people without a lesion.
        diseased_subjects: people with lesions of one kind, the kinds in turn.
        spacing: of the voxels, 1 to 4 mm.
        contrast: one of ``heads.HEAD_CONTRASTS``.
        seed: draws the people, 0 or more.
        workers: processes that draw at once; None takes one per available core, 8 at most. A few people are drawn by
            this process alone.

    Returns:
        A catalog whose root is the set's own folder.

    Raises:
        MriadError: if an argument is out of range, the folder cannot be written, or a made set has lost files.
    """
    settings = {"healthy_subjects": healthy_subjects, "diseased_subjects": diseased_subjects, "seed": seed}
    require_within({**settings, "workers": 1 if workers is None else workers}, _LIMITS)
    if isinstance(spacing, bool) or not isinstance(spacing, int | float) or not 1 <= spacing <= 4:
        raise MriadError(f"spacing of the synthetic set is {spacing!r}; give a number of mm from 1 to 4.")
    if contrast not in HEAD_CONTRASTS:
        raise unknown("data.contrast", contrast, HEAD_CONTRASTS)
    folder = Path(root) / (
        f"synthetic_volumes-v{VERSION}-h{healthy_subjects}-d{diseased_subjects}-mm{spacing:g}-{contrast}-seed{seed}"
    )

    return made_once(
        folder,
        lambda: partial(
            write_head,
            atlas=load_atlas(),
            healthy_subjects=healthy_subjects,
            spacing=spacing,
            contrast=contrast,
            seed=seed,
        ),
        people=healthy_subjects + diseased_subjects,
        workers=workers,
        few=_FEW,
        takes="under a minute",
    )
