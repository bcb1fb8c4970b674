"""The three commands on real scans, shrunken: each data set as people have it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from .command_line import Terminal, TrainedRun

pytestmark = [pytest.mark.slow, pytest.mark.real]

SHRUNKEN = ("data.image_size=32", "model.network.latent_dim=16", "trainer.max_epochs=1", "data.batch_size=64")
SETS = {
    "navoneel": (98, 155, {"tumour"}),
    "nickparvar": (1996, 906, {"glioma", "meningioma", "pituitary"}),
    "br35h": (1500, 500, {"tumour"}),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Terminal:
    """One store and one cache for all real scans."""
    return Terminal(tmp_path_factory.mktemp("real"), store=migrated_store, draws=True)


@pytest.fixture(scope="module", params=SETS)
def trained(request: pytest.FixtureRequest, desk: Terminal, data_root: Path) -> TrainedRun:
    """The autoencoder on one data set."""
    name = request.param
    desk.train(f"data={name}", f"data.root={data_root / name}", "model=ae", *SHRUNKEN).ok()
    return desk.newest("training")


def test_roles_are_healthy_and_apart(trained: TrainedRun) -> None:
    healthy, anomalous, classes = SETS[trained.params["data"]]
    split = pd.read_csv(trained.artifacts / "split.csv")
    assert (split.loc[split["role"] == "train", "label"] == 0).all()
    assert (split.groupby("group")["role"].nunique() == 1).all()
    used = split[split["role"] != "labelled"]
    assert (used["label"] == 0).sum() <= healthy and (used["label"] == 1).sum() <= anomalous
    assert (used["label"] == 0).sum() >= 0.75 * healthy  # identical copies count once
    assert set(used.loc[used["role"] == "test", "class"]) == {"healthy", *classes}


def test_every_class_is_measured(trained: TrainedRun) -> None:
    for name in SETS[trained.params["data"]][2]:
        assert 0 <= trained.metrics[f"test/{name}/auroc"] <= 1
    assert ("test/pixel_ap" in trained.metrics) == (trained.params["data"] == "br35h")  # the only one with masks


def test_evaluation_gives_the_same_numbers(trained: TrainedRun) -> None:
    trained.terminal.evaluate(f"run={trained.id}").ok()
    assert trained.terminal.newest("evaluation").test_metrics == trained.test_metrics


def test_prediction_gives_the_same_scores(trained: TrainedRun, data_root: Path, tmp_path: Path) -> None:
    config = (trained.artifacts / "config.yaml").read_text()
    assert str(data_root) in config
    some = trained.scores.sample(20, random_state=0)
    root = next(
        folder
        for folder in (data_root / trained.params["data"], data_root / "navoneel" / "brain_tumor_dataset")
        if (folder / some["path"].iloc[0]).exists()
    )
    listed = ",".join(f'"{root / path}"' for path in some["path"])
    trained.terminal.predict(f"run={trained.id}", f"input=[{listed}]", f"output={tmp_path}").ok()
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert np.allclose(table["score"], some["score"], atol=1e-6, rtol=0)
    assert list(table["decision"]) == list(some["decision"])


@pytest.mark.parametrize("data", SETS)
def test_the_vae_trains_and_is_evaluated(desk: Terminal, data_root: Path, data: str) -> None:
    desk.train(f"data={data}", f"data.root={data_root / data}", "model=vae", *SHRUNKEN).ok()
    run = desk.newest("training")
    desk.evaluate(f"run={run.id}", "threshold=mean_std").ok()
    again = desk.newest("evaluation")
    assert again.metrics["test/auroc"] == run.metrics["test/auroc"]
    assert again.tags["source_run"] == run.id


def test_a_detector_of_one_set_tests_what_it_has_not_seen_of_another(
    desk: Terminal, trained: TrainedRun, data_root: Path
) -> None:
    desk.evaluate(f"run={trained.id}", "data=navoneel", f"data.root={data_root}/navoneel", "split=all_test").ok()
    run = desk.newest("evaluation")
    dropped = run.metrics["test/overlap_dropped"]
    assert 200 <= len(run.scores) + dropped <= 253
    assert dropped >= 10  # the sets overlap
    assert run.metrics["threshold"] == trained.metrics["threshold"]
    if trained.params["data"] == "navoneel":
        assert set(run.scores["path"]) == set(trained.scores["path"])


@pytest.mark.parametrize(
    ("experiment", "data", "options"),
    [
        ("navoneel_ae", "navoneel", ("data.image_size=32", "model.network.latent_dim=16")),
        (
            "nickparvar_vae",
            "nickparvar",
            ("data.image_size=32", "model.network.latent_dim=16", "model.network.hidden_dim=32", "data.batch_size=64"),
        ),
    ],
)
def test_published_experiments_run_and_say_that_they_are_flawed(
    desk: Terminal, data_root: Path, experiment: str, data: str, options: tuple[str, ...]
) -> None:
    root = f"data.root={data_root / data}"
    shown = desk.train(f"experiment={experiment}", root, "trainer.max_epochs=1", *options).ok()
    run = desk.newest("training")
    assert "flawed on purpose" in shown.out
    assert "flawed" in run.tags["protocol"]
    assert run.status == "FINISHED" and 0 <= run.metrics["test/auroc"] <= 1
    split = pd.read_csv(run.artifacts / "split.csv")
    if data == "navoneel":  # the same healthy scans train, calibrate and are tested
        roles = split[split["label"] == 0].groupby("path")["role"].nunique()
        assert (roles == 3).all()
    else:
        assert split["path"].str.contains("Training/notumor").loc[split["label"] == 0].all()
    again = desk.evaluate(f"run={run.id}").ok()
    assert "flawed on purpose" in again.out
    assert desk.newest("evaluation").test_metrics == run.test_metrics
