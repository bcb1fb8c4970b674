"""Finding scans and folders as people have them: any letter case, links, litter in between.

What cannot be looked into is told, never passed by: a scan that is not found would be missing from every number.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mriad.data.reading.decode import IMAGE_SUFFIXES
from mriad.data.reading.suffixes import is_dicom, is_volume, volume_suffix
from mriad.errors import MriadError
from mriad.tables import printable

log = logging.getLogger(__name__)

_Folder = tuple[int, int]  # device and inode: the same folder under any name
_Chooser = Callable[[str, list[str]], list[str]]  # of a folder and its files: the paths that are scans

_LOOKED_AT = 50  # files of a folder in which a DICOM file is looked for


def data_folder(root: str | Path | None, *, holds: str) -> Path:
    """The folder that data.root names.

    Args:
        root: as it was given, ``~`` is the user's home.
        holds: what it should be pointed at, for who has not.

    Raises:
        MriadError: if there is no such folder.
    """
    if root is None:
        raise MriadError(f"data.root is not set: point it at {holds}.")
    folder = Path(root).expanduser().absolute()
    if folder.is_file():
        raise MriadError(f"{folder} is a file: point data.root at the folder of your scans.")
    if not folder.is_dir():
        raise MriadError(f"There is no folder {folder}: point data.root at your scans.")
    return folder


def image_files(folder: Path) -> list[Path]:
    """All images below a folder, however deep, sorted; hidden and system files and folders are left out.

    Links to folders are followed, but for those that lead back to a folder above them, which are told and left out; so
    are links that lead nowhere.

    Raises:
        MriadError: if a folder cannot be read.
    """
    return [Path(file) for file in sorted(_found(str(folder), _images, ()))]


def volume_files(folder: Path) -> list[Path]:
    """All files of volumes below a folder, however deep, sorted; DICOM files are left out.

    Links and litter are as in ``image_files``; so is what is raised.
    """
    return [Path(path) for path in sorted(_found(str(folder), _volumes, ()))]


def volumes(folder: Path) -> list[Path]:
    """All volumes below a folder, as ``volume_files`` has them, and the folders in which DICOM files lie."""
    return [Path(path) for path in sorted(_found(str(folder), _volumes_and_series, ()))]


def has_images(folder: Path) -> bool:
    """Whether at least one image lies below a folder, however deep."""
    return any(True for _ in _found(str(folder), _images, ()))


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


def _found(folder: str, choose: _Chooser, above: tuple[_Folder, ...]) -> Iterator[str]:
    """Scans in a folder that was come to through those ``above``."""
    if not os.path.isdir(folder):
        return
    here = _identity(folder)
    if here in above:
        log.warning("%s leads back to a folder that it lies in; it is not followed.", printable(folder))
        return
    entries = [entry for entry in _entries(folder) if not _litter(entry.name)]
    inner = sorted(os.path.join(folder, entry.name) for entry in entries if _is_folder(entry))
    files = sorted(os.path.join(folder, entry.name) for entry in entries if not _is_folder(entry))
    scans = choose(folder, files)
    yield from scans
    for path in sorted(set(files) - set(scans)):
        if os.path.islink(path) and not os.path.exists(path):
            log.warning("%s is a link that leads nowhere; what it stood for is not there.", printable(path))
    for path in inner:
        yield from _found(path, choose, (*above, here))


def _images(folder: str, files: list[str]) -> list[str]:
    return [file for file in files if os.path.splitext(file)[1].lower() in IMAGE_SUFFIXES]


def _volumes(_: str, files: list[str]) -> list[str]:
    return [file for file in files if volume_suffix(Path(file)) and is_volume(Path(file))]


def _volumes_and_series(folder: str, files: list[str]) -> list[str]:
    # a DICOM file may have any name or none: the first ones tell what a folder of thousands holds
    others = [file for file in files if not volume_suffix(Path(file)) and os.path.exists(file)]
    series = any(is_dicom(Path(file)) for file in others[:_LOOKED_AT])
    return [*([folder] if series else []), *_volumes(folder, files)]


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
