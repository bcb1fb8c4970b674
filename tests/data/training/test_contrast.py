import numpy as np
import pytest

from mriad.data.training.contrast import any_curve, monotone_curve

SEEDS = range(200)


def curves(draw):
    return np.stack([draw(np.random.default_rng(seed)) for seed in SEEDS])


@pytest.mark.parametrize("draw", [monotone_curve, any_curve])
def test_a_curve_gives_every_grey_value_a_new_one(draw):
    drawn = curves(draw)
    assert drawn.shape == (len(SEEDS), 256)
    assert drawn.dtype == np.uint8
    assert (drawn.max(axis=1) > 200).mean() > 0.9  # some tissue is bright


@pytest.mark.parametrize("draw", [monotone_curve, any_curve])
def test_air_stays_dark(draw):
    drawn = curves(draw)
    assert (drawn[:, :10] == 0).all()
    assert np.median(drawn[:, 60]) > 20  # while tissue does not


@pytest.mark.parametrize("draw", [monotone_curve, any_curve])
def test_the_generator_alone_decides(draw):
    drawn = curves(draw)
    np.testing.assert_array_equal(drawn, curves(draw))
    assert len({curve.tobytes() for curve in drawn}) == len(SEEDS)


def test_a_monotone_curve_keeps_the_order_of_tissues_and_the_ends():
    drawn = curves(monotone_curve).astype(int)
    assert (np.diff(drawn, axis=1) >= 0).all()
    assert (drawn[:, 0] == 0).all() and (drawn[:, -1] == 255).all()


def test_any_curve_turns_some_tissues_round():
    tissue = curves(any_curve)[:, 30:].astype(int)
    falls = (np.diff(tissue, axis=1) < 0).any(axis=1)
    assert falls.mean() > 0.5


@pytest.mark.parametrize("draw", [monotone_curve, any_curve])
def test_curves_are_smooth(draw):
    """No two neighbouring grey values are torn apart: an edge that was none does not come up."""
    assert np.abs(np.diff(curves(draw).astype(int), axis=1)).max() < 50
