import shutil

import gdcm
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from volumes import oblique, single_image, voxels, write_dicom

from mriad.data.reading.read import read_scan
from mriad.errors import MriadError, ReadError
from mriad.geometry import reorient

GRID = oblique(shape=(6, 16, 20), spacing=(2.5, 0.9, 0.9))
VALUES = voxels(GRID.shape)


def refusal(folder, **options):
    with pytest.raises(MriadError) as caught:
        read_scan(folder, **options)
    sentence = str(caught.value)
    assert str(folder) in sentence
    assert "\n" not in sentence
    return sentence


def assert_same(scan, values=VALUES, grid=GRID):
    """The scan holds the values in their places, from whichever end its slices are counted."""
    np.testing.assert_allclose(scan.grid.reoriented().affine, grid.reoriented().affine, atol=1e-4)
    np.testing.assert_allclose(reorient(scan.levels, scan.grid), reorient(values, grid), rtol=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_slices_are_sorted_by_place_whatever_their_names(tmp_path, mirrored):
    grid = oblique(shape=GRID.shape, spacing=GRID.spacing, mirrored=mirrored)
    write_dicom(tmp_path / "a", VALUES, grid)
    scan = read_scan(tmp_path)
    assert_same(scan, grid=grid)
    assert scan.levels.dtype == np.int16
    facts = scan.facts
    assert (facts.format, facts.series, facts.series_number, facts.modality) == ("DICOM", "t1 mprage", "3", "MR")


def test_slices_may_lie_in_a_tree_beside_other_files(tmp_path):
    for number, file in enumerate(write_dicom(tmp_path / "a", VALUES, GRID)):
        folder = tmp_path / "study" / f"part{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        file.rename(folder / f"{number}.dcm")
    (tmp_path / "study" / "README.txt").write_text("no image")
    (tmp_path / "study" / ".hidden").write_text("no image")
    shutil.copy(tmp_path / "study" / "part0" / "0.dcm", tmp_path / "study" / "copy")
    (tmp_path / "study" / "part0" / "back").symlink_to(tmp_path / "study")
    assert_same(read_scan(tmp_path / "study"))


def test_one_file_is_one_slice(tmp_path):
    file = write_dicom(tmp_path, VALUES, GRID, order=[2])[0]
    scan = read_scan(file)
    np.testing.assert_array_equal(scan.levels, VALUES[2:3])
    np.testing.assert_allclose(scan.grid.affine[:3, 3], GRID.to_world((2, 0, 0)), atol=1e-4)
    assert scan.grid.spacing[0] == pytest.approx(2.5)


def test_each_slice_is_rescaled_by_its_own_slope(tmp_path):
    slopes = [1.5, 2.0, 0.5, 1.0, 3.0, 2.25]
    write_dicom(tmp_path, VALUES, GRID, RescaleSlope=slopes, RescaleIntercept=-10, RescaleType="US")
    assert_same(read_scan(tmp_path), VALUES * np.array(slopes)[:, None, None] - 10)


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_monochrome1_is_turned_round(tmp_path, kind):
    values = VALUES.astype(kind)
    inverse = 4095 - values if kind == np.uint16 else -1 - values
    bits = {"BitsStored": 12, "HighBit": 11} if kind == np.uint16 else {}
    write_dicom(tmp_path, inverse.astype(kind), GRID, PhotometricInterpretation="MONOCHROME1", **bits)
    assert_same(read_scan(tmp_path), values)


def test_overlays_in_unused_bits_are_left_out(tmp_path):
    drawn = VALUES.astype(np.uint16) | np.uint16(0x8000)
    write_dicom(tmp_path, drawn, GRID, BitsStored=12, HighBit=11)
    assert_same(read_scan(tmp_path))


SYNTAXES = {
    "JPEG lossless": (gdcm.TransferSyntax.JPEGLosslessProcess14, JPEGLossless),
    "JPEG lossless, first order": (gdcm.TransferSyntax.JPEGLosslessProcess14_1, JPEGLosslessSV1),
    "JPEG-LS": (gdcm.TransferSyntax.JPEGLSLossless, JPEGLSLossless),
    "JPEG 2000": (gdcm.TransferSyntax.JPEG2000Lossless, JPEG2000Lossless),
    "RLE": (gdcm.TransferSyntax.RLELossless, RLELossless),
}


@pytest.mark.parametrize(("syntax", "uid"), SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_compressed_pixels_are_the_same_pixels(tmp_path, syntax, uid, kind):
    values = (VALUES.astype(np.int32) * 16 - (2000 if kind == np.int16 else 0)).astype(kind)
    for file in write_dicom(tmp_path / "a", values, GRID):
        reader = gdcm.ImageReader()
        reader.SetFileName(str(file))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(file))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        assert dcmread(file).file_meta.TransferSyntaxUID == uid
    assert_same(read_scan(tmp_path), values)


def enhanced(file, values, grid, *, echoes=1):
    """One multi-frame file: for every echo all slices, from the last to the first."""
    from pydicom.dataset import Dataset
    from pydicom.uid import EnhancedMRImageStorage, generate_uid

    affine = np.diag([-1.0, -1, 1, 1]) @ grid.affine
    order = list(range(len(values)))[::-1]
    dataset = single_image(np.concatenate([values[order] + 1000 * echo for echo in range(echoes)]).astype(np.int16))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.NumberOfFrames = len(order) * echoes
    dataset.SeriesInstanceUID, dataset.Modality, dataset.SeriesNumber = generate_uid(), "MR", 7

    def sequence(name, **values):
        item, inner = Dataset(), Dataset()
        for key, value in values.items():
            setattr(inner, key, value)
        setattr(item, name, [inner])
        return item

    shared = sequence(
        "PlaneOrientationSequence",
        ImageOrientationPatient=[*(affine[:3, 2] / grid.spacing[2]), *(affine[:3, 1] / grid.spacing[1])],
    )
    shared.update(
        sequence("PixelMeasuresSequence", PixelSpacing=list(grid.spacing[1:]), SliceThickness=grid.spacing[0])
    )
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for echo in range(echoes):
        for number in order:
            frame = sequence("PlanePositionSequence", ImagePositionPatient=list(affine[:3, 3] + number * affine[:3, 0]))
            frame.update(sequence("PixelValueTransformationSequence", RescaleSlope=1 + number, RescaleIntercept=0))
            frame.update(sequence("MREchoSequence", EffectiveEchoTime=14.0 + 84 * echo))
            frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.save_as(file, enforce_file_format=True)


def test_an_enhanced_file_of_many_frames_is_a_volume(tmp_path):
    enhanced(tmp_path / "a.dcm", VALUES, GRID)
    assert_same(read_scan(tmp_path / "a.dcm"), VALUES * (1 + np.arange(6))[:, None, None])


def test_echoes_of_one_series_are_listed_and_chosen(tmp_path):
    enhanced(tmp_path / "a.dcm", VALUES, GRID, echoes=2)
    sentence = refusal(tmp_path)
    assert "7 echo time 14 (6 images)" in sentence
    assert "7 echo time 98 (6 images)" in sentence
    second = read_scan(tmp_path, series="echo time 98")
    assert_same(second, (VALUES + 1000) * (1 + np.arange(6))[:, None, None])


def test_pixels_that_cannot_be_read_are_told(tmp_path):
    files = write_dicom(tmp_path / "a", VALUES, GRID)
    dataset = dcmread(files[2])
    dataset.PixelData = dataset.PixelData[:-50]
    dataset.save_as(files[2])
    with pytest.raises(MriadError, match=f"The pixels of {files[2]} cannot be read"):
        read_scan(tmp_path)


def test_an_unknown_transfer_syntax_is_told(tmp_path):
    files = write_dicom(tmp_path, VALUES, GRID)
    raw = files[0].read_bytes()
    files[0].write_bytes(raw.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.9.9\0"))
    with pytest.raises(MriadError, match=r"transfer syntax 1\.2\.840\.10008\.1\.9\.9"):
        read_scan(tmp_path)


def test_colour_is_no_scan(tmp_path):
    file = write_dicom(tmp_path, VALUES, GRID, order=[0])[0]
    dataset = dcmread(file)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.PixelData = dataset.PixelData * 3
    dataset.save_as(file)
    with pytest.raises(MriadError, match="in colour"):
        read_scan(file)


def test_a_folder_without_images_says_what_it_holds(tmp_path):
    assert "holds no DICOM image (0 files" in refusal(tmp_path)
    (tmp_path / "a.nii.gz").write_bytes(b"")
    assert "1 volumes of other formats" in refusal(tmp_path)
    (tmp_path / "a.dcm").write_bytes(b"no dicom")
    with pytest.raises(MriadError, match="holds no DICOM image"):
        read_scan(tmp_path / "a.dcm")
    with pytest.raises(ReadError, match="does not exist"):
        read_scan(tmp_path / "b.dcm")


def test_a_damaged_header_is_told_with_its_file(tmp_path):
    files = write_dicom(tmp_path, VALUES, GRID)
    whole = files[1].read_bytes()
    for length in (132, 150, 300, 400, 600, len(whole) - 500):
        files[1].write_bytes(whole[:length])
        with pytest.raises(MriadError, match=f"{files[1]} "):
            read_scan(tmp_path)
