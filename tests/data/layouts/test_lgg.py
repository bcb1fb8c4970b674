import logging

import numpy as np
import pytest
from PIL import Image

from mriad.data.layouts import lgg
from mriad.data.preparing.cache import ScanCache
from mriad.data.preparing.preprocess import Preprocess
from mriad.errors import MriadError

SLICES = [f"TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_{number}" for number in (1, 2, 10)]
OTHER = "TCGA_HT_7473_19970826/TCGA_HT_7473_19970826_1"


@pytest.fixture
def kaggle(tmp_path):
    """Two patients, of whom the second has no scan before contrast agent; the mask of slice 2 holds a lesion."""
    rng = np.random.default_rng(0)
    for name in (*SLICES, OTHER):
        channels = rng.integers(1, 256, (24, 24, 3), dtype=np.uint8)
        if name == OTHER:
            channels[..., 0] = channels[..., 1]
        mask = np.zeros((24, 24), dtype=np.uint8)
        mask[4:9, 4:9] = 255 if name == SLICES[1] else 0
        for home in ("kaggle_3m", "lgg-mri-segmentation/kaggle_3m"):
            file = tmp_path / home / f"{name}.tif"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(channels).save(file)
            Image.fromarray(mask).save(file.with_name(f"{file.stem}_mask.tif"))
    return tmp_path


def test_a_slice_is_healthy_where_its_mask_is_empty(kaggle):
    table = lgg(root=kaggle, contrast="FLAIR").table.set_index("path")
    assert dict(table["label"]) == {
        f"kaggle_3m/{SLICES[0]}.tif": 0,
        f"kaggle_3m/{SLICES[1]}.tif": 1,
        f"kaggle_3m/{SLICES[2]}.tif": 0,
        f"kaggle_3m/{OTHER}.tif": 0,
    }
    assert list(table["mask"]) == [path.replace(".tif", "_mask.tif") for path in table.index]
    assert set(table["patient"]) == {"TCGA_CS_4941", "TCGA_HT_7473"}


@pytest.mark.parametrize(("contrast", "channel"), [("T1", 0), ("FLAIR", 1), ("T1c", 2)])
def test_the_contrast_chooses_the_channel(kaggle, tmp_path, contrast, channel):
    catalog = lgg(root=kaggle, contrast=contrast).with_content()
    preprocess = Preprocess(image_size=24, crop="none", low=None, high=None, over="all", shape="stretch")
    images = ScanCache.open(catalog, preprocess, folder=tmp_path / "cache").images
    assert (images[0] == np.asarray(Image.open(catalog.files()[0]))[..., channel]).all()


def test_a_contrast_must_be_chosen(kaggle):
    with pytest.raises(MriadError, match=r"holds T1, FLAIR, T1c: choose one, as in data\.contrast=FLAIR"):
        lgg(root=kaggle)
    with pytest.raises(MriadError, match=r"data\.contrast=T2 is unknown"):
        lgg(root=kaggle, contrast="T2")
    with pytest.raises(MriadError, match="choose one, as in"):
        lgg(root=kaggle, contrast=["T1", "FLAIR"])
    assert set(lgg(root=kaggle, contrast=["FLAIR"]).table["contrast"]) == {"FLAIR"}


def test_patients_without_the_sequence_are_left_out_and_counted(kaggle, caplog):
    with caplog.at_level(logging.WARNING):
        table = lgg(root=kaggle, contrast="T1").table
    assert set(table["patient"]) == {"TCGA_CS_4941"}
    assert "1 patients in" in caplog.text and "no T1" in caplog.text


def test_slices_may_lie_in_a_folder_of_any_name(kaggle):
    folder = kaggle / "all"
    folder.mkdir()
    for file in (kaggle / "kaggle_3m").rglob("*.tif"):
        file.rename(folder / file.name)
    table = lgg(root=folder, contrast="T1").table
    assert set(table["path"]) == {f"{name.rsplit('/')[-1]}.tif" for name in SLICES}
    assert set(table["patient"]) == {"TCGA_CS_4941"}
    assert set(table["session"]) == {"19960909"}
