from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from benchmarks import rows
from benchmarks.rows import growth, metrics
from mriad.data.grouping import groups


def test_every_row_has_its_module_and_every_module_is_a_row():
    assert sorted(rows.ROWS) == sorted(file.stem for file in Path(rows.__file__).parent.glob("[!_]*.py"))


@pytest.mark.parametrize("name", rows.ROWS)
def test_a_row_can_be_measured(name):
    assert callable(import_module(f"benchmarks.rows.{name}").measure)


def test_made_up_hashes_have_a_tenth_of_near_copies_and_no_chance_likeness():
    table = growth.scans(500)
    assert table["path"].groupby(groups(table, "auto")).size().value_counts().to_dict() == {1: 400, 2: 50}


def test_made_up_slices_are_mapped_and_train(tmp_path):
    cache = growth.slices(tmp_path, 60, size=128)
    assert isinstance(cache.images, np.memmap)
    assert cache.images.reshape(60, -1).any(axis=1).all()
    assert growth.epoch(cache) > 0


def test_metrics_are_measured_in_seconds(tmp_path):
    assert metrics.of_scans(60) > 0
    assert metrics.of_maps(8, size=32) > 0


def test_made_up_scores_hold_both_labels_in_whole_groups():
    table = metrics.scores(100)
    assert table.groupby("group")["label"].nunique().max() == 1
    assert set(table["class"]) == {"healthy", "glioma", "meningioma"}
