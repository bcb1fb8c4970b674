from pathlib import PurePosixPath

import pytest

from mriad.data.layouts.bids_names import BidsName, mask_of
from mriad.errors import MriadError


def name(path):
    found = BidsName.of(PurePosixPath(path))
    assert found is not None
    return found


def test_a_name_is_read_in_its_parts():
    found = name("sub-01/ses-2/anat/sub-01_ses-2_run-1_T1w.nii.gz")
    assert (found.patient, found.session, found.contrast, found.entities["run"]) == ("sub-01", "ses-2", "T1", "1")


@pytest.mark.parametrize("path", ["T1w.nii.gz", "sub-01.nii.gz", "sub-01_run-1.nii.gz", "group_mask.nii.gz"])
def test_other_names_are_none(path):
    assert BidsName.of(PurePosixPath(path)) is None


@pytest.mark.parametrize(
    ("path", "contrast"),
    [
        ("sub-1_ce-gadolinium_T1w.nii.gz", "T1c"),
        ("sub-1_part-phase_T2starw.nii.gz", ""),
        ("sub-1_part-mag_T2starw.nii.gz", "T2*"),
        ("sub-1_task-rest_bold.nii.gz", ""),
        ("sub-1_T1w_label-lesion_mask.nii.gz", ""),
    ],
)
def test_only_what_shows_anatomy_has_a_contrast(path, contrast):
    assert name(path).contrast == contrast


@pytest.mark.parametrize(
    ("path", "lesion", "brain"),
    [
        ("sub-1_label-lesion_mask.nii.gz", True, False),
        ("sub-1_label-L_desc-T1lesion_mask.nii.gz", True, False),
        ("sub-1_label-WMH_mask.nii.gz", True, False),
        ("sub-1_mask.nii.gz", True, False),
        ("sub-1_msk.nii.gz", True, False),
        ("sub-1_desc-brain_mask.nii.gz", False, True),
        ("sub-1_label-brain_mask.nii.gz", False, True),
        ("sub-1_label-GM_mask.nii.gz", False, False),
        ("sub-1_dseg.nii.gz", False, False),
        ("sub-1_defacemask.nii.gz", False, False),
    ],
)
def test_a_mask_is_told_by_its_name(path, lesion, brain):
    assert (name(path).is_lesion_mask, name(path).is_brain_mask) == (lesion, brain)


@pytest.mark.parametrize(
    ("mask", "scan", "fits"),
    [
        ("sub-1_label-lesion_mask.nii", "sub-1_T1w.nii", True),
        ("sub-1_label-lesion_mask.nii", "sub-1_run-2_T1w.nii", True),
        ("sub-1_run-1_label-lesion_mask.nii", "sub-1_run-2_T1w.nii", False),
        ("sub-1_label-lesion_mask.nii", "sub-1_ses-1_T1w.nii", False),
        ("sub-1_ses-1_label-lesion_mask.nii", "sub-1_ses-2_T1w.nii", False),
        ("sub-2_label-lesion_mask.nii", "sub-1_T1w.nii", False),
        ("sub-1_space-T1w_label-lesion_mask.nii", "sub-1_T1w.nii", True),
        ("sub-1_space-T1w_label-lesion_mask.nii", "sub-1_FLAIR.nii", False),
        ("sub-1_FLAIR_label-lesion_mask.nii", "sub-1_FLAIR.nii", True),
        ("sub-1_FLAIR_label-lesion_mask.nii", "sub-1_T1w.nii", False),
        ("sub-1_space-MNI152_label-lesion_mask.nii", "sub-1_T1w.nii", False),
        ("sub-1_space-MNI152_label-lesion_mask.nii", "sub-1_space-MNI152_T1w.nii", True),
        ("sub-1_label-lesion_mask.nii", "sub-1_space-MNI152_T1w.nii", False),
        ("sub-1_space-orig_label-lesion_mask.nii", "sub-1_T1w.nii", True),
        ("sub-1_task-rest_desc-brain_mask.nii", "sub-1_T1w.nii", False),
    ],
)
def test_a_mask_fits_the_scans_that_its_name_leaves(mask, scan, fits):
    assert name(mask).fits(name(scan)) is fits


def test_a_mask_that_names_its_contrast_comes_first():
    masks = [name("a/sub-1_mask.nii"), name("b/sub-1_space-T1w_mask.nii")]
    assert mask_of(name("sub-1_T1w.nii"), masks) == "b/sub-1_space-T1w_mask.nii"
    assert mask_of(name("sub-1_FLAIR.nii"), masks) == "a/sub-1_mask.nii"
    assert mask_of(name("sub-2_T1w.nii"), masks) == ""


def test_two_masks_that_fit_alike_are_an_error_that_shows_both():
    masks = [name("a/sub-1_mask.nii"), name("b/sub-1_mask.nii")]
    with pytest.raises(MriadError, match=r"sub-1_T1w\.nii has two masks, a/sub-1_mask\.nii and b/sub-1_mask\.nii"):
        mask_of(name("sub-1_T1w.nii"), masks)
