"""Every scan decoded once: slices, masks, geometry and raw facts in a folder that all jobs share."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from filelock import FileLock
from joblib import Parallel, cpu_count, delayed
from joblib.externals.loky import get_reusable_executor
from numpy.typing import NDArray
from pyarrow import ArrowException

from mriad.data.catalog import Catalog, content_hash
from mriad.data.preparing.fingerprint import THUMBNAIL_SIZE
from mriad.data.preparing.one_scan import FACTS, Files, PreparedScan, prepare
from mriad.data.preparing.preprocess import Preprocess
from mriad.data.reading.decode import decode
from mriad.data.reading.masks import OUTLINE_REFERENCE, read_mask
from mriad.errors import MriadError
from mriad.geometry import pixel_area

log = logging.getLogger(__name__)

_VERSION = 6  # raise it when a slice or fact of the same file and settings comes out different
_ARRAYS = ("images", "masks", "thumbnails")
_MOST_WORKERS = 8
_FEW = 400  # scans that threads have prepared by the time that processes have started


@dataclass(frozen=True, kw_only=True)
class SliceCache:
    """The prepared slices of one catalog under one preprocessing, memory-mapped and read-only.

    Args:
        images: (N, S, S) uint8 slices in the catalog's order; a broken scan's slice is zero.
        masks: (M, S, S) uint8 lesion masks, 0 or 1.
        thumbnails: (N, 16, 16) uint8 copies of the whole original scans, before any scaling.
        facts: N rows: ``error`` ('' if the scan could be read), ``mask_index`` (row of ``masks`` or -1), and the
            fields of ``Fingerprint``, ``ScanGeometry`` and ``LesionFacts``.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    thumbnails: NDArray[np.uint8]
    facts: pd.DataFrame

    @classmethod
    def open(cls, catalog: Catalog, preprocess: Preprocess, *, folder: Path) -> SliceCache:
        """Open the cache of ``catalog`` below ``folder``; build it first if it is not there.

        The key is made of the files' contents and the settings, so an edited file or another option never
        meets a stale slice. Jobs that start together build it once: the others wait, and a folder appears whole or
        not at all.

        Args:
            catalog: scans with a ``content`` column.

        Raises:
            MriadError: if the folder cannot be written.
        """
        mask_contents = _mask_contents(catalog)
        home = folder / "slices" / _key(catalog, mask_contents, preprocess)
        try:
            cache = cls._read(home, catalog)
            if cache is None:
                home.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(f"{home}.lock"):
                    cache = cls._read(home, catalog)
                    if cache is None:
                        _build(catalog, mask_contents, preprocess, home)
                        cache = cls._read(home, catalog)
        except OSError as error:
            pictures = len(catalog) + int((catalog.table["mask"] != "").sum())
            megabytes = math.ceil(pictures * (preprocess.image_size**2 + THUMBNAIL_SIZE**2) / 10**6)
            raise MriadError(
                f"The slices of {len(catalog)} scans, {megabytes} MB, cannot be kept in {home.parent} "
                f"({error.strerror or error}); set data.cache_dir (or MRIAD_CACHE_DIR) to a folder that can be written "
                "and has room."
            ) from error
        if cache is None:
            raise MriadError(f"The slices in {home} were damaged as soon as they were written; look after that drive.")
        return cache._with_read_failures(catalog, mask_contents)

    @classmethod
    def _read(cls, home: Path, catalog: Catalog) -> SliceCache | None:
        """What lies in a cache's folder; None if it is not there, or is not whole, as after a copy to a full disk."""
        if not (home / "facts.parquet").exists():
            return None
        try:
            facts = pd.read_parquet(home / "facts.parquet")
            # a map beyond a file's end would be a bus error; NumPy sees that it is not
            images, masks, thumbnails = (np.load(home / f"{name}.npy", mmap_mode="r") for name in _ARRAYS)
            if not len(facts) == len(images) == len(thumbnails) == len(catalog):
                raise ValueError("rows are missing")
        except (ValueError, EOFError, FileNotFoundError, ArrowException) as error:
            log.warning("The slices in %s are damaged (%s) and are prepared again.", home, error)
            return None
        return cls(images=images, masks=masks, thumbnails=thumbnails, facts=facts)

    def _with_read_failures(self, catalog: Catalog, mask_contents: Mapping[str, str]) -> SliceCache:
        """The same cache, in which rows that this run could not read say why."""
        unread = _unread(catalog, mask_contents)
        if not unread.any():
            return self
        errors = self.facts["error"].copy()
        for row in np.flatnonzero(unread):
            path, reference = catalog.table["path"].iat[row], catalog.table["mask"].iat[row]
            errors.iat[row] = _why(catalog.root / path, reference, catalog.root)
        return replace(self, facts=self.facts.assign(error=errors))

    def has_mask(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) booleans: whether each row has a lesion mask."""
        return self.facts["mask_index"].to_numpy()[rows] >= 0

    def masks_of(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n, S, S) lesion masks of rows that have one."""
        return self.masks[self.facts["mask_index"].to_numpy()[rows]].astype(bool)

    def without_masks(self, rows: NDArray[np.int64]) -> SliceCache:
        """The same cache, in which these rows have no mask."""
        index = self.facts["mask_index"].to_numpy().copy()
        index[rows] = -1
        return replace(self, facts=self.facts.assign(mask_index=index))

    def pixel_area(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n,) areas of a slice's pixel in mm2, NaN where the spacing of the scan is unknown."""
        facts = self.facts.iloc[rows]
        fields = zip(facts["frame_height"], facts["frame_width"], facts["image_size"], facts["spacing"], strict=True)
        areas = [
            pixel_area(height, width, size, None if np.ndim(spacing) == 0 else spacing)
            for height, width, size, spacing in fields
        ]
        return np.array(areas, dtype=np.float32)


def _mask_contents(catalog: Catalog) -> dict[str, str]:
    """Hash of the file of each mask reference, '' where it cannot be read."""
    hash_of = lru_cache(maxsize=None)(content_hash)  # one file may hold the outlines of many scans
    references = [mask for mask in catalog.table["mask"].unique() if mask]
    return {mask: hash_of(catalog.root / _file_and_name(mask)[0]) for mask in references}


def _file_and_name(mask: str) -> tuple[str, str]:
    outline = OUTLINE_REFERENCE.fullmatch(mask)
    return (outline["file"], outline["name"]) if outline else (mask, "")


def _key(catalog: Catalog, mask_contents: Mapping[str, str], preprocess: Preprocess) -> str:
    columns = (catalog.table[column] for column in ("content", "mask", "spacing", "label", "series"))
    scans = [
        (
            *(content, mask_contents.get(mask, ""), _file_and_name(mask)[1]),
            *([spacing] if spacing else []),
            *(["healthy"] if mask and not label else []),
            *([f"series {series}"] if series else []),
        )
        for content, mask, spacing, label, series in zip(*columns, strict=True)
    ]
    identity = json.dumps([_VERSION, asdict(preprocess), scans])
    return hashlib.blake2b(identity.encode(), digest_size=12).hexdigest()


def _build(catalog: Catalog, mask_contents: Mapping[str, str], preprocess: Preprocess, home: Path) -> None:
    size = preprocess.image_size
    log.info("Preparing %d scans at %d px (once; kept in %s).", len(catalog), size, home)
    for abandoned in (home, *home.parent.glob(f"{home.name}-*")):  # damaged, or of a job that was killed
        shutil.rmtree(abandoned, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=f"{home.name}-", dir=home.parent))
    try:
        healthy = catalog.table["label"].to_numpy() == 0
        with_mask = (catalog.table["mask"] != "").to_numpy() & ~healthy
        mask_index = np.where(with_mask, np.cumsum(with_mask) - 1, -1)
        columns = [catalog.table[column] for column in ("path", "mask", "spacing", "series")]
        unread = _unread(catalog, mask_contents)
        scans = [
            Files(root=catalog.root, path=path, mask=mask, spacing=spacing, series=series, healthy=well, unread=lost)
            for path, mask, spacing, series, well, lost in zip(*columns, healthy.tolist(), unread.tolist(), strict=True)
        ]
        shapes = {
            "images": (len(catalog), size, size),
            "masks": (int(with_mask.sum()), size, size),
            "thumbnails": (len(catalog), THUMBNAIL_SIZE, THUMBNAIL_SIZE),
        }
        records = []
        with ExitStack() as opened:
            streams = {name: opened.enter_context(_new_array(work / f"{name}.npy", shapes[name])) for name in _ARRAYS}
            for row, prepared in enumerate(_prepared(scans, preprocess)):
                records.append(prepared.facts)
                for name, stream in streams.items():
                    if name != "masks" or with_mask[row]:
                        array = getattr(prepared, name)
                        array = np.zeros(shapes[name][1:], dtype=np.uint8) if array is None else array
                        stream.write(array.astype(np.uint8, copy=False).tobytes())
            for stream in streams.values():
                stream.flush()
                os.fsync(stream.fileno())  # some drives say only now that they are full
        facts = pd.DataFrame(records)
        for column in FACTS:
            if column not in facts:
                facts[column] = None
        facts["mask_index"] = np.where(facts["error"] == "", mask_index, -1)
        facts.to_parquet(work / "facts.parquet")
        work.chmod(0o755)
        os.replace(work, home)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _prepared(scans: Sequence[Files], preprocess: Preprocess) -> Iterator[PreparedScan]:
    """What is made of each scan, in their order.

    Python's lock lets a second thread save a fifth of the time; processes do not share it, but take time to start.
    """
    workers = min(_MOST_WORKERS, cpu_count())
    if workers == 1 or len(scans) < _FEW:
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(prepare, scans, repeat(preprocess))
        return
    pool = Parallel(n_jobs=workers, backend="loky", return_as="generator", batch_size=16)
    try:
        yield from pool(delayed(prepare)(files, preprocess) for files in scans)
    finally:
        get_reusable_executor().shutdown()  # else they wait five minutes for more


def _new_array(file: Path, shape: tuple[int, int, int]) -> BinaryIO:
    """A .npy file to which the rows are written: on a full disk writing fails, where a memory map ends the process."""
    stream = file.open("wb")
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream


def _unread(catalog: Catalog, mask_contents: Mapping[str, str]) -> NDArray[np.bool_]:
    """(N,) booleans: whether a scan or its mask could not be read when its content was asked for."""
    masks = catalog.table["mask"]
    return ((catalog.table["content"] == "") | ((masks != "") & (masks.map(mask_contents) == ""))).to_numpy()


def _why(unread: Path, reference: str, root: Path) -> str:
    """Why a scan or its mask could not be read."""
    try:
        size = decode(unread).levels.shape
        if reference:
            read_mask(root, reference, size=size)
    except MriadError as error:
        return str(error)
    return f"{unread} or its mask could not be read when the run began, though now it can; start again."
