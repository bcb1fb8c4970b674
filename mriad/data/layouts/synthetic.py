"""The built-in synthetic set, as a layout like the others."""

from __future__ import annotations

from pathlib import Path

from mriad.data.catalog import Catalog
from mriad.errors import MriadError


def synthetic(
    *,
    root: str | Path | None,
    download: bool = False,
    healthy_subjects: int,
    diseased_subjects: int,
    slices_per_subject: int,
    size: int,
    seed: int,
) -> Catalog:
    """Catalog of the synthetic set below ``root``, which is made on first use (see ``make_synthetic``).

    Args:
        root: folder that made sets are kept in; ``~`` is the user's home.
        download: not used, nothing is downloaded.
        healthy_subjects: people without a lesion.
        diseased_subjects: people with one.
        slices_per_subject: slices of each person.
        size: side of a slice in pixels.
        seed: draws the people.

    Raises:
        MriadError: if ``root`` is None or cannot be written, or a number is out of range.
    """
    # Making the set needs scipy and nilearn, which no other layout should have to wait for.
    from mriad.data.synthetic.dataset import make_synthetic

    if root is None:
        raise MriadError("data.root is not set: name a folder that the synthetic set can be kept in.")
    return make_synthetic(
        Path(root).expanduser().absolute(),
        healthy_subjects=healthy_subjects,
        diseased_subjects=diseased_subjects,
        slices_per_subject=slices_per_subject,
        size=size,
        seed=seed,
    )
