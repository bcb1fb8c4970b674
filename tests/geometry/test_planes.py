import numpy as np
import pytest

from mriad.errors import MriadError
from mriad.geometry.planes import AXES, require_planes, slice_of

DEPTH, SIDE = 5, 8


@pytest.mark.parametrize("plane", AXES)
def test_a_slice_is_an_upright_square(plane):
    volume = np.random.default_rng(0).random((DEPTH, SIDE, SIDE))
    expected = {
        "axial": volume[3],
        "coronal": np.vstack([np.zeros((1, SIDE)), volume[::-1, 3], np.zeros((2, SIDE))]),
        "sagittal": np.vstack([np.zeros((1, SIDE)), volume[::-1, :, 3], np.zeros((2, SIDE))]),
    }
    assert (slice_of(volume, plane, 3) == expected[plane]).all()


def test_planes_must_be_known():
    assert require_planes(["sagittal", "axial", "sagittal"]) == ("sagittal", "axial")
    with pytest.raises(MriadError, match="oblique"):
        require_planes(["oblique"])
    with pytest.raises(MriadError, match="nothing to look at"):
        require_planes([])
