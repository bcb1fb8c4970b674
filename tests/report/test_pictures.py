import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from mriad.plots import confusion_matrix
from mriad.plots.style import MAP_COLOURS
from mriad.report.pictures import MAX_SIDE, gallery_pictures, map_gradient, outline, svg, webp


def decoded(uri):
    kind, content = uri.split(";base64,")
    assert kind == "data:image/webp"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")).astype(int)


def points(path):
    return np.array([[float(number) for number in point.split()] for point in re.findall(r"[\d.-]+ [\d.-]+", path)])


def test_a_picture_comes_back_as_it_was():
    pixels = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    assert np.abs(decoded(webp(pixels)) - pixels[..., None]).max() < 12


def test_a_big_picture_is_made_smaller():
    assert decoded(webp(np.zeros((300, 300, 3), dtype=np.uint8))).shape == (MAX_SIDE, MAX_SIDE, 3)


def test_an_outline_runs_along_the_border_of_the_lesion():
    mask = np.zeros((16, 16), dtype=bool)
    mask[4:8, 2:6] = True
    corners = points(outline(mask))
    assert corners.min(axis=0) == pytest.approx([2, 4])  # x, y of the lesion's upper left
    assert corners.max(axis=0) == pytest.approx([6, 8])


def test_a_lesion_at_the_edge_has_a_closed_outline():
    mask = np.zeros((8, 8), dtype=bool)
    mask[:3, :3] = True
    path = outline(mask)
    assert path.count("M") == path.count("Z") == 1
    assert points(path).min() == pytest.approx(0)


def test_without_a_lesion_there_is_no_outline():
    assert outline(None) == outline(np.zeros((4, 4), dtype=bool)) == ""


def test_maps_of_all_scans_share_one_scale_of_colours(mixed, vae):
    low, high = mixed.calibration.map_scale
    scans = [scan for scans in gallery_pictures(mixed, vae).values() for scan in scans]
    assert len(scans) == len(mixed.table)
    for scan in scans:
        anomaly_map = mixed.maps[mixed.table["path"].tolist().index(scan.path)]
        shown = decoded(next(panel.uri for panel in scan.panels if panel.name == "anomaly map"))
        wanted = 255 * MAP_COLOURS(np.clip((anomaly_map - low) / (high - low), 0, 1))[..., :3]
        assert shown.mean(axis=(0, 1)) == pytest.approx(wanted.mean(axis=(0, 1)), abs=6)


def test_only_the_overlay_of_a_scan_with_a_lesion_is_outlined(mixed, vae):
    for scans in gallery_pictures(mixed, vae).values():
        for scan in scans:
            outlined = [panel.name for panel in scan.panels if panel.outline]
            assert outlined == (["overlay"] if scan.kind == "glioma" else [])


def test_letters_of_a_figure_are_drawn_and_not_left_to_a_font():
    content = base64.b64decode(svg(confusion_matrix(np.array([[1, 2], [3, 4]]))).split(",")[1]).decode()
    assert "<svg" in content
    assert "<text" not in content


def test_the_gradient_runs_from_one_end_of_the_map_s_colours_to_the_other():
    colours = map_gradient()
    ends = [tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in (colours[0], colours[-1])]
    assert ends == [pytest.approx(255 * np.array(MAP_COLOURS(value)[:3]), abs=1) for value in (0.0, 1.0)]
