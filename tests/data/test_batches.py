import numpy as np
import pytest
import torch
from grey_slices import LABELS, SIDE, greys, sized_slices

from mriad.data.batches import ScanDataset
from mriad.data.preparing.cache import ScanCache


@pytest.fixture
def slices() -> ScanCache:
    return sized_slices()


def test_scans_as_they_are_have_no_mask_but_the_area_of_a_pixel(slices):
    batch = ScanDataset(scans=slices, labels=LABELS, rows=np.array([5, 3, 0])).__getitems__([0, 1, 2])
    assert set(batch) == {"image", "label", "row", "pixel_area"}
    assert greys(batch) == [6, 4, 1]
    assert batch["label"].tolist() == [1, 0, 0]
    assert batch["row"].tolist() == [5, 3, 0]
    assert batch["pixel_area"].dtype == torch.float32
    scan_pixels = 16 * 24 / SIDE**2  # in a pixel of the slice
    assert batch["pixel_area"][:2].tolist() == pytest.approx([1.5 * scan_pixels, 1.0 * scan_pixels])
    assert batch["pixel_area"][2].isnan()


def test_areas_go_with_the_scans_that_are_fetched(slices):
    dataset = ScanDataset(scans=slices, labels=LABELS, rows=np.array([0, 3, 5]))
    backwards = dataset.__getitems__([2, 1])
    assert backwards["row"].tolist() == [5, 3]
    assert backwards["pixel_area"].tolist() == [9.0, 6.0]
