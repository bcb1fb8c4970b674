import numpy as np
import pytest

from mriad.plots import latent_interpolation, prior_samples


def numbered(count, height=8, width=8):
    """Images that hold their own number, divided by 100."""
    return np.full((count, height, width), 0.01) * np.arange(count)[:, None, None]


def drawn(figure):
    return [float(ax.images[0].get_array()[0, 0]) for ax in figure.axes]


def test_one_walk_is_one_row_from_left_to_right():
    figure = latent_interpolation(numbered(5))
    figure.canvas.draw()
    assert drawn(figure) == pytest.approx([0, 0.01, 0.02, 0.03, 0.04])
    lefts = [ax.get_position().x0 for ax in figure.axes]
    assert lefts == sorted(lefts)
    assert len({round(ax.get_position().y0, 6) for ax in figure.axes}) == 1
    assert [ax.get_xlabel() for ax in figure.axes] == ["0", "0.25", "0.5", "0.75", "1"]


def test_several_walks_are_rows_below_each_other_with_steps_named_once():
    figure = latent_interpolation(numbered(12).reshape(3, 4, 8, 8))
    tops = [ax.get_position().y1 for ax in figure.axes[::4]]
    assert tops == sorted(tops, reverse=True) and len(figure.axes) == 12
    assert [bool(ax.get_xlabel()) for ax in figure.axes] == [False] * 8 + [True] * 4


@pytest.mark.parametrize(("count", "cells"), [(1, 1), (2, 2), (5, 6), (9, 9), (10, 12)])
def test_samples_fill_a_grid_and_the_rest_stays_white(count, cells):
    values = drawn(prior_samples(numbered(count)))
    assert values == pytest.approx([0.01 * number for number in range(count)] + [1.0] * (cells - count))


@pytest.mark.parametrize("draw", [latent_interpolation, prior_samples])
def test_images_keep_their_proportions_and_one_gray_scale(draw):
    figure = draw(numbered(3, height=10, width=20))
    for ax in figure.axes:
        box = ax.get_window_extent()
        assert box.width / box.height == pytest.approx(2)
        assert ax.images[0].get_clim() == (0, 1)
