from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mriad.data.reading.scan import Facts, Scan
from mriad.geometry import Grid
from mriad.prediction.scan_files import ScanFile
from mriad.prediction.unlike import Unlike

TRAINED = {"contrasts": ["T1"], "spacing": [1.0, 2.0]}


def told(caplog, *scans, trained=TRAINED, wants_brain=False):
    predictor = SimpleNamespace(trained=trained, working_spacing=1.8, wants_brain=wants_brain)
    unlike = Unlike(predictor=predictor)
    for file, scan in scans:
        unlike.note(file, scan)
    unlike.tell(len(scans))
    return caplog.text


def volume(spacing=1.0, *, contrast="", series=""):
    grid = Grid(shape=(4, 4, 4), affine=np.diag([1.0, 1.0, spacing, 1.0]))
    scan = Scan(levels=np.zeros((4, 4, 4), dtype=np.uint8), grid=grid, facts=Facts(format="DICOM", series=series))
    return ScanFile(path=Path("a"), contrast=contrast), scan


def test_scans_as_those_that_trained_are_not_spoken_of(caplog):
    assert told(caplog, volume(1.0, contrast="T1w"), volume(2.9), volume(0.5, series="t1 mprage sag")) == ""


@pytest.mark.parametrize("how", [{"contrast": "FLAIR"}, {"series": "t2 flair tra"[3:]}])
def test_another_contrast_is_told_once_with_both(caplog, how):
    text = told(caplog, volume(**how), volume(**how), volume())
    assert text.count("another contrast") == 1
    assert r"2 of 3 scans are of another contrast (FLAIR) than those that the detector was trained on (T1)" in text


def test_another_spacing_is_told_with_both(caplog):
    text = told(caplog, volume(5.0), volume(6.0), volume(1.0))
    assert "2 of 3 scans have another spacing (widest voxels of 5 to 6 mm)" in text
    assert "trained on (1 to 2 mm), which it sees at 1.8 mm" in text


def test_scans_finer_than_those_that_trained_are_told_as_far_as_the_detector_sees_it(caplog):
    assert told(caplog, volume(1.0), trained={"spacing": [2.0, 2.0]}) == ""
    assert "another spacing (widest voxels of 1 mm)" in told(caplog, volume(1.0), trained={"spacing": [5.0, 6.0]})


def test_a_checkpoint_that_says_nothing_is_no_reason_to_warn(caplog):
    assert told(caplog, volume(9.0, contrast="FLAIR"), trained={}) == ""


def test_a_missing_brain_mask_is_told_where_the_detector_wants_one(caplog):
    assert "1 of 1 scans come without a brain mask" in told(caplog, volume(), wants_brain=True)
