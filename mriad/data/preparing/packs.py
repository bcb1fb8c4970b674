"""Scans that were prepared together, as they lie on disk: appended to once, then mapped into memory and read-only."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyarrow import ArrowException

from mriad.data.preparing.entry import PreparedScan
from mriad.data.preparing.fingerprint import THUMBNAIL_SIZE

log = logging.getLogger(__name__)

SMALL = (THUMBNAIL_SIZE, THUMBNAIL_SIZE)
_ARRAYS = ("images", "masks", "thumbnails")


@dataclass(frozen=True, kw_only=True)
class Pack:
    """Scans that were prepared together.

    Args:
        keys: what each of the n scans is known by.
        images: (n, *spatial) uint8.
        masks: (m, *spatial) uint8 lesion masks, 0 or 1.
        thumbnails: (n, 16, 16) uint8.
        facts: n rows: ``mask_index`` (row of ``masks`` or -1), and the facts of ``PreparedScan``.
    """

    keys: list[str]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    thumbnails: NDArray[np.uint8]
    facts: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> Pack | None:
        """What lies in a folder; None if it is not whole, as after a copy to a full disk."""
        try:
            keys = (folder / "keys.txt").read_text().split()
            facts = pd.read_parquet(folder / "facts.parquet")
            # a map beyond a file's end would be a bus error; NumPy sees that it is not
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
            if not len(keys) == len(arrays["images"]) == len(arrays["thumbnails"]) == len(facts):
                raise ValueError("rows are missing")
        except (ValueError, EOFError, FileNotFoundError, ArrowException) as error:
            log.warning("The scans in %s are damaged (%s) and are prepared again.", folder, error)
            return None
        return cls(keys=keys, facts=facts, **arrays)


def read_packs(home: Path) -> list[Pack]:
    """The packs of a folder that are whole."""
    folders = sorted(path for path in home.glob("pack-*") if path.is_dir())
    return [pack for folder in folders if (pack := Pack.read(folder)) is not None]


def write_pack(scans: Iterable[tuple[str, PreparedScan]], home: Path, *, spatial: tuple[int, ...]) -> None:
    """Keep scans as a pack, which appears whole or not at all; none where there is no scan.

    What a killed job has left, and packs that are damaged, are cleared.

    Args:
        scans: key and content of each.
        home: folder of the packs.
        spatial: shape of their images.

    Raises:
        OSError: if the disk does not take them.
    """
    for abandoned in home.glob("part-*"):
        if not _is_open(abandoned):
            shutil.rmtree(abandoned, ignore_errors=True)
    for damaged in home.glob("pack-*"):
        if Pack.read(damaged) is None:
            shutil.rmtree(damaged, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=f"part-{os.getpid()}-", dir=home))
    try:
        if keys := _write(scans, work, spatial):
            work.chmod(0o755)
            os.replace(work, home / f"pack-{hashlib.blake2b(' '.join(keys).encode(), digest_size=12).hexdigest()}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def forget_patients(home: Path) -> None:
    """Remove packs whose facts name patients: up to version 7 of the cache, those of DICOM series did."""
    for folder in home.glob("pack-*"):
        try:
            named = pd.read_parquet(folder / "facts.parquet", columns=["patient"])["patient"]
        except (OSError, ValueError, ArrowException):  # none is known there
            continue
        if named.fillna("").ne("").any():
            log.info("Removing %s, which an older mriad has written: it names patients.", folder)
            shutil.rmtree(folder, ignore_errors=True)


def _write(scans: Iterable[tuple[str, PreparedScan]], work: Path, spatial: tuple[int, ...]) -> list[str]:
    keys, records = [], []
    shapes = {"images": spatial, "masks": spatial, "thumbnails": SMALL}
    counts = dict.fromkeys(_ARRAYS, 0)
    with ExitStack() as files:
        streams = {name: files.enter_context(_new_array(work / f"{name}.npy", shapes[name])) for name in _ARRAYS}
        for key, scan in scans:
            keys.append(key)
            records.append(scan.facts | {"mask_index": -1 if scan.mask is None else counts["masks"]})
            for name, array in (("images", scan.image), ("masks", scan.mask), ("thumbnails", scan.thumbnail)):
                if array is not None:
                    streams[name].write(array.astype(np.uint8, copy=False).tobytes())
                    counts[name] += 1
        for name, stream in streams.items():
            stream.seek(0)
            _write_header(stream, (counts[name], *shapes[name]))
            stream.flush()
            os.fsync(stream.fileno())  # some drives say only now that they are full
    if keys:
        pd.DataFrame(records).to_parquet(work / "facts.parquet")
        (work / "keys.txt").write_text("\n".join(keys))
    return keys


def _is_open(part: Path) -> bool:
    """Whether the job that writes a folder is alive on this machine."""
    try:
        os.kill(int(part.name.split("-")[1]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, IndexError):  # another user's, or no folder of ours
        pass
    return True


def _new_array(file: Path, shape: tuple[int, ...]) -> BinaryIO:
    """A .npy file to which rows are written: on a full disk writing fails, where a memory map ends the process."""
    stream = file.open("wb")
    _write_header(stream, (0, *shape))
    return stream


def _write_header(stream: BinaryIO, shape: tuple[int, ...]) -> None:
    """The header of an array; NumPy keeps room in it for its first axis to grow."""
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})


class GatheredRows:
    """Rows that lie in several arrays, read like one array of them; rows that lie in none are zero.

    Args:
        parts: the arrays, (n, *shape) each.
        where: (N, 2) number of the array, -1 for none, and row in it.
        shape: of a row.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, parts: Sequence[NDArray[np.uint8]], where: NDArray[np.int64], shape: tuple[int, ...]) -> None:
        self._parts, self._where = parts, where
        self.shape = (len(where), *shape)

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        where = self._where[rows]
        if where.ndim == 1:
            number, index = where
            return self._parts[number][index] if number >= 0 else np.zeros(self.shape[1:], dtype=np.uint8)
        found = np.zeros((len(where), *self.shape[1:]), dtype=np.uint8)
        for number in np.unique(where[:, 0]):
            if number >= 0:
                here = where[:, 0] == number
                found[here] = self._parts[number][where[here, 1]]
        return found

    def __array__(self, *args: Any, **options: Any) -> NDArray[np.uint8]:
        return self[:].__array__(*args, **options)


Rows = NDArray[np.uint8] | GatheredRows


def gathered(parts: Sequence[NDArray[np.uint8]], where: NDArray[np.int64], shape: tuple[int, ...]) -> Rows:
    """Rows as ``GatheredRows`` takes them; where they are all that one array holds, in its order, that array."""
    if len(where) and (where[:, 0] == where[0, 0]).all() and where[0, 0] >= 0:
        whole = parts[where[0, 0]]
        if np.array_equal(where[:, 1], np.arange(len(whole))):
            return whole
    return GatheredRows(parts, where, shape)
