"""Every scan prepared once: images, masks, thumbnails and facts in a folder that all jobs and data sets share."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import NDArray
from pyarrow import ArrowException

from mriad.data.catalog import Catalog, content_hash
from mriad.data.preparing.entry import PreparedScan, ScanFiles
from mriad.data.preparing.fingerprint import THUMBNAIL_SIZE
from mriad.data.preparing.prepared import FACTS, Preparation, prepare, prepare_all
from mriad.data.reading.masks import OUTLINE_REFERENCE
from mriad.errors import MriadError
from mriad.geometry import pixel_area, spacing_of

log = logging.getLogger(__name__)

_VERSION = 7  # raise it when an image or fact of the same file and settings comes out different
_ARRAYS = ("images", "masks", "thumbnails")


@dataclass(frozen=True, kw_only=True)
class ScanCache:
    """The prepared scans of one catalog under one preparation, memory-mapped and read-only.

    Args:
        images: (N, *spatial) uint8 in the catalog's order; that of a broken scan is zero.
        masks: (M, *spatial) uint8 lesion masks, 0 or 1.
        thumbnails: (N, 16, 16) uint8 copies of the original scans, before any scaling.
        facts: N rows: ``error`` ('' if the scan can be used), ``mask_index`` (row of ``masks`` or -1), and the facts of
            ``PreparedScan``.
    """

    images: Rows
    masks: Rows
    thumbnails: Rows
    facts: pd.DataFrame

    @classmethod
    def open(cls, catalog: Catalog, preparation: Preparation, *, folder: Path) -> ScanCache:
        """Open the cache of ``catalog`` below ``folder``; prepare first what is not there.

        A scan is known by the content of its files and the settings, so an edited file or another option never meets a
        stale image, and one more scan in a data set is one more to prepare. What is prepared together is kept together,
        in a pack, which appears whole or not at all. Jobs that start together prepare a data set once: the others wait.
        A scan that cannot be used is looked at anew each time.

        Args:
            catalog: scans with a ``content`` column.

        Raises:
            MriadError: if the folder cannot be written.
        """
        contents = _contents(catalog)
        home = folder / "slices" / _hash([_VERSION, type(preparation).__name__, asdict(preparation)])
        keys = [_key(scan, contents) for scan in catalog.table.to_dict("records")]
        errors: dict[str, str] = {}
        try:
            packs = _packs(home)
            if missing := _missing(keys, packs):
                home.mkdir(parents=True, exist_ok=True)
                with FileLock(home / f"{_hash(sorted(missing))}.lock"):
                    packs = _packs(home)
                    if missing := _missing(keys, packs):
                        errors = _prepare(catalog, preparation, missing, home)
                        packs = _packs(home)
        except OSError as error:
            pictures = len(catalog) + int((catalog.table["mask"] != "").sum())
            megabytes = math.ceil(pictures * (math.prod(preparation.spatial) + THUMBNAIL_SIZE**2) / 10**6)
            raise MriadError(
                f"The {len(catalog)} prepared scans, {megabytes} MB, cannot be kept in {home.parent} "
                f"({error.strerror or error}); set data.cache_dir (or MRIAD_CACHE_DIR) to a folder that can be written "
                "and has room."
            ) from error
        if lost := _missing(keys, packs).keys() - errors.keys():
            raise MriadError(
                f"{len(lost)} scans in {home} were damaged as soon as they were written; look after that drive."
            )
        why = [errors.get(key, "") if key else _why(catalog, row, preparation) for row, key in enumerate(keys)]
        return cls._of(packs, keys, why, preparation.spatial)

    @classmethod
    def _of(
        cls, packs: Sequence[_Pack], keys: Sequence[str], errors: Sequence[str], spatial: tuple[int, ...]
    ) -> ScanCache:
        place = {key: (number, index) for number, pack in enumerate(packs) for index, key in enumerate(pack.keys)}
        found = [(-1, 0) if errors[row] else place[key] for row, key in enumerate(keys)]
        where = np.array(found, dtype=np.int64).reshape(-1, 2)
        used = {number: packs[number].facts() for number in np.unique(where[:, 0]) if number >= 0}
        facts = pd.DataFrame(
            [used[number][index] | {"error": ""} if number >= 0 else {"error": errors[row]}
             for row, (number, index) in enumerate(found)]
        )  # fmt: skip
        for column in (*FACTS, "mask_index"):
            if column not in facts:
                facts[column] = None
        masked = np.flatnonzero(facts["mask_index"].fillna(-1) >= 0)
        of_mask = np.stack([where[masked, 0], facts["mask_index"].to_numpy()[masked].astype(np.int64)], axis=1)
        facts["mask_index"] = -1
        facts.loc[masked, "mask_index"] = np.arange(len(masked))
        small = (THUMBNAIL_SIZE, THUMBNAIL_SIZE)
        return cls(
            images=_rows([pack.images for pack in packs], where, spatial),
            masks=_rows([pack.masks for pack in packs], of_mask, spatial),
            thumbnails=_rows([pack.thumbnails for pack in packs], where, small),
            facts=facts,
        )

    def has_mask(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) booleans: whether each row has a lesion mask."""
        return self.facts["mask_index"].to_numpy()[rows] >= 0

    def masks_of(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n, *spatial) lesion masks of rows that have one."""
        return self.masks[self.facts["mask_index"].to_numpy()[rows]].astype(bool)

    def without_masks(self, rows: NDArray[np.int64]) -> ScanCache:
        """The same cache, in which these rows have no mask."""
        index = self.facts["mask_index"].to_numpy().copy()
        index[rows] = -1
        return replace(self, facts=self.facts.assign(mask_index=index))

    def pixel_area(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n,) mm2 that a pixel of each picture covers, or mm3 that a voxel of each volume fills; NaN where unknown."""
        facts = self.facts.iloc[rows]
        if "voxel_volume" in facts:
            return facts["voxel_volume"].to_numpy(dtype=np.float32)
        fields = zip(facts["frame_height"], facts["frame_width"], facts["image_size"], facts["spacing"], strict=True)
        areas = [
            pixel_area(height, width, size, None if np.ndim(spacing) == 0 else spacing)
            for height, width, size, spacing in fields
        ]
        return np.array(areas, dtype=np.float32)


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
            return self._row(*where)
        found = np.zeros((len(where), *self.shape[1:]), dtype=np.uint8)
        for number in np.unique(where[:, 0]):
            if number >= 0:
                here = where[:, 0] == number
                found[here] = self._parts[number][where[here, 1]]
        return found

    def __array__(self, *args: Any, **options: Any) -> NDArray[np.uint8]:
        return self[:].__array__(*args, **options)

    def _row(self, number: int, index: int) -> NDArray[np.uint8]:
        return self._parts[number][index] if number >= 0 else np.zeros(self.shape[1:], dtype=np.uint8)


Rows = NDArray[np.uint8] | GatheredRows


def _rows(parts: Sequence[NDArray[np.uint8]], where: NDArray[np.int64], shape: tuple[int, ...]) -> Rows:
    """The rows; where they are all that one array holds, in its order, that array."""
    if len(where) and (where[:, 0] == where[0, 0]).all() and where[0, 0] >= 0:
        whole = parts[where[0, 0]]
        if np.array_equal(where[:, 1], np.arange(len(whole))):
            return whole
    return GatheredRows(parts, where, shape)


@dataclass(frozen=True, kw_only=True)
class _Pack:
    """Scans that were prepared together, as they lie on disk."""

    home: Path
    keys: list[str]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    thumbnails: NDArray[np.uint8]

    @classmethod
    def read(cls, home: Path) -> _Pack | None:
        """What lies in a folder; None if it is not whole, as after a copy to a full disk."""
        try:
            keys = (home / "keys.txt").read_text().split()
            # a map beyond a file's end would be a bus error; NumPy sees that it is not
            images, masks, thumbnails = (np.load(home / f"{name}.npy", mmap_mode="r") for name in _ARRAYS)
            pack = cls(home=home, keys=keys, images=images, masks=masks, thumbnails=thumbnails)
            if not len(keys) == len(images) == len(thumbnails) or len(pack.facts()) != len(keys):
                raise ValueError("rows are missing")
        except (ValueError, EOFError, FileNotFoundError, ArrowException) as error:
            log.warning("The scans in %s are damaged (%s) and are prepared again.", home, error)
            return None
        return pack

    def facts(self) -> list[dict[str, Any]]:
        return pd.read_parquet(self.home / "facts.parquet").to_dict("records")


def _packs(home: Path) -> list[_Pack]:
    """The packs of a folder that are whole."""
    folders = sorted(path for path in home.glob("pack-*") if path.is_dir())
    return [pack for folder in folders if (pack := _Pack.read(folder)) is not None]


def _missing(keys: Iterable[str], packs: Iterable[_Pack]) -> dict[str, int]:
    """The first row of each key that no pack has, in the rows' order."""
    there = {key for pack in packs for key in pack.keys}
    rows: dict[str, int] = {}
    for row, key in enumerate(keys):
        if key and key not in there:
            rows.setdefault(key, row)
    return rows


def _contents(catalog: Catalog) -> dict[str, str]:
    """Hash of the file of each mask reference, '' where it cannot be read."""
    hash_of = lru_cache(maxsize=None)(content_hash)  # one file may hold the outlines of many scans
    references = {*catalog.table["mask"], *catalog.table.get("brain_mask", ())} - {""}
    return {mask: hash_of(catalog.root / _file_and_name(mask)[0]) for mask in references}


def _file_and_name(mask: str) -> tuple[str, str]:
    outline = OUTLINE_REFERENCE.fullmatch(mask)
    return (outline["file"], outline["name"]) if outline else (mask, "")


def _key(scan: Mapping[Any, Any], contents: Mapping[str, str]) -> str:
    """What a scan is known by; '' if it, or a mask of it, could not be read when its content was asked for."""
    references = [scan["mask"], scan.get("brain_mask", "")]
    known = [scan["content"], *(contents[reference] for reference in references if reference)]
    if "" in known:
        return ""
    healthy = "healthy" if scan["mask"] and not scan["label"] else ""
    names = [_file_and_name(reference)[1] for reference in references]
    masks = [contents.get(reference, "") for reference in references]
    return _hash([scan["content"], scan.get("series", ""), scan["spacing"], healthy, *masks, *names])


def _hash(identity: object) -> str:
    return hashlib.blake2b(json.dumps(identity).encode(), digest_size=12).hexdigest()


def _files(catalog: Catalog, row: int) -> ScanFiles:
    scan = catalog.table.iloc[row]
    return ScanFiles(
        path=catalog.root / scan["path"],
        root=catalog.root,
        series=scan.get("series", ""),
        mask=scan["mask"],
        brain_mask=scan.get("brain_mask", ""),
        spacing=spacing_of(scan["spacing"]),
        healthy=scan["label"] == 0,
    )


def _prepare(catalog: Catalog, preparation: Preparation, missing: Mapping[str, int], home: Path) -> dict[str, str]:
    """Prepare scans and keep them as a pack; returns why, by their key, some cannot be used."""
    log.info("Preparing %d scans (once; kept in %s).", len(missing), home)
    for abandoned in home.glob("part-*"):  # of a job that was killed
        if not _is_open(abandoned):
            shutil.rmtree(abandoned, ignore_errors=True)
    for damaged in home.glob("pack-*"):
        if _Pack.read(damaged) is None:
            shutil.rmtree(damaged, ignore_errors=True)
    errors: dict[str, str] = {}
    work = Path(tempfile.mkdtemp(prefix=f"part-{os.getpid()}-", dir=home))
    try:
        keys, records = [], []
        shapes = dict.fromkeys(_ARRAYS, preparation.spatial) | {"thumbnails": (THUMBNAIL_SIZE, THUMBNAIL_SIZE)}
        counts = dict.fromkeys(_ARRAYS, 0)
        with ExitStack() as files:
            streams = {name: files.enter_context(_new_array(work / f"{name}.npy", shapes[name])) for name in _ARRAYS}
            found = prepare_all([_files(catalog, row) for row in missing.values()], preparation)
            for key, scan in zip(missing, found, strict=True):
                if not isinstance(scan, PreparedScan):
                    errors[key] = str(scan)
                    continue
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
            work.chmod(0o755)
            os.replace(work, home / f"pack-{_hash(keys)}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return errors


def _is_open(part: Path) -> bool:
    """Whether the job that writes a folder is alive on this machine."""
    try:
        os.kill(int(part.name.split("-")[1]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, IndexError):
        return True
    return True


def _new_array(file: Path, shape: tuple[int, ...]) -> BinaryIO:
    """A .npy file to which rows are written: on a full disk writing fails, where a memory map ends the process."""
    stream = file.open("wb")
    _write_header(stream, (0, *shape))
    return stream


def _write_header(stream: BinaryIO, shape: tuple[int, ...]) -> None:
    """The header of an array; NumPy keeps room in it for its first axis to grow."""
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _why(catalog: Catalog, row: int, preparation: Preparation) -> str:
    """Why a scan or a mask of it could not be read."""
    scan = _files(catalog, row)
    try:
        prepare(scan, preparation)
    except MriadError as error:
        return str(error)
    return f"{scan.path} or its mask could not be read when the run began, though now it can; start again."
