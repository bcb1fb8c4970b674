import logging

import pytest

from mriad.data.layouts import bids
from mriad.errors import MriadError

STUDY = (
    "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
    "sub-01/ses-1/anat/sub-01_ses-1_FLAIR.nii.gz",
    "sub-01/ses-1/func/sub-01_ses-1_task-rest_bold.nii.gz",
    "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz",
    "sub-02/ses-1/anat/sub-02_ses-1_run-1_T1w.nii.gz",
    "sub-02/ses-1/anat/sub-02_ses-1_run-2_T1w.nii.gz",
    "sub-03/ses-1/anat/sub-03_ses-1_T1w.nii.gz",
    "derivatives/manual/sub-01/ses-1/anat/sub-01_ses-1_label-lesion_mask.nii.gz",
    "derivatives/hdbet/sub-02/ses-1/anat/sub-02_ses-1_desc-brain_mask.nii.gz",
    "derivatives/fmriprep/sub-01/ses-1/anat/sub-01_ses-1_desc-preproc_T1w.nii.gz",
    "sourcedata/sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
)


@pytest.fixture
def study(lay):
    root = lay(*STUDY)
    (root / "participants.tsv").write_text(
        "participant_id\tgroup\tsite\nsub-01\tMS\tA\nsub-02\tcontrol\tA\n03\tn/a\tB\n"
    )
    return root


def rows(catalog, *columns):
    return {
        row["path"].rsplit("/")[-1]: tuple(row[name] for name in columns) for row in catalog.table.to_dict("records")
    }


def test_participants_say_who_is_healthy(study, caplog):
    with caplog.at_level(logging.WARNING):
        catalog = bids(root=study, contrast="T1w")
    assert rows(catalog, "label", "class", "patient", "session", "contrast") == {
        "sub-01_ses-1_T1w.nii.gz": (1, "MS", "sub-01", "ses-1", "T1"),
        "sub-01_ses-2_T1w.nii.gz": (1, "MS", "sub-01", "ses-2", "T1"),
        "sub-02_ses-1_run-1_T1w.nii.gz": (0, "healthy", "sub-02", "ses-1", "T1"),
        "sub-02_ses-1_run-2_T1w.nii.gz": (0, "healthy", "sub-02", "ses-1", "T1"),
    }
    assert "does not say of 1 participants" in caplog.text and "sub-03" in caplog.text
    assert all(file.is_file() for file in catalog.files())


def test_masks_are_found_by_their_names(study):
    found = rows(bids(root=study, contrast="T1w"), "mask", "brain_mask")
    lesion = "derivatives/manual/sub-01/ses-1/anat/sub-01_ses-1_label-lesion_mask.nii.gz"
    brain = "derivatives/hdbet/sub-02/ses-1/anat/sub-02_ses-1_desc-brain_mask.nii.gz"
    assert found["sub-01_ses-1_T1w.nii.gz"] == (lesion, "")
    assert found["sub-01_ses-2_T1w.nii.gz"] == ("", "")
    assert found["sub-02_ses-1_run-1_T1w.nii.gz"] == found["sub-02_ses-1_run-2_T1w.nii.gz"] == ("", brain)


def test_both_contrasts_of_a_session_may_share_its_mask(study):
    found = rows(bids(root=study, contrast=["T1w", "FLAIR"]), "mask")
    assert found["sub-01_ses-1_T1w.nii.gz"] == found["sub-01_ses-1_FLAIR.nii.gz"] != ("",)


def test_a_contrast_is_asked_for_where_a_session_has_several(study):
    with pytest.raises(MriadError, match=r"FLAIR \(1\), T1 \(5\).*data\.contrast=FLAIR"):
        bids(root=study)


@pytest.mark.parametrize(
    ("healthy", "well"),
    [
        ({"group": ["control", "HC"]}, {"sub-02"}),
        ({"group": "CONTROL", "site": "A"}, {"sub-02"}),
        ({"site": "B"}, {"sub-03"}),
        ("all", {"sub-01", "sub-02", "sub-03"}),
        ("none", set()),
    ],
)
def test_other_words_for_healthy(study, healthy, well):
    table = bids(root=study, contrast="T1w", healthy=healthy).table
    assert set(table["patient"][table["label"] == 0]) == well


def test_a_line_without_a_participant_says_nothing(study):
    (study / "participants.tsv").write_text("group\tparticipant_id\nMS\ncontrol\tsub-02\nMS\tsub-01\nMS\tsub-03\n")
    table = bids(root=study, contrast="T1w").table
    assert set(table["patient"][table["label"] == 0]) == {"sub-02"}


@pytest.mark.parametrize("healthy", [0, [0, 9], "0"])
def test_who_is_healthy_may_be_coded_as_a_number(study, healthy):
    file = study / "participants.tsv"
    file.write_text(file.read_text().replace("MS", "1").replace("control", "0"))
    table = bids(root=study, contrast="T1w", healthy={"group": healthy}).table
    assert set(table["patient"][table["label"] == 0]) == {"sub-02"}


@pytest.mark.parametrize(
    ("healthy", "message"),
    [
        ({"group": "HC"}, r"healthy by data\.layout\.healthy=\{group: hc\}; group is MS \(1\), control \(1\)"),
        ({"diagnosis": "HC"}, r"no column diagnosis, only participant_id, group, site"),
        ("control", r"data\.layout\.healthy=control says nothing .*healthy=\{group: control\}"),
    ],
)
def test_what_is_said_wrongly_of_the_healthy_is_told(study, healthy, message):
    with pytest.raises(MriadError, match=message):
        bids(root=study, contrast="T1w", healthy=healthy)


def test_without_a_list_of_participants_somebody_must_say_who_is_healthy(study):
    (study / "participants.tsv").unlink()
    with pytest.raises(MriadError, match=r"participants\.tsv cannot be read .*data\.layout\.healthy=all or none"):
        bids(root=study, contrast="T1w")


def test_scans_may_be_chosen_by_their_names(study):
    table = bids(root=study, contrast="T1w", entities={"run": 2}).table
    assert list(table["path"]) == ["sub-02/ses-1/anat/sub-02_ses-1_run-2_T1w.nii.gz"]
    assert len(bids(root=study, contrast="T1w", entities={"run": None})) == 2
    with pytest.raises(MriadError, match=r"No scan in /.* has data\.layout\.entities=\{acq: highres\}"):
        bids(root=study, contrast="T1w", entities={"acq": "highres"})


def test_of_two_derivatives_one_is_chosen(study, lay):
    lay("derivatives/rater2/sub-01/ses-1/anat/sub-01_ses-1_label-lesion_mask.nii.gz")
    with pytest.raises(MriadError, match=r"has two masks, .*manual.* and .*rater2"):
        bids(root=study, contrast="T1w")
    masks = rows(bids(root=study, contrast="T1w", derivatives="rater2"), "mask")
    assert masks["sub-01_ses-1_T1w.nii.gz"][0].startswith("derivatives/rater2/")


def test_masks_that_belong_to_no_scan_are_counted(study, lay, caplog):
    lay("derivatives/manual/sub-01/ses-3/anat/sub-01_ses-3_label-lesion_mask.nii.gz")
    with caplog.at_level(logging.WARNING):
        bids(root=study, contrast="T1w")
    assert "1 of 2 lesion masks in" in caplog.text and "sub-01_ses-3_label-lesion_mask.nii.gz" in caplog.text


def test_raw_data_may_lie_beside_its_derivatives(lay):
    root = lay("rawdata/sub-1/anat/sub-1_T1w.nii", "derivatives/x/sub-1/anat/sub-1_label-lesion_mask.nii")
    (root / "rawdata/participants.tsv").write_text("participant_id\tgroup\nsub-1\tcontrol\n")
    assert rows(bids(root=root), "label", "mask") == {
        "sub-1_T1w.nii": (0, "derivatives/x/sub-1/anat/sub-1_label-lesion_mask.nii")
    }


@pytest.mark.parametrize("names", [(), ("a.nii.gz",), ("sub-1/func/sub-1_task-x_bold.nii.gz",)])
def test_a_folder_without_scans_is_an_error(lay, names):
    with pytest.raises(MriadError, match=r"No scans found in /.*sub-01/anat/sub-01_T1w\.nii\.gz"):
        bids(root=lay(*names))


def test_the_published_controls_are_read(data_root):
    root = data_root / "volumes" / "ds002748_bids"
    if not root.is_dir():
        pytest.skip(f"{root} is not there")
    table = bids(root=root, contrast="T1w").table
    assert (len(table), set(table["label"]), set(table["contrast"])) == (6, {0}, {"T1"})
