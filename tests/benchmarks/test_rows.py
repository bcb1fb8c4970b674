from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import rows
from benchmarks.bench import Bench, composed
from benchmarks.rows import gpu, growth, metrics, volume_cache
from mriad.data.roles.grouping import groups
from mriad.data.synthetic.volumes import make_synthetic_volumes
from mriad.processes.hardware import choose_open_options


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


@pytest.mark.parametrize(("model", "on_device"), [("vae", True), ("synthetic_anomaly", False)])
def test_rates_of_a_gpu_are_measured_on_whatever_there_is(tmp_path, model, on_device):
    cfg = composed("train", f"model={model}", "data.image_size=32", "data.batch_size=8", "trainer=cpu", "augment=mild",
                   f"data.on_device={on_device}")  # fmt: skip
    choose_open_options(cfg)
    assert gpu.through_lightning(cfg, tmp_path, 16, epochs=2) > 0
    assert gpu.of_the_network(cfg, steps=1) > 0


def test_without_a_gpu_the_row_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (row,) = gpu.measure(Bench(folder=Path()))
    assert (row.value, row.how) == (None, "no GPU at hand")


def test_one_more_volume_is_one_more_to_prepare(tmp_path):
    made = make_synthetic_volumes(tmp_path, healthy_subjects=3, diseased_subjects=0, spacing=4.0)
    prepared, seconds = volume_cache.one_more(made.with_content(), tmp_path / "cache")
    assert (prepared, len(seconds)) == (1, 2)
