import gzip
import logging

import nibabel
import numpy as np
import pytest
from volumes import oblique, voxels, write_nifti

from mriad.data.reading.read import read_scan
from mriad.errors import MriadError, ReadError

GRID = oblique()
AFFINE = GRID.affine
VALUES = voxels(GRID.shape)


def refusal(file, **options):
    with pytest.raises(MriadError) as caught:
        read_scan(file, **options)
    sentence = str(caught.value)
    assert str(file) in sentence
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ", "a.img", "a.hdr", "a.img.gz"])
@pytest.mark.parametrize("two", [False, True])
def test_every_kind_of_nifti_gives_voxels_and_their_place(tmp_path, name, two):
    if name.endswith(("img", "hdr", "img.gz")):
        kind = nibabel.Nifti2Pair if two else nibabel.Nifti1Pair
        nibabel.save(kind(VALUES, AFFINE), tmp_path / name.replace("hdr", "img"))
        two = isinstance(nibabel.load(tmp_path / name), nibabel.Nifti2Pair)
    else:
        write_nifti(tmp_path / name.lower(), VALUES, AFFINE, two=two)
        (tmp_path / name.lower()).rename(tmp_path / name)
    scan = read_scan(tmp_path / name)
    np.testing.assert_array_equal(scan.levels, VALUES)
    np.testing.assert_allclose(scan.grid.affine, AFFINE, atol=1e-5)
    assert scan.grid.shape == GRID.shape
    assert scan.facts.format == ("NIfTI-2" if two else "NIfTI-1")
    assert scan.is_volume


def test_a_file_is_what_it_begins_with_not_what_its_name_says(tmp_path):
    write_nifti(tmp_path / "a.nii", VALUES, AFFINE)
    write_nifti(tmp_path / "b.nii.gz", VALUES, AFFINE)
    (tmp_path / "a.nii").rename(tmp_path / "unpacked.nii.gz")
    (tmp_path / "b.nii.gz").rename(tmp_path / "packed.nii")
    for name in ("unpacked.nii.gz", "packed.nii"):
        np.testing.assert_array_equal(read_scan(tmp_path / name).levels, VALUES)


@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        ("uint8", "uint8"),
        ("int8", "int16"),
        ("int16", "int16"),
        ("uint16", "uint16"),
        ("int32", "float32"),
        ("uint32", "float32"),
        ("int64", "float32"),
        ("float32", "float32"),
        ("float64", "float32"),
        (">i2", "int16"),
        (">f4", "float32"),
    ],
)
def test_levels_keep_their_type_up_to_16_bits(tmp_path, stored, kept):
    values = voxels(GRID.shape, kind=stored)
    image = nibabel.Nifti1Image(values, AFFINE, dtype=values.dtype)
    if stored.startswith(">"):
        image = nibabel.Nifti1Image(values, AFFINE, header=nibabel.Nifti1Header(endianness=">"), dtype=values.dtype)
    nibabel.save(image, tmp_path / "a.nii")
    scan = read_scan(tmp_path / "a.nii")
    assert scan.levels.dtype == np.dtype(kept)
    np.testing.assert_array_equal(scan.levels, values)


def test_slope_and_intercept_are_applied(tmp_path):
    file = write_nifti(tmp_path / "a.nii.gz", VALUES.astype(np.uint8), AFFINE)
    raw = bytearray(gzip.decompress(file.read_bytes()))
    raw[112:120] = np.array([14.25, -1024], dtype="<f4").tobytes()  # scl_slope, scl_inter
    file.write_bytes(gzip.compress(bytes(raw)))
    scan = read_scan(file)
    assert scan.levels.dtype == np.float32
    np.testing.assert_allclose(scan.levels, nibabel.load(file).get_fdata(), rtol=1e-6)
    assert scan.levels.min() < -900


def test_a_single_time_point_and_a_single_slice_are_volumes(tmp_path):
    for shape in ((*GRID.shape, 1), (*GRID.shape, 1, 1), (14, 12), (14, 12, 1)):
        file = write_nifti(tmp_path / "a.nii", voxels(shape), AFFINE)
        assert read_scan(file).levels.shape == (*shape, 1, 1)[:3]


def test_the_sform_counts_first_and_the_qform_where_it_is_alone(tmp_path):
    file = write_nifti(tmp_path / "a.nii", VALUES, AFFINE)
    image = nibabel.load(file)
    image.set_qform(GRID.affine, code=1)
    image.set_sform(None, code=0)
    nibabel.save(image, tmp_path / "q.nii")
    np.testing.assert_allclose(read_scan(tmp_path / "q.nii").grid.affine, AFFINE, atol=1e-4)
    image = nibabel.load(file)
    image.set_qform(np.eye(4), code=0)
    nibabel.save(image, tmp_path / "s.nii")
    np.testing.assert_allclose(read_scan(tmp_path / "s.nii").grid.affine, AFFINE, atol=1e-5)


def both(file, qform, sform, codes):
    image = nibabel.Nifti1Image(VALUES, None)
    image.set_qform(qform, code=codes[0])
    image.set_sform(sform, code=codes[1])
    nibabel.save(image, file)
    return file


def test_two_places_that_disagree_are_refused_unless_they_mean_two_spaces(tmp_path, caplog):
    moved = AFFINE.copy()
    moved[:3, 3] += 5
    assert "8.66 mm apart" in refusal(both(tmp_path / "a.nii", AFFINE, moved, (1, 1)))
    with caplog.at_level(logging.WARNING):
        scan = read_scan(both(tmp_path / "b.nii", AFFINE, moved, (1, 4)))
    np.testing.assert_allclose(scan.grid.affine, moved, atol=1e-5)
    assert "two spaces (codes 1 and 4)" in caplog.text
    mirrored = AFFINE @ np.diag([-1, 1, 1, 1])
    assert "mirror images" in refusal(both(tmp_path / "c.nii", AFFINE, mirrored, (1, 4)))
    close = AFFINE.copy()
    close[:3, 3] += 0.1
    read_scan(both(tmp_path / "d.nii", AFFINE, close, (1, 1)))


def test_a_file_that_does_not_say_where_it_lies_is_refused(tmp_path):
    assert "left cannot be told from right" in refusal(write_nifti(tmp_path / "a.nii", VALUES, None))


def changed(file, at, kind, *values):
    """A NIfTI file with bytes of its header replaced."""
    write_nifti(file, VALUES, AFFINE)
    raw = bytearray(file.read_bytes())
    new = np.array(values, dtype=kind).tobytes()
    raw[at : at + len(new)] = new
    file.write_bytes(bytes(raw))
    return file


SROW = 280
BROKEN = {
    "nan": (SROW, "<f4", [np.nan] * 12, "leads nowhere"),
    "zero": (SROW, "<f4", [0] * 12, "leads nowhere"),
    "singular": (SROW, "<f4", [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0], "leads nowhere"),
    "sheared": (SROW, "<f4", [1, 0.4, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0], "miss a right angle by 21.8 degrees"),
    "huge": (SROW, "<f4", [1000, 0, 0, 0, 0, 1000, 0, 0, 0, 0, 1000, 0], "voxels of 1e\\+03 x 1e\\+03"),
    "no dimensions": (40, "<i2", [0, 0, 0, 0], "damaged|no voxels"),
    "nine dimensions": (40, "<i2", [9, 1, 1, 1], "damaged"),
    "empty axis": (40, "<i2", [3, 14, 0, 10], "no voxels"),
    "negative axis": (40, "<i2", [3, 14, -12, 10], "no voxels|damaged"),
    "larger than the file": (40, "<i2", [3, 30000, 30000, 30000], "more than the"),
    "unknown type": (70, "<i2", [99], "damaged"),
    "offset beyond the end": (108, "<f4", [1e9], "damaged"),
    "negative offset": (108, "<f4", [-500], "damaged"),
    "no magic": (344, "S4", [b"abc"], "Analyze"),
    "no size": (0, "<i4", [17], "no NIfTI file"),
}


@pytest.mark.parametrize(("at", "kind", "values", "sentence"), BROKEN.values(), ids=BROKEN)
def test_a_broken_header_ends_in_one_sentence(tmp_path, at, kind, values, sentence):
    file = changed(tmp_path / "a.nii", at, kind, *values)
    if at == SROW:
        raw = bytearray(file.read_bytes())
        raw[252:254] = b"\0\0"  # qform_code
        file.write_bytes(bytes(raw))
    with pytest.raises(MriadError, match=sentence):
        read_scan(file)


def test_metres_and_microns_are_brought_to_millimetres(tmp_path):
    for unit, factor in (("meter", 1000), ("micron", 0.001)):
        small = np.diag([1 / factor, 1 / factor, 2 / factor, 1])
        image = nibabel.Nifti1Image(VALUES, small)
        image.header.set_xyzt_units(unit)
        nibabel.save(image, tmp_path / "a.nii")
        np.testing.assert_allclose(read_scan(tmp_path / "a.nii").grid.spacing, (1, 1, 2), rtol=1e-5)


def test_several_volumes_colours_and_complex_numbers_are_refused(tmp_path):
    file = write_nifti(tmp_path / "a.nii", voxels((4, 5, 6, 3)), AFFINE)
    assert "holds 3 volumes (4 x 5 x 6 x 3)" in refusal(file)
    colour = np.zeros((4, 5, 6), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert "in colour" in refusal(write_nifti(tmp_path / "b.nii", colour, AFFINE))
    assert "complex" in refusal(write_nifti(tmp_path / "c.nii", np.zeros((4, 5, 6), np.complex64), AFFINE))


def test_labels_are_no_scan_but_may_be_a_mask(tmp_path):
    file = write_nifti(tmp_path / "a.nii", VALUES, AFFINE, intent_code=1002)
    assert "holds labels" in refusal(file)
    assert read_scan(file, labels=True).levels.shape == GRID.shape


def test_voxels_that_are_not_finite_get_the_least_level_and_are_counted(tmp_path, caplog):
    values = VALUES.astype(np.float32) - 40
    values[0], values[1, 0, 0] = np.nan, np.inf
    with caplog.at_level(logging.WARNING):
        scan = read_scan(write_nifti(tmp_path / "a.nii", values, AFFINE))
    assert scan.facts.not_finite == 12 * 10 + 1
    assert "121 voxels" in caplog.text
    assert (scan.levels[0] == -40).all()
    np.testing.assert_array_equal(scan.levels[2:], values[2:])
    assert "no finite numbers" in refusal(write_nifti(tmp_path / "b.nii", np.full((4, 5, 6), np.nan), AFFINE))


def test_damaged_bytes_are_told(tmp_path):
    file = write_nifti(tmp_path / "a.nii.gz", VALUES, AFFINE)
    whole = file.read_bytes()
    file.write_bytes(whole[:-8] + b"\1\2\3\4" + whole[-4:])
    assert "checksum is wrong" in refusal(file)
    file.write_bytes(whole[: len(whole) // 2])
    assert "ends early" in refusal(file)
    file.write_bytes(whole[:30])
    assert "damaged" in refusal(file)
    plain = gzip.decompress(whole)
    file.write_bytes(gzip.compress(plain[:-100]))
    assert "more than the" in refusal(file)
    file.write_bytes(plain[:200])
    assert "damaged" in refusal(file)
    file.write_bytes(b"")
    assert "no NIfTI file" in refusal(file)
    half = len(plain) // 2
    file.write_bytes(gzip.compress(plain[:half]) + gzip.compress(plain[half:]))  # as bgzip does
    np.testing.assert_array_equal(read_scan(file).levels, VALUES)


def test_half_a_pair_and_a_missing_file_are_told(tmp_path):
    nibabel.save(nibabel.Nifti1Pair(VALUES, AFFINE), tmp_path / "a.img")
    (tmp_path / "a.img").rename(tmp_path / "b.img")
    assert "put its .img beside it" in refusal(tmp_path / "a.hdr")
    assert "put its .hdr beside it" in refusal(tmp_path / "b.img")
    for name in ("none.nii.gz", "none.img", "none.mgz", "none.nrrd", "none.dcm", "none"):
        with pytest.raises(ReadError, match="does not exist"):
            read_scan(tmp_path / name)
