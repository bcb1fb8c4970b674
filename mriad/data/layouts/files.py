"""Finding image files and folders as people have them: any letter case, links, litter in between.

What cannot be looked into is told, never passed by: a scan that is not found would be missing from every number.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from mriad.data.reading.decode import IMAGE_SUFFIXES
from mriad.errors import MriadError
from mriad.tables import printable

log = logging.getLogger(__name__)

_Folder = tuple[int, int]  # device and inode: the same folder under any name


def image_files(folder: Path) -> list[Path]:
    """All images below a folder, however deep, sorted; hidden and system files and folders are left out.

    Links to folders are followed, but for those that lead back to a folder above them, which are told and left out; so
    are links that lead nowhere.

    Raises:
        MriadError: if a folder cannot be read.
    """
    return [Path(file) for file in sorted(_images(str(folder), ()))]


def has_images(folder: Path) -> bool:
    """Whether at least one image lies below a folder, however deep."""
    return any(True for _ in _images(str(folder), ()))


def subfolders(folder: Path, *names: str) -> list[Path]:
    """Direct subfolders with one of these names in any letter case, sorted; all of them without names.

    Raises:
        MriadError: if the folder cannot be read.
    """
    if not folder.is_dir():
        return []
    wanted = {name.lower() for name in names}
    return sorted(
        folder / entry.name
        for entry in _entries(str(folder))
        if not _litter(entry.name) and _is_folder(entry) and (not wanted or entry.name.lower() in wanted)
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


def _images(folder: str, above: tuple[_Folder, ...]) -> Iterator[str]:
    """Images in a folder that was come to through those ``above``."""
    if not os.path.isdir(folder):
        return
    here = _identity(folder)
    if here in above:
        log.warning("%s leads back to a folder that it lies in; it is not followed.", printable(folder))
        return
    for entry in sorted(_entries(folder), key=lambda entry: entry.name):
        if _litter(entry.name):
            continue
        path, image = os.path.join(folder, entry.name), os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES
        if _is_folder(entry):
            yield from _images(path, (*above, here))
        elif image:
            yield path
        elif entry.is_symlink() and not os.path.exists(path):
            log.warning("%s is a link that leads nowhere; what it stood for is not there.", printable(path))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise _unreadable(folder, error) from error


def _identity(folder: str) -> _Folder:
    try:
        found = os.stat(folder)
    except OSError as error:
        raise _unreadable(folder, error) from error
    return found.st_dev, found.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _unreadable(folder: str, error: OSError) -> MriadError:
    return MriadError(
        f"The folder {folder} cannot be read ({error.strerror or error}), so that scans may be missing: "
        "make it readable, or move it elsewhere."
    )


def _litter(name: str) -> bool:
    # .ipynb_checkpoints and the like are hidden; Thumbs.db is no image by its suffix.
    return name.startswith(".") or name == "__MACOSX"
