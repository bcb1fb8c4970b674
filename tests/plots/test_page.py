import numpy as np

from mriad.plots.page import Box, Page
from mriad.plots.style import DPI


def drawn(page):
    """(H, W, 3) what the page looks like, in [0, 1]."""
    page.figure.canvas.draw()
    return np.asarray(page.figure.canvas.buffer_rgba())[..., :3] / 255


def inside(pixels, left, top, width, height):
    """The middle of a box given in inches, in pixels."""
    down, across = (
        slice(round(DPI * (start + 0.2 * length)), round(DPI * (start + 0.8 * length)))
        for start, length in ((top, height), (left, width))
    )
    return pixels[down, across]


def test_a_scan_stands_upright_in_its_box_and_nowhere_else():
    page = Page(3, 2)
    page.scan(np.array([[0.0, 0.25], [0.5, 1.0]]).repeat(8, axis=0).repeat(8, axis=1), Box(1, 0.5, 0.8, 1))
    pixels = drawn(page)
    assert pixels.shape == (300, 450, 3)
    for row, column, grey in ((0, 0, 0.0), (0, 1, 0.25), (1, 0, 0.5), (1, 1, 1.0)):
        quarter = inside(pixels, 1 + 0.4 * column, 0.5 + 0.5 * row, 0.4, 0.5)
        np.testing.assert_allclose(quarter, grey, atol=0.01)
    pixels[74:226, 149:271] = 1
    assert (pixels == 1).all()


def test_an_outline_lies_on_its_lesion():
    page = Page(2, 2)
    mask = np.zeros((20, 10), dtype=bool)
    mask[2:6, 7:9] = True
    page.outline(mask, Box(0.5, 0.2, 1, 1.6), linewidth=0.5)
    down, across = np.nonzero((drawn(page) < 0.9).any(axis=2))
    np.testing.assert_allclose([down.min(), down.max()], DPI * np.array([0.36, 0.68]), atol=2)
    np.testing.assert_allclose([across.min(), across.max()], DPI * np.array([1.2, 1.4]), atol=2)


def test_axes_of_their_own_lie_in_their_box():
    box = Page(4, 2).axes(Box(1, 0.5, 2, 0.5)).get_window_extent()
    np.testing.assert_allclose([box.x0, box.x1, box.y0, box.y1], DPI * np.array([1, 3, 1, 1.5]))
