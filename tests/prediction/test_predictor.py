from types import SimpleNamespace

import numpy as np
import pytest
import torch
from slices import of_unknown_size

from mriad.data.preparing.preprocess import Preprocess
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
        require_calibration=lambda: SimpleNamespace(decide=lambda scores: scores > 0),
        detector=lambda: detector.eval(),
        preprocess=lambda: Preprocess(image_size=16),
    )
    predictor = Predictor(checkpoint=checkpoint, device="cpu")
    (found,) = predictor([predictor.prepare(head(), spacing=None)])
    outside = found.map[:8]
    assert (found.map.min() < 0) == atlas
    assert (outside == found.map.min()).all()
