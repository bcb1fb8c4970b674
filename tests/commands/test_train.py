import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, roc_auc_score

from .command_line import REPOSITORY, Terminal, TrainedRun

PLOTS = {"audit", "confusion_matrix", "gallery", "loss", "pr", "roc", "score_histogram"}
TEST_METRICS = [
    "auroc",
    "average_precision",
    "accuracy",
    "no_information_rate",
    "balanced_accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "pixel_ap",
    "pixel_auroc",
    "pixel_aupro",
    "dice",
    "dice_oracle",
    "dice_per_scan",
    "pointing",
    "pixel_ap_all",
    "dice_all",
    "tumour/auroc",
]


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory, small: tuple[str, ...], migrated_store: Path) -> TrainedRun:
    """The command of ``ae`` a second time, in another place with an empty cache."""
    terminal = Terminal(tmp_path_factory.mktemp("again"), store=migrated_store)
    terminal.train(*small, "model=ae").ok()
    return terminal.newest("training")


@pytest.fixture(scope="module")
def other_seed(bench: Terminal, small: tuple[str, ...]) -> TrainedRun:
    """``ae`` with another seed and another threshold."""
    bench.train(*small, "model=ae", "seed=1", "threshold=mean_std").ok()
    return bench.newest("training")


def test_a_finished_run_is_marked_so_and_named_after_its_choices(ae: TrainedRun) -> None:
    assert ae.status == "FINISHED"
    assert ae.tags["mlflow.runName"] == "ae folder youden seed 0"
    assert ae.tags["kind"] == "training"
    assert "failure" not in ae.tags


def test_the_commit_is_a_tag(ae: TrainedRun) -> None:
    head = Terminal(ae.terminal.folder).shell(f"git -C '{REPOSITORY}' rev-parse HEAD")
    if head.code:
        pytest.skip("the code is no git checkout")
    assert len(ae.tags["mlflow.source.git.commit"]) == len(head.out.strip())


def test_params_are_flat_and_name_every_choice(ae: TrainedRun, scans: Path) -> None:
    expected = {
        "model": "ae",
        "data": "folder",
        "split": "grouped",
        "threshold": "youden",
        "score": "blurred",
        "augment": "none",
        "seed": "0",
        "data.root": str(scans),
        "data.image_size": "32",
        "data.split.seed": "0",
        "model.network.latent_dim": "16",
        "model.optimizer.lr": "0.001",
        "trainer.max_epochs": "2",
    }
    assert {name: ae.params.get(name) for name in expected} == expected
    assert not [value for value in ae.params.values() if value.startswith(("{", "[{")) or "${" in value]


def test_config_is_resolved_and_whole(ae: TrainedRun) -> None:
    text = (ae.artifacts / "config.yaml").read_text()
    config = OmegaConf.create(text)
    assert "${" not in text
    assert (config.data.image_size, config.data.preprocess.image_size, config.model.network.image_size) == (32,) * 3
    assert config.callbacks.calibration.rule._target_ == config.threshold._target_ == "mriad.thresholds.Youden"
    assert config.seed == 0


def test_metrics_have_a_value_per_epoch(ae: TrainedRun) -> None:
    assert ae.epochs("train/loss") == [0, 1]
    assert set(ae.epochs("val/loss")) == set(ae.epochs("val/auroc")) == {0, 1}


def test_test_metrics_have_the_names_of_the_design(ae: TrainedRun) -> None:
    metrics = ae.metrics
    assert {name: 0 <= metrics[f"test/{name}"] <= 1 for name in TEST_METRICS} == dict.fromkeys(TEST_METRICS, True)


def test_test_metrics_follow_from_the_scores_table(ae: TrainedRun) -> None:
    label, score, decision = (ae.scores[column] for column in ("label", "score", "decision"))
    assert ae.metrics["test/auroc"] == pytest.approx(roc_auc_score(label, score))
    assert ae.metrics["test/average_precision"] == pytest.approx(average_precision_score(label, score))
    assert ae.metrics["test/balanced_accuracy"] == pytest.approx(balanced_accuracy_score(label, decision))
    assert ae.metrics["test/f1"] == pytest.approx(f1_score(label, decision))
    assert ae.metrics["test/no_information_rate"] == pytest.approx(max(label.mean(), 1 - label.mean()))


def test_scores_table_decides_by_the_stored_threshold(ae: TrainedRun) -> None:
    scores = ae.scores
    assert list(scores.columns[:6]) == ["path", "group", "class", "label", "role", "score"]
    assert set(scores["role"]) == {"test"}
    assert (scores["threshold"] == ae.metrics["threshold"]).all()
    assert ((scores["score"] > scores["threshold"]) == (scores["decision"] == 1)).all()


def test_split_gives_every_scan_one_role_and_trains_on_healthy_ones(ae: TrainedRun) -> None:
    split = pd.read_csv(ae.artifacts / "split.csv")
    assert len(split) == 60 and not split["path"].duplicated().any()
    assert (split.loc[split["role"] == "train", "label"] == 0).all()
    assert dict(split.groupby(["role", "class"]).size()) == {
        ("train", "healthy"): 28,
        ("val", "healthy"): 4,
        ("test", "healthy"): 8,
        ("val", "tumour"): 4,
        ("test", "tumour"): 16,
    }
    assert sorted(split.loc[split["role"] == "test", "path"]) == sorted(ae.scores["path"])


def test_figures_are_pictures(ae: TrainedRun, vae: TrainedRun) -> None:
    for run, names in ((ae, PLOTS), (vae, PLOTS | {"latent_interpolation", "prior_samples"})):
        plots = sorted((run.artifacts / "plots").iterdir())
        assert {plot.name for plot in plots} == {f"{name}.png" for name in names}
        for plot in plots:
            with Image.open(plot) as picture:
                low, high = picture.convert("L").getextrema()
                assert min(picture.size) >= 300 and low < high


def test_checkpoint_carries_config_calibration_and_run(ae: TrainedRun) -> None:
    content = torch.load(ae.checkpoint, weights_only=True)
    record = content["mriad"]
    assert record["run_id"] == ae.id
    assert record["calibration"]["threshold"] == ae.metrics["threshold"]
    assert record["config"]["data"]["image_size"] == 32
    assert all(weight.isfinite().all() for weight in content["state_dict"].values())


def test_environment_lists_versions(ae: TrainedRun) -> None:
    versions = json.loads((ae.artifacts / "environment.json").read_text())
    assert versions["torch"].startswith(torch.__version__.split("+")[0])
    assert {"mriad", "lightning", "mlflow", "numpy"} <= versions.keys()


def test_the_run_has_a_model_and_may_do_without(bench: Terminal, ae: TrainedRun, small: tuple[str, ...]) -> None:
    def models(run: TrainedRun) -> list[str]:
        found = bench.store.search_logged_models([run.stored.info.experiment_id])
        return [model.name for model in found if model.source_run_id == run.id]

    assert models(ae) == ["model"]
    bench.train(*small, "logger.log_model=false", "trainer.max_epochs=1").ok()
    assert models(bench.newest("training")) == []


def test_terminal_shows_the_result_and_commands_that_go_on(
    terminal: Terminal, small: tuple[str, ...], tmp_path: Path
) -> None:
    shown = terminal.train(*small, "trainer.max_epochs=1").ok()
    run = terminal.newest("training")
    assert f"{run.metrics['test/auroc']:.3f}" in shown.out
    assert f"evaluate.py run={run.id}" in shown.out
    lines = [line for line in shown.out.splitlines() if line.lower().startswith("epoch ")]  # no bar beside them
    assert [line.split()[:3] for line in lines] == [["epoch", "1/1", "train/loss"]]
    assert all("val/loss" in line and "val/auroc" in line and " s" in line for line in lines)
    assert f"predict.py run={run.id}" in shown.out
    assert (run.output / "best.ckpt").exists() and (run.output / "last.ckpt").exists()
    assert shown.err == ""


def test_writes_nothing_outside_its_working_directory(bare: Terminal, small: tuple[str, ...], scans: Path) -> None:
    def listing(folder: Path) -> list[Path]:
        return sorted(path for path in folder.iterdir() if path.name != ".pytest_cache")

    before = listing(REPOSITORY), sorted(scans.rglob("*"))
    bare.train(*small, "trainer.max_epochs=1").ok()
    assert (listing(REPOSITORY), sorted(scans.rglob("*"))) == before
    assert {path.name for path in bare.folder.iterdir() if path.name[0] != "."} == {
        "cache",
        "mlartifacts",
        "mlflow.db",
        "mlflow.db.lock",
        "outputs",
    }


def test_same_command_gives_the_same_numbers(ae: TrainedRun, again: TrainedRun) -> None:
    assert again.test_metrics == ae.test_metrics
    assert again.metrics["val/loss"] == ae.metrics["val/loss"]
    pd.testing.assert_frame_equal(again.scores, ae.scores, check_exact=True)


def test_another_seed_gives_other_numbers(ae: TrainedRun, other_seed: TrainedRun) -> None:
    assert other_seed.metrics["val/loss"] != ae.metrics["val/loss"]
    assert (other_seed.scores["score"] != ae.scores["score"]).any()


def test_roles_do_not_depend_on_model_threshold_or_seed(
    ae: TrainedRun, vae: TrainedRun, other_seed: TrainedRun
) -> None:
    splits = [(run.artifacts / "split.csv").read_text() for run in (ae, vae, other_seed)]
    assert splits[0] == splits[1] == splits[2]
    assert list(ae.scores["path"]) == list(vae.scores["path"]) == list(other_seed.scores["path"])


def test_a_failure_after_the_fit_marks_the_run_failed(terminal: Terminal, small: tuple[str, ...]) -> None:
    command = terminal.start("train.py", *small, "trainer.max_epochs=1", before=_break_the_figures)
    outcome = command.wait()
    run = terminal.newest("training")
    assert outcome.code == 1 and "Traceback" in outcome.err  # a fault of the program is no bad input
    assert run.epochs("train/loss") == [0]
    assert run.status == "FAILED"
    assert run.tags["failure"] == "ZeroDivisionError: the pen broke"


def _break_the_figures() -> None:
    from mriad.report import record

    def draw(*_: object) -> None:
        raise ZeroDivisionError("the pen broke")

    record.result_figures = draw  # type: ignore[assignment]


def test_slices_kept_on_the_device_train_the_same_network(
    terminal: Terminal, small: tuple[str, ...], ae: TrainedRun
) -> None:
    terminal.train(*small, "model=ae", "data.on_device=true").ok()
    kept = terminal.newest("training")
    assert kept.test_metrics == pytest.approx(ae.test_metrics, abs=1e-6)
    assert (ae.params["data.on_device"], ae.params["data.num_workers"], ae.params["compile"]) == ("False", "0", "False")
    assert kept.params["data.on_device"] == "True"


def test_anomalies_are_not_made_on_the_device(bench: Terminal, small: tuple[str, ...]) -> None:
    options = [option for option in small if "latent_dim" not in option]
    bench.train(*options, "model=synthetic_anomaly", "data.on_device=true").sentence(
        "data.anomalies", "on_device=false"
    )


def test_a_profile_of_the_training_is_printed_once(terminal: Terminal, small: tuple[str, ...]) -> None:
    outcome = terminal.train(*small, "model=ae", "trainer.max_epochs=1", "trainer.profiler=simple").ok()
    assert (outcome.out + outcome.err).count("run_training_epoch") == 1
