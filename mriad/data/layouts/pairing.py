"""Which lesion mask belongs to which scan, told by their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from mriad.data.reading.suffixes import volume_suffix
from mriad.errors import MriadError

MARK = "_mask"


def is_marked(path: PurePosixPath) -> bool:
    """Whether the name of an image or volume says that it is a mask."""
    return _parts(path)[0].lower().endswith(MARK)


def pair_masks(scans: Iterable[PurePosixPath], masks: Mapping[PurePosixPath, PurePosixPath]) -> dict[str, str]:
    """Give each scan the mask of its name, and each mask to one scan.

    A mask has the name of its scan, or that name with ``_mask`` before the ending: its whole name (``case0.png``,
    ``case0_mask.png``), its whole name and another ending (``case0.png.tif``, ``case0.png_mask.tif``), or, where one
    scan alone is called so, its name up to the ending (``case0.tif``). The first of these that there is counts; letter
    case counts only where it tells two apart.

    Args:
        scans: paths of the scans.
        masks: path of each mask, and where it would lie beside its scan.

    Returns:
        mask by scan; what is in neither belongs to nothing.

    Raises:
        MriadError: if a name may mean several scans, or a scan has several masks.
    """
    by_name, by_stem = _Index(), _Index()
    for scan in scans:
        by_name.add(scan, scan)
        by_stem.add(scan.with_name(_parts(scan)[0]), scan)
    found: dict[str, str] = {}
    for mask, beside in sorted(masks.items()):
        stem, suffix = _parts(beside)
        bare = beside.with_name((stem[: -len(MARK)] if is_marked(beside) else stem) or stem)
        meant = by_name[bare.with_name(bare.name + suffix)] or by_name[bare] or by_stem[bare]
        if len(meant) > 1:
            one, other = meant[:2]
            raise MriadError(
                f"The mask {mask} may belong to {one} or to {other}: begin its name with the whole name of its scan, "
                f"as in {one.name}.png."
            )
        if not meant:
            continue
        name = str(meant[0])
        if name in found:
            raise MriadError(f"{name} has two masks, {found[name]} and {mask}: keep one, or rename the other's.")
        found[name] = str(mask)
    return found


def _parts(path: PurePosixPath) -> tuple[str, str]:
    """Name up to the ending and the ending, '.nii.gz' as one."""
    suffix = path.name[len(path.name) - len(volume_suffix(Path(path))) :] or path.suffix
    return path.name.removesuffix(suffix), suffix


class _Index:
    """Scans by a path; one that differs in letter case is found where none is exactly so."""

    def __init__(self) -> None:
        self._exact: defaultdict[str, list[PurePosixPath]] = defaultdict(list)
        self._folded: defaultdict[str, list[PurePosixPath]] = defaultdict(list)

    def add(self, path: PurePosixPath, scan: PurePosixPath) -> None:
        self._exact[str(path)].append(scan)
        self._folded[str(path).casefold()].append(scan)

    def __getitem__(self, path: PurePosixPath) -> list[PurePosixPath]:
        return self._exact.get(str(path)) or self._folded.get(str(path).casefold(), [])
