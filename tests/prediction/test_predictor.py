from types import SimpleNamespace

import numpy as np
import pytest
import torch
from slices import of_unknown_size
from whole_heads import head as head_of_volume

from mriad.data.preparing.preprocess import Preprocess
from mriad.data.preparing.volumes import PrepareVolume
from mriad.data.reading.scan import Facts, Scan
from mriad.errors import MriadError
from mriad.geometry import Grid
from mriad.models import Intensity
from mriad.prediction.predictor import Predictor
from mriad.scoring import Score


def head():
    """(40, 40): a bright head that fills its middle."""
    scan = np.zeros((40, 40), dtype=np.float32)
    scan[10:30, 10:30] = np.random.default_rng(0).uniform(0.5, 1.0, (20, 20))
    return scan


@pytest.mark.parametrize("atlas", [True, False])
def test_what_the_crop_cuts_away_is_never_stranger_than_what_it_keeps(atlas):
    detector = Intensity(score=Score(atlas=atlas, mask="foreground"))
    detector.fit_scale([of_unknown_size(torch.rand(20, 1, 16, 16, generator=torch.Generator().manual_seed(0)))])
    checkpoint = SimpleNamespace(
        require_calibration=lambda: SimpleNamespace(threshold=0.0, pictures=None),
        detector=lambda: detector.eval(),
        preprocess=lambda: Preprocess(image_size=16),
        trained={},
        run_id=None,
        key="key",
    )
    predictor = Predictor(checkpoint=checkpoint, device="cpu")
    (found,) = predictor([predictor.prepare(Scan.of_picture(head(), facts=Facts(format="")))])
    outside = found.map[:8]
    assert (found.map.min() < 0) == atlas
    assert (outside == found.map.min()).all()


def volume():
    levels, placed = head_of_volume()
    return Scan(levels=levels, grid=Grid(shape=levels.shape, affine=placed))


def predictor_of(preparation, detector=None):
    return Predictor(
        checkpoint=SimpleNamespace(
            require_calibration=lambda: SimpleNamespace(threshold=0.0, pictures=None),
            detector=lambda: (detector or Intensity(score=Score())).eval(),
            preprocess=lambda: preparation,
            trained={},
            run_id=None,
            key="key",
        ),
        device="cpu",
    )


def test_a_volume_is_nothing_for_a_detector_of_pictures():
    with pytest.raises(MriadError, match="this is a volume, but the detector was trained on pictures"):
        predictor_of(Preprocess(image_size=16)).prepare(volume())


def test_a_picture_is_an_axial_slice_to_a_detector_of_volumes_beside_which_volumes_go():
    predictor = predictor_of(PrepareVolume(image_size=32, depth=24, spacing=8))
    picture = predictor.prepare(Scan.of_picture(head(), facts=Facts(format="PNG")))
    of_picture, of_volume, again = predictor([picture, predictor.prepare(volume()), picture])
    assert of_picture.map.shape == (40, 40) and of_volume.map.ndim == 3
    assert of_picture.score == again.score
    rows = np.flatnonzero((picture.image > 0).any(axis=1))
    assert len(rows) == pytest.approx(190 / 8, abs=1.5)  # the head is one of 190 mm


@pytest.mark.parametrize("detector", ["coronal", "whole", "atlas"])
def test_a_picture_is_nothing_for_a_detector_that_looks_at_no_axial_slices_of_their_own(detector):
    made = Intensity(score=Score(atlas=detector == "atlas"), planes=["coronal" if detector == "coronal" else "axial"])
    made.spatial_dims = 3 if detector == "whole" else 2
    with pytest.raises(MriadError, match="this is a picture, but the detector looks at no axial slices of their own"):
        predictor_of(PrepareVolume(), made).prepare(Scan.of_picture(head(), facts=Facts(format="PNG")))


def test_pictures_are_held_against_a_threshold_of_their_own():
    predictor = predictor_of(PrepareVolume(image_size=32, depth=24, spacing=8))
    predictor.calibration = SimpleNamespace(threshold=0.0, pictures=SimpleNamespace(threshold=2.0))
    picture = predictor.prepare(Scan.of_picture(head(), facts=Facts(format="PNG")))
    of_picture, of_volume = predictor([picture, predictor.prepare(volume())])
    assert (of_picture.threshold, of_picture.decision) == (2.0, 0)
    assert (of_volume.threshold, of_volume.decision) == (0.0, 1)


def test_a_map_of_a_volume_has_its_shape_and_its_lesions_are_counted_there():
    predictor = predictor_of(PrepareVolume(image_size=32, depth=24, spacing=8))
    scan = volume()
    (found,) = predictor([predictor.prepare(scan)])
    assert found.map.shape == scan.grid.shape and found.map.dtype == np.float32
    (brain, *_) = found.lesions(0.4)  # half of what the brain shows: voxels of 8 mm blur its edge
    assert 550 < brain.ml < 1000  # an ellipsoid with semi-axes of 54, 66 and 52 mm
    assert brain.centre == pytest.approx((3, -7, 11), abs=8)
