import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mriad.data.preparing.lesions import LesionFacts, doubtful
from mriad.errors import MriadError
from mriad.geometry import ScanGeometry

SIZE = (120, 100)
ROW, COLUMN = np.indices(SIZE)
HEAD = ((ROW - 60) / 45) ** 2 + ((COLUMN - 50) / 38) ** 2 < 1
LEVELS = np.where(HEAD, np.random.default_rng(0).integers(90, 250, SIZE), 0).astype(np.uint8)
LESION = np.hypot(ROW - 50, COLUMN - 40) < 8


def facts(mask: np.ndarray, *, image_size: int = 32) -> LesionFacts:
    geometry = ScanGeometry.plan(SIZE, (15, 12, 106, 89), square=True, image_size=image_size)
    return LesionFacts.of(mask, LEVELS, geometry)


def test_a_lesion_is_counted_and_measured_against_the_head():
    found = facts(LESION)
    assert (found.lesions, found.lesions_outside, found.lesions_merged) == (1, 0, 0)
    assert found.lesion_share == pytest.approx(LESION.sum() / HEAD.sum(), rel=0.05)
    assert found.lesion_in_head == 1


def test_lesions_that_the_network_does_not_see_apart_are_counted():
    mask = LESION.copy()
    mask[2:4, 2:4] = mask[50, 49] = mask[80:90, 60:70] = True
    found = facts(mask)
    assert (found.lesions, found.lesions_outside, found.lesions_merged) == (4, 1, 1)


def test_a_mask_without_a_lesion_has_the_facts_of_none():
    assert facts(LESION & False) == LesionFacts()


@pytest.mark.parametrize(
    "mask",
    [~LESION, HEAD, np.ones(SIZE, dtype=bool), ~HEAD | LESION],
    ids=["inverted", "the head", "all", "white background"],
)
def test_a_mask_of_something_else_covers_most_of_the_head(mask):
    assert facts(mask).lesion_share > 0.5


def test_a_mask_of_another_scan_lies_outside_the_head():
    assert facts(np.roll(LESION, 55, axis=0)).lesion_in_head < 0.5


def asked(shares: dict[int, float], *, scans: int = 40, most: float = 0.5, **columns: object) -> list[int]:
    """Rows in doubt among anomalous scans with lesions of a tenth of the head, but for ``shares``."""
    share = [shares.get(row, 0.1) for row in range(scans)]
    known = {"error": "", "lesions": 1, "lesion_share": share, "lesion_in_head": 1.0} | columns
    table = pd.DataFrame(
        {
            "path": [f"tumour/{row}.png" for row in range(scans)],
            "mask": [f"masks/{row}.png" for row in range(scans)],
            "label": 1,
        }
    )
    rows = doubtful(table, pd.DataFrame(known, index=table.index), root=Path("/data"), most=most, tolerated=0.05)
    return list(map(int, rows))


def test_a_few_masks_in_doubt_are_not_used_and_told(caplog):
    with caplog.at_level(logging.WARNING):
        assert asked({7: 0.9, 12: 0.95}) == [7, 12]
    assert "2 of 40 lesion masks in /data cover more than 50 % of the head" in caplog.text
    assert "masks/12.png (95 % of tumour/12.png)" in caplog.text
    assert "neither black nor transparent" in caplog.text
    assert "data.max_lesion=1" in caplog.text


def test_many_masks_in_doubt_end_the_run():
    with pytest.raises(MriadError, match=r"3 of 40 lesion masks in /data cover .*: paint all else black, or set"):
        asked(dict.fromkeys(range(3), 2.5))


def test_masks_that_are_right_can_be_told_to_be(caplog):
    assert asked(dict.fromkeys(range(40), 3.0), most=1) == []
    assert asked(dict.fromkeys(range(40), 0.4)) == []
    assert caplog.text == ""


@pytest.mark.parametrize(("column", "words"), [("lesions", "hold nothing"), ("lesion_in_head", "outside the head")])
def test_masks_that_hold_nothing_or_miss_the_head_are_counted(caplog, column, words):
    with caplog.at_level(logging.WARNING):
        assert asked({}, **{column: [0, 0, *[1] * 38]}) == []
    assert "2 of 40 lesion masks" in caplog.text
    assert words in caplog.text
    assert "masks/0.png" in caplog.text


def test_scans_that_are_broken_healthy_or_without_a_mask_are_not_asked(caplog):
    assert asked({0: 2.0, 1: np.nan}, error=["broken", "broken", *[""] * 38]) == []
    assert caplog.text == ""
