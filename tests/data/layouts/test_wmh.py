import pytest

from mriad.data.layouts import wmh
from mriad.errors import MriadError

HOMES = ("training/Utrecht/0", "training/Amsterdam/GE3T/100", "test/Amsterdam/Philips_VU .PETMR_01./161")
FILES = ("orig/FLAIR", "orig/T1", "orig/3DT1", "pre/FLAIR", "pre/T1", "pre/3DT1", "orig/FLAIR_mask", "wmh")


@pytest.fixture
def challenge(lay):
    return lay(
        *(f"{home}/{file}.nii.gz" for home in HOMES for file in FILES),
        "additional_annotations/observer_o3/training/Utrecht/0/result.nii.gz",
    )


@pytest.mark.parametrize("images", ["pre", "orig"])
def test_each_site_is_read(challenge, images):
    table = wmh(root=challenge, contrast="FLAIR", images=images).table
    assert set(table["path"]) == {f"{home}/{images}/FLAIR.nii.gz" for home in HOMES}
    assert list(table["mask"]) == [path.replace(f"{images}/FLAIR", "wmh") for path in table["path"]]
    assert (set(table["patient"]), set(table["label"])) == (set(HOMES), {1})


def test_a_contrast_is_asked_for(challenge):
    with pytest.raises(MriadError, match=r"FLAIR \(3\), T1 \(3\)"):
        wmh(root=challenge)


def test_unknown_images_are_told(challenge):
    with pytest.raises(MriadError, match=r"data\.layout\.images=raw is unknown; choose pre or orig"):
        wmh(root=challenge, contrast="FLAIR", images="raw")
