"""Every scan prepared once: images, masks, thumbnails and facts in a folder that all jobs and data sets share."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import NDArray

from mriad.data.catalog import Catalog, content_hash
from mriad.data.preparing.entry import PreparedScan, ScanFiles
from mriad.data.preparing.fingerprint import THUMBNAIL_SIZE
from mriad.data.preparing.packs import SMALL, Pack, Rows, forget_patients, gathered, read_packs, write_pack
from mriad.data.preparing.prepared import FACTS, Preparation, prepare, prepare_all
from mriad.data.reading.masks import OUTLINE_REFERENCE
from mriad.errors import MriadError
from mriad.geometry import pixel_area, spacing_of

log = logging.getLogger(__name__)

_VERSION = 8  # raise it when an image or fact of the same file and settings comes out different


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

        A scan is known by the content of its files and the settings, and by the version of a library whose weights it
        is prepared with, so an edited file or another option never meets a stale image, and one more scan in a data set
        is one more to prepare. What is prepared together is kept together, in a pack, which appears whole or not at
        all. Jobs that start together prepare a data set once: the others wait. A scan that cannot be used is looked at
        anew each time.

        Args:
            catalog: scans with a ``content`` column.

        Raises:
            MriadError: if the folder cannot be written.
        """
        if not preparation.wants_brain:
            catalog = replace(catalog, table=catalog.table.assign(brain_mask=""))
        contents = _contents(catalog)
        settings = [type(preparation).__name__, asdict(preparation), *preparation.libraries]
        home = folder / "slices" / _hash([_VERSION, *settings])
        for version in range(_VERSION):
            forget_patients(folder / "slices" / _hash([version, *settings]))
        keys = [_key(scan, contents) for scan in catalog.table.to_dict("records")]
        errors: dict[str, str] = {}
        try:
            packs = read_packs(home)
            if missing := _missing(keys, packs):
                home.mkdir(parents=True, exist_ok=True)
                with FileLock(home / f"{_hash(sorted(missing))}.lock"):
                    packs = read_packs(home)
                    if missing := _missing(keys, packs):
                        errors = _prepare(catalog, preparation, missing, home)
                        packs = read_packs(home)
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
        cls, packs: Sequence[Pack], keys: Sequence[str], errors: Sequence[str], spatial: tuple[int, ...]
    ) -> ScanCache:
        place = {key: (number, index) for number, pack in enumerate(packs) for index, key in enumerate(pack.keys)}
        found = [(-1, 0) if error else place[key] for key, error in zip(keys, errors, strict=True)]
        where = np.array(found, dtype=np.int64).reshape(-1, 2)
        columns = pd.DataFrame(columns=[*FACTS, "mask_index"])
        known = pd.concat([pack.facts for pack in packs], ignore_index=True) if packs else columns
        starts = np.cumsum([0, *(len(pack.keys) for pack in packs)])
        of_row = np.where(where[:, 0] >= 0, starts[where[:, 0]] + where[:, 1], -1)
        facts = known.reindex(of_row).reset_index(drop=True).assign(error=errors)
        facts[[name for name in columns if name not in facts]] = None
        masked = np.flatnonzero(facts["mask_index"].fillna(-1) >= 0)
        of_mask = np.stack([where[masked, 0], facts["mask_index"].to_numpy()[masked].astype(np.int64)], axis=1)
        facts["mask_index"] = -1
        facts.loc[masked, "mask_index"] = np.arange(len(masked))
        return cls(
            images=gathered([pack.images for pack in packs], where, spatial),
            masks=gathered([pack.masks for pack in packs], of_mask, spatial),
            thumbnails=gathered([pack.thumbnails for pack in packs], where, SMALL),
            facts=facts,
        )

    def has_mask(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) booleans: whether each row has a lesion mask."""
        return self.mask_index(rows) >= 0

    def mask_index(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) place of each row's mask in ``masks``, -1 where it has none."""
        return self.facts["mask_index"].to_numpy()[rows]

    def masks_of(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n, *spatial) lesion masks of rows that have one."""
        return self.masks[self.mask_index(rows)].astype(bool)

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


def _missing(keys: Iterable[str], packs: Iterable[Pack]) -> dict[str, int]:
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
    errors: dict[str, str] = {}

    def usable() -> Iterator[tuple[str, PreparedScan]]:
        found = prepare_all([_files(catalog, row) for row in missing.values()], preparation)
        for key, scan in zip(missing, found, strict=True):
            if isinstance(scan, PreparedScan):
                yield key, scan
            else:
                errors[key] = str(scan)

    write_pack(usable(), home, spatial=preparation.spatial)
    return errors


def _why(catalog: Catalog, row: int, preparation: Preparation) -> str:
    """Why a scan or a mask of it could not be read."""
    scan = _files(catalog, row)
    try:
        prepare(scan, preparation)
    except MriadError as error:
        return str(error)
    return f"{scan.path} or its mask could not be read when the run began, though now it can; start again."
