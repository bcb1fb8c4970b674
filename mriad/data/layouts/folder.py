"""A user's own scans, in one folder per class or listed in a CSV file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from mriad.data.catalog import HEALTHY, Catalog
from mriad.data.layouts.files import image_files, subfolders
from mriad.data.layouts.manifest import manifest_file, read_manifest
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

    Each anomaly folder is a class of its name. The mask of ``tumour/p1/scan.jpg`` is the first there is of
    ``masks/tumour/p1/scan.*``, ``masks/tumour/p1/scan_mask.*`` and ``tumour/p1/scan_mask.*``, in any image
    format. Images whose name ends in ``_mask`` are never scans.

    Args:
        root: folder that holds the class folders; with a manifest it may be None.
        download: not used, there is nothing to fetch.
        healthy: name of the folder of healthy scans, in any letter case; it may be absent.
        anomalies: names of the anomaly folders; None takes every folder but the healthy and the masks one.
        masks: name of the folder of lesion masks, in any letter case; it may be absent.
        manifest: CSV file that lists the scans instead (see ``read_manifest``): absolute, or relative to the
            working directory or to root. Folder names then mean nothing.

    Raises:
        MriadError: if the root, a named folder or the manifest is missing, or no scan is found.
    """
    if manifest is not None:
        return read_manifest(manifest_file(manifest, root=root), root=root)
    if root is None:
        raise MriadError(
            f"data.root is not set: point it at a folder that holds {healthy}/ and a folder for each "
            "anomaly, or set data.layout.manifest to a CSV file that lists the scans."
        )
    start = Path(root).expanduser().absolute()
    if not start.is_dir():
        if start.is_file():
            raise MriadError(f"{start} is a file: point data.root at the folder of your scans.")
        raise MriadError(f"There is no folder {start}: point data.root at your scans.")

    healthy_names, mask_names = _names(start, healthy), _names(start, masks)
    anomaly_names = _anomaly_names(start, anomalies, apart=healthy_names + mask_names)
    if HEALTHY in anomaly_names:
        raise MriadError(
            f"The folder {start / HEALTHY} would count as an anomaly because data.layout.healthy={healthy}; "
            f"set data.layout.healthy={HEALTHY}, or rename the folder."
        )
    if not healthy_names:
        log.warning("There is no folder %s; every scan of %s counts as anomalous.", healthy, start)

    images = {file.relative_to(start).with_suffix("").as_posix(): file for file in image_files(start)}
    records = []
    used: set[Path | None] = set()
    for name in healthy_names + anomaly_names:
        anomalous = name in anomaly_names
        for file in image_files(start / name):
            if file.stem.endswith("_mask"):
                continue
            path = file.relative_to(start)
            mask = _mask_of(path.with_suffix("").as_posix(), images, mask_names)
            used.add(mask)
            records.append(
                {
                    "path": path.as_posix(),
                    "label": int(anomalous),
                    "class": name if anomalous else HEALTHY,
                    # The mask of a healthy scan is empty and says no more than its label.
                    "mask": mask.relative_to(start).as_posix() if anomalous and mask else "",
                }
            )
    if not records:
        raise MriadError(f"No scans found in {start}: expected images in {healthy}/ and in a folder for each anomaly.")
    stray = [
        path
        for path, file in images.items()
        if (path.split("/")[0] in mask_names or path.endswith("_mask")) and file not in used
    ]
    if stray:
        log.warning("%d masks in %s belong to no scan, for example %s.", len(stray), start, images[stray[0]])
    return Catalog.from_records(records, root=start)


def _mask_of(stem: str, images: dict[str, Path], mask_names: list[str]) -> Path | None:
    in_mask_folder = [f"{top}/{stem}{ending}" for ending in ("", "_mask") for top in mask_names]
    return next((images[place] for place in [*in_mask_folder, f"{stem}_mask"] if place in images), None)


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
