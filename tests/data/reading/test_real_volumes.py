"""Real scans with the traps that real scans have."""

import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest

from mriad.data.reading.read import read_scan
from mriad.data.reading.suffixes import is_volume
from mriad.data.reading.volume_masks import read_mask_on, read_volume_mask
from mriad.errors import MriadError
from mriad.geometry import Grid, reorient

pytestmark = pytest.mark.real

REFUSED = {
    "odd/made_damaged/badcrc_T1.nii.gz": "checksum is wrong",
    "odd/made_damaged/flippedbyte_T1.nii.gz": "damaged gzip",
    "odd/nibabel/analyze.hdr": "put its .img beside it",
    "odd/nibabel/example_nifti2.nii.gz": "holds 2 volumes",
    "odd/nifti_reader_js/5D_small.nii": "holds 3 volumes",
    "odd/nifti_reader_js/not-nifti.nii": "is no NIfTI file",
    "odd/niivue/ct_perfusion.nii.gz": "in colour",
    "odd/niivue/minimal.nii.gz": "left cannot be told from right",
    "odd/niivue/pcasl.nii.gz": "holds 10 volumes",
    "odd/niivue/shear.nii.gz": "qform and an sform that are up to 35.6 mm apart",
    "dicom_dicom2nifti": "holds 10 series",
    "dicom_dicom2nifti/failing/sliceincrement": "gap of 10.00 mm where others are 5.00",
    "dicom_dicom2nifti/siemens/fmri_classic": "8 images at 4 places",
    "odd/nibabel": "holds no DICOM image",
}
SERIES = {
    "dicom_ge_oblique": ((20, 256, 256), "SPL"),
    "dicom_philips_mprage": ((170, 256, 256), "RIP"),
    "dicom_dicom2nifti/ge/anatomical/001": ((4, 256, 256), "RIP"),
    "dicom_dicom2nifti/ge/anatomical/001_single_slice": ((1, 256, 256), "RIP"),
    "dicom_dicom2nifti/generic/compressed_j2k": ((4, 256, 256), "RIP"),
    "dicom_dicom2nifti/generic/compressed_jpeg": ((4, 256, 256), "RIP"),
    "dicom_dicom2nifti/generic/compressed_rle": ((4, 256, 256), "RIP"),
    "dicom_dicom2nifti/hitachi": ((4, 64, 64), "RIP"),
    "dicom_dicom2nifti/philips/anatomical": ((4, 240, 240), "PIL"),
    "dicom_dicom2nifti/philips_enhanced": ((8, 256, 256), "RIP"),
    "dicom_dicom2nifti/siemens/anatomical": ((4, 256, 256), "RIP"),
    "dicom_dicom2nifti/failing/slicecount": ((2, 256, 256), "RIP"),  # two slices in order: short, but a stack
}
MNI = "N4_noneck_reduced_winsor_regtoFLAIR"
MASKED = {  # scan, mask, ml of the mask, ml on the scan
    "stroke on its own grid": (
        "isles22_case0009/{0}rawdata/{1}_dwi",
        "isles22_case0009/{0}derivatives/{1}_msk",
        4.18,
        4.18,
    ),
    "stroke on another": (
        "isles22_case0009/{0}rawdata/{1}_flair",
        "isles22_case0009/{0}derivatives/{1}_msk",
        4.18,
        3.91,
    ),
    "glioma": (
        "brats2013_deepmedic/brats_2013_pat0002_1/Flair_subtrMeanDivStd",
        "brats2013_deepmedic/brats_2013_pat0002_1/OTMultiClass",
        63.06,
        63.06,
    ),
    "MS": (
        f"open_ms_mni/patient26/FLAIR_{MNI}_brain_N4_regtoMNI",
        f"open_ms_mni/patient26/GOLD_STANDARD_{MNI}_regtoMNI",
        8.23,
        8.23,
    ),
    "change of MS": (
        "open_ms_longitudinal_raw/patient01/study1_FLAIR",
        "open_ms_longitudinal_raw/patient01/gt",
        3.51,
        3.49,
    ),
    "white matter": ("nichart_demo_wmh/fl/Subj10_FL", "nichart_demo_wmh/dlwmls_seg/Subj10_FL_DLWMLS", 23.14, 23.14),
    "white matter on T1": (
        "nichart_demo_wmh/t1/Subj10_T1",
        "nichart_demo_wmh/dlwmls_seg/Subj10_FL_DLWMLS",
        23.14,
        22.08,
    ),
}


@pytest.fixture(scope="module")
def volumes(data_root):
    return data_root / "volumes"


@pytest.mark.parametrize(("name", "sentence"), REFUSED.items(), ids=REFUSED)
def test_what_is_no_scan_is_refused_in_one_sentence(volumes, name, sentence):
    with pytest.raises(MriadError) as caught:
        read_scan(volumes / name)
    assert sentence in str(caught.value)
    assert str(volumes / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_other_file_is_what_nibabel_reads(volumes):
    files = [f for f in sorted(volumes.rglob("*")) if f.is_file() and "dicom" not in str(f) and is_volume(f)]
    assert len(files) > 180
    for number, file in enumerate(files):
        name = str(file.relative_to(volumes))
        if name in REFUSED or file.suffix == ".nrrd" or ("ixi" in name and number % 20):
            continue
        scan, image = read_scan(file), nibabel.load(file)
        assert scan.grid.shape == image.shape, file
        np.testing.assert_allclose(scan.grid.affine, image.affine, atol=1e-6, err_msg=name)
        assert scan.grid.orientation == "".join(nibabel.aff2axcodes(image.affine)), file
        values = np.asarray(image.dataobj, dtype=np.float64)
        finite = np.isfinite(values)
        assert scan.facts.not_finite == (~finite).sum(), file
        np.testing.assert_allclose(scan.levels[finite], values[finite], rtol=1e-6, atol=1e-4, err_msg=name)


def test_an_nrrd_is_the_nifti_of_the_same_head(volumes):
    nrrd, nifti = (read_scan(volumes / "odd" / "niivue" / f"FLAIR.{kind}") for kind in ("nrrd", "nii.gz"))
    np.testing.assert_array_equal(nrrd.levels, nifti.levels)
    np.testing.assert_allclose(nrrd.grid.affine, nifti.grid.affine, atol=1e-4)


def test_six_orientations_of_one_head_have_the_same_canonical_voxels(volumes):
    files = sorted((volumes / "odd" / "niimath_orient").glob("*.nii.gz"))
    scans = {file.name[:3]: read_scan(file) for file in files}
    assert len(scans) == 6
    wanted = scans["RAS"]
    for orientation, scan in scans.items():
        assert scan.grid.orientation == orientation
        np.testing.assert_array_equal(reorient(scan.levels, scan.grid), reorient(wanted.levels, wanted.grid))
        np.testing.assert_allclose(scan.grid.reoriented().affine, wanted.grid.reoriented().affine, atol=1e-4)


@pytest.mark.parametrize(("name", "shape", "orientation"), [(n, *e) for n, e in SERIES.items()], ids=SERIES)
def test_a_dicom_series_is_where_dcm2niix_puts_it(volumes, tmp_path, name, shape, orientation):
    scan = read_scan(volumes / name)
    assert (scan.grid.shape, scan.grid.orientation) == (shape, orientation)
    converted = read_scan(converted_by_dcm2niix(volumes / name, tmp_path))
    other = converted.grid.reoriented(orientation)
    values = reorient(converted.levels, converted.grid, orientation)
    assert other.shape == shape
    np.testing.assert_allclose(scan.levels, values, rtol=1e-5)
    steps, places = (np.split(grid.affine[:3], [3], axis=1) for grid in (scan.grid, other))
    if name == "dicom_ge_oblique":
        # dcm2niix takes the first of its uneven gaps, 7.07 mm, for all; their mean is where the header says
        np.testing.assert_allclose(steps[0][:, 1:], places[0][:, 1:], atol=1e-3)
        np.testing.assert_allclose(scan.grid.to_world((0, 0, 0)), other.to_world((0, 0, 0)), atol=1e-3)
        assert np.linalg.norm(scan.grid.to_world((19, 0, 0)) - (110.5, 96.2063, 59.0425)) < 0.2
    else:
        assert_within(scan.grid, other, mm=1e-3)


def assert_within(grid: Grid, other: Grid, *, mm: float) -> None:
    np.testing.assert_allclose(grid.affine[:3, :3], other.affine[:3, :3], atol=mm)
    ends = [np.abs(grid.to_world(end) - other.to_world(end)).max() for end in ((0, 0, 0), np.array(grid.shape) - 1)]
    assert min(ends) < mm
    assert max(ends) < 2 * mm


def converted_by_dcm2niix(folder: Path, to: Path) -> Path:
    program = pytest.importorskip("dcm2niix", reason="dcm2niix is not installed").bin
    subprocess.run(
        [program, "-z", "n", "-b", "n", "-p", "n", "-f", "scan", "-o", to, folder], check=True, capture_output=True
    )
    (file,) = to.glob("*.nii")
    return file


@pytest.mark.parametrize(("scan", "mask", "own", "carried"), MASKED.values(), ids=MASKED)
def test_a_mask_lies_on_its_scan(volumes, scan, mask, own, carried):
    parts = ("", "sub-strokecase0009/ses-0001/sub-strokecase0009_ses-0001")
    scan, mask = (volumes / f"{name.format(*parts)}.nii.gz" for name in (scan, mask))
    grid = read_scan(scan).grid
    lesion, there = read_volume_mask(mask)
    assert lesion.sum() * there.voxel_volume / 1000 == pytest.approx(own, abs=0.01)
    assert read_mask_on(mask, grid).sum() * grid.voxel_volume / 1000 == pytest.approx(carried, abs=0.01)


def test_a_mask_of_another_patient_in_another_space_is_refused(volumes):
    grid = read_scan(volumes / "open_ms_mni" / "patient26" / f"T1_{MNI}_brain_N4_regtoMNI.nii.gz").grid
    mask = volumes / "odd" / "nibabel" / "standard.nii.gz"
    assert read_mask_on(mask, grid).any()  # small, but inside
    with pytest.raises(MriadError, match="elsewhere than its scan"):
        read_mask_on(mask, grid.cropped(np.s_[:20, :20, :20]))
