"""Contrasts by the names that data sets give them, and the one that is asked for."""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mriad.errors import MriadError

log = logging.getLogger(__name__)

_NAMES = {
    "T1": ("t1", "t1w", "t1n", "mprage", "mp2rage", "unit1"),
    "T1c": ("t1c", "t1ce", "t1gd", "t1post", "t1wks", "t1ks"),
    "T2": ("t2", "t2w"),
    "T2*": ("t2*", "t2star", "t2starw"),
    "FLAIR": ("flair", "fl", "t2f", "t2flair"),
    "PD": ("pd", "pdw"),
    "DWI": ("dwi",),
    "ADC": ("adc",),
    "SWI": ("swi",),
    "MRA": ("mra", "angio"),
}
_CONTRASTS = {name: contrast for contrast, names in _NAMES.items() for name in names}


def contrast_of(name: str) -> str:
    """The contrast that a data set means by a name, as in 'T1c' for 't1ce'; '' if it is none that mriad knows."""
    return _CONTRASTS.get(name.lower(), "")


def contrast_in(name: str) -> tuple[str, str]:
    """The contrast that a file's name has as a word of its own, and the name without that word.

    Returns:
        ('FLAIR', 'p1') for 'p1_FLAIR'; ('', name) where no word is a contrast, or they are several.
    """
    words = re.split(r"[\s._-]+", name)
    found = {contrast_of(word) for word in words} - {""}
    if len(found) != 1:
        return "", name
    return found.pop(), "_".join(word for word in words if not contrast_of(word))


def of_contrast(
    records: Iterable[Mapping[str, Any]], contrast: str | Sequence[str] | None, *, root: Path
) -> list[Mapping[str, Any]]:
    """The scans of the contrast that is asked for; where none is, all of them if no session has several.

    Args:
        records: scans with ``path`` and ``contrast``, and ``patient`` and ``session`` where known: a scan without a
            patient is a session of its own.
        contrast: its name as any data set has it, in any letter case, several of them, or None.
        root: of the data set, for what is said.

    Raises:
        MriadError: if no scan has that contrast, or a session has several and none is chosen.
    """
    records = list(records)
    listed = ", ".join(
        f"{name} ({count})" for name, count in sorted(Counter(r["contrast"] or "unknown" for r in records).items())
    )
    sessions: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for record in records:
        sessions[_session(record)].add(record["contrast"])
    if contrast is None:
        several = [sorted(names - {""}) for names in sessions.values() if len(names - {""}) > 1]
        if several:
            raise MriadError(
                f"Sessions in {root} have scans of several contrasts, in all {listed}: choose one, as in "
                f"data.contrast={several[0][0]}."
            )
        return records
    named = [contrast] if isinstance(contrast, str) else list(contrast)
    wanted = set(map(_known_as, named))
    kept = [record for record in records if _known_as(record["contrast"]) in wanted]
    if records and not kept:
        raise MriadError(
            f"No scan in {root} is known to have the contrast {' or '.join(named)}; there are {listed}: choose one of "
            "these with data.contrast."
        )
    if lacking := len(sessions) - len(set(map(_session, kept))):
        log.warning(
            "%d of %d sessions in %s have no scan of the contrast %s and are left out.",
            lacking, len(sessions), root, " or ".join(named),
        )  # fmt: skip
    return kept


def _known_as(name: str) -> str:
    return contrast_of(name) or name.casefold()


def _session(record: Mapping[str, Any]) -> tuple[str, str]:
    return record.get("patient") or record["path"], record.get("session", "")
