"""An archive that is asked by DICOMweb: what it holds (QIDO), its images (WADO), and results into it (STOW)."""

from __future__ import annotations

import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import requests

from mriad.disk import make_private, written_whole
from mriad.errors import MriadError, ReadError
from mriad.pacs.address import Address, is_uid

log = logging.getLogger(__name__)

USER, PASSWORD, TOKEN = "MRIAD_DICOMWEB_USER", "MRIAD_DICOMWEB_PASSWORD", "MRIAD_DICOMWEB_TOKEN"
"""Environment variables that hold the login; without them that of the address counts, and then ``~/.netrc``."""

_JSON = "application/dicom+json"
_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_WAIT = (10.0, 120.0)  # seconds until it answers at all, and between two pieces of an answer
_LONGEST = 15.0  # seconds between two tries
_PAGE = 500  # results of a query at once
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_STUDY_UID, _SERIES_UID, _SOP_CLASS, _SOP = "0020000D", "0020000E", "00080016", "00080018"
_NUMBER, _DESCRIPTION, _MODALITY = "00200011", "0008103E", "00080060"
_FAILED, _REASON, _REFERENCED = "00081198", "00081197", "00081155"
_Answer = TypeVar("_Answer")


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


class AwayError(ReadError):
    """An archive does not answer."""


class DicomWeb:
    """An archive.

    What fails in passing (no connection, an answer that breaks off, 429, 5xx) is tried again at growing distances.

    Args:
        address: of the archive, or of what is meant in it.
        patience: seconds to go on trying.
    """

    def __init__(self, address: Address, *, patience: float = 300.0) -> None:
        self.address, self._patience = address, patience
        self._session = requests.Session()
        user, password = os.environ.get(USER) or address.user, os.environ.get(PASSWORD) or address.password
        if token := os.environ.get(TOKEN):
            self._session.auth = _Bearer(token)
        elif user:
            self._session.auth = (user, password)

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
        return bool(self._query(f"studies/{study}/instances", (("SOPInstanceUID", instance),)))

    def find(self, study: str, instance: str, folder: Path) -> Path | None:
        """Fetch one instance of a study into a folder; None if it is not there."""
        found = self._query(f"studies/{study}/instances", (("SOPInstanceUID", instance),))
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
        boundary = uuid.uuid4().hex
        body = b"".join(
            b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (boundary.encode(), file.read_bytes())
            for file in files
        )
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        end = b"--%s--\r\n" % boundary.encode()

        def post() -> Any:
            headers = {"Content-Type": kind, "Accept": _JSON}
            with self._session.post(self._url("studies"), data=body + end, headers=headers, timeout=_WAIT) as answer:
                if answer.status_code not in (200, 202, 409):  # which say what they took, and what not
                    self._require_ok(answer)
                return answer.json() if answer.content else {}

        told = self._patiently(post)
        refused = _items(told, _FAILED)
        if refused:
            reasons = sorted({_text(one, _REASON) or "no reason" for one in refused})
            raise MriadError(
                f"{self.address.name} has refused {len(refused)} of {len(files)} results (failure "
                f"{', '.join(reasons)}); see its log, and that the login may store."
            )

    def _fetch_one(self, series: RemoteSeries, image: str, folder: Path) -> Path:
        file = folder / f"{image}.dcm"
        if file.exists():
            return file
        url = self._url(f"studies/{series.study}/series/{series.uid}/instances/{image}")

        def get() -> bytes:
            with self._session.get(url, headers={"Accept": _DICOM}, timeout=_WAIT) as answer:
                self._require_ok(answer)
                return _only_part(answer)

        content = self._patiently(get)
        with written_whole(file) as part:
            part.write_bytes(content)
        return file

    def _query(self, path: str, asked: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """All answers to a query, page by page."""

        def page(start: int) -> list[dict[str, Any]]:
            parameters = [*asked, ("limit", str(_PAGE)), ("offset", str(start))]
            with self._session.get(
                self._url(path), params=parameters, headers={"Accept": _JSON}, timeout=_WAIT
            ) as answer:
                self._require_ok(answer)
                return list(answer.json()) if answer.content else []  # 204 where there is none

        found: dict[str, dict[str, Any]] = {}
        while True:
            before = len(found)
            for one in self._patiently(partial(page, before)):
                found.setdefault(" ".join(_text(one, tag) for tag in (_STUDY_UID, _SERIES_UID, _SOP)), one)
            if len(found) - before < _PAGE:  # or it knows no pages, and gives the same again
                return list(found.values())

    def _patiently(self, ask: Callable[[], _Answer]) -> _Answer:
        started: float | None = None
        for wait in _waits():
            try:
                return ask()
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                why = type(error).__name__
            except _PassingError as error:
                why = str(error)
            except requests.RequestException as error:
                raise MriadError(
                    f"{self.address.name} gives no answer that can be read ({type(error).__name__})."
                ) from None
            started = started or time.monotonic()
            if time.monotonic() - started + wait > self._patience:
                raise AwayError(
                    f"{self.address.name} does not answer ({why}), for {self._patience:g} s now; see that it runs, "
                    "then start again: what is done is not done again."
                )
            log.warning("%s does not answer (%s); another try in %.1f s.", self.address.name, why, wait)
            time.sleep(wait)
        raise AssertionError("waits never end")

    def _require_ok(self, answer: requests.Response) -> None:
        code = answer.status_code
        if code in _PASSING:
            raise _PassingError(f"{code} {answer.reason}")
        if code in (401, 403):
            raise MriadError(
                f"{self.address.name} refuses the login ({code}); set {USER} and {PASSWORD} or {TOKEN} in the "
                "environment, or put it into ~/.netrc."
            )
        if code == 404:
            raise MriadError(
                f"{self.address.name} does not know what was asked for (404); see that the path is that of its "
                "DICOMweb services, often /dicom-web, and that the study is there."
            )
        if code >= 400:
            raise MriadError(f"{self.address.name} refuses what was asked for ({code} {answer.reason}); see its log.")

    def _url(self, path: str) -> str:
        return f"{self.address.root}/{path}"


class _PassingError(Exception):
    """An answer that may be another one soon."""


class _Bearer(requests.auth.AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _waits() -> Iterator[float]:
    wait = 0.5
    while True:
        yield wait
        wait = min(2 * wait, _LONGEST)


def _only_part(answer: requests.Response) -> bytes:
    """The DICOM file in an answer of one part, or as a whole."""
    kind, body = answer.headers.get("Content-Type", ""), answer.content
    if not kind.lower().startswith("multipart/"):
        return body
    found = re.search(r'boundary="?([^";,]+)"?', kind)
    boundary = b"--" + (found[1].encode() if found else b"")
    start = body.find(b"\r\n\r\n", body.find(boundary))
    end = body.rfind(b"\r\n" + boundary)
    if start < 0 or end < start + 4:
        raise _PassingError("an answer that breaks off")
    return body[start + 4 : end]


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
