import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mriad.tracking.registry import register
from mriad.tracking.tracker import Tracker

from .brains import brain, save
from .command_line import Terminal, TrainedRun

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Terminal:
    """A terminal with a store of its own, for runs are deleted in it."""
    return Terminal(tmp_path_factory.mktemp("ensemble"), store=migrated_store)


@pytest.fixture(scope="module")
def data(small: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(option for option in small if option.startswith("data"))


@pytest.fixture(scope="module")
def pca(work: Terminal, data: tuple[str, ...]) -> TrainedRun:
    work.train(*data, "model=pca", "model.n_components=4", "score=atlas").ok()
    return work.newest("training")


@pytest.fixture(scope="module")
def ae(work: Terminal, small: tuple[str, ...]) -> TrainedRun:
    work.train(*small, "model=ae").ok()
    return work.newest("training")


@pytest.fixture(scope="module")
def ensemble(work: Terminal, data: tuple[str, ...], pca: TrainedRun, ae: TrainedRun) -> TrainedRun:
    """Of a run by its name in the registry and another by its checkpoint's path, both gone since."""
    tracker = Tracker(tracking_uri=f"sqlite:///{work.folder / 'mlflow.db'}")
    register(tracker.client, tracker.find(pca.id), name="members", alias="first")
    runs = f"model.runs=[models:/members@first,{ae.checkpoint}]"
    work.train(*data, "model=ensemble", runs, "score.mask=foreground").ok()
    made = work.newest("training")
    assert pca.id in made.params["model.runs"]  # an alias may point at another later
    assert made.id not in (pca.id, ae.id)
    for source in (pca, ae):
        folders = (source.artifacts.parent, source.output)
        work.store.delete_run(source.id)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    return made


def refused(work: Terminal, *options: str) -> str:
    """The sentence of an ensemble that is not made, and leaves no run behind."""
    before = len(work.runs())
    sentence = work.train("model=ensemble", *options).sentence()
    assert len(work.runs()) == before
    return sentence


# before the ensemble, which deletes its members
def test_an_ensemble_needs_two_members_that_are_there(work: Terminal, data: tuple[str, ...], pca: TrainedRun) -> None:
    assert "model.runs has no value" in refused(work, *data)
    assert "There is no run 'nonesuch'" in refused(work, *data, f"model.runs=[{pca.id},nonesuch]")
    assert "There is no checkpoint at nonesuch.ckpt" in refused(work, *data, "model.runs=[nonesuch.ckpt]")
    work.train("model=ensemble", *data, f"model.runs=[{pca.id}]").sentence(
        "two members or more, not 1", "model.runs=[RUN_ID,RUN_ID]"
    )


def test_members_see_scans_as_they_have_learned_to(
    work: Terminal, data: tuple[str, ...], pca: TrainedRun, ae: TrainedRun
) -> None:
    runs = f"model.runs=[{pca.id},{ae.id}]"
    assert "data.image_size=32, and here it is 64" in refused(work, *data, runs, "data.image_size=64")
    assert "data.preprocess.crop=head, and here it is none" in refused(work, *data, runs, "data.preprocess.crop=none")
    assert "trained on data=folder, not on data=synthetic" in refused(work, runs, "data.image_size=32")


def test_nobody_is_tested_on_what_a_member_has_trained_on(
    work: Terminal, data: tuple[str, ...], pca: TrainedRun, ae: TrainedRun
) -> None:
    runs = f"model.runs=[{pca.id},{ae.id}]"
    assert "split.seed=1 cannot be set here" in refused(work, *data, runs, "data.split.seed=1")
    work.train(*data, "model=intensity", "data.split.seed=1").ok()
    sentence = refused(work, *data, f"model.runs=[{pca.id},{work.newest('training').id}]")
    assert "one may have trained on what the other is tested with" in sentence


def test_other_files_of_the_same_names_are_other_scans(
    work: Terminal, data: tuple[str, ...], pca: TrainedRun, ae: TrainedRun, scans: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(scans, tmp_path / "scans")
    for number, file in enumerate(sorted((root / "healthy").iterdir())[::2]):
        save(file, brain(9000 + number))
    options = [option for option in data if not option.startswith("data.root")]
    outcome = work.train("model=ensemble", *options, f"data.root={root}", f"model.runs=[{pca.id},{ae.id}]")
    outcome.sentence("are not those that", "set data.root")


def test_an_ensemble_goes_the_way_of_every_detector(ensemble: TrainedRun) -> None:
    assert ensemble.status == "FINISHED"
    assert 0 <= ensemble.metrics["test/auroc"] <= 1 and 0 <= ensemble.metrics["val/auroc"] <= 1
    assert {"report.html", "scores.parquet", "checkpoint/best.ckpt", "plots/gallery.png"} <= ensemble.files()
    assert "train/loss" not in ensemble.metrics


def test_the_scans_keep_the_roles_that_they_had(work: Terminal, data: tuple[str, ...], ensemble: TrainedRun) -> None:
    work.train(*data, "model=intensity").ok()
    splits = [pd.read_csv(run.artifacts / "split.csv") for run in (ensemble, work.newest("training"))]
    pd.testing.assert_frame_equal(*splits)


def test_it_tells_the_same_though_its_members_runs_are_gone(work: Terminal, ensemble: TrainedRun) -> None:
    work.evaluate(f"run={ensemble.id}").ok()
    again = work.newest("evaluation")
    assert again.test_metrics == ensemble.test_metrics
    pd.testing.assert_frame_equal(again.scores, ensemble.scores, check_exact=True)


def test_it_predicts_as_it_was_tested(work: Terminal, ensemble: TrainedRun, scans: Path, tmp_path: Path) -> None:
    work.predict(f"run={ensemble.id}", f"input={scans / 'tumour'}", f"output={tmp_path}").ok()
    predicted = pd.read_csv(tmp_path / "predictions.csv")
    names = predicted["path"].map(lambda path: f"tumour/{Path(path).name}")
    tested = ensemble.scores.set_index("path")
    both = names.isin(tested.index).to_numpy()
    assert both.sum() >= 5
    np.testing.assert_allclose(predicted["score"][both], tested["score"][names[both]], atol=1e-5)
    assert list(predicted["decision"][both]) == list(tested["decision"][names[both]])


def test_an_ensemble_can_be_a_member(work: Terminal, data: tuple[str, ...], ensemble: TrainedRun) -> None:
    work.train(*data, "model=nearest", "model.thumbnail=8").ok()
    runs = f"model.runs=[{ensemble.id},{work.newest('training').id}]"
    work.train(*data, "model=ensemble", runs, "score.mask=foreground").ok()
    larger = work.newest("training")
    work.evaluate(f"run={larger.id}").ok()
    assert work.newest("evaluation").test_metrics == larger.test_metrics
