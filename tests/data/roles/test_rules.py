import hashlib

import pandas as pd
import pytest

from mriad.data.roles.rules import why_none_is_left

OPTIONS = {"group": "auto", "bits": 10, "view": "either", "mirrored": True}


def scans_of(*scans: tuple[int, str, str]) -> pd.DataFrame:
    """Scans of (label, look, patient)."""
    table = pd.DataFrame(scans, columns=["label", "look", "patient"]).assign(path=lambda rows: rows.index.astype(str))
    codes = [hashlib.sha256(look.encode()).hexdigest() for look in table["look"]]
    sick = table["patient"][(table["label"] == 1) & (table["patient"] != "")]
    return table.assign(phash=codes, phash_head=codes, diseased=table["patient"].isin(sick))


@pytest.mark.parametrize(
    ("scans", "words"),
    [
        ([(0, "a", "")] * 9, "9 scans hang together as near duplicates in 1 group(s)"),
        ([(0, "a", "p"), *[(0, "b", "p")] * 5, (0, "c", "q")], "its 7 scans are of 2 patient(s)"),
        (
            [(0, str(n), f"p{n}") for n in range(5)] + [(1, f"x{n}", f"p{n}") for n in range(5)],
            "5 healthy scans never train, for their patient has an anomaly; add scans of healthy people",
        ),
        (
            [(0, str(n), "") for n in range(5)] + [(1, str(n), "") for n in range(5)],
            "5 healthy scans never train, for their patient or a near duplicate of theirs has an anomaly",
        ),
        ([(0, "a", ""), (0, "b", "")], ""),
        ([(0, str(n), "") for n in range(9)], ""),
    ],
)
def test_the_cause_is_named(scans, words):
    told = why_none_is_left(scans_of(*scans), 0, **OPTIONS)
    assert told.startswith(words) and (words or not told)
    assert ("data.split.bits=10" in told) is ("near dup" in words)


def test_a_grouping_that_knows_no_near_duplicates_is_not_blamed_on_them():
    assert why_none_is_left(scans_of(*[(0, "a", "")] * 9), 0, **OPTIONS | {"group": "patient"}) == ""
