"""The built-in set of whole heads, as a layout like the others."""

from __future__ import annotations

from pathlib import Path

from mriad.data.catalog import Catalog
from mriad.errors import MriadError


def synthetic_volumes(
    *,
    root: str | Path | None,
    download: bool = False,
    healthy_subjects: int,
    diseased_subjects: int,
    spacing: float,
    seed: int,
    contrast: str,
) -> Catalog:
    """Catalog of the synthetic heads below ``root``, which are made on first use (see ``make_synthetic_volumes``).

    Args:
        root: folder that made sets are kept in; ``~`` is the user's home.
        download: not used, nothing is downloaded.
        healthy_subjects: people without a lesion.
        diseased_subjects: people with some.
        spacing: of the voxels, mm.
        seed: draws the people.
        contrast: 'T1', 'T1c', 'T2' or 'FLAIR'.

    Raises:
        MriadError: if ``root`` is None or cannot be written, or an argument is out of range.
    """
    # Making the set needs scipy and nilearn, which no other layout should have to wait for.
    from mriad.data.synthetic.volumes import make_synthetic_volumes

    if root is None:
        raise MriadError("data.root is not set: name a folder that the synthetic set can be kept in.")
    return make_synthetic_volumes(
        Path(root).expanduser().absolute(),
        healthy_subjects=healthy_subjects,
        diseased_subjects=diseased_subjects,
        spacing=spacing,
        contrast=contrast,
        seed=seed,
    )
