"""The WMH segmentation challenge of 2017: white matter lesions in FLAIR and T1 (Kuijf 2019, IEEE TMI 38:2556)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mriad.data.catalog import Catalog
from mriad.data.layouts.contrasts import contrast_of, of_contrast
from mriad.data.layouts.files import data_folder, volume_files
from mriad.data.reading.suffixes import stem
from mriad.errors import MriadError, unknown

_KINDS = ("pre", "orig")


def wmh(
    *,
    root: str | Path | None,
    download: bool = False,
    images: str = "pre",
    contrast: str | Sequence[str] | None = None,
) -> Catalog:
    """Catalog of white matter lesions: ``<site>/[<scanner>/]<id>/{orig,pre}/{FLAIR,T1}.nii.gz``, ``<id>/wmh.nii.gz``.

    Sites are Utrecht, Singapore and Amsterdam, with or without ``training/`` and ``test/`` above. Both labels of
    ``wmh.nii.gz`` are lesion: white matter hyperintensities (1), which the challenge counts, and other pathology (2),
    which it leaves out, but which is not healthy either. ``3DT1`` lies on another grid and is left out. Nobody is
    healthy: the set is for ``split=all_test``.

    Args:
        root: the unzipped folder.
        download: not used.
        images: 'pre' for the scans whose bias field was corrected, 'orig' for those as acquired.
        contrast: 'FLAIR' or 'T1'.

    Raises:
        MriadError: if there is no such folder, no scan in it, no contrast is chosen, or ``images`` is unknown.
    """
    if images not in _KINDS:
        raise unknown("data.layout.images", images, _KINDS)
    start = data_folder(root, holds="the unzipped challenge data, with Utrecht/, Singapore/ and Amsterdam/ below it")
    paths = [file.relative_to(start) for file in volume_files(start)]
    masks = {path.parent: path.as_posix() for path in paths if stem(path).lower() == "wmh"}
    records = [
        {
            "path": path.as_posix(),
            "label": 1,
            "class": "white matter lesions",
            "mask": masks.get(path.parents[1], ""),
            "patient": path.parents[1].as_posix(),
            "contrast": contrast_of(stem(path)),
        }
        for path in paths
        if path.parent.name.lower() == images and stem(path).lower() in ("flair", "t1")
    ]
    if not records:
        raise MriadError(f"No scans found in {start}: expected files like Utrecht/0/{images}/FLAIR.nii.gz below it.")
    return Catalog.from_records(of_contrast(records, contrast, root=start), root=start)
