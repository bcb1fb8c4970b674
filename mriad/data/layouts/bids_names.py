"""What a file's name says in a BIDS data set, and which mask is of which scan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from mriad.data.layouts.contrasts import contrast_of
from mriad.data.reading.suffixes import stem
from mriad.errors import MriadError

_OF_MASKS = {"label", "desc", "space", "res", "den"}  # entities that a mask may have and its scan not
_OWN_SPACES = {"", "orig", "native", "individual"}
_CONTRAST_AGENT = "ce"
_LESIONS = ("lesion", "wmh", "tumor", "tumour", "stroke", "infarct")


@dataclass(frozen=True, kw_only=True)
class BidsName:
    """The parts of ``sub-01_ses-2_space-T1w_label-lesion_mask.nii.gz``.

    Args:
        path: below the root of the data set.
        entities: pairs such as ('sub', '01').
        words: what stands between them without a key, such as 'T1w' in ``sub-01_T1w_label-lesion_mask.nii.gz``.
        suffix: the last word, such as 'mask'.
    """

    path: PurePosixPath
    entities: dict[str, str]
    words: tuple[str, ...]
    suffix: str

    @classmethod
    def of(cls, path: PurePosixPath) -> Self | None:
        """The parts of a file's name; None if it does not begin with ``sub-`` or has no suffix."""
        parts = stem(Path(path)).split("_")
        pairs = [part.split("-", 1) for part in parts if "-" in part]
        words = tuple(part for part in parts if "-" not in part)
        if not parts[0].startswith("sub-") or "-" in parts[-1]:
            return None
        return cls(path=path, entities={key: value for key, value in pairs}, words=words[:-1], suffix=words[-1])

    @property
    def patient(self) -> str:
        """The participant, as in 'sub-01'."""
        return f"sub-{self.entities['sub']}"

    @property
    def session(self) -> str:
        """As in 'ses-2', '' where there is none."""
        return f"ses-{self.entities['ses']}" if "ses" in self.entities else ""

    @property
    def contrast(self) -> str:
        """The contrast of a scan, '' where the name is not that of a structural or diffusion scan."""
        known = contrast_of(self.suffix)
        if self.is_mask or self.entities.get("part", "mag") != "mag" or "task" in self.entities:
            return ""
        return "T1c" if known == "T1" and _CONTRAST_AGENT in self.entities else known

    @property
    def is_mask(self) -> bool:
        """Whether the file is a mask of something."""
        return self.suffix.lower() in ("mask", "msk")

    @property
    def is_brain_mask(self) -> bool:
        """Whether it is a mask of the brain."""
        return self.is_mask and "brain" in (self._said("desc"), self._said("label"))

    @property
    def is_lesion_mask(self) -> bool:
        """Whether it is a mask of lesions: one that says so, or that says nothing of what it is of."""
        label, desc = self._said("label"), self._said("desc")
        said = label == "l" or any(word in label + desc for word in _LESIONS)
        return self.is_mask and (said or not (label or desc))

    def _said(self, key: str) -> str:
        return self.entities.get(key, "").lower()

    def fits(self, scan: BidsName) -> bool:
        """Whether this mask is of that scan: of the same participant and session, and of nothing that it is not of."""
        own = {key: value for key, value in self.entities.items() if key not in _OF_MASKS}
        space, of_scan = self.entities.get("space", ""), scan.entities.get("space", "")
        same_space = space == of_scan or {space.lower(), of_scan.lower()} <= _OWN_SPACES
        contrasts = {contrast_of(word) for word in (*self.words, space)} - {""}
        return (
            own.items() <= scan.entities.items()
            and own.get("ses") == scan.entities.get("ses")
            and (same_space or contrast_of(space) != "")
            and contrasts <= {scan.contrast}
        )


def mask_of(scan: BidsName, masks: Iterable[BidsName]) -> str:
    """Path of the mask that fits a scan, '' where none does; one that names its contrast comes first.

    Raises:
        MriadError: if several fit equally well.
    """
    fitting = [mask for mask in masks if mask.fits(scan)]
    exact = [mask for mask in fitting if mask.words or contrast_of(mask.entities.get("space", ""))]
    meant = exact or fitting
    if len(meant) > 1:
        raise MriadError(
            f"{scan.path} has two masks, {meant[0].path} and {meant[1].path}: choose the folder they are taken from "
            "with data.layout.derivatives, or move one of them away."
        )
    return str(meant[0].path) if meant else ""
