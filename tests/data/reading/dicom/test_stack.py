import logging
from dataclasses import replace

import numpy as np
import pytest
from volumes import oblique, voxels, write_dicom

from mriad.data.reading.dicom import find_series
from mriad.data.reading.dicom.stack import stack
from mriad.errors import MriadError

GRID = oblique(shape=(8, 6, 6), spacing=(3, 1, 1))
NORMAL = GRID.affine[:3, 0] / 3 * (-1, -1, 1)  # in DICOM's world


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    write_dicom(folder, voxels(GRID.shape), GRID, order=list(range(8)))
    return sorted(find_series(folder)[0].frames, key=lambda frame: frame.file)


def moved(frame, mm):
    return replace(frame, position=tuple(np.array(frame.position) + mm))


def refusal(frames):
    with pytest.raises(MriadError) as caught:
        stack("folder", frames)
    assert str(caught.value).startswith("folder ")
    return str(caught.value)


def test_order_is_by_place(frames):
    ordered, affine = stack("folder", frames[::-1])
    assert [frame.file for frame in ordered] in ([f.file for f in frames], [f.file for f in frames[::-1]])
    np.testing.assert_allclose(np.abs(affine[:3, :3]), np.abs(GRID.affine[:3, :3]), atol=1e-5)


def test_gaps_that_differ_a_little_count_as_their_mean(frames):
    jitter = [0, 0.06, -0.04, 0.05, 0, -0.06, 0.03, 0.08]
    _, affine = stack("folder", [moved(f, j * NORMAL) for f, j in zip(frames, jitter, strict=True)])
    assert np.linalg.norm(affine[:3, 0]) == pytest.approx(3 + 0.08 / 7)


def test_missing_slices_are_counted(frames):
    assert "lacks about 2 slices" in refusal([f for n, f in enumerate(frames) if n not in (3, 4)])
    assert "gap of 9.00 mm where others are 3.00" in refusal([f for n, f in enumerate(frames) if n not in (3, 4)])


def test_uneven_gaps_are_refused(frames):
    assert "uneven gaps (3.00 to 3.90 mm)" in refusal([moved(f, 0.9 * (n > 3) * NORMAL) for n, f in enumerate(frames)])


def test_several_images_in_one_place_are_refused(frames):
    assert "16 images at 8 places" in refusal([*frames, *frames])


def test_several_orientations_are_refused(frames):
    turned = [replace(f, directions=(*f.directions[3:], *f.directions[:3])) for f in frames[:3]]
    assert "3 of 8 are turned by up to 90.0 degrees" in refusal([*frames[3:], *turned])


def test_a_tilted_gantry_is_refused(frames):
    down = np.array(frames[0].directions[3:])
    assert "tilted by 9.5 degrees" in refusal([moved(f, n * 0.5 * down) for n, f in enumerate(frames)])


def test_slices_beside_the_line_of_the_others_are_refused(frames):
    down = np.array(frames[0].directions[3:])
    assert "4.00 mm beside the line" in refusal([moved(f, 4.0 * (n == 3) * down) for n, f in enumerate(frames)])


def test_several_sizes_and_spacings_are_refused(frames):
    assert "7 of 6 x 6, 1 of 12 x 12" in refusal([*frames[:7], replace(frames[7], shape=(12, 12))])
    assert "(1 to 2 mm)" in refusal([*frames[:7], replace(frames[7], spacing=(2.0, 2.0))])


def test_images_without_a_place_are_refused(frames):
    for missing in ("position", "directions", "spacing"):
        assert "1 of 8 images that do not say where" in refusal([*frames[:7], replace(frames[7], **{missing: None})])
    assert "make no sense" in refusal([replace(f, spacing=(0.0, 1.0)) for f in frames])
    assert "make no sense" in refusal([replace(f, directions=(0.0,) * 6) for f in frames])


def test_a_mosaic_is_refused(frames):
    assert "Siemens mosaic" in refusal([replace(frames[0], tiles=36)])


def test_a_single_slice_is_as_thick_as_it_says(frames, caplog):
    _, affine = stack("folder", frames[:1])
    assert np.linalg.norm(affine[:3, 0]) == pytest.approx(3)
    with caplog.at_level(logging.WARNING):
        _, affine = stack("folder", [replace(frames[0], thickness=float("nan"))])
    assert np.linalg.norm(affine[:3, 0]) == pytest.approx(1)
    assert "1 mm is taken" in caplog.text
