"""The detector that comes with mriad: what it is, and that its figures come back."""

import re
from pathlib import Path

import numpy as np
import pytest
from omegaconf import open_dict
from PIL import Image
from volumes import write_dicom

import mriad
from mriad.checkpoints.box import PLACE, boxed
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.data.reading.read import read_scan
from mriad.data.reading.volume_masks import read_mask_on
from mriad.data.synthetic.volumes import make_synthetic_volumes
from mriad.experiment.held_out import held_out
from mriad.geometry import reorient

CARD = Path(__file__).parents[2] / "docs" / "reference" / "detector_in_the_box.md"


@pytest.fixture(scope="module")
def detector():
    return mriad.load(device="cpu")


def figure(row):
    """What the card says of a test."""
    return float(re.search(rf"^\| {re.escape(row)} \|.*?([01]\.\d+) \|$", CARD.read_text(), re.MULTILINE)[1])


def test_it_is_small_and_names_no_machine():
    assert PLACE.stat().st_size < 4e6
    content = PLACE.read_bytes()
    assert not [word for word in (b"/home/", b"/root", b"/tmp/", b"/work", b"sqlite", b"mlflow.db") if word in content]


def test_whoever_takes_it_is_told_what_it_is(caplog):
    assert boxed() == PLACE
    assert "is no medical device" in caplog.text and "docs/reference/detector_in_the_box.md" in caplog.text
    assert CARD.is_file() and "no medical device" in CARD.read_text()


@pytest.mark.slow
def test_it_answers_on_a_nifti_file_a_dicom_series_and_a_picture(detector, tmp_path):
    heads = make_synthetic_volumes(tmp_path, healthy_subjects=1, diseased_subjects=1, contrast="FLAIR", spacing=3.0)
    root, row = heads.root, heads.table[heads.table["label"] == 1].iloc[0]
    scan = read_scan(root / row["path"])
    of_nifti = detector(root / row["path"])
    assert of_nifti.map.shape == scan.levels.shape and of_nifti.lesions["peak"].max() > 0.5

    levels, grid = reorient(scan.levels, scan.grid), scan.grid.reoriented()
    write_dicom(tmp_path / "series", np.round(1000 * levels / levels.max()).astype(np.int16), grid)
    assert detector(tmp_path / "series").score == pytest.approx(of_nifti.score, abs=0.02)

    lesions = reorient(read_mask_on(root / row["mask"], scan.grid), scan.grid)
    place = lesions.sum(axis=(1, 2)).argmax()
    Image.fromarray(np.round(255 * levels[place] / levels.max()).astype(np.uint8)).save(tmp_path / "slice.png")
    of_picture = detector(tmp_path / "slice.png")
    assert of_picture.map.shape == levels[place].shape
    assert of_picture.map[lesions[place]].mean() > 10 * of_picture.map[~lesions[place]].mean()


@pytest.mark.slow
def test_what_the_card_says_of_built_in_heads_comes_back(tmp_path):
    checkpoint = Checkpoint.load(PLACE)
    data = checkpoint.config.data
    with open_dict(data):
        data.val_on, data.cache_dir = ["FLAIR"], str(tmp_path)
    found = held_out(checkpoint.detector(), data)
    assert found["held_out/FLAIR/pixel_ap"] == pytest.approx(figure("built-in heads, FLAIR"), abs=0.01)
