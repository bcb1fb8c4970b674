"""By what scans and patients are known again: marks that do not say what they are called."""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal

import pandas as pd

Kind = Literal["content", "path", "patient"]

SAME = " = "
"""Between the ids of one patient who has several, as in 'P1 = P7'."""


def new_key() -> str:
    """A random key for ``marks``, 32 hex digits: marks under two keys cannot be compared."""
    return secrets.token_hex(16)


def marks(texts: pd.Series, *, kind: Kind, key: str | None) -> pd.Series:
    """Keyed hash of each text (BLAKE2b), 32 hex digits; '' stays '', and without a key every text stays as it is.

    Whoever has the key can test whether a mark is that of a text they know, but cannot read the text from it.

    Args:
        texts: contents, paths or patient ids.
        kind: which of them; the same text of another kind has another mark.
        key: what ``new_key`` gave.
    """
    if key is None:
        return texts

    secret, person = bytes.fromhex(key), kind.encode()

    def mark(text: str) -> str:
        return hashlib.blake2b(text.encode(), digest_size=16, key=secret, person=person).hexdigest()

    return texts.map(lambda text: mark(text) if text else "")


def one_id_each(scans: pd.DataFrame) -> pd.DataFrame:
    """The scans, a row for each id of a patient who has several; the index says which rows are one scan."""
    return scans.assign(patient=scans["patient"].str.split(SAME)).explode("patient")
