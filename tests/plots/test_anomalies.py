import itertools

import numpy as np
import pytest

from mriad.plots import anomaly_examples
from mriad.plots.style import LESION


def rows(names, count=3, height=20, width=20):
    """Scan n of row r holds (10 r + n) / 100; the anomaly is a square, in all but the first row."""
    examples = {}
    for row, name in enumerate(names):
        images = np.full((count, height, width), 0.1 * row) + 0.01 * np.arange(count)[:, None, None]
        masks = np.zeros(images.shape, dtype=bool)
        masks[:, 5:10, 5:10] = row > 0
        examples[name] = images.astype(np.float32), masks
    return examples


def panels(figure):
    return list(figure.axes[0].images)


def names(figure):
    return {text.get_text(): text for text in figure.axes[0].texts}


def test_each_row_has_its_name_beside_its_scans():
    figure = anomaly_examples(rows(["healthy", "blob", "ring"]), title="Page")
    figure.canvas.draw()
    drawn = [float(image.get_array()[0, 0]) for image in panels(figure)]
    assert drawn == pytest.approx([0.1 * row + 0.01 * n for row in range(3) for n in range(3)])
    assert set(names(figure)) == {"Page", "healthy", "blob", "ring"}
    for row, name in enumerate(("healthy", "blob", "ring")):
        panel, label = panels(figure)[3 * row].get_window_extent(), names(figure)[name].get_window_extent()
        assert panel.y0 < (label.y0 + label.y1) / 2 < panel.y1
        assert label.x0 > 0 and label.x1 < panel.x0


@pytest.mark.parametrize("name", ["foreign_patch", "haemorrhage_of_my_own_generator"])
def test_a_long_name_has_its_room(name):
    figure = anomaly_examples(rows(["healthy", name], count=8))
    figure.canvas.draw()
    assert names(figure)[name].get_window_extent().x1 < panels(figure)[0].get_window_extent().x0


def test_anomalies_are_outlined_and_healthy_scans_are_not():
    figure = anomaly_examples(rows(["healthy", "blob"]))
    outlines = figure.axes[0].collections
    assert len(outlines) == 3
    for outline, panel in zip(outlines, panels(figure)[3:], strict=True):
        left, right, bottom, top = panel.get_extent()
        corners = np.concatenate([path.vertices for path in outline.get_paths()])
        pixels = 20 * (corners - [left, top]) / [right - left, bottom - top]
        np.testing.assert_allclose([pixels.min(axis=0), pixels.max(axis=0)], [[5, 5], [10, 10]])
    assert figure.legends[0].get_lines()[0].get_color() == LESION


def test_all_scans_share_one_gray_scale_and_keep_their_proportions():
    figure = anomaly_examples(rows(["healthy", "blob"], height=10, width=20))
    for image in panels(figure):
        assert image.get_clim() == (0, 1)
        box = image.get_window_extent()
        assert box.width / box.height == pytest.approx(2)


@pytest.mark.parametrize("count", [1, 8, 12])
def test_any_number_of_scans_stays_on_the_page(count):
    figure = anomaly_examples(rows(["healthy", "blob"], count=count))
    figure.canvas.draw()
    boxes = [image.get_window_extent() for image in panels(figure)]
    assert len(boxes) == 2 * count
    assert min(box.x0 for box in boxes) > 0 and max(box.x1 for box in boxes) <= figure.bbox.x1
    assert min(box.y0 for box in boxes) > 0 and max(box.y1 for box in boxes) < figure.bbox.y1
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes[:count]))


def test_rows_of_different_scans_are_refused():
    examples = rows(["healthy"]) | rows(["blob"], count=2)
    with pytest.raises(ValueError, match="differ in shape"):
        anomaly_examples(examples)
