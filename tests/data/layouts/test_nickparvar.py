import logging

import pytest

from mriad.data.layouts import nickparvar
from mriad.errors import MriadError

KINDS = ("glioma", "meningioma", "notumor", "pituitary")


@pytest.fixture
def unzipped(tmp_path, write_image):
    for part in ("Training", "Testing"):
        for kind in KINDS:
            write_image(tmp_path / "archive" / part / kind / f"{part[:2]}-{kind[:2]}_0010.jpg", mode="RGB")
    return tmp_path / "archive"


def test_healthy_scans_come_from_both_parts(unzipped):
    table = nickparvar(root=unzipped).table
    healthy = table[table["label"] == 0]
    assert list(healthy["path"]) == ["Testing/notumor/Te-no_0010.jpg", "Training/notumor/Tr-no_0010.jpg"]
    assert set(healthy["class"]) == {"healthy"}
    assert set(healthy["pool"]) == {""}


def test_tumours_bear_the_name_of_their_folder(unzipped):
    table = nickparvar(root=unzipped).table
    tumours = table[table["label"] == 1]
    assert list(tumours["class"]) == ["glioma", "meningioma", "pituitary"] * 2


def test_the_tumours_of_training_are_for_the_labelled_pool_alone(unzipped):
    table = nickparvar(root=unzipped).table
    pooled = table[table["pool"] == "labelled"]
    assert len(pooled) == 3
    assert pooled["path"].str.startswith("Training/").all()
    assert (pooled["label"] == 1).all()


def test_any_folder_may_be_absent(tmp_path, write_image):
    write_image(tmp_path / "Testing/glioma/a.png")
    assert list(nickparvar(root=tmp_path).table["class"]) == ["glioma"]


def test_older_names_of_the_folders_are_read(tmp_path, write_image):
    for kind in ("glioma_tumor", "Meningioma_Tumor", "no_tumor", "pituitary_tumor"):
        write_image(tmp_path / "training" / kind / "a.JPG")
    assert sorted(nickparvar(root=tmp_path).table["class"]) == [
        "glioma",
        "healthy",
        "meningioma",
        "pituitary",
    ]


def test_a_folder_around_the_two_parts_is_looked_through(unzipped):
    inner = nickparvar(root=unzipped)
    outer = nickparvar(root=unzipped.parent)
    assert outer.root == unzipped
    assert list(outer.table["path"]) == list(inner.table["path"])


def test_an_unknown_class_is_left_out_with_a_warning(unzipped, write_image, caplog):
    write_image(unzipped / "Testing/metastasis/a.png")
    with caplog.at_level(logging.WARNING):
        assert len(nickparvar(root=unzipped)) == 8
    assert "Testing/metastasis is none of" in caplog.text


def test_images_elsewhere_are_no_scans(tmp_path, write_image):
    write_image(tmp_path / "notumor/a.png")
    with pytest.raises(MriadError, match=r"No scans found in /.*: expected Training/ and Testing/ below it"):
        nickparvar(root=tmp_path)


@pytest.mark.real
def test_the_real_set_has_its_published_counts(data_root):
    table = nickparvar(root=data_root / "nickparvar").table
    assert (table["label"] == 0).sum() == 1591 + 405
    anomalies = table[(table["label"] == 1) & (table["pool"] == "")]
    assert anomalies["class"].value_counts().to_dict() == {"glioma": 300, "meningioma": 306, "pituitary": 300}
    assert (table["pool"] == "labelled").sum() == 242 + 240
