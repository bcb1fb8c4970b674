import numpy as np
import pytest

from mriad.plots import latent_interpolation, prior_samples


def numbered(count, height=8, width=8):
    """Images that hold their own number, divided by 100."""
    return np.full((count, height, width), 0.01) * np.arange(count)[:, None, None]


def drawn(figure):
    return [float(image.get_array()[0, 0]) for image in figure.axes[0].images]


def places(figure):
    """(n, 4) left, right, bottom and top of each image, in inches from the top left of the page."""
    return np.array([image.get_extent() for image in figure.axes[0].images])


def shares(figure):
    return [text for text in figure.axes[0].texts if text.get_text()[0].isdigit()]


def test_one_walk_is_one_row_from_left_to_right():
    figure = latent_interpolation(numbered(5))
    figure.canvas.draw()
    assert drawn(figure) == pytest.approx([0, 0.01, 0.02, 0.03, 0.04])
    left, right, bottom, top = places(figure).T
    assert (np.diff(left) > 0).all() and len(set(top)) == 1
    assert [text.get_text() for text in shares(figure)] == ["0", "0.25", "0.5", "0.75", "1"]
    assert [text.get_position()[0] for text in shares(figure)] == pytest.approx((left + right) / 2)
    assert all(text.get_position()[1] > bottom[0] for text in shares(figure))


def test_several_walks_are_rows_below_each_other_with_steps_named_once():
    figure = latent_interpolation(numbered(12).reshape(3, 4, 8, 8))
    tops = places(figure)[:, 3].reshape(3, 4)
    assert (np.diff(tops, axis=0) > 0).all() and (np.diff(tops, axis=1) == 0).all()
    assert len(shares(figure)) == 4
    assert min(text.get_position()[1] for text in shares(figure)) > places(figure)[:, 2].max()


@pytest.mark.parametrize(("count", "cells"), [(1, 1), (2, 2), (5, 6), (9, 9), (10, 12)])
def test_samples_fill_a_grid_and_the_rest_stays_white(count, cells):
    values = drawn(prior_samples(numbered(count)))
    assert values == pytest.approx([0.01 * number for number in range(count)] + [1.0] * (cells - count))


@pytest.mark.parametrize("draw", [latent_interpolation, prior_samples])
def test_images_keep_their_proportions_and_one_gray_scale(draw):
    figure = draw(numbered(3, height=10, width=20))
    for image in figure.axes[0].images:
        box = image.get_window_extent()
        assert box.width / box.height == pytest.approx(2)
        assert image.get_clim() == (0, 1)
