"""Finding image files and folders as people have them: any letter case, links, litter in between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mriad.data.decode import IMAGE_SUFFIXES


def image_files(folder: Path) -> list[Path]:
    """All images below a folder, however deep, sorted; hidden and system files and folders are left out."""
    return [Path(file) for file in sorted(_images(folder))]


def has_images(folder: Path) -> bool:
    """Whether at least one image lies below a folder, however deep."""
    return any(True for _ in _images(folder))


def subfolders(folder: Path, *names: str) -> list[Path]:
    """Direct subfolders with one of these names in any letter case, sorted; all of them without names."""
    if not folder.is_dir():
        return []
    wanted = {name.lower() for name in names}
    return sorted(
        path
        for path in folder.iterdir()
        if not _litter(path.name) and path.is_dir() and (not wanted or path.name.lower() in wanted)
    )


def start_of(root: Path, *names: str) -> Path:
    """Where a data set starts: the root, or the one folder in it that holds subfolders with these names.

    Zip files often unzip into a folder of their own; where several could be meant, the root is returned.
    """
    if not subfolders(root, *names):
        inner = [folder for folder in subfolders(root) if subfolders(folder, *names)]
        if len(inner) == 1:
            return inner[0]
    return root


def _images(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not _litter(name)]
        for name in names:
            if not _litter(name) and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                yield os.path.join(parent, name)


def _litter(name: str) -> bool:
    # .ipynb_checkpoints and the like are hidden; Thumbs.db is no image by its suffix.
    return name.startswith(".") or name == "__MACOSX"
