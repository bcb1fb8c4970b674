"""A DICOM node: takes what a scanner or an archive sends (C-STORE), and sends on."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from pydicom import dcmread
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, MRImageStorage
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom._globals import ALL_TRANSFER_SYNTAXES
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from mriad.errors import MriadError
from mriad.pacs.session import AwayError
from mriad.pacs.spool import FullError, Spool

log = logging.getLogger(__name__)

_TAKEN, _NO_ROOM, _NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000
_SCANS = {MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage}
_TITLE = re.compile(r"(?! )[\x20-\x5b\x5d-\x7e]{1,16}(?<! )")
_NAMED = re.compile(r"(?P<title>[^@]+)@(?P<host>\[[^\]]+\]|[^:@]+):(?P<port>\d+)")


class Node:
    """A node that listens, and keeps MR images in a spool; objects of other kinds are taken, and left out.

    Args:
        spool: where images go.
        title: its AE title.
        host, port: where it listens.
        allow: AE titles that may send; None for all.

    Raises:
        MriadError: if it cannot listen there.
    """

    def __init__(self, spool: Spool, *, title: str, host: str, port: int, allow: Sequence[str] | None = None) -> None:
        self._spool = spool
        self._entity = AE(ae_title=_title(title))
        self._entity.require_calling_aet = [_title(one) for one in allow or []]
        for context in AllStoragePresentationContexts:
            self._entity.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
        self._entity.add_supported_context(Verification)
        self._left_out = 0
        handlers: list[Any] = [(evt.EVT_C_STORE, self._take), (evt.EVT_CONN_CLOSE, self._gone)]
        try:
            self._server = self._entity.start_server((host, port), block=False, evt_handlers=handlers)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise MriadError(f"Nothing can listen on {host}:{port} ({reason}); choose another host or port.") from error

    def __enter__(self) -> Node:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entity.shutdown()

    def _take(self, event: evt.Event) -> int:
        """Keep an image before its sender is told that it is taken."""
        asked: Any = event.request
        if asked.AffectedSOPClassUID not in _SCANS:
            self._left_out += 1
            if self._left_out == 1:
                log.warning("An object that is no MR image came in, and is left out, as all of its kind.")
            return _TAKEN
        try:
            dataset = event.dataset
            study, series = str(dataset.get("StudyInstanceUID", "")), str(dataset.get("SeriesInstanceUID", ""))
            image = str(asked.AffectedSOPInstanceUID)
            self._spool.take(event.encoded_dataset(), study=study, series=series, image=image, sender=event.assoc)
        except FullError:
            log.warning("The spool is full (most_gb); what comes is refused until there is room.")
            return _NO_ROOM
        except OSError as error:
            log.warning("An image cannot be kept (%s); its sender is told so.", error.strerror or type(error).__name__)
            return _NO_ROOM
        except Exception as error:  # of whatever the bytes make pydicom say, which may name a patient
            log.warning("An image came in that cannot be understood (%s); its sender is told so.", type(error).__name__)
            return _NOT_UNDERSTOOD
        return _TAKEN

    def _gone(self, event: evt.Event) -> None:
        self._spool.gone(event.assoc)


class Receiver:
    """Another node, which results are sent to.

    Args:
        named: its AE title and place, as in ``PACS@10.0.0.5:104``.
        title: the AE title that it knows mriad by.

    Raises:
        MriadError: if that is no node.
    """

    def __init__(self, named: str, *, title: str) -> None:
        found = _NAMED.fullmatch(named)
        if found is None:
            raise MriadError(f"store={named} is no archive; write dicomweb://host/path or TITLE@host:port.")
        self._named = named
        self._title, self._own = _title(found["title"]), _title(title)
        self._host, self._port = found["host"].strip("[]"), int(found["port"])

    def store(self, files: Sequence[Path]) -> None:
        """Send DICOM files.

        Raises:
            AwayError: if it does not answer.
            MriadError: if it refuses one.
        """
        datasets = [dcmread(file) for file in files]
        entity = AE(ae_title=self._own)
        entity.connection_timeout = entity.acse_timeout = 10
        entity.dimse_timeout = entity.network_timeout = 120
        for dataset in datasets:
            entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        link = entity.associate(self._host, self._port, ae_title=self._title)
        if not link.is_established:
            if link.is_rejected:
                raise MriadError(f"{self._named} refuses to talk to {self._own}; make that title known to it.")
            raise AwayError(f"{self._named} does not answer.")
        try:
            for dataset in datasets:
                try:
                    status = link.send_c_store(dataset)
                except ValueError as error:
                    raise MriadError(f"{self._named} takes no {dataset.SOPClassUID.name}.") from error
                if not status:
                    raise AwayError(f"{self._named} has broken off.")
                if status.Status not in (0x0000, 0xB000, 0xB006, 0xB007):
                    raise MriadError(f"{self._named} has refused a result (status {status.Status:04X}); see its log.")
        finally:
            link.release()


def _title(name: str) -> str:
    if not _TITLE.fullmatch(str(name)):
        raise MriadError(f"'{name}' is no AE title; give up to 16 letters without a backslash, such as MRIAD.")
    return str(name)
