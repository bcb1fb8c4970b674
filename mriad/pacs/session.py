"""How an archive is asked by DICOMweb: with a login, with patience, and in parts where DICOM files travel."""

from __future__ import annotations

import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import requests

from mriad.errors import MriadError, ReadError
from mriad.pacs.address import Address

log = logging.getLogger(__name__)

USER, PASSWORD, TOKEN = "MRIAD_DICOMWEB_USER", "MRIAD_DICOMWEB_PASSWORD", "MRIAD_DICOMWEB_TOKEN"
"""Environment variables that hold the login; without them that of the address counts, and then ``~/.netrc``."""

_JSON = "application/dicom+json"
_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_WAIT = (10.0, 120.0)  # seconds until it answers at all, and between two pieces of an answer
_LONGEST = 15.0  # seconds between two tries
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_Answer = TypeVar("_Answer")


class AwayError(ReadError):
    """An archive does not answer."""


class Session:
    """Requests to the DICOMweb services of one archive.

    What fails in passing (no connection, an answer that breaks off, 429, 5xx) is tried again at growing distances.
    Each request raises a MriadError if the archive refuses it, and an AwayError if it does not answer.

    Args:
        address: of the archive.
        patience: seconds to go on trying.
    """

    def __init__(self, address: Address, *, patience: float) -> None:
        self._address, self._patience = address, patience
        self._session = requests.Session()
        user, password = os.environ.get(USER) or address.user, os.environ.get(PASSWORD) or address.password
        if token := os.environ.get(TOKEN):
            self._session.auth = _Bearer(token)
        elif user:
            self._session.auth = (user, password)

    def query(self, path: str, asked: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """What the archive says to a query, in DICOM JSON."""

        def get() -> list[dict[str, Any]]:
            with self._session.get(self._url(path), params=asked, headers={"Accept": _JSON}, timeout=_WAIT) as answer:
                self._require_ok(answer)
                found = answer.json() if answer.content else []  # 204 where there is none
                if not isinstance(found, list):
                    raise requests.exceptions.InvalidJSONError
                return found

        return self._patiently(get)

    def file(self, path: str) -> bytes:
        """A DICOM file, as the archive keeps it."""

        def get() -> bytes:
            with self._session.get(self._url(path), headers={"Accept": _DICOM}, timeout=_WAIT) as answer:
                self._require_ok(answer)
                return _only_part(answer)

        return self._patiently(get)

    def send(self, path: str, files: Sequence[Path]) -> Any:
        """Send DICOM files in one request; what the archive says of them, in DICOM JSON, be it that it takes none."""
        boundary = uuid.uuid4().hex
        body = b"".join(
            b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (boundary.encode(), file.read_bytes())
            for file in files
        )
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        end = b"--%s--\r\n" % boundary.encode()

        def post() -> Any:
            headers = {"Content-Type": kind, "Accept": _JSON}
            with self._session.post(self._url(path), data=body + end, headers=headers, timeout=_WAIT) as answer:
                if answer.status_code not in (200, 202, 409):  # which say what they took, and what not
                    self._require_ok(answer)
                return answer.json() if answer.content else {}

        return self._patiently(post)

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
                    f"{self._address.name} gives no answer that can be read ({type(error).__name__})."
                ) from None
            started = started or time.monotonic()
            if time.monotonic() - started + wait > self._patience:
                raise AwayError(
                    f"{self._address.name} does not answer ({why}), for {self._patience:g} s now; see that it runs, "
                    "then start again: what is done is not done again."
                )
            log.warning("%s does not answer (%s); another try in %.1f s.", self._address.name, why, wait)
            time.sleep(wait)
        raise AssertionError("waits never end")

    def _require_ok(self, answer: requests.Response) -> None:
        code = answer.status_code
        if code in _PASSING:
            raise _PassingError(f"{code} {answer.reason}")
        if code in (401, 403):
            raise MriadError(
                f"{self._address.name} refuses the login ({code}); set {USER} and {PASSWORD} or {TOKEN} in the "
                "environment, or put it into ~/.netrc."
            )
        if code == 404:
            raise MriadError(
                f"{self._address.name} does not know what was asked for (404); see that the path is that of its "
                "DICOMweb services, often /dicom-web, and that the study is there."
            )
        if code >= 400:
            raise MriadError(f"{self._address.name} refuses what was asked for ({code} {answer.reason}); see its log.")

    def _url(self, path: str) -> str:
        return f"{self._address.root}/{path}"


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
