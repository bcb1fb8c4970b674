from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from whole_heads import head as head_of_volume

from mriad.callbacks.picture_scores import picture_scores
from mriad.data.preparing.volumes import PrepareVolume
from mriad.data.reading.scan import Scan
from mriad.geometry import Grid
from mriad.models import Intensity
from mriad.scoring import Score

PREPARE = PrepareVolume(image_size=32, depth=24, spacing=8)


@pytest.fixture(scope="module")
def volume():
    levels, placed = head_of_volume()
    return PREPARE(Scan(levels=levels, grid=Grid(shape=levels.shape, affine=placed)))[0]


def data_of(volumes, masks):
    """What ``picture_scores`` asks of a datamodule; None for a scan without a mask."""
    volumes = np.stack(volumes)
    known = [np.zeros(volumes.shape[1:], dtype=bool) if mask is None else mask for mask in masks]
    return SimpleNamespace(
        preprocess=PREPARE,
        cache=SimpleNamespace(
            images=volumes,
            has_mask=lambda rows: np.array([masks[row] is not None for row in rows]),
            masks_of=lambda rows: np.stack([known[row] for row in rows]),
        ),
        images=lambda rows: torch.from_numpy(volumes[rows][:, None]).float() / 255,
    )


def scans(labels):
    return pd.DataFrame({"label": labels, "group": [f"p{row}" for row in range(len(labels))]})


def detector():
    return Intensity(score=Score(mask="brain", pooling="top_fraction")).eval()


def test_slices_through_the_brain_are_scored_as_pictures_of_that_scan_and_know_their_lesions(volume):
    lesion = np.zeros(volume.shape, dtype=bool)
    lesion[12, 16, 16] = True
    found = picture_scores(detector(), data_of([volume] * 2, [None, lesion]), scans([0, 1]))
    assert set(found["group"]) == {"p0", "p1"} and np.isfinite(found["score"]).all()
    of_each = found.groupby("group")["label"].agg(["size", "sum"])
    assert of_each["size"].nunique() == 1 and 3 <= of_each["size"].iloc[0] <= 16
    assert of_each["sum"].tolist() == [0, 1]


def test_a_diseased_scan_whose_lesions_nobody_outlined_tells_nothing_of_its_slices(volume):
    found = picture_scores(detector(), data_of([volume] * 2, [None, None]), scans([0, 1]))
    assert set(found["group"]) == {"p0"}


def test_what_is_no_picture_is_left_out():
    speck = np.zeros(PREPARE.spatial, dtype=np.uint8)
    speck[10:12, 10:13, 10:13] = 200
    assert picture_scores(detector(), data_of([speck], [None]), scans([0])) is None
