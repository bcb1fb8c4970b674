"""A user's own scans, in one folder per class or listed in a CSV file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from mriad.data.catalog import HEALTHY, Catalog
from mriad.data.layouts.files import data_folder, image_files, subfolders
from mriad.data.layouts.manifest import manifest_file, read_manifest
from mriad.data.layouts.pairing import is_marked, pair_masks
from mriad.errors import MriadError

log = logging.getLogger(__name__)


def folder(
    *,
    root: str | Path | None,
    download: bool = False,
    healthy: str = "healthy",
    anomalies: Sequence[str] | None = None,
    masks: str = "masks",
    manifest: str | Path | None = None,
) -> Catalog:
    """Catalog of one's own scans: ``root/<healthy>/``, ``root/<anomaly>/`` ..., optionally ``root/<masks>/``.

    Each anomaly folder is a class of its name. The mask of ``tumour/p1/scan.jpg`` is ``masks/tumour/p1/scan.*``,
    ``masks/tumour/p1/scan_mask.*`` or ``tumour/p1/scan_mask.*``, in any image format; ``pair_masks`` says what else it
    may be called. Images whose name ends in ``_mask`` are never scans. Masks of healthy scans are read too: they must
    be empty.

    Args:
        root: folder that holds the class folders; with a manifest it may be None.
        download: not used, there is nothing to fetch.
        healthy: name of the folder of healthy scans, in any letter case; it may be absent.
        anomalies: names of the anomaly folders; None takes every folder but the healthy and the masks one.
        masks: name of the folder of lesion masks, in any letter case; it may be absent.
        manifest: CSV file that lists the scans instead (see ``read_manifest``): absolute, or relative to the
            working directory or to root. Folder names then mean nothing.

    Raises:
        MriadError: if the root, a named folder or the manifest is missing, no scan is found, or it is not clear
            which scan a mask belongs to.
    """
    if manifest is not None:
        return read_manifest(manifest_file(manifest, root=root), root=root)
    start = data_folder(
        root,
        holds=f"a folder that holds {healthy}/ and a folder for each anomaly, or set data.layout.manifest to a CSV "
        "file that lists the scans",
    )
    records = in_class_folders(start, image_files(start), healthy=healthy, anomalies=anomalies, masks=masks)
    return Catalog.from_records(records, root=start)


def in_class_folders(
    start: Path,
    found: Sequence[Path],
    *,
    healthy: str,
    anomalies: Sequence[str] | None,
    masks: str,
    brain_masks: str | None = None,
) -> list[dict[str, object]]:
    """One record per scan of ``start/<healthy>/`` and ``start/<anomaly>/`` ..., with its class and masks.

    Args:
        start: the folder.
        found: all scans and masks below it.
        healthy, anomalies, masks: as ``folder`` has them.
        brain_masks: name of the folder of brain masks, which are called as lesion masks are; None for none.

    Raises:
        MriadError: if a named folder is missing, no scan is found, or it is not clear which scan a mask belongs to.
    """
    healthy_names, mask_names = _names(start, healthy), _names(start, masks)
    brain_names = _names(start, brain_masks) if brain_masks else []
    anomaly_names = _anomaly_names(start, anomalies, apart=healthy_names + mask_names + brain_names)
    if HEALTHY in anomaly_names:
        raise MriadError(
            f"The folder {start / HEALTHY} would count as an anomaly because data.layout.healthy={healthy}; "
            f"set data.layout.healthy={HEALTHY}, or rename the folder."
        )
    if not healthy_names:
        log.warning("There is no folder %s; every scan of %s counts as anomalous.", healthy, start)

    names = healthy_names + anomaly_names
    images = [PurePosixPath(file.relative_to(start).as_posix()) for file in found if file != start]
    scans = [image for image in images if image.parts[0] in names and not is_marked(image)]
    others = [other.name for other in subfolders(start)]
    lesions = _masks(images, names, mask_names, others=others)
    brains = {image: image.relative_to(image.parts[0]) for image in images if image.parts[0] in brain_names}
    mask_of, brain_of = pair_masks(scans, lesions), pair_masks(scans, brains)
    records = [
        {
            "path": str(scan),
            "label": int(scan.parts[0] in anomaly_names),
            "class": scan.parts[0] if scan.parts[0] in anomaly_names else HEALTHY,
            "mask": mask_of.get(str(scan), ""),
            "brain_mask": brain_of.get(str(scan), ""),
        }
        for scan in scans
    ]
    if not records:
        raise MriadError(f"No scans found in {start}: expected images in {healthy}/ and in a folder for each anomaly.")
    used = {*mask_of.values(), *brain_of.values()}
    if stray := [mask for mask in (*lesions, *brains) if str(mask) not in used]:
        log.warning(
            "%d of %d masks in %s belong to no scan, for example %s; a mask is called as its scan is.",
            len(stray),
            len(lesions) + len(brains),
            start,
            stray[0],
        )
    return records


def _masks(
    images: list[PurePosixPath], names: list[str], mask_names: list[str], *, others: list[str]
) -> dict[PurePosixPath, PurePosixPath]:
    """Each mask, and where it would lie beside its scan; those of folders that are left out are left out too."""
    beside = {
        image: image.relative_to(image.parts[0]) if image.parts[0] in mask_names else image
        for image in images
        if image.parts[0] in mask_names or is_marked(image)
    }
    out = {name.casefold() for name in others} - {name.casefold() for name in [*names, *mask_names]}
    return {mask: place for mask, place in beside.items() if place.parts[0].casefold() not in out}


def _names(start: Path, name: str) -> list[str]:
    return [found.name for found in subfolders(start, name)]


def _anomaly_names(start: Path, anomalies: Sequence[str] | None, *, apart: list[str]) -> list[str]:
    there = [found.name for found in subfolders(start) if found.name not in apart]
    if anomalies is None:
        return there
    named = [anomalies] if isinstance(anomalies, str) else list(anomalies)
    for name in named:
        if name not in there:
            raise MriadError(f"There is no anomaly folder {name} in {start}; there are: {', '.join(there) or 'none'}.")
    return named
