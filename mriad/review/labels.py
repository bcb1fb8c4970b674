"""Marks as labels: a manifest of the scans that were read, with masks of the lesions that are true."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from mriad.errors import MriadError
from mriad.geometry import Grid, reorient
from mriad.metrics.components import connected
from mriad.review.encode import decoded
from mriad.review.folder import read_list, read_scan_of
from mriad.review.marks import Mark, Reading, readings
from mriad.tables import unguarded, write_csv

MANIFEST, MASKS = "manifest.csv", "masks"
_COLUMNS = ("path", "label", "mask", "patient", "contrast", "series", "pool")


@dataclass(kw_only=True)
class Labels:
    """What became of the scans that were read.

    Args:
        rows: those that the manifest has.
        without_mask: of these the anomalous ones without a mask: a lesion was missed or not marked, or none is true.
        disputed: scans left out because readers differ.
        unsure: scans left out because nobody says what they are.
        unknown: scans left out because the page does not list them.
    """

    rows: list[dict[str, object]] = field(default_factory=list)
    without_mask: int = 0
    disputed: int = 0
    unsure: int = 0
    unknown: int = 0


def uncertainty(scores: Sequence[float | None], threshold: float) -> list[float]:
    """How many ranks a score is away from the threshold, among all of them; infinite where there is none."""
    known = np.sort([score for score in scores if score is not None])
    border = np.searchsorted(known, threshold, side="right") - 0.5
    return [
        np.inf if score is None else float(abs(np.searchsorted(known, score, side="left") - border)) for score in scores
    ]


def write_labels(
    page: Path,
    marks: Iterable[Mark],
    output: Path,
    *,
    order: str = "uncertain",
    first: int | None = None,
    others: Sequence[Mapping[str, object]] = (),
) -> Labels:
    """Write ``manifest.csv`` and masks.

    A scan that readers take for healthy is healthy. An anomalous one has a mask where each lesion that the detector
    shows is marked, some are true, and none was missed: the mask holds those that are true, as the detector outlines
    them. Another one, of which a mask would be half, stands without one.

    Args:
        page: folder of the page that was read.
        marks: events, by time.
        output: folder to write.
        order: of the rows: 'uncertain' has those first whose score is the nearest to the threshold, in ranks of all
            scans of the page, 'score' the highest, 'path' is alphabetic, 'time' as they were read.
        first: so many scans that were read, the first by this order; None for all.
        others: rows of another manifest, with absolute paths, that follow; what was read takes their place.

    Raises:
        MriadError: if nothing can be written, or there is nothing to write.
    """
    told = read_list(page)
    listed = {scan["path"]: (number, scan) for number, scan in enumerate(told["scans"])}
    unsureness = uncertainty([scan["score"] for scan in told["scans"]], told["threshold"])
    by_path: dict[str, list[Reading]] = {}
    for (_, path), reading in readings(marks).items():
        by_path.setdefault(path, []).append(reading)
    keys: dict[str, Any] = {
        "uncertain": lambda path: unsureness[listed[path][0]],
        "score": lambda path: np.inf if (score := listed[path][1]["score"]) is None else -score,
        "path": lambda path: path,
        "time": lambda path: max(reading.last.time for reading in by_path[path]),
    }
    found = Labels(unknown=sum(path not in listed for path in by_path))
    patients = _patients(page)
    chosen = sorted((path for path in by_path if path in listed), key=keys[order])
    try:
        (output / MASKS).mkdir(parents=True, exist_ok=True)
        for path in chosen:
            if first is not None and len(found.rows) >= first:
                break
            number, scan = listed[path]
            row = _row(page, number, scan, by_path[path], output, found)
            if row is not None:
                found.rows.append({**row, "patient": patients.get(scan["file"], "")})
        if not found.rows:
            raise MriadError(
                f"None of the {len(by_path)} scans that were read gives a label: {found.unsure} are unsure or not "
                f"marked, readers differ on {found.disputed}, and {found.unknown} are not on this page."
            )
        read = {str(row["path"]) for row in found.rows}
        table = pd.DataFrame([*found.rows, *(row for row in others if str(row["path"]) not in read)])
        for column in _COLUMNS:
            table[column] = table[column].fillna("") if column in table else ""
        write_csv(table, output / MANIFEST)
    except OSError as error:
        raise MriadError(f"The folder {output} cannot be written ({error.strerror}); choose another.") from error
    return found


def _row(
    page: Path, number: int, scan: Mapping[str, Any], read: Sequence[Reading], output: Path, found: Labels
) -> dict[str, object] | None:
    labels = {reading.label for reading in read} - {None}
    if len(labels) != 1:
        found.unsure, found.disputed = found.unsure + (not labels), found.disputed + (len(labels) > 1)
        return None
    label = labels.pop()
    row: dict[str, object] = {"path": os.path.abspath(scan["file"]), "label": label, "mask": "", "pool": ""}
    row |= {"contrast": scan["contrast"], "series": scan["series"]}
    if label == 0:
        return row
    told = [reading for reading in read if reading.label is not None]
    true = [{which for which, mark in reading.lesions.items() if mark.mark == "true"} for reading in told]
    if (
        any(reading.missed or not reading.is_complete for reading in told)
        or not true[0]
        or true.count(true[0]) < len(true)
    ):
        found.without_mask += 1
        return row
    file = output / MASKS / f"{number}.{'nii.gz' if scan['volume'] else 'png'}"
    shown = read_scan_of(page, number)
    places = {which: lesion["at"] for which, lesion in enumerate(shown["lesions"], start=1)}
    if any(which not in places or not mark.is_of(places[which]) for which, mark in told[0].lesions.items()):
        found.without_mask += 1  # of an earlier prediction, whose lesions lay elsewhere
        return row
    _write_mask(file, shown, true[0], volume=scan["volume"])
    return row | {"mask": str(file.absolute()), "pool": "labelled"}


def mask_of(shown: Mapping[str, Any], lesions: Iterable[int]) -> tuple[NDArray[np.bool_], Grid]:
    """The voxels of some lesions of a scan, by their numbers, on the scan's own grid."""
    codes, grid = decoded(shown["map"])
    numbers = connected(codes > shown["code"])
    peaks = [np.rint(grid.to_index(shown["lesions"][which - 1]["peak_at"])).astype(int) for which in lesions]
    mask = np.isin(numbers, [numbers[tuple(peak)] for peak in peaks]) & (numbers > 0)
    return reorient(mask, grid, shown["axes"]), grid.reoriented(shown["axes"])


def _write_mask(file: Path, shown: Mapping[str, Any], lesions: Iterable[int], *, volume: bool) -> None:
    mask, grid = mask_of(shown, lesions)
    if volume:
        import nibabel  # pictures do without

        nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), grid.affine), file)
    else:
        Image.fromarray(mask[0]).save(file)


def _patients(page: Path) -> dict[str, str]:
    """Patients by path, where the table of the prediction lies beside the page and knows them."""
    try:
        table = pd.read_csv(page.parent / "predictions.csv", dtype=str, keep_default_na=False)
        return dict(zip(table["path"].map(unguarded), table["patient"].map(unguarded), strict=True))
    except (OSError, KeyError, ValueError):
        return {}
