import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from mriad.data.layouts import br35h
from mriad.data.reading.masks import read_mask
from mriad.errors import MriadError

CIRCLE = {"name": "circle", "cx": 4, "cy": 6, "r": 2}


def outline(file: Path, *names: str, without: tuple[str, ...] = ()) -> None:
    """Write a VIA export with a circle for each of ``names`` and no region for ``without``."""
    file.parent.mkdir(parents=True, exist_ok=True)
    images = {f"{name}100": {"filename": name, "regions": [{"shape_attributes": CIRCLE}]} for name in names}
    images |= {f"{name}100": {"filename": name, "regions": []} for name in without}
    file.write_text(json.dumps(images))


@pytest.fixture
def unzipped(tmp_path, write_image):
    for number, part in enumerate(("TRAIN", "VAL", "TEST")):
        folder = tmp_path / "Br35H-Mask-RCNN" / part
        file = write_image(folder / f"y{number}.jpg")
        outline(folder / f"annotations_{part.lower()}.json", file.name)
        (tmp_path / "yes").mkdir(exist_ok=True)
        shutil.copy(file, tmp_path / "yes")
    write_image(tmp_path / "yes/y700.JPG", mode="RGB")
    write_image(tmp_path / "no/no1.jpg")
    write_image(tmp_path / "no/No12.PNG", mode="RGBA")
    write_image(tmp_path / "pred/pred1.jpg")
    return tmp_path


def masks_of(catalog) -> dict[str, str]:
    return dict(zip(catalog.table["path"], catalog.table["mask"], strict=True))


def test_outlined_scans_of_every_part_have_a_mask_and_stand_for_their_twins_in_yes(unzipped):
    catalog = br35h(root=unzipped)
    assert masks_of(catalog) == {
        "Br35H-Mask-RCNN/TRAIN/y0.jpg": "Br35H-Mask-RCNN/TRAIN/annotations_train.json#y0.jpg",
        "Br35H-Mask-RCNN/VAL/y1.jpg": "Br35H-Mask-RCNN/VAL/annotations_val.json#y1.jpg",
        "Br35H-Mask-RCNN/TEST/y2.jpg": "Br35H-Mask-RCNN/TEST/annotations_test.json#y2.jpg",
        "no/No12.PNG": "",
        "no/no1.jpg": "",
        "yes/y700.JPG": "",
    }
    assert list(catalog.table["class"]) == ["tumour"] * 3 + ["healthy"] * 2 + ["tumour"]
    assert list(catalog.table["label"]) == [1, 1, 1, 0, 0, 1]


def test_every_mask_can_be_read(unzipped):
    catalog = br35h(root=unzipped)
    references = [mask for mask in catalog.table["mask"] if mask]
    assert len(references) == 3
    assert all(read_mask(catalog.root, mask, size=(12, 8)).any() for mask in references)


def test_a_twin_is_known_by_its_content_too(unzipped):
    (unzipped / "yes/y1.jpg").rename(unzipped / "yes/renamed.jpg")
    assert "yes/renamed.jpg" not in masks_of(br35h(root=unzipped))


def test_a_twin_is_known_by_its_stem_too(unzipped, write_image):
    write_image(unzipped / "yes/Y1.png")
    assert "yes/Y1.png" not in masks_of(br35h(root=unzipped))


def test_scans_without_outlines_are_tumours_without_a_mask(unzipped, write_image):
    folder = unzipped / "Br35H-Mask-RCNN/TRAIN"
    for name in ("y0.jpg", "y8.jpg", "y9.jpg"):
        write_image(folder / name)
    outline(folder / "annotations_train.json", "y0.jpg", without=("y8.jpg",))
    masks = masks_of(br35h(root=unzipped))
    assert masks["Br35H-Mask-RCNN/TRAIN/y0.jpg"] != ""
    assert masks["Br35H-Mask-RCNN/TRAIN/y8.jpg"] == masks["Br35H-Mask-RCNN/TRAIN/y9.jpg"] == ""


def test_the_file_of_all_parts_stands_in_where_a_part_has_none(unzipped):
    (unzipped / "Br35H-Mask-RCNN/TEST/annotations_test.json").unlink()
    outline(unzipped / "Br35H-Mask-RCNN/annotations_all.json", "y0.jpg", "y1.jpg", "y2.jpg")
    masks = masks_of(br35h(root=unzipped))
    assert masks["Br35H-Mask-RCNN/TEST/y2.jpg"] == "Br35H-Mask-RCNN/annotations_all.json#y2.jpg"
    assert masks["Br35H-Mask-RCNN/VAL/y1.jpg"] == "Br35H-Mask-RCNN/VAL/annotations_val.json#y1.jpg"


def test_without_yes_the_outlined_scans_remain(unzipped):
    shutil.rmtree(unzipped / "yes")
    assert len(br35h(root=unzipped)) == 5


def test_without_outlines_yes_remains_whole(unzipped):
    shutil.rmtree(unzipped / "Br35H-Mask-RCNN")
    assert sorted(masks_of(br35h(root=unzipped))) == [
        "no/No12.PNG",
        "no/no1.jpg",
        "yes/y0.jpg",
        "yes/y1.jpg",
        "yes/y2.jpg",
        "yes/y700.JPG",
    ]


def test_letter_case_of_folders_and_a_folder_around_them_do_not_matter(tmp_path, write_image):
    write_image(tmp_path / "Brain-Tumor-Detection/No/a.jpg")
    write_image(tmp_path / "Brain-Tumor-Detection/br35h-mask-rcnn/train/y0.jpg")
    outline(tmp_path / "Brain-Tumor-Detection/br35h-mask-rcnn/train/annotations_train.json", "y0.jpg")
    catalog = br35h(root=tmp_path)
    assert catalog.root == tmp_path / "Brain-Tumor-Detection"
    assert masks_of(catalog) == {
        "No/a.jpg": "",
        "br35h-mask-rcnn/train/y0.jpg": "br35h-mask-rcnn/train/annotations_train.json#y0.jpg",
    }


def test_only_pred_is_no_data_set(tmp_path, write_image):
    write_image(tmp_path / "pred/pred1.jpg")
    with pytest.raises(MriadError, match=r"No scans found in /.*: expected no/, yes/ and Br35H-Mask-RCNN/"):
        br35h(root=tmp_path)


def test_outlines_that_cannot_be_read_are_an_error(unzipped):
    (unzipped / "Br35H-Mask-RCNN/VAL/annotations_val.json").write_text("{")
    with pytest.raises(MriadError, match=r"annotations_val\.json is no export"):
        br35h(root=unzipped)


@pytest.mark.real
def test_the_real_set_has_1500_healthy_scans_and_500_outlined_tumours(data_root):
    table = br35h(root=data_root / "br35h").table
    assert table["label"].value_counts().to_dict() == {0: 1500, 1: 500}
    assert ((table["mask"] != "") == (table["label"] == 1)).all()


@pytest.mark.real
def test_every_real_outline_holds_a_plausible_area(data_root):
    catalog = br35h(root=data_root / "br35h")
    outlined = catalog.table[catalog.table["mask"] != ""]
    for path, mask in zip(outlined["path"], outlined["mask"], strict=True):
        with Image.open(catalog.root / path) as image:
            size = (image.height, image.width)
        share = read_mask(catalog.root, mask, size=size).mean()
        assert 0.0005 < share < 0.4, path
