from dataclasses import replace

import numpy as np
import pytest

from mriad.plots import GalleryRow, gallery

RNG = np.random.default_rng(0)
SCALE = {"map_scale": (0.0, 2.0), "pixel_threshold": 1.5, "title": "a run"}


def scan(title="scan", *, strangest=1.0, lesion=False):
    mask = np.zeros((16, 16), dtype=bool)
    mask[4:9, 4:9] = True
    return GalleryRow(
        image=RNG.random((16, 16)),
        reconstruction=RNG.random((16, 16)),
        anomaly_map=strangest * RNG.random((16, 16)),
        mask=mask if lesion else None,
        title=title,
    )


def panels(figure):
    return list(figure.axes[0].images)


def outlines(figure):
    return list(figure.axes[0].collections)


def maps(figure):
    return [image for image in panels(figure) if image.get_cmap().name == "anomaly_map"]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def boxes_are_apart(boxes):
    return all(
        a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0
        for index, a in enumerate(boxes)
        for b in boxes[:index]
    )


def test_every_map_is_drawn_on_the_one_scale_whatever_it_holds():
    sections = {"True positives": [scan(strangest=9), scan(strangest=0.01)], "True negatives": [scan()]}
    drawn = maps(gallery(sections, **SCALE))
    assert len(drawn) == 3
    assert {image.get_clim() for image in drawn} == {(0.0, 2.0)}


def test_every_scan_is_gray_from_zero_to_one():
    dim = replace(scan(), image=np.full((16, 16), 0.2), reconstruction=np.full((16, 16), 0.3))
    figure = gallery({"True negatives": [dim]}, **SCALE)
    gray = [image for image in panels(figure) if image.get_cmap().name == "gray"]
    assert [image.get_clim() for image in gray] == [(0, 1), (0, 1)]


def test_reconstruction_column_is_dropped_where_no_scan_has_one():
    rows = [scan(), scan()]
    with_column = gallery({"True negatives": rows}, **SCALE)
    without = gallery({"True negatives": [replace(row, reconstruction=None) for row in rows]}, **SCALE)
    assert len(panels(with_column)) == 8 and texts(with_column).count("reconstruction") == 2
    assert len(panels(without)) == 6 and "reconstruction" not in texts(without)


def test_scan_without_reconstruction_among_others_leaves_its_place_empty():
    figure = gallery({"True negatives": [scan(), replace(scan(), reconstruction=None)]}, **SCALE)
    assert len(panels(figure)) == 7


def test_a_wide_picture_alone_is_drawn_wide_without_a_name():
    wide = replace(scan(), image=np.zeros((16, 48)), anomaly_map=np.zeros((16, 48)), mask=np.zeros((16, 48), bool))
    figure = gallery({"Heads": [wide]}, **SCALE, panels=("overlay",))
    (panel,) = panels(figure)
    left, right, bottom, top = panel.get_extent()
    assert (right - left) / (bottom - top) == pytest.approx(3) and right - left > 5
    assert "overlay" not in texts(figure)


def test_lesion_is_outlined_on_the_overlay_alone():
    figure = gallery({"True positives": [scan(lesion=True)], "True negatives": [scan()]}, **SCALE)
    overlays = [image for image in panels(figure) if image.get_array().shape == (16, 16, 3)]
    (outline,) = outlines(figure)
    left, right, bottom, top = overlays[0].get_extent()
    corners = np.concatenate([path.vertices for path in outline.get_paths()])
    pixels = 16 * (corners - [left, top]) / [right - left, bottom - top]
    np.testing.assert_allclose([pixels.min(axis=0), pixels.max(axis=0)], [[4, 4], [9, 9]])


def test_mask_without_a_pixel_has_no_outline():
    figure = gallery({"True negatives": [replace(scan(), mask=np.zeros((16, 16), dtype=bool))]}, **SCALE)
    assert not outlines(figure)
    assert len(figure.legends[0].get_texts()) == 1


def test_sections_are_named_and_an_empty_one_says_so():
    figure = gallery({"True positives": [scan()], "False negatives": []}, **SCALE)
    assert "True positives" in texts(figure) and "False negatives: none" in texts(figure)


@pytest.mark.parametrize("counts", [(1, 1), (4, 3, 0, 5), (0, 0)])
def test_panels_and_texts_stand_apart_on_a_page_1200_pixels_wide(counts):
    long = "Tr-meTr_" + "0123456789" * 12 + ".jpg  score 0.123"
    sections = {
        f"Section {index}": [scan(long, lesion=True) for _ in range(count)] for index, count in enumerate(counts)
    }
    figure = gallery(sections, **SCALE | {"title": "A LONG NAME OF A RUN " * 12})
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [image.get_window_extent(renderer) for image in panels(figure)]
    boxes += [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    boxes += [ax.get_tightbbox(renderer) for ax in figure.axes[1:]]
    boxes += [legend.get_window_extent(renderer) for legend in figure.legends]
    assert figure.bbox.width == 1200
    assert all(box.x0 >= 0 and box.x1 <= 1200 and box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)
    assert boxes_are_apart(boxes)


@pytest.mark.parametrize("threshold", [-1.0, 7.0])
def test_threshold_off_the_scale_is_named_and_not_drawn_beside_the_bar(threshold):
    figure = gallery({"True negatives": [scan()]}, **SCALE | {"pixel_threshold": threshold})
    assert len(figure.axes) == 2 and not figure.axes[1].lines
    assert figure.legends[0].get_texts()[0].get_text() == f"pixel threshold {threshold:.4g}"
