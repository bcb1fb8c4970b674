"""A CSV file that lists the scans, with the catalog's columns."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from mriad.data.catalog import COLUMNS, Catalog
from mriad.data.reading.delimited import read_delimited
from mriad.data.reading.masks import OUTLINE_REFERENCE
from mriad.errors import MriadError
from mriad.geometry import spacing_of
from mriad.guesses import nearest

_FILES = ("path", "mask", "brain_mask")


def manifest_file(manifest: str | Path, *, root: str | Path | None) -> Path:
    """The file a manifest option means: as it stands (absolute or from the working directory), or below root.

    Raises:
        MriadError: if it is in neither place.
    """
    places = [Path(manifest).expanduser()]
    if root is not None:
        places.append(Path(root).expanduser() / manifest)
    for place in places:
        if place.is_file():
            return place.absolute()
    for place in places:
        if place.is_dir():
            raise MriadError(f"{place.absolute()} is a folder; point data.layout.manifest at the CSV file in it.")
    looked = " and ".join(dict.fromkeys(str(place.absolute()) for place in places))
    raise MriadError(f"There is no manifest {looked}: point data.layout.manifest at the CSV file.")


def read_manifest(file: Path, *, root: str | Path | None = None) -> Catalog:
    """Catalog of the scans in a CSV file, see ``listed_scans``; ``path`` and ``label`` are required.

    Raises:
        MriadError: naming the line, if the header or a row is wrong or a file it names does not exist.
    """
    folder, records = listed_scans(file, root=root)
    return Catalog.from_records(records, root=folder)


def listed_scans(
    file: Path, *, root: str | Path | None = None, required: Sequence[str] = ("path", "label")
) -> tuple[Path, list[dict[str, str]]]:
    """The scans in a CSV file: UTF-8, commas, semicolons or tabs, one header line with names out of ``COLUMNS``.

    Files are absolute, or relative to ``root`` or to the folder of the CSV file: whichever holds the first one.
    Spaces around an entry and empty lines do not count.

    Args:
        required: columns that there must be; a label that is not required may be anything.

    Returns:
        The folder that paths start from, and for each scan its entries by column, in the order of the file.

    Raises:
        MriadError: naming the line, if the header or a row is wrong or a file it names does not exist.
    """
    try:
        table = read_delimited(file, COLUMNS)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MriadError(f"The manifest {file} cannot be read ({error}); save it as CSV in UTF-8.") from error
    header, rows = table.header, table.rows
    _check_header(header, file, required)

    folder = _folder_of(rows, header, file, root)
    records: list[dict[str, str]] = []
    first_line: dict[str, int] = {}
    for line, row in rows:
        where = f"Line {line} of {file}"
        if len(row) != len(header):
            raise MriadError(f"{where} has {len(row)} entries but the header has {len(header)}; mend it.")
        record = dict(zip(header, row, strict=True))
        record |= {column: record[column].replace("\\", "/") for column in _FILES if column in record}
        if table.divider != "," and "spacing" in record:  # a comma is free for decimals
            record["spacing"] = record["spacing"].replace(",", ".")
        _check_row(record, where, folder=folder, labelled="label" in required)
        if record["path"] in first_line:
            raise MriadError(f"{where} lists {record['path']} again, after line {first_line[record['path']]}.")
        first_line[record["path"]] = line
        records.append(record)
    if not records:
        raise MriadError(f"The manifest {file} lists no scans; add a row for each.")
    return folder, records


def _folder_of(rows: list[tuple[int, list[str]]], header: list[str], file: Path, root: str | Path | None) -> Path:
    """The folder that the paths of a manifest start from."""
    if root is None or not rows or len(rows[0][1]) != len(header):
        return file.parent
    start = Path(root).expanduser().absolute()
    first = rows[0][1][header.index("path")].replace("\\", "/")
    return start if first and (start / first).exists() else file.parent


def _check_header(header: list[str], file: Path, required: Sequence[str]) -> None:
    legal = ", ".join(COLUMNS)
    if len(header) == 1 and header[0] not in COLUMNS:
        raise MriadError(
            f"{file} has no columns, or nothing that divides them: its first line is '{header[0][:80]}'; put commas, "
            f"semicolons or tabs between {legal}."
        )
    for number, name in enumerate(header, start=1):
        if not name:
            raise MriadError(f"Column {number} of {file} has no name; use one of: {legal}.")
        if name not in COLUMNS:
            # A column ignored in silence would be a misspelt 'patient' and with it patients in two roles.
            guess = nearest(name, COLUMNS)
            meant = f", perhaps {guess} was meant" if guess else ""
            raise MriadError(f"{file} has an unknown column '{name}'{meant}; rename or remove it, known are: {legal}.")
        if header.count(name) > 1:
            raise MriadError(f"{file} has the column '{name}' twice; remove one.")
    for name in required:
        if name not in header:
            needed = " and ".join(required)
            raise MriadError(f"{file} has no column '{name}'; it needs {needed}, and may have: {legal}.")


def _check_row(record: dict[str, str], where: str, *, folder: Path, labelled: bool) -> None:
    if not record["path"]:
        raise MriadError(f"{where} has no path; name the file of the scan.")
    if labelled and record["label"] not in {"0", "1"}:
        raise MriadError(f"{where} has the label '{record['label']}'; use 0 (healthy) or 1 (anomalous).")
    if not (folder / record["path"]).exists():
        raise MriadError(f"{where} names the scan {folder / record['path']}, which does not exist; mend the path.")
    if (spacing := record.get("spacing", "")) and spacing_of(spacing) is None:
        raise MriadError(f"{where} has the spacing '{spacing}'; use millimetres per pixel, as in 0.5 or 0.5 x 0.6.")
    if mask := record.get("mask", ""):
        outlined = OUTLINE_REFERENCE.fullmatch(mask)
        target = folder / (outlined["file"] if outlined else mask)
        if not target.is_file():
            raise MriadError(f"{where} names the mask {target}, which does not exist; mend the path.")
    if (brain := record.get("brain_mask", "")) and not (folder / brain).is_file():
        raise MriadError(f"{where} names the brain mask {folder / brain}, which does not exist; mend the path.")
