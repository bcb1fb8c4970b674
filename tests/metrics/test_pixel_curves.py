import numpy as np
import pytest

from mriad.metrics.pixel_curves import Background, Lesion, aupro, auroc, average_precision, best_dice


def counts(seed, levels=20):
    rng = np.random.default_rng(seed)
    reached = rng.integers(4, size=levels).cumsum() + 1
    between, tied = rng.integers(5, size=(2, levels))
    above = between.cumsum() + np.r_[0, tied.cumsum()[:-1]]
    overlap = np.sort(rng.random(levels))
    return Lesion(reached, overlap / overlap[-1]), Background(above, above + tied, np.asarray(above[-1] + 50))


@pytest.mark.parametrize("measure", [average_precision, auroc, best_dice, aupro])
def test_resamples_side_by_side_measure_as_each_alone(measure):
    cases = [counts(seed) for seed in range(5)]
    lesion = Lesion(*(np.stack([getattr(case[0], name) for case in cases]) for name in ("reached", "overlap")))
    background = Background(
        *(np.stack([getattr(case[1], name) for case in cases]) for name in ("above", "reached", "total"))
    )
    alone = [measure(*case) for case in cases]
    assert len(set(np.round(alone, 9))) == 5
    np.testing.assert_allclose(measure(lesion, background), alone, rtol=1e-12)
