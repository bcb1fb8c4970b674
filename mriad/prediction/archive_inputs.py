"""Series of an archive as scans to predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mriad.data.layouts.contrasts import contrast_in, of_contrast
from mriad.errors import MriadError
from mriad.pacs.address import Address
from mriad.pacs.dicomweb import DicomWeb
from mriad.pacs.remote import RemoteScan
from mriad.prediction.scan_files import ScanFile


def in_archive(
    named: str, series: str | None, contrast: str | Sequence[str] | None, *, folder: Path, patience: float
) -> list[ScanFile]:
    """The series that an address means, each as a scan of its own, none of them fetched yet.

    Args:
        named: an address, see ``mriad.pacs.address``.
        series: which of them, by number, UID, or words of the description; None for all.
        contrast: which of them, by the contrast that their description tells.
        folder: what they are fetched into, each to a folder of its own.
        patience: seconds to wait for an archive that does not answer.

    Raises:
        MriadError: if it means none.
        AwayError: if the archive does not answer.
    """
    archive = DicomWeb(Address.of(named), patience=patience)
    found = [one for one in archive.series() if series is None or one.matches(series)]
    if not found:
        raise MriadError(f"{archive.address.name} holds no series={series} of what is asked for; name another.")
    scans = [
        ScanFile(
            path=folder / one.uid,
            contrast=contrast_in(one.description)[0],
            remote=RemoteScan(archive=archive, series=one),
        )
        for one in found
    ]
    if contrast is None:
        return scans
    records = [{"scan": scan, "contrast": scan.contrast} for scan in scans]
    return [
        record["scan"] for record in of_contrast(records, contrast, root=Path(archive.address.name), option="contrast")
    ]
