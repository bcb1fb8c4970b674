import gzip
import shutil
import subprocess
from types import SimpleNamespace

import highdicom as hd
import nibabel
import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, generate_uid
from volumes import oblique, single_image, voxels, write_dicom

from mriad.data.reading.read import read_scan
from mriad.errors import MriadError
from mriad.geometry import Grid
from mriad.prediction.lesions import lesions_of
from mriad.writing.dicom.algorithm import Algorithm
from mriad.writing.dicom.objects import as_bytes, result_objects
from mriad.writing.dicom.report import as_told
from mriad.writing.nifti import as_nifti

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
ALGORITHM = Algorithm(run="0123456789abcdef", threshold=0.75, pixel_threshold=0.5, key="00" * 16)
GRID = oblique(shape=(7, 12, 10))
PATIENT = {
    "PatientName": "Müller^Änne",
    "PatientID": "MRN 0815",
    "PatientBirthDate": "19330708",
    "PatientSex": "F",
    "AccessionNumber": "ACC 1",
    "StudyDate": "20260102",
    "StudyTime": "101112",
    "StudyID": "S1",
    "ReferringPhysicianName": "Doc^Tor",
    "SpecificCharacterSet": "ISO_IR 192",
    "FrameOfReferenceUID": "1.2.3.4.5",
}


def predicted(scan, *, empty=False, decision=1):
    """A map on the grid of a scan that is unlike itself however it is turned, with three pieces above 0.5."""
    values = np.random.default_rng(0).uniform(0, 0.4, scan.levels.shape).astype(np.float32)
    if not empty:
        values[1:3, 2:6, 3:5] += 0.6
        values[-1, -1, :2] += 0.5
        values[0, 0, 0] = 0.875
    found = SimpleNamespace(map=values, score=0.8125, decision=decision)
    found.lesions = lambda level: lesions_of(values, scan.grid, level=level)
    return found


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    write_dicom(folder, voxels(GRID.shape), GRID, **PATIENT)
    return folder


def written(folder, objects):
    files = {kind: folder / f"{kind}.dcm" for kind in objects}
    for kind, file in files.items():
        file.write_bytes(as_bytes(objects[kind]))
    return files


def on(values, here, there):
    """Values of one grid at the voxels of another that has the same ones, in whatever order."""
    index = here.to_index(there.to_world(np.stack(np.meshgrid(*map(np.arange, there.shape), indexing="ij"), -1)))
    nearest = np.rint(index).astype(int)
    assert np.abs(index - nearest).max() < 0.1
    return values[tuple(np.moveaxis(nearest, -1, 0))]


def as_itk_reads(file):
    image = SimpleITK.ReadImage(str(file))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    values = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)
    return values, Grid(shape=values.shape, affine=LPS @ affine)


def as_highdicom_reads(file):
    volume = hd.imread(file).get_volume()
    values = volume.array[..., 0] if volume.array.ndim == 4 else volume.array
    return values, Grid(shape=values.shape, affine=LPS @ volume.affine)


def as_pydicom_reads(file):
    """By its frames' own positions."""
    dataset = dcmread(file)
    shared, frames = dataset.SharedFunctionalGroupsSequence[0], dataset.PerFrameFunctionalGroupsSequence
    across, down = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, dtype=float)
    places = np.array([frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames], dtype=float)
    affine = np.eye(4)
    affine[:3, 0] = (places[-1] - places[0]) / (len(places) - 1)
    affine[:3, 1:3] = np.stack([down * spacing[0], across * spacing[1]], axis=1)
    affine[:3, 3] = places[0]
    return dataset.pixel_array, Grid(shape=dataset.pixel_array.shape, affine=LPS @ affine)


def nifti(values, scan):
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(as_nifti(values, scan, description="")))
    return np.asarray(image.dataobj), Grid(shape=image.shape, affine=image.affine)


def errors(file):
    """What dciodvfy, the field's validator, finds wrong."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (apt-get install dicom3tools)")
    told = subprocess.run(["dciodvfy", file], capture_output=True, text=True).stderr
    return [line for line in told.splitlines() if line.startswith("Error")]


def enhanced(file, values, grid, *, chosen=slice(None), **tags):
    """A file of several images: two contrasts in turn, of which ``values`` is the first."""
    affine = LPS @ grid.affine
    frames = np.repeat(values, 2, axis=0)
    frames[1::2] = 1
    dataset = single_image(frames)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.NumberOfFrames, dataset.Modality, dataset.SeriesNumber = len(frames), "MR", 4
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    for name, value in tags.items():
        setattr(dataset, name, value)
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(grid.spacing[1:]), grid.spacing[0]
    orientation.ImageOrientationPatient = [
        *(affine[:3, 2] / grid.spacing[2]),
        *(affine[:3, 1] / grid.spacing[1]),
    ]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for number in range(len(frames)):
        place, echo, group = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = list(np.round(affine[:3, 3] + number // 2 * affine[:3, 0], 6))
        echo.EffectiveEchoTime = 10.0 if number % 2 == 0 else 98.0
        group.PlanePositionSequence, group.MREchoSequence = Sequence([place]), Sequence([echo])
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    file.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(file, enforce_file_format=True)
    return file


@pytest.mark.parametrize("read", [as_itk_reads, as_highdicom_reads, as_pydicom_reads])
@pytest.mark.parametrize("mirrored", [True, False])
def test_the_mask_is_that_of_the_nifti_voxel_for_voxel(tmp_path, read, mirrored):
    write_dicom(tmp_path / "in", voxels(GRID.shape), oblique(shape=GRID.shape, mirrored=mirrored))
    scan = read_scan(tmp_path / "in")
    found = predicted(scan)
    files = written(tmp_path, result_objects(scan, found, ALGORITHM))
    expected, there = nifti((found.map > 0.5).astype(np.uint8), scan)
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(on(*read(files["seg"]), there) > 0, expected > 0)


@pytest.mark.parametrize("read", [as_highdicom_reads, as_pydicom_reads])
def test_the_map_is_that_of_the_nifti_to_the_last_bit(series, tmp_path, read):
    scan = read_scan(series)
    found = predicted(scan)
    files = written(tmp_path, result_objects(scan, found, ALGORITHM))
    expected, there = nifti(found.map, scan)
    np.testing.assert_array_equal(on(*read(files["map"]), there).astype(np.float32), expected)
    assert dcmread(files["map"]).pixel_array.dtype == np.float32


@pytest.mark.parametrize("empty", [False, True])
def test_a_validator_finds_nothing_wrong(series, tmp_path, empty):
    scan = read_scan(series)
    for file in written(tmp_path, result_objects(scan, predicted(scan, empty=empty), ALGORITHM)).values():
        assert errors(file) == []


def test_objects_stand_in_the_study_of_the_scan_with_its_patient_and_frame_of_reference(series, tmp_path):
    scan = read_scan(series)
    source = dcmread(next(series.iterdir()))
    for kind, made in result_objects(scan, predicted(scan), ALGORITHM).items():
        for name in PATIENT.keys() - {"FrameOfReferenceUID", "SpecificCharacterSet"} | {"StudyInstanceUID"}:
            assert str(made[name].value) == str(source[name].value), (kind, name)
        assert made.SeriesInstanceUID != source.SeriesInstanceUID
        assert (made.Manufacturer, made.Modality) == ("mriad", {"seg": "SEG", "map": "OT", "sr": "SR"}[kind])
        if kind != "sr":
            assert made.FrameOfReferenceUID == "1.2.3.4.5"
    segment = dcmread(written(tmp_path, result_objects(scan, predicted(scan), ALGORITHM))["seg"]).SegmentSequence[0]
    (by,) = segment.SegmentationAlgorithmIdentificationSequence
    assert segment.SegmentAlgorithmType == "AUTOMATIC" and by.AlgorithmName == "mriad" and by.AlgorithmVersion
    assert "run=0123456789abcdef" in by.AlgorithmParameters and "pixel_threshold=0.5" in by.AlgorithmParameters


def test_an_empty_mask_is_a_segment_with_a_frame_for_each_slice(series, tmp_path):
    scan = read_scan(series)
    files = written(tmp_path, result_objects(scan, predicted(scan, empty=True), ALGORITHM))
    values, _ = as_itk_reads(files["seg"])
    assert values.shape == (10, 12, 7) and not values.any()
    assert as_told(files["sr"])["lesions"] == []


def test_each_frame_names_the_image_that_it_was_made_from(series):
    scan = read_scan(series)
    made = result_objects(scan, predicted(scan), ALGORITHM)
    place_of = {}
    for file in series.iterdir():
        header = dcmread(file)
        place_of[header.SOPInstanceUID] = np.array(header.ImagePositionPatient, dtype=float)
    for kind in ("seg", "map"):
        frames = made[kind].PerFrameFunctionalGroupsSequence
        assert len(frames) == 7
        for frame in frames:
            (image,) = frame.DerivationImageSequence[0].SourceImageSequence
            place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
            np.testing.assert_allclose(place, place_of[image.ReferencedSOPInstanceUID], atol=1e-4)


def test_the_report_says_what_was_measured(series, tmp_path):
    scan = read_scan(series)
    found = predicted(scan, decision=0)
    told = as_told(written(tmp_path, result_objects(scan, found, ALGORITHM))["sr"])
    expected = found.lesions(0.5)
    assert (told["score"], told["decision"], told["count"]) == (0.8125, 0, 3)
    assert told["ml"] == pytest.approx(sum(lesion.ml for lesion in expected))
    for one, other in zip(told["lesions"], expected, strict=True):
        assert one.centre == pytest.approx(other.centre, abs=1e-6)
        assert (one.ml, one.peak, one.mean) == pytest.approx((other.ml, other.peak, other.mean))


def test_groups_of_the_report_follow_the_template_and_refer_to_the_mask(series, tmp_path):
    scan = read_scan(series)
    files = written(tmp_path, result_objects(scan, predicted(scan), ALGORITHM))
    report = hd.sr.srread(files["sr"])
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["Lesion 1", "Lesion 2", "Lesion 3"]
    mask = dcmread(files["seg"]).SOPInstanceUID
    assert {group.referenced_segment.referenced_sop_instance_uid for group in groups} == {mask}


def test_the_same_series_under_the_same_detector_has_the_same_names(series):
    scan = read_scan(series)
    once, twice = (result_objects(scan, predicted(scan), ALGORITHM) for _ in range(2))
    other = result_objects(scan, predicted(scan), Algorithm(**{**ALGORITHM.__dict__, "pixel_threshold": 0.25}))
    for kind in once:
        assert once[kind].SOPInstanceUID == twice[kind].SOPInstanceUID != other[kind].SOPInstanceUID
        assert once[kind].SeriesInstanceUID == twice[kind].SeriesInstanceUID
    assert (
        len({made.SOPInstanceUID for made in once.values()} | {made.SeriesInstanceUID for made in once.values()}) == 6
    )


def test_a_series_with_an_image_less_has_results_of_other_names(series, tmp_path):
    shutil.copytree(series, tmp_path / "in")
    end = max((tmp_path / "in").iterdir(), key=lambda file: dcmread(file).ImagePositionPatient[0])
    end.unlink()
    whole, part = (read_scan(folder) for folder in (series, tmp_path / "in"))
    of_whole, of_part = (result_objects(scan, predicted(scan), ALGORITHM)["seg"] for scan in (whole, part))
    assert of_whole.SOPInstanceUID != of_part.SOPInstanceUID
    assert of_whole.SeriesInstanceUID == of_part.SeriesInstanceUID


def test_a_file_of_several_images_and_contrasts(tmp_path):
    values = voxels(GRID.shape)
    file = enhanced(tmp_path / "in" / "IM1", values, GRID, **PATIENT)
    scan = read_scan(tmp_path / "in", series="10")
    np.testing.assert_array_equal(np.sort(scan.levels.ravel()), np.sort(values.ravel()))
    found = predicted(scan)
    files = written(tmp_path, result_objects(scan, found, ALGORITHM))
    expected, there = nifti((found.map > 0.5).astype(np.uint8), scan)
    for read in (as_itk_reads, as_highdicom_reads, as_pydicom_reads):
        np.testing.assert_array_equal(on(*read(files["seg"]), there) > 0, expected > 0)
    assert all(errors(one) == [] for one in files.values())
    source = dcmread(file)
    for frame in dcmread(files["seg"]).PerFrameFunctionalGroupsSequence:
        (image,) = frame.DerivationImageSequence[0].SourceImageSequence
        from_ = source.PerFrameFunctionalGroupsSequence[image.ReferencedFrameNumber - 1]
        assert from_.MREchoSequence[0].EffectiveEchoTime == 10
        place, expected_place = (one.PlanePositionSequence[0].ImagePositionPatient for one in (frame, from_))
        np.testing.assert_allclose(np.array(place, float), np.array(expected_place, float), atol=1e-4)


def test_slices_at_gaps_that_differ_a_little_are_read_as_a_volume_too(tmp_path):
    affine = LPS @ GRID.affine
    normal = affine[:3, 0] / GRID.spacing[0]
    off = np.array([0, 0.015, -0.01, 0.01, 0, 0.015, 0])
    places = [list(np.round(affine[:3, 3] + number * affine[:3, 0] + mm * normal, 4)) for number, mm in enumerate(off)]
    write_dicom(tmp_path / "in", voxels(GRID.shape), GRID, ImagePositionPatient=places, **PATIENT)
    scan = read_scan(tmp_path / "in")
    found = predicted(scan)
    files = written(tmp_path, result_objects(scan, found, ALGORITHM))
    expected, there = nifti((found.map > 0.5).astype(np.uint8), scan)
    for read in (as_itk_reads, as_highdicom_reads, as_pydicom_reads):
        values, grid = read(files["seg"])
        np.testing.assert_array_equal(on(values, grid, there) > 0, expected > 0)
        assert sorted(grid.spacing) == pytest.approx(sorted(scan.grid.spacing), abs=1e-3)


@pytest.mark.parametrize(
    "odd",
    [
        {"FrameOfReferenceUID": None},
        {"PatientBirthDate": "1933.07", "PatientSex": "unknown", "StudyTime": "25:99"},
        {"PatientName": None, "PatientID": "", "StudyID": None, "ReferringPhysicianName": None},
        {"PatientName": "Only a name that nobody has taken apart"},
        {"SliceThickness": None, "SeriesNumber": ""},
        {"SeriesNumber": 2**31 - 1},
        {"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
    ],
    ids=lambda odd: " ".join(odd),
)
def test_headers_that_break_the_rules_make_results_that_do_not(tmp_path, odd):
    missing = {name for name, value in odd.items() if value is None}
    tags = {name: value for name, value in (PATIENT | odd).items() if name not in missing}
    gone = dict.fromkeys(missing & {"SliceThickness"})  # which the helper sets
    write_dicom(tmp_path / "in", voxels(GRID.shape), GRID, **tags, **gone)
    scan = read_scan(tmp_path / "in")
    for file in written(tmp_path, result_objects(scan, predicted(scan), ALGORITHM)).values():
        assert errors(file) == []


def test_results_are_no_scans(series, tmp_path):
    shutil.copytree(series, tmp_path / "in")
    scan = read_scan(tmp_path / "in")
    written(tmp_path / "in", result_objects(scan, predicted(scan), ALGORITHM))
    again = read_scan(tmp_path / "in")
    np.testing.assert_array_equal(again.levels, scan.levels)


def test_what_is_no_dicom_series_has_no_objects(series):
    scan = read_scan(series)
    with pytest.raises(MriadError, match="no DICOM series"):
        result_objects(SimpleNamespace(slices=()), predicted(scan), ALGORITHM)


@pytest.mark.real
@pytest.mark.parametrize("name", ["dicom_ge_oblique", "dicom_philips_mprage"])
def test_real_series(data_root, tmp_path, name):
    scan = read_scan(data_root / "volumes" / name)
    found = predicted(scan)
    files = written(tmp_path, result_objects(scan, found, ALGORITHM))
    expected, there = nifti((found.map > 0.5).astype(np.uint8), scan)
    for read in (as_itk_reads, as_highdicom_reads, as_pydicom_reads):
        np.testing.assert_array_equal(on(*read(files["seg"]), there) > 0, expected > 0)
    wrong = [line for file in files.values() for line in errors(file) if "Illegal root for UID" not in line]
    assert wrong == []  # the UIDs of dicom_ge_oblique begin with 0.0
