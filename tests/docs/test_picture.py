from types import SimpleNamespace

import numpy as np
import pandas as pd

from docs.generator.picture import medians, planes, rows

SHAPE = (12, 16, 14)


def result(*peaks):
    """A head of 20 mm voxels with a lesion of eight, and a healthy one."""
    images = np.zeros((2, *SHAPE), dtype=np.float32)
    images[0, 1:11, 2:15, 3:13] = images[1, 2:10, 2:15, 4:12] = 0.5
    maps = np.zeros_like(images)
    for place, value in peaks:
        maps[(0, *place)] = value
    mask = np.zeros(SHAPE, dtype=bool)
    mask[4:6, 6:8, 8:10] = True
    table = pd.DataFrame(
        {"class": ["dark_mass", "healthy"], "label": [1, 0], "score": [0.5, 0.1], "lesion_ml": [64, 0]}
    )
    return SimpleNamespace(images=images, maps=maps, masks=[mask, None], table=table, voxel_volume=np.full(2, 8000.0))


def test_planes_stand_upright_side_by_side():
    volume = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    shown = planes(volume, (3, 5, 7))
    assert shown.shape == (16, 14 + 14 + 16)
    np.testing.assert_array_equal(shown[:, :14], volume[3])
    np.testing.assert_array_equal(shown[2:14, 14:28], volume[::-1, 5])
    np.testing.assert_array_equal(shown[2:14, 28:], volume[::-1, :, 7])
    assert not shown[[0, 1, 14, 15], 14:].any()


def test_a_head_is_cut_through_the_peak_in_its_lesion():
    drawn, healthy = rows(result(((5, 6, 9), 0.9), ((9, 12, 4), 0.4)), np.array([0, 1]))
    assert drawn.title == "dark mass, 64 ml, score 0.50" and healthy.title == "healthy, score 0.10"
    assert drawn.image.shape == healthy.image.shape == (13, 10 + 10 + 13)
    assert drawn.mask.sum() == 3 * 4 and not healthy.mask.any() and drawn.anomaly_map.max() == np.float32(0.9)


def test_a_head_whose_peak_lies_elsewhere_says_so():
    (drawn,) = rows(result(((5, 6, 9), 0.2), ((9, 12, 4), 0.4)), np.array([0]))
    assert drawn.title == "dark mass, 64 ml, score 0.50, peak elsewhere"
    assert drawn.mask.sum() == 3 * 4 and drawn.anomaly_map.max() == np.float32(0.2)


def test_the_scan_in_the_middle_stands_for_its_kind():
    scores = [0.1, 0.9, 0.5, 0.3, 0.2, 0.25]
    table = pd.DataFrame({"class": ["healthy", "b", "b", "b", "a", "a"], "score": scores})
    assert list(medians(SimpleNamespace(table=table))) == [4, 2, 0]
