import numpy as np
from heads import head

from mriad.data.preparing.bias_field import without_bias_field
from mriad.data.preparing.volumes import PrepareVolume
from mriad.data.reading.scan import Scan


def biased(scan):
    """The scan, up to twice as bright on one side as on the other."""
    slope = np.linspace(0.65, 1.35, scan.levels.shape[2], dtype=np.float32)
    return Scan(levels=scan.levels * slope, grid=scan.grid, facts=scan.facts)


def sides(levels, brain):
    """Mean of the brain on either side."""
    middle = levels.shape[2] // 2
    return levels[..., :middle][brain[..., :middle]].mean(), levels[..., middle:][brain[..., middle:]].mean()


def test_what_is_brighter_on_one_side_is_so_no_more():
    scan = biased(head(stripped=True))
    brain = scan.levels > 0
    before = sides(scan.levels, brain)
    after = sides(without_bias_field(scan.levels, brain, (4.0, 4.0, 4.0)), brain)
    assert before[1] / before[0] > 1.15
    assert 0.93 < after[1] / after[0] < 1.07


def test_it_is_corrected_where_the_option_says_so():
    options = {"image_size": 48, "depth": 40, "spacing": 5.0}
    scan = biased(head(stripped=True))
    ratios = []
    for bias_field in (False, True):
        image, _ = PrepareVolume(**options, bias_field=bias_field)(scan)
        left, right = sides(image.astype(float), image > 0)
        ratios.append(right / left)
    assert abs(ratios[1] - 1) < abs(ratios[0] - 1) / 2
