"""The series of a folder, told apart, and the one that is meant."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mriad.data.reading.content import unreadable
from mriad.data.reading.dicom.frames import Frame, frames_of
from mriad.data.reading.scan import Facts
from mriad.data.reading.suffixes import has_dicom_mark, volume_suffix
from mriad.errors import MriadError

_NAMED = 10  # series in a sentence


@dataclass(frozen=True, kw_only=True)
class Series:
    """The images of one contrast of one DICOM series, in no order.

    Args:
        frames: its images, at least one.
        contrast: what tells it from others under the same SeriesInstanceUID, as in 'echo time 98'; '' where none are.
    """

    frames: tuple[Frame, ...]
    contrast: str = ""

    @property
    def facts(self) -> Facts:
        """What the first of its files says of the series."""
        return self.frames[0].facts

    @property
    def files(self) -> list[Path]:
        """Its files, sorted by name."""
        return sorted({frame.file for frame in self.frames})

    @property
    def label(self) -> str:
        """Number, description and contrast."""
        name = f"{self.facts.series_number} '{self.facts.series}'" if self.facts.series else self.facts.series_number
        return f"{name or self.facts.series_uid} {self.contrast}".strip()

    @property
    def is_stack(self) -> bool:
        """Whether its images say where they lie, and are no localizer's: what a volume may be made of."""
        placed = all(frame.position and frame.directions and frame.spacing for frame in self.frames)
        return placed and not any("localizer" in dict(frame.contrasts)["image type"] for frame in self.frames)

    def matches(self, wanted: str) -> bool:
        """Whether a UID, a number or words of the description and contrast mean it."""
        facts = self.facts
        text = f"{facts.series} {self.contrast}".lower()
        exact = {facts.series_uid, facts.series_number, *text.split()}
        return all(word in exact or (not word.isdigit() and word in text) for word in wanted.lower().split())


def find_series(path: Path) -> list[Series]:
    """All series below a folder, or in a file; sorted by study, number and contrast.

    Images under one SeriesInstanceUID that share their places are told apart by echo time, image type (magnitude,
    phase), inversion time and b-value.

    Raises:
        ReadError: if a file cannot be read now.
        MriadError: if a file is damaged, or nothing is a DICOM image.
    """
    groups: dict[tuple[str, str], list[Frame]] = defaultdict(list)
    seen: set[tuple[str, int]] = set()
    others = 0
    for file in _files(path):
        if not _has_mark(file):
            others += 1
            continue
        for frame in frames_of(file):
            if not frame.uid or (frame.uid, frame.index) not in seen:  # a copy of the same image under another name
                seen.add((frame.uid, frame.index))
                groups[frame.facts.study, frame.facts.series_uid].append(frame)
    if not groups:
        if not path.is_dir():
            raise MriadError(f"{path} holds no DICOM image, whatever its name says; export it again or leave it out.")
        volumes = sum(bool(volume_suffix(file)) for file in _files(path))
        hint = f"it has {volumes} volumes of other formats, name one of those" if volumes else "name a folder that does"
        raise MriadError(f"{path} holds no DICOM image ({others} files of other kinds); {hint}.")
    found = [one for frames in groups.values() for one in _contrasts(frames, ())]
    return sorted(found, key=lambda one: (one.facts.study, _in_order(one.facts.series_number), one.label))


def choose(path: Path, found: Sequence[Series], wanted: str | None) -> Series:
    """The series that is meant; where none is named, the one MR series that is no localizer and no screen shot.

    Raises:
        MriadError: if none is, or several are.
    """
    matching = [one for one in found if wanted is None or one.matches(str(wanted))]
    if len(matching) > 1 and wanted is None:
        stacks = [one for one in matching if one.is_stack]
        matching = [one for one in stacks if one.facts.modality == "MR"] or stacks or matching
    if len(matching) == 1:
        return matching[0]
    named = matching or found
    same = len({one.label for one in named}) < len(named)
    listed = [
        f"{one.label} ({len(one.frames)} images{f', UID {one.facts.series_uid}' if same else ''})"
        for one in named[:_NAMED]
    ]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    asked = "" if wanted is None else f" {'of which several match' if matching else 'none of them'} series={wanted}"
    raise MriadError(
        f"{path} holds {len(found)} series,{asked or ' of which one is to be read'}: {'; '.join(listed)}{more}; choose "
        "one by its number, UID or words of its description, as in series=3 or series='t1 mprage'."
    )


def _contrasts(frames: list[Frame], split_by: tuple[int, ...]) -> Iterator[Series]:
    """Frames of one series, split until no two of a part lie in one place, as far as anything tells them apart."""
    places = {_place(frame) for frame in frames}
    if len(places) < len(frames):
        for kind in range(len(frames[0].contrasts)):
            values = sorted({frame.contrasts[kind][1] for frame in frames})
            if kind not in split_by and len(values) > 1:
                for value in values:
                    yield from _contrasts([f for f in frames if f.contrasts[kind][1] == value], (*split_by, kind))
                return
    contrast = ", ".join(" ".join(frames[0].contrasts[kind]) for kind in split_by)
    yield Series(frames=tuple(frames), contrast=contrast)


def _has_mark(file: Path) -> bool:
    try:
        return has_dicom_mark(file)
    except OSError as error:
        raise unreadable(file, error) from error


def _place(frame: Frame) -> object:
    rounded = [round(value, 2) for value in (*(frame.position or ()), *(frame.directions or ()))]
    return tuple(rounded) if rounded else (frame.uid, frame.index)


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    seen = set()
    for folder, inner, names in os.walk(path, followlinks=True, onerror=_raise):
        if (real := os.path.realpath(folder)) in seen:  # a link that leads back
            inner.clear()
            continue
        seen.add(real)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        yield from (Path(folder) / name for name in sorted(names) if not name.startswith("."))


def _raise(error: OSError) -> None:
    raise MriadError(
        f"The folder {error.filename} cannot be read ({error.strerror}), so that slices may be missing; "
        "make it readable."
    ) from error


def _in_order(number: str) -> tuple[int, str]:
    return (int(number), "") if number.isdigit() else (0, number)
