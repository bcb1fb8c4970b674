"""A scan that lies in an archive."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mriad.pacs.dicomweb import DicomWeb, RemoteSeries  # with requests, which files do without


@dataclass(frozen=True, kw_only=True)
class RemoteScan:
    """A series of an archive.

    Args:
        archive: where it lies.
        series: which one it is.
    """

    archive: DicomWeb
    series: RemoteSeries

    @property
    def address(self) -> str:
        """Its own address, without any login."""
        return self.archive.address.of_one(self.series.study, self.series.uid)

    @cached_property
    def images(self) -> list[str]:
        """SOPInstanceUIDs of its files, as the archive has them when first asked."""
        return self.archive.images(self.series)

    def fetch(self, folder: Path) -> None:
        """Fetch its files into a folder."""
        self.archive.fetch(self.series, folder)
