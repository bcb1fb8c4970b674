"""How an archive, a study or a series of it is named: ``dicomweb://host/path/studies/UID/series/UID?Modality=MR``.

``dicomweb://`` means https, but http to this very machine; ``dicomweb+http://`` and ``dicomweb+https://`` say which.
What tells a patient (``PatientID=...``) is concealed as passwords are, see ``mriad.passwords``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from mriad.errors import MriadError
from mriad.passwords import shown, whole

_SCHEMES = {"dicomweb": "", "dicomweb+http": "http", "dicomweb+https": "https"}
_HERE = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")
_UID = re.compile(r"[0-9.]{1,64}")
_SERIES = {"Modality", "SeriesDescription", "SeriesNumber", "SeriesInstanceUID", "BodyPartExamined", "ProtocolName"}


def is_address(text: object) -> bool:
    """Whether a text names something in an archive."""
    return str(text).partition("://")[0].lower() in _SCHEMES and "://" in str(text)


def is_uid(text: str) -> bool:
    """Whether a text is a UID, which is safe as the name of a file too."""
    return _UID.fullmatch(text) is not None and set(text) != {"."}


@dataclass(frozen=True, kw_only=True)
class Address:
    """An archive, or what of it is meant.

    Args:
        root: URL of its DICOMweb services, without login.
        name: the address of the archive as it may be written, without login and query.
        user, password: '' where the address has none.
        study, series: UIDs; '' where it names none.
        of_studies, of_series: what a query asks of studies, and of the series in them, by DICOM keyword.
    """

    root: str
    name: str
    user: str = ""
    password: str = ""
    study: str = ""
    series: str = ""
    of_studies: tuple[tuple[str, str], ...] = ()
    of_series: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, text: str) -> Address:
        """Read an address, concealed or not.

        Raises:
            MriadError: if it is none.
        """
        address = whole(text)
        if address is None:
            raise MriadError(f"{text} has lost what stood in place of the stars; type the whole address again.")
        try:
            parts = urlsplit(address)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        if not host:
            raise MriadError(f"{shown(text)} names no archive; write dicomweb://host:port/path, as the archive has it.")
        protocol = _SCHEMES[parts.scheme.lower()] or ("http" if _HERE.fullmatch(host) else "https")
        place = f"[{host}]" if ":" in host else host
        place += f":{port}" if port else ""
        base, _, inner = parts.path.rstrip("/").partition("/studies/")
        words = inner.split("/") if inner else []
        if base.endswith("/studies"):
            base = base.removesuffix("/studies")
        if not (len(words) in (0, 1) or (len(words) == 3 and words[1] == "series")) or not all(map(is_uid, words[::2])):
            raise MriadError(
                f"{shown(text)} is no study and no series; write dicomweb://host/path/studies/UID or .../series/UID."
            )
        query = tuple(parse_qsl(parts.query))
        return cls(
            root=f"{protocol}://{place}{base}",
            name=f"{parts.scheme.lower()}://{place}{base}",
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            study=words[0] if words else "",
            series=words[2] if len(words) == 3 else "",
            of_studies=tuple(pair for pair in query if pair[0] not in _SERIES),
            of_series=tuple(pair for pair in query if pair[0] in _SERIES),
        )

    def of_one(self, study: str, series: str) -> str:
        """The address of one series of the archive."""
        return f"{self.name}/studies/{study}/series/{series}"
