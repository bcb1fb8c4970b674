"""The walk of the guide to reading, typed as it stands there: from DICOM series to marks, and back to a detector."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import requests
from volumes import write_dicom

import mriad
from mriad.data.catalog import Catalog
from mriad.data.reading.read import read_scan
from mriad.data.reading.volume_masks import read_volume_mask
from mriad.data.synthetic.volumes import make_synthetic_volumes
from mriad.prediction.scan_files import LIST
from mriad.review.folder import read_list, read_scan_of

from .command_line import REPOSITORY, Outcome, Terminal, TrainedRun, users_environment

pytestmark = pytest.mark.slow

SMALL = ("data.image_size=48", "data.preprocess.depth=40", "data.spacing=5", "data.epoch_scans=200",
         "trainer.max_epochs=6", "model.network.widths=[8,16,32]", "callbacks.calibration.pixel_rule=quantile",
         "callbacks.calibration.pixel_quantile=0.99", "trainer=cpu", "threads=1")  # fmt: skip


def lines_of_the_walk() -> list[str]:
    """The five commands, as the guide has them."""
    guide = (REPOSITORY / "docs" / "guides" / "review.md").read_text()
    (block,) = re.findall(r"^```text\n(mriad train .*?)^```", guide, re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s+#.*$", "", line) for line in block.splitlines()]


@dataclass
class Walk:
    """What the walk has left behind."""

    desk: Terminal
    series: Catalog
    true: dict[str, list[int]]
    labels: Outcome
    last: str

    @property
    def runs(self) -> list[TrainedRun]:
        return [TrainedRun(self.desk, run.info.run_id) for run in self.desk.runs("training")]


@contextmanager
def reviewing(desk: Terminal, words: list[str]) -> Iterator[str]:
    """``mriad review`` in a process of its own; its address."""
    command = [sys.executable, "-m", "mriad", *words, "port=0"]
    environment = users_environment() | {"PYTHONPATH": str(REPOSITORY)}
    server = subprocess.Popen(command, cwd=desk.folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield server.stdout.readline().split()[-1]
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
        assert "mriad labels read/review/marks.csv" in server.stdout.read()
    finally:
        server.kill()
        server.wait()


def read_as_one_who_knows(address: str, page: Path, series: Catalog) -> dict[str, list[int]]:
    """Mark what the page shows, and each of its lesions, over HTTP; the true ones by the path of their scan."""
    true = {}
    for number, scan in enumerate(read_list(page)["scans"]):
        row = series.table.iloc[int(scan["path"][-1])]
        found = []
        for which, lesion in enumerate(read_scan_of(page, number)["lesions"], start=1):
            if row["mask"]:
                mask, grid = read_volume_mask(series.root / row["mask"])
                if mask[tuple(np.rint(grid.to_index(lesion["peak_at"])).astype(int))]:
                    found.append(which)
            where = {"lesion": which, **dict(zip("xyz", lesion["at"], strict=True))}
            post(address, path=scan["path"], mark="true" if which in found else "false", **where)
        if found or not row["label"]:
            post(address, path=scan["path"], mark="agree" if scan["decision"] == row["label"] else "false")
        else:
            post(address, path=scan["path"], mark="miss")
        true |= {scan["path"]: found} if found else {}
    return true


def voxels(image: nibabel.Nifti1Image) -> np.ndarray:
    """In one order of axes, whatever that of the file is."""
    return np.asarray(nibabel.as_closest_canonical(image).dataobj)


def post(address: str, **told: object) -> None:
    answer = requests.post(f"{address}marks", json={"reader": "anna", **told}, timeout=60)
    assert answer.status_code == 201, answer.text


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    folder = tmp_path_factory.mktemp("walk")
    desk = Terminal(folder / "desk")
    of_training = {"healthy_subjects": 12, "diseased_subjects": 10, "spacing": 4.0, "workers": 1}
    data = make_synthetic_volumes(folder / "data", **of_training).root
    patients = {"healthy_subjects": 1, "diseased_subjects": 5, "spacing": 4.0, "workers": 1, "seed": 7}
    series = make_synthetic_volumes(folder / "patients", **patients)
    for number, path in enumerate(series.table["path"]):
        scan = read_scan(series.root / path)
        levels = (scan.levels / scan.levels.max() * 1000).astype(np.int16)
        write_dicom(folder / "dicom" / f"p{number}", levels, scan.grid, PatientID=f"P{number}")

    def typed(line: str, *more: str) -> list[str]:
        line = line.replace("/path/to/volumes", str(data)).replace("/path/to/dicom", str(folder / "dicom"))
        if "RUN_ID" in line:
            line = line.replace("RUN_ID", desk.newest("training").id)
        return [*shlex.split(line)[1:], *more]

    train, predict, review, labels, again = lines_of_the_walk()
    desk.run("mriad/__main__.py", *typed(train, *SMALL)).ok()
    desk.run("mriad/__main__.py", *typed(predict, "threads=1", "device=cpu")).ok()
    with reviewing(desk, typed(review)) as address:
        true = read_as_one_who_knows(address, desk.folder / "read" / "review", series)
    labelled = desk.run("mriad/__main__.py", *typed(labels)).ok()
    again = again.replace("data.labelled_train=3", f"data.labelled_train={len(true)}")
    last = shlex.join(typed(again))
    desk.run("mriad/__main__.py", *typed(again, *SMALL)).ok()
    return Walk(desk, series, true, labelled, last)


def test_the_reader_has_found_true_lesions(walk: Walk) -> None:
    assert (walk.desk.folder / "read" / "review" / LIST).exists()
    assert walk.true and all(Path(path).parent.name == "dicom" for path in walk.true)


def test_labels_say_the_command_that_the_guide_has(walk: Walk) -> None:
    assert f" {len(walk.true)} anomalous with a mask" in walk.labels.out
    assert f"Train     mriad {walk.last}\n" in walk.labels.out


def test_the_second_training_learns_from_the_marked_lesions(walk: Walk) -> None:
    first, second = walk.runs
    assert second.tags["init"] == first.id and second.tags["labelled_train"] == str(len(walk.true))
    split = pd.read_csv(second.artifacts / "split.csv")
    assert set(split["path"][split["role"] == "labelled"]) == set(walk.true)
    inputs = {tag.value: each.dataset for each in second.stored.inputs.dataset_inputs for tag in each.tags}
    assert f'"with_mask": {len(walk.true)}' in inputs["labelled training"].profile


def test_val_and_test_are_those_of_the_first(walk: Walk) -> None:
    first, second = (pd.read_csv(run.artifacts / "split.csv") for run in walk.runs)
    for role in ("val", "test"):
        assert set(first["content"][first["role"] == role]) == set(second["content"][second["role"] == role])
    train = [set(split["content"][split["role"] == "train"]) for split in (first, second)]
    assert train[0] < train[1]  # the healthy scan that was read trains, too


def test_what_was_marked_is_shown_more_clearly_than_by_training_on_without_it(walk: Walk) -> None:
    unmarked = re.sub(r"data.labelled_train=\d+", "data.labelled_train=0", walk.last)
    walk.desk.run("mriad/__main__.py", *shlex.split(unmarked), *SMALL).ok()
    control, taught = walk.runs[-1], walk.runs[1]
    manifest = pd.read_csv(walk.desk.folder / "labels" / "manifest.csv", keep_default_na=False).set_index("path")
    for path in walk.true:
        mask = voxels(nibabel.load(manifest["mask"][path])) > 0
        shown = [mriad.load(run.checkpoint, device="cpu")(path).map for run in (control, taught)]
        without, with_marks = (voxels(image)[mask].mean() for image in shown)
        assert with_marks > 1.2 * without
