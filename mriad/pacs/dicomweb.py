"""An archive that is asked by DICOMweb: what it holds (QIDO), its images (WADO), and results into it (STOW)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mriad.disk import make_private, written_whole
from mriad.errors import MriadError
from mriad.pacs.address import Address, is_uid
from mriad.pacs.session import Session

_PAGE = 500  # results of a query at once
_STUDY_UID, _SERIES_UID, _SOP = "0020000D", "0020000E", "00080018"
_NUMBER, _DESCRIPTION, _MODALITY = "00200011", "0008103E", "00080060"
_FAILED, _REASON = "00081198", "00081197"


@dataclass(frozen=True, kw_only=True)
class RemoteSeries:
    """A series in an archive.

    Args:
        study, uid: StudyInstanceUID and SeriesInstanceUID.
        number, description, modality: '' where the archive does not say.
    """

    study: str
    uid: str
    number: str = ""
    description: str = ""
    modality: str = ""

    def matches(self, wanted: str) -> bool:
        """Whether its UID, its number or words of its description are meant."""
        words, text = wanted.lower().split(), self.description.lower()
        exact = {self.uid, self.number, *text.split()}
        return all(word in exact or (not word.isdigit() and word in text) for word in words)


class DicomWeb:
    """An archive.

    Args:
        address: of the archive, or of what is meant in it.
        patience: seconds to go on trying where it does not answer.
    """

    def __init__(self, address: Address, *, patience: float = 300.0) -> None:
        self.address = address
        self._session = Session(address, patience=patience)

    def series(self) -> list[RemoteSeries]:
        """What the address means, MR series where its query names no modality.

        Raises:
            MriadError: if it means a whole archive, or the archive holds nothing of it.
            AwayError: if the archive does not answer.
        """
        address = self.address
        if not address.study and not address.of_studies and not address.of_series:
            raise MriadError(
                f"{address.name} is a whole archive; name a study (.../studies/UID) or ask for some, as in "
                "?PatientID=... or ?StudyDate=20260101-20260131."
            )
        asked = dict(address.of_series)
        modality = asked.get("Modality", "" if address.series else "MR")
        if address.study:
            studies = [address.study]
        else:
            of_modality = (("ModalitiesInStudy", modality),) if modality else ()
            found = self._query("studies", (*address.of_studies, *of_modality))
            studies = [_text(one, _STUDY_UID) for one in found]
        series = [
            RemoteSeries(
                study=study,
                uid=_text(one, _SERIES_UID),
                number=_text(one, _NUMBER),
                description=_text(one, _DESCRIPTION),
                modality=_text(one, _MODALITY),
            )
            for study in filter(is_uid, dict.fromkeys(studies))
            for one in self._query(f"studies/{study}/series", tuple(asked.items()))
        ]
        meant = [
            one
            for one in series
            if is_uid(one.uid)
            and address.series in ("", one.uid)
            and (not modality or one.modality in (modality, ""))
            and _matches(one, asked)
        ]
        if not meant:
            what = f"series {address.series}" if address.series else f"{modality} series ({len(series)} others)"
            raise MriadError(
                f"{address.name} holds no {what}; see that the address is right and that the login may see it."
            )
        return sorted(meant, key=lambda one: (one.study, _in_order(one.number), one.uid))

    def images(self, series: RemoteSeries) -> list[str]:
        """SOPInstanceUIDs of a series, sorted."""
        found = self._query(f"studies/{series.study}/series/{series.uid}/instances", ())
        return sorted(filter(is_uid, {_text(one, _SOP) for one in found}))

    def holds(self, study: str, instance: str) -> bool:
        """Whether a study has an instance."""
        return bool(self._instances(study, instance))

    def find(self, study: str, instance: str, folder: Path) -> Path | None:
        """Fetch one instance of a study into a folder; None if it is not there."""
        found = self._instances(study, instance)
        matching = [one for one in found if _text(one, _SOP) == instance and is_uid(_text(one, _SERIES_UID))]
        if not matching:
            return None
        series = RemoteSeries(study=study, uid=_text(matching[0], _SERIES_UID))
        return self._fetch_one(series, instance, folder)

    def fetch(self, series: RemoteSeries, folder: Path) -> None:
        """Fetch all images of a series into a folder, as the archive keeps them; what is there already stays.

        Raises:
            MriadError: if the archive refuses, or holds no image.
            AwayError: if it does not answer.
        """
        make_private(folder, below=folder.parent.parent)
        images = self.images(series)
        if not images:
            raise MriadError(f"{self.address.of_one(series.study, series.uid)} holds no image; see that it is right.")
        for image in images:
            self._fetch_one(series, image, folder)

    def store(self, files: Sequence[Path]) -> None:
        """Store DICOM files of one study, in one request; what the archive has already, it keeps.

        Raises:
            MriadError: if the archive refuses one.
            AwayError: if it does not answer.
        """
        if refused := _items(self._session.send("studies", files), _FAILED):
            reasons = sorted({_text(one, _REASON) or "no reason" for one in refused})
            raise MriadError(
                f"{self.address.name} has refused {len(refused)} of {len(files)} results (failure "
                f"{', '.join(reasons)}); see its log, and that the login may store."
            )

    def _fetch_one(self, series: RemoteSeries, image: str, folder: Path) -> Path:
        file = folder / f"{image}.dcm"
        if file.exists():
            return file
        content = self._session.file(f"studies/{series.study}/series/{series.uid}/instances/{image}")
        with written_whole(file) as part:
            part.write_bytes(content)
        return file

    def _instances(self, study: str, instance: str) -> list[dict[str, Any]]:
        return self._query(f"studies/{study}/instances", (("SOPInstanceUID", instance),))

    def _query(self, path: str, asked: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """All answers to a query, page by page."""
        found: dict[str, dict[str, Any]] = {}
        while True:
            before = len(found)
            for one in self._session.query(path, [*asked, ("limit", str(_PAGE)), ("offset", str(before))]):
                found.setdefault(" ".join(_text(one, tag) for tag in (_STUDY_UID, _SERIES_UID, _SOP)), one)
            if len(found) - before < _PAGE:  # or it knows no pages, and gives the same again
                return list(found.values())


def _items(told: Any, tag: str) -> list[dict[str, Any]]:
    told = told[0] if isinstance(told, list) and told else told
    return list(told.get(tag, {}).get("Value", [])) if isinstance(told, dict) else []


def _text(one: dict[str, Any], tag: str) -> str:
    values = one.get(tag, {}).get("Value") or [""]
    return "" if values[0] is None else str(values[0])


def _matches(one: RemoteSeries, asked: dict[str, str]) -> bool:
    """Whether a series is what a query asks for, should the archive not have looked at that."""
    known = {"SeriesInstanceUID": one.uid, "SeriesNumber": one.number}
    return all(asked.get(name) in (None, "", "*", value) for name, value in known.items())


def _in_order(number: str) -> tuple[int, str]:
    return (int(number), "") if number.isdigit() else (0, number)
