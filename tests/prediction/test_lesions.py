import numpy as np
import pytest
from whole_heads import affine

from mriad.geometry import Grid
from mriad.prediction.lesions import lesions_of

SHAPE = (20, 24, 28)
GRID = Grid(shape=SHAPE, affine=affine(spacing=(2.0, 3.0, 4.0), shape=SHAPE))


def test_pieces_are_measured_in_ml_and_lie_in_the_scanner():
    values = np.zeros(SHAPE, dtype=np.float32)
    values[2:4, 5:8, 7] = 0.75
    values[10, 20, 25] = 2
    values[4, 8, 8] = 1.5  # touches the first at a corner
    first, second = lesions_of(values, GRID, level=0.5)
    assert (first.ml, second.ml) == pytest.approx((7 * 0.024, 0.024))
    assert first.centre == pytest.approx(GRID.to_world([19 / 7, 44 / 7, 50 / 7]))
    assert second.centre == pytest.approx(GRID.to_world([10, 20, 25]))
    assert (first.peak, second.peak) == (1.5, 2)
    assert first.mean == pytest.approx((6 * 0.75 + 1.5) / 7)


def test_what_only_reaches_the_level_is_no_lesion():
    values = np.zeros(SHAPE, dtype=np.float32)
    values[3, 3, 3] = 0.1
    assert lesions_of(values, GRID, level=0.1) == []
