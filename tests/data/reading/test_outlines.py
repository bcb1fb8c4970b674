import json
import os
from pathlib import Path

import numpy as np
import pytest

from mriad.data.reading.outlines import rasterise, read_outlines
from mriad.errors import MriadError

SIZE = (40, 60)


def ellipse(**changes: float) -> dict:
    return {"name": "ellipse", "cx": 30.0, "cy": 20.0, "rx": 15.0, "ry": 4.0, "theta": 0.0} | changes


def test_a_polygon_covers_the_pixels_whose_centres_it_holds():
    square = {"name": "polygon", "all_points_x": [10, 20, 20, 10], "all_points_y": [5, 5, 8, 8]}
    expected = np.zeros(SIZE, dtype=bool)
    expected[5:8, 10:20] = True
    np.testing.assert_array_equal(rasterise([square], size=SIZE), expected)


def test_a_rectangle_covers_the_same_pixels_as_its_polygon():
    polygon = {"name": "polygon", "all_points_x": [10, 20, 20, 10], "all_points_y": [5, 5, 8, 8]}
    rectangle = {"name": "rect", "x": 10, "y": 5, "width": 10, "height": 3}
    np.testing.assert_array_equal(rasterise([rectangle], size=SIZE), rasterise([polygon], size=SIZE))


def test_a_circle_has_its_area_and_its_centre():
    mask = rasterise([{"name": "circle", "cx": 30, "cy": 20, "r": 10}], size=SIZE)
    assert mask.sum() == pytest.approx(np.pi * 100, rel=0.03)
    rows, columns = np.nonzero(mask)
    assert (rows.mean() + 0.5, columns.mean() + 0.5) == pytest.approx((20, 30))


def test_an_ellipse_without_turn_is_wide_along_x():
    rows, columns = np.nonzero(rasterise([ellipse()], size=SIZE))
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == (30, 8)


def test_an_ellipse_without_theta_is_not_turned():
    shape = ellipse()
    del shape["theta"]
    np.testing.assert_array_equal(rasterise([shape], size=SIZE), rasterise([ellipse()], size=SIZE))


def test_a_positive_theta_turns_an_ellipse_clockwise_to_the_eye():
    mask = rasterise([ellipse(theta=np.pi / 4)], size=SIZE)
    assert mask[28, 38] and mask[12, 22]  # lower right and upper left
    assert not mask[12, 38] and not mask[28, 22]


@pytest.mark.parametrize("theta", [0.3, 1.0, 2.5, -0.7])
def test_a_turned_ellipse_keeps_its_area_and_its_axes(theta):
    mask = rasterise([ellipse(theta=theta)], size=SIZE)
    rows, columns = np.nonzero(mask)
    spreads, directions = np.linalg.eigh(np.cov(columns, rows))
    assert mask.sum() == pytest.approx(np.pi * 15 * 4, rel=0.05)
    # The standard deviation of a filled ellipse along an axis is half of that semi-axis.
    np.testing.assert_allclose(2 * np.sqrt(spreads), [4, 15], rtol=0.05)
    assert abs(directions[:, 1] @ [np.cos(theta), np.sin(theta)]) == pytest.approx(1, abs=0.005)


def test_a_half_turn_gives_the_same_ellipse():
    turned = rasterise([ellipse(theta=0.4 - np.pi)], size=SIZE)
    np.testing.assert_array_equal(turned, rasterise([ellipse(theta=0.4)], size=SIZE))


def test_shapes_are_united():
    shapes = [
        {"name": "circle", "cx": 10, "cy": 20, "r": 5},
        {"name": "polygon", "all_points_x": [12, 20, 16], "all_points_y": [18, 18, 30]},
        {"name": "rect", "x": 2, "y": 2, "width": 9, "height": 4},
        ellipse(),
    ]
    single = [rasterise([shape], size=SIZE) for shape in shapes]
    for order in (shapes, shapes[::-1]):
        np.testing.assert_array_equal(rasterise(order, size=SIZE), np.any(single, axis=0))


@pytest.mark.parametrize(
    "shape",
    [
        {"name": "polygon", "all_points_x": [-30, 90, 90, -30], "all_points_y": [-30, -30, 90, 90]},
        {"name": "rect", "x": -5, "y": -5, "width": 99, "height": 99},
        {"name": "circle", "cx": 30, "cy": 20, "r": 99},
        ellipse(rx=99.0, ry=99.0),
    ],
)
def test_what_reaches_beyond_the_image_is_cut_off(shape):
    mask = rasterise([shape], size=SIZE)
    assert mask.shape == SIZE
    assert mask.all()


def test_no_shapes_give_an_empty_mask():
    mask = rasterise([], size=SIZE)
    assert (mask.shape, mask.dtype, mask.any()) == (SIZE, bool, False)


def test_an_unknown_shape_is_named():
    with pytest.raises(MriadError, match="'polyline'"):
        rasterise([{"name": "polyline", "all_points_x": [1], "all_points_y": [1]}], size=SIZE)


def test_an_incomplete_shape_is_an_error():
    with pytest.raises(MriadError, match="circle that is incomplete"):
        rasterise([{"name": "circle", "cx": 30, "cy": 20}], size=SIZE)


def write_export(file: Path, content: object) -> Path:
    file.write_text(json.dumps(content))
    return file


CIRCLE = {"name": "circle", "cx": 1, "cy": 2, "r": 3}


@pytest.mark.parametrize(
    "export",
    [
        {"a.jpg12": {"filename": "a.jpg", "regions": [{"shape_attributes": CIRCLE}]}},
        {"a.jpg12": {"filename": "a.jpg", "regions": {"0": {"shape_attributes": CIRCLE}}}},
        {"_via_img_metadata": {"a": {"filename": "a.jpg", "regions": [{"shape_attributes": CIRCLE}]}}},
    ],
    ids=["VIA 2", "VIA 1", "VIA 2 project"],
)
def test_every_form_of_export_is_read(tmp_path, export):
    assert read_outlines(write_export(tmp_path / "via.json", export)) == {"a.jpg": [CIRCLE]}


def test_an_image_without_regions_has_no_shapes(tmp_path):
    export = {"a": {"filename": "a.jpg", "regions": []}, "b": {"filename": "b.jpg"}}
    assert read_outlines(write_export(tmp_path / "via.json", export)) == {"a.jpg": [], "b.jpg": []}


def test_a_changed_file_is_read_again(tmp_path):
    file = write_export(tmp_path / "via.json", {"a": {"filename": "a.jpg"}})
    os.utime(file, ns=(1, 1))
    assert list(read_outlines(file)) == ["a.jpg"]
    write_export(file, {"b": {"filename": "b.jpg"}})
    assert list(read_outlines(file)) == ["b.jpg"]


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(MriadError, match=r"via\.json cannot be read"):
        read_outlines(tmp_path / "via.json")


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"a": 3}', '{"a": {"regions": []}}', '{"a": null}'])
def test_another_kind_of_file_is_an_error(tmp_path, text):
    (tmp_path / "via.json").write_text(text)
    with pytest.raises(MriadError, match="no export of the VGG Image Annotator"):
        read_outlines(tmp_path / "via.json")


@pytest.mark.parametrize("same", [True, False])
def test_two_images_of_one_name_are_told_apart_by_nothing(tmp_path, same):
    regions = [[{"shape_attributes": ellipse(cx=x)}] for x in (30.0, 30.0 if same else 31.0)]
    images = {f"a.jpg{number}": {"filename": "a.jpg", "regions": part} for number, part in enumerate([*regions, []])}
    (tmp_path / "via.json").write_text(json.dumps(images))
    if same:
        assert read_outlines(tmp_path / "via.json") == {"a.jpg": [ellipse()]}
    else:
        with pytest.raises(MriadError, match=r"via\.json outlines two images that are called 'a\.jpg'.*rename one"):
            read_outlines(tmp_path / "via.json")
