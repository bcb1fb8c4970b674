"""Every scan decoded once: slices, masks, geometry and raw facts in a folder that all jobs share."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from joblib import cpu_count
from numpy.typing import NDArray

from mriad.data.catalog import Catalog, content_hash, spacing_of
from mriad.data.decode import decode
from mriad.data.fingerprint import THUMBNAIL_SIZE, Fingerprint, thumbnail
from mriad.data.geometry import ScanGeometry, pixel_area
from mriad.data.lesions import VALUES, LesionFacts
from mriad.data.masks import OUTLINE_REFERENCE, read_mask
from mriad.data.preprocess import Preprocess
from mriad.errors import MriadError

log = logging.getLogger(__name__)

_VERSION = 5  # raise it when a slice or fact of the same file and settings comes out different
_FACTS = tuple(name for facts in (Fingerprint, ScanGeometry, LesionFacts) for name in facts.__dataclass_fields__)


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
        home = folder / "slices" / _key(catalog, preprocess)
        try:
            if not (home / "facts.parquet").exists():
                home.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(f"{home}.lock"):
                    if not (home / "facts.parquet").exists():
                        _build(catalog, preprocess, home)
        except OSError as error:
            raise MriadError(
                f"The slices cannot be kept in {home.parent} ({error.strerror or error}); "
                "set data.cache_dir (or MRIAD_CACHE_DIR) to a folder that can be written and has room."
            ) from error
        return cls(
            images=np.load(home / "images.npy", mmap_mode="r"),
            masks=np.load(home / "masks.npy", mmap_mode="r"),
            thumbnails=np.load(home / "thumbnails.npy", mmap_mode="r"),
            facts=pd.read_parquet(home / "facts.parquet"),
        )

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


def _key(catalog: Catalog, preprocess: Preprocess) -> str:
    hashes: dict[str, str] = {"": ""}

    def identity_of(mask: str) -> tuple[str, str]:
        outline = OUTLINE_REFERENCE.fullmatch(mask)
        file, name = (outline["file"], outline["name"]) if outline else (mask, "")
        if file not in hashes:
            hashes[file] = content_hash(catalog.root / file)
        return hashes[file], name

    columns = (catalog.table[column] for column in ("content", "mask", "spacing", "label"))
    scans = [
        (content, *identity_of(mask), *([spacing] if spacing else []), *(["healthy"] if mask and not label else []))
        for content, mask, spacing, label in zip(*columns, strict=True)
    ]
    identity = json.dumps([_VERSION, asdict(preprocess), scans])
    return hashlib.blake2b(identity.encode(), digest_size=12).hexdigest()


def _build(catalog: Catalog, preprocess: Preprocess, home: Path) -> None:
    size = preprocess.image_size
    log.info("Preparing %d scans at %d px (once; kept in %s).", len(catalog), size, home)
    work = Path(tempfile.mkdtemp(prefix=f"{home.name}-", dir=home.parent))
    try:
        healthy = catalog.table["label"].to_numpy() == 0
        with_mask = np.flatnonzero((catalog.table["mask"] != "") & ~healthy)
        mask_index = np.full(len(catalog), -1)
        mask_index[with_mask] = np.arange(len(with_mask))
        images = _new_array(work / "images.npy", (len(catalog), size, size))
        masks = _new_array(work / "masks.npy", (len(with_mask), size, size))
        thumbnails = _new_array(work / "thumbnails.npy", (len(catalog), THUMBNAIL_SIZE, THUMBNAIL_SIZE))

        def prepare(row: int) -> dict[str, object]:
            file = catalog.root / catalog.table["path"].iat[row]
            reference = catalog.table["mask"].iat[row]
            try:
                decoded = decode(file)
                images[row], geometry = preprocess(decoded.levels)
                geometry = replace(geometry, spacing=spacing_of(catalog.table["spacing"].iat[row]))
                lesions = LesionFacts()
                if reference:
                    mask = read_mask(catalog.root, reference, size=decoded.levels.shape)
                    if healthy[row] and mask.any():
                        raise MriadError(
                            f"{file} is labelled healthy but its mask {reference} is not empty ({VALUES}); "
                            "mend one of the two."
                        )
                    if not healthy[row]:
                        masks[mask_index[row]] = geometry.mask_to_network(mask)
                        lesions = LesionFacts.of(mask, decoded.levels, geometry)
            except MriadError as error:
                return {"error": str(error)}
            thumbnails[row] = thumbnail(decoded.levels)
            # finding the head takes time, and a slice that is cut to it has its box
            box = (geometry.top, geometry.left, geometry.bottom, geometry.right)
            fingerprint = Fingerprint.of(decoded, head=box if preprocess.crop == "head" else None)
            return {"error": "", **fingerprint.as_record(), **geometry.as_record(), **lesions.as_record()}

        with ThreadPoolExecutor(max_workers=min(8, cpu_count())) as pool:
            facts = pd.DataFrame(pool.map(prepare, range(len(catalog))))
        for column in _FACTS:
            if column not in facts:
                facts[column] = None
        facts["mask_index"] = np.where(facts["error"] == "", mask_index, -1)
        facts.to_parquet(work / "facts.parquet")
        work.chmod(0o755)
        os.replace(work, home)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _new_array(file: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    if shape[0] == 0:  # an empty file cannot be mapped
        np.save(file, np.zeros(shape, dtype=np.uint8))
        return np.zeros(shape, dtype=np.uint8)
    return np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
