import threading
import warnings

import made
import nibabel
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk  # noqa: N813
import volumes
from commands.brains import brain, lesion
from PIL import Image
from whole_heads import affine, head, save

import mriad
from mriad.geometry import Grid


@pytest.fixture(scope="module")
def of_pictures(tmp_path_factory):
    file = tmp_path_factory.mktemp("pictures") / "best.ckpt"
    made.checkpoint(file, *made.PICTURES, "model=intensity", "score=brain", threshold=0.5, pixel_threshold=0.9)
    return mriad.load(file, device="cpu")


@pytest.fixture(scope="module")
def of_volumes(tmp_path_factory):
    file = tmp_path_factory.mktemp("volumes") / "best.ckpt"
    made.checkpoint(file, *made.VOLUMES, "model=intensity", "score=mse_foreground", threshold=0.5, pixel_threshold=0.7)
    return mriad.load(str(file), device="cpu")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A head with a lesion, oblique and of an odd order of axes, as a file."""
    return save(tmp_path_factory.mktemp("scan") / "t1.nii.gz", 3, lesion=True, code=2)


def test_a_picture_has_one_score_and_one_map_whatever_holds_it(of_pictures, tmp_path):
    pixels, mask = lesion(3)
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    path, array, text, itk = of_pictures(
        [tmp_path / "scan.png", pixels, str(tmp_path / "scan.png"), sitk.GetImageFromArray(pixels)]
    )
    colour = of_pictures(np.stack([pixels] * 3, axis=2))
    for other in (array, text, itk, colour):
        assert other.score == path.score and other.decision == path.decision
    assert isinstance(path.map, np.ndarray) and path.map.shape == pixels.shape and path.map.dtype == np.float32
    assert np.array_equal(array.map, path.map) and np.array_equal(colour.map, path.map)
    assert np.array_equal(sitk.GetArrayFromImage(itk.map), path.map)
    assert itk.map.GetSize() == (64, 64)
    assert mask[np.unravel_index(path.map.argmax(), path.map.shape)]
    assert set(np.unique(path.mask)) == {0, 1} and np.array_equal(path.mask > 0, path.map > 0.9)


def test_the_lesions_of_a_picture_are_a_table(of_pictures):
    pixels, mask = lesion(3)
    found = of_pictures(pixels, spacing=(0.5, 2.0))
    largest = found.lesions.iloc[0]
    assert list(found.lesions.columns) == ["lesion", "pixels", "mm2", "row", "column", "peak", "mean"]
    rows, columns = mask.nonzero()
    assert (largest["row"], largest["column"]) == pytest.approx((rows.mean(), columns.mean()), abs=1.5)
    assert largest["mm2"] == largest["pixels"] == found.lesions["pixels"].max()
    assert found.lesions["pixels"].sum() == found.mask.sum()
    assert np.isnan(of_pictures(pixels).lesions["mm2"]).all()


def test_a_volume_has_one_score_and_a_map_of_its_own_type_on_its_own_grid(of_volumes, scan):
    image = nibabel.load(scan)
    itk = sitk.ReadImage(str(scan))
    values = np.asarray(image.dataobj)
    from_path, from_nibabel = of_volumes(scan), of_volumes(image)
    from_array, from_itk = of_volumes(values, affine=image.affine), of_volumes(itk)
    for other in (from_nibabel, from_array):
        assert other.score == from_path.score
    assert from_itk.score == pytest.approx(from_path.score, abs=1e-5)  # its directions have fewer digits
    for made_of in (from_path, from_nibabel):
        assert type(made_of.map) is nibabel.Nifti1Image and made_of.map.shape == image.shape
        assert np.array_equal(made_of.map.affine, image.affine) and made_of.map.get_data_dtype() == np.float32
        for form in ("qform", "sform"):
            assert int(made_of.map.header[f"{form}_code"]) == int(image.header[f"{form}_code"]) == 2
    expected = np.asarray(from_path.map.dataobj)
    assert np.array_equal(np.asarray(from_nibabel.map.dataobj), expected)
    assert np.array_equal(from_array.map, expected) and from_array.map.dtype == np.float32
    assert (from_itk.map.GetSpacing(), from_itk.map.GetOrigin(), from_itk.map.GetDirection()) == (
        itk.GetSpacing(), itk.GetOrigin(), itk.GetDirection(),
    )  # fmt: skip
    np.testing.assert_allclose(sitk.GetArrayFromImage(from_itk.map).T, expected, atol=1e-4)


def test_a_map_lies_on_the_lesion_whatever_holds_the_scan(of_volumes, scan, tmp_path):
    image = nibabel.load(scan)
    itk = sitk.ReadImage(str(scan))
    for found in (of_volumes(scan), of_volumes(image), of_volumes(np.asarray(image.dataobj), affine=image.affine)):
        largest = found.lesions.loc[found.lesions["peak"].idxmax()]
        assert np.linalg.norm(largest[["x", "y", "z"]].astype(float) - (25, 10, 25)) < 14
    found = of_volumes(itk)
    peak = np.unravel_index(sitk.GetArrayFromImage(found.map).argmax(), itk.GetSize()[::-1])
    left, back, up = itk.TransformIndexToPhysicalPoint([int(place) for place in peak[::-1]])
    assert np.linalg.norm(np.subtract((-left, -back, up), (25, 10, 25))) < 20


def test_a_scaled_file_scores_the_same_through_nibabel(of_volumes, tmp_path):
    levels, placed = head(1)
    image = nibabel.Nifti1Image(levels, placed)
    image.header.set_slope_inter(0.37, -12.5)
    nibabel.save(image, tmp_path / "scaled.nii.gz")
    assert nibabel.load(tmp_path / "scaled.nii.gz").dataobj.slope == pytest.approx(0.37)
    assert of_volumes(nibabel.load(tmp_path / "scaled.nii.gz")).score == of_volumes(tmp_path / "scaled.nii.gz").score


def test_an_image_in_memory_keeps_every_digit_of_its_affine(of_volumes):
    levels, placed = head(1)
    found = of_volumes(nibabel.Nifti1Image(levels, placed))
    assert np.array_equal(found.map.affine, placed) and int(found.map.header["sform_code"]) == 2


def test_an_mgh_image_comes_back_as_one(of_volumes, tmp_path):
    levels, placed = head(1)
    nibabel.save(nibabel.MGHImage(levels, placed), tmp_path / "t1.mgz")
    image = nibabel.load(tmp_path / "t1.mgz")
    found = of_volumes(image)
    assert found.score == of_volumes(tmp_path / "t1.mgz").score
    assert type(found.map) is nibabel.MGHImage and np.array_equal(found.map.affine, image.affine)


def test_an_array_with_a_spacing_says_where_its_axes_lead(of_volumes):
    levels, placed = head(2, placed=affine(turn=(0, 0, 0), codes="RAS"), lesion=True)
    expected = of_volumes(levels, affine=placed)
    found = of_volumes(levels, spacing=(4.0, 3.5, 4.5), orientation="RAS")
    assert found.score == pytest.approx(expected.score, abs=1e-6)
    np.testing.assert_allclose(found.map, expected.map, atol=1e-5)
    turned = np.ascontiguousarray(levels[::-1, ::-1].transpose(2, 1, 0))  # superior, posterior, left
    upright = of_volumes(turned, spacing=(4.5, 3.5, 4.0))
    np.testing.assert_allclose(upright.map.transpose(2, 1, 0)[::-1, ::-1], expected.map, atol=1e-5)


def test_a_dicom_series_is_its_folder_or_one_of_its_files(of_volumes, tmp_path):
    levels, placed = head(4, lesion=True, placed=affine(codes="SPL", turn=(4, 0, 3)))
    files = volumes.write_dicom(tmp_path / "series", levels, Grid(shape=levels.shape, affine=placed))
    whole, of_file = of_volumes([tmp_path / "series", files[3]])
    assert (whole.error, of_file.error) == (None, None)
    assert whole.score == of_file.score
    assert whole.score == pytest.approx(of_volumes(levels, affine=placed).score, abs=1e-3)
    assert whole.map.shape == levels.shape[::-1]


def test_a_list_keeps_going_and_what_failed_is_never_healthy(of_pictures, tmp_path, capsys):
    good, bad = brain(1), np.zeros((64, 64), dtype=np.uint8)
    found = of_pictures((good, bad, tmp_path / "missing.png", good), progress=True)
    assert [one.error is None for one in found] == [True, False, False, True]
    assert found[1].error.startswith("images[1]: The scan is blank") and "missing.png" in found[2].error
    assert found[3].score == found[0].score == of_pictures(good).score
    for said in ("score", "decision", "map", "mask", "lesions"):
        with pytest.raises(mriad.MriadError, match="blank"):
            getattr(found[1], said)
    assert "100%" in capsys.readouterr().out
    with pytest.raises(mriad.MriadError, match=r"images\[1\]"):
        of_pictures([good, bad, good], errors="raise")
    assert of_pictures([]) == []


@pytest.mark.parametrize(
    ("image", "options", "sentence"),
    [
        (np.zeros((4, 30, 30)), {}, "does not say how large its voxels are: give spacing"),
        (np.zeros((4, 30, 30)), {"spacing": (1, 2)}, "is not its 3 sizes in mm"),
        (np.zeros((4, 30, 30)), {"spacing": 1, "affine": np.eye(4)}, "leave out the spacing"),
        (np.zeros((4, 30, 30)), {"spacing": 1, "orientation": "RRS"}, "orientation=RRS names no three axes"),
        (np.zeros((4, 30, 30)), {"affine": np.zeros((4, 4))}, "affine that leads nowhere"),
        (np.zeros((4, 30, 30)), {"affine": "here"}, r"no \(4, 4\) matrix"),
        (np.zeros((4, 30, 30, 2, 2)), {"spacing": 1}, r"has the shape \(4, 30, 30, 2, 2\)"),
        ("no/such/file.nii", {}, "no/such/file.nii does not exist"),
        (3, {}, "is a int; give a numpy array, an image of nibabel or SimpleITK, or a path"),
        (nibabel.Nifti1Image(np.zeros((5, 5, 5)), None), {}, "does not say where it lies"),
        (nibabel.Nifti1Image(np.zeros((5, 5, 5, 3)), np.eye(4)), {}, "holds 3 volumes"),
        (nibabel.AnalyzeImage(np.zeros((5, 5, 5)), np.eye(4)), {}, "need not say left from right"),
        (nibabel.Nifti1Image(np.zeros((5, 5, 5)), np.eye(4)), {"spacing": 1}, "says itself where it lies"),
        (sitk.Image([5, 5, 5], sitk.sitkVectorUInt8, 3), {}, "numbers in a voxel"),
        (sitk.Image([5, 5, 5, 5], sitk.sitkUInt8), {}, "has 4 dimensions"),
    ],
)
def test_what_is_no_volume_is_refused_in_a_sentence(of_volumes, image, options, sentence):
    with pytest.raises(mriad.MriadError, match=sentence) as refused:
        of_volumes(image, **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("image", "options", "sentence"),
    [
        (np.full((30, 30), 4000), {}, r"convert it to the type that its pixels have, as in array.astype\('uint16'\)"),
        (np.zeros((30, 30), dtype=complex), {}, "is of type complex128"),
        (np.zeros((30, 30)), {"affine": np.eye(4)}, "is a picture, which has no affine"),
        (np.zeros((30, 30)), {"spacing": (1, 1, 1)}, "is not its 2 sizes in mm"),
        (np.zeros((30, 30)), {"spacing": -1}, "is not its 2 sizes in mm"),
        (np.zeros((20, 30, 30)), {"spacing": 1}, "this is a volume, but the detector was trained on pictures"),
        (brain(1), {"errors": "ignore"}, "errors=ignore is unknown"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(of_pictures, image, options, sentence):
    with pytest.raises(mriad.MriadError, match=sentence):
        of_pictures(image, **options)


def test_a_picture_is_an_axial_slice_to_a_detector_of_volumes(of_volumes):
    result = of_volumes(brain(1))
    assert result.map.shape == brain(1).shape and result.error is None


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64, np.int16, np.int64, ">u2"])
def test_pixels_of_any_type_are_understood_as_in_a_file(of_pictures, kind):
    assert of_pictures(brain(5).astype(kind)).error is None
    scaled = brain(5).astype(np.float64) / 255
    assert of_pictures(scaled).score == pytest.approx(of_pictures(brain(5)).score, abs=0.01)


def test_a_brain_mask_counts_where_the_detector_wants_one(tmp_path, caplog):
    options = (*made.VOLUMES, "model=intensity", "score=mse_foreground", "data.preprocess.strip=mask")
    detector = mriad.load(made.checkpoint(tmp_path / "best.ckpt", *options), device="cpu")
    levels, placed = head(1)
    image = nibabel.Nifti1Image(levels, placed)
    mask = (levels > 300).astype(np.uint8)
    nibabel.save(image, tmp_path / "t1.nii"), nibabel.save(nibabel.Nifti1Image(mask, placed), tmp_path / "brain.nii")
    whole = detector(image).score
    assert "1 of 1 scans come without a brain mask" in caplog.text
    caplog.clear()
    scores = {
        detector(image, brain_mask=mask).score,
        detector(image, brain_mask=nibabel.Nifti1Image(mask, placed)).score,
        detector(tmp_path / "t1.nii", brain_mask=tmp_path / "brain.nii").score,
        detector([image], brain_mask=[mask])[0].score,
    }
    assert len(scores) == 1 and whole not in scores and caplog.text == ""
    with pytest.raises(mriad.MriadError, match="brain mask of The image has the shape"):
        detector(image, brain_mask=mask[1:])
    with pytest.raises(mriad.MriadError, match="must be a list of 1 masks"):
        detector([image], brain_mask=mask)


def test_a_picture_keeps_its_spacing_beside_a_brain_mask_that_it_does_not_need(of_pictures, tmp_path):
    Image.fromarray(lesion(3)[0]).save(tmp_path / "a.png")
    found = of_pictures(tmp_path / "a.png", spacing=0.5, brain_mask=lesion(3)[0] > 0).lesions
    assert len(found) and (found["mm2"] == found["pixels"] / 4).all()


def test_threads_may_share_a_detector(of_volumes, scan):
    expected, found = of_volumes(scan).score, []
    threads = [threading.Thread(target=lambda: found.append(of_volumes(scan).score)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_a_result_does_not_keep_the_scan(of_volumes, scan):
    import gc
    import weakref

    image = nibabel.load(scan)
    values = np.array(image.dataobj)
    gone = weakref.ref(values)
    found = of_volumes(nibabel.Nifti1Image(values, image.affine))
    del values, image
    gc.collect()
    assert gone() is None and found.map.shape == (44, 48, 40)


def test_a_stranger_to_the_training_is_told(tmp_path, scan, caplog):
    file = made.checkpoint(
        tmp_path / "best.ckpt", *made.VOLUMES, "model=intensity", trained={"contrasts": ["FLAIR"], "spacing": [8, 8]}
    )
    mriad.load(file, device="cpu")(scan)
    assert "1 of 1 scans are of another contrast (T1)" in caplog.text


def test_what_it_is_can_be_read(of_volumes, of_pictures, scan):
    assert repr(of_volumes) == "Detector(Intensity of volumes, threshold=0.5, run_id=0123456789abcdef)"
    found = of_volumes(scan)
    assert repr(found) == f"Result(score={found.score:.5g}, decision={found.decision}, threshold=0.5)"
    assert isinstance(found.lesions, pd.DataFrame) and found.decision == int(found.score > 0.5)
    assert "blank" in repr(of_pictures([np.zeros((64, 64), dtype=np.uint8)])[0])


def test_a_detector_that_is_not_there_is_told_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for asked, sentence in (
        (("0123456789abcdef0123456789abcdef",), "no MLflow store .* to look the run up in"),
        ((tmp_path / "best.ckpt",), "There is no checkpoint at"),
        (("best.ckpt",), "There is no checkpoint at best.ckpt"),
        ((tmp_path,), "is a folder"),
    ):
        with pytest.raises(mriad.MriadError, match=sentence):
            mriad.load(*asked)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(mriad.MriadError, match="device=nonsense cannot be used"):
        mriad.load(made.checkpoint(tmp_path / "x.ckpt", *made.PICTURES, "model=intensity"), device="nonsense")


def test_without_a_name_it_is_the_one_in_the_box(tmp_path, monkeypatch):
    file = made.checkpoint(tmp_path / "box.ckpt", *made.PICTURES, "model=intensity")
    monkeypatch.setattr("mriad.checkpoints.box.PLACE", file)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mriad.load(device="cpu").run_id == "0123456789abcdef"
