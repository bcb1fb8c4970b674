from pathlib import Path

import pytest
import yaml

from .brains import brain, save, write_scans
from .command_line import Terminal, TrainedRun

pytestmark = pytest.mark.slow

LABELLED = ("data.labelled_train=3", "data.split.labelled=4")


@pytest.fixture(scope="module")
def tiny(small: tuple[str, ...]) -> tuple[str, ...]:
    """The options that make a quick training of a U-Net."""
    rest = [option for option in small if not option.startswith(("model.", "trainer."))]
    return (*rest, "data.epoch_scans=null", "model.network.widths=[8,16]", "trainer.max_epochs=1")


def test_labelled_scans_alone_are_masks_to_learn_from(bench: Terminal, tiny: tuple[str, ...]) -> None:
    bench.train(*tiny, "model=synthetic_anomaly", "anomalies=none", *LABELLED).ok()
    run = bench.newest("training")
    assert run.status == "FINISHED"
    assert run.metrics["train/dice_loss"] > 0
    assert "plots/anomalies.png" not in run.files()


@pytest.fixture(scope="module")
def labelled(bench: Terminal, tiny: tuple[str, ...]) -> TrainedRun:
    """A training with synthetic anomalies, augmentation and three labelled scans."""
    bench.train(*tiny, "model=synthetic_anomaly", "anomalies=all", "augment=flip", *LABELLED).ok()
    return bench.newest("training")


def tells_of_labels(run: TrainedRun) -> bool:
    """Whether name, tag and report say that three labelled scans trained."""
    page = (run.artifacts / "report.html").read_text()
    told = [
        " labelled 3 " in run.stored.info.run_name,
        run.tags.get("labelled_train") == "3",
        "Trained with the lesion masks of 3 anomalous scans" in page,
    ]
    assert len(set(told)) == 1, told
    return told[0]


def test_labelled_scans_that_trained_are_told_and_so_they_are_of_another_test(
    bench: Terminal, labelled: TrainedRun, ae: TrainedRun, tmp_path: Path
) -> None:
    assert tells_of_labels(labelled) and not tells_of_labels(ae)
    bench.evaluate(f"run={labelled.id}").ok()
    assert tells_of_labels(bench.newest("evaluation"))
    assert bench.newest("evaluation").test_metrics == labelled.test_metrics
    other = write_scans(tmp_path / "other", healthy=5, anomalous=5)
    save(other / "healthy" / "new.png", brain(779))
    bench.evaluate(f"run={labelled.id}", "data=folder", f"data.root={other}", "split=all_test").ok()
    assert tells_of_labels(bench.newest("evaluation"))


def test_a_report_of_an_evaluation_shows_the_options_of_the_training(bench: Terminal, labelled: TrainedRun) -> None:
    bench.evaluate(f"run={labelled.id}").ok()
    run = bench.newest("evaluation")
    data = yaml.safe_load((run.artifacts / "data.yaml").read_text())
    trained = yaml.safe_load((labelled.artifacts / "config.yaml").read_text())["data"]
    assert trained["labelled_train"] == 3 and trained["anomalies"] and trained["augment"]
    assert {name: data[name] for name in trained} == trained
    page = (run.artifacts / "report.html").read_text()
    assert "mriad.data.training.anomalies.Anomalies" in page and "labelled_train: 3" in page


def test_an_ensemble_has_seen_the_labels_that_a_member_has(
    bench: Terminal, tiny: tuple[str, ...], labelled: TrainedRun
) -> None:
    data = [option for option in tiny if option.startswith("data")]
    bench.train(*data, "model=intensity", "data.split.labelled=4").ok()
    runs = f"model.runs=[{bench.newest('training').id},{labelled.id}]"
    made = ("model=ensemble", *data, runs)
    bench.train(*made, "data.labelled_train=2").sentence("data.labelled_train=2 cannot be set here", "drop it")
    bench.train(*made, "anomalies=all").sentence("anomalies=all cannot be set here", "drop it")
    bench.train(*made, "score.mask=foreground").ok()
    ensemble = bench.newest("training")
    assert tells_of_labels(ensemble)
    assert ensemble.params["members"] == "intensity + synthetic_anomaly"
    assert "model.members" not in ensemble.params
    bench.evaluate(f"run={ensemble.id}").ok()
    assert tells_of_labels(bench.newest("evaluation"))
    assert bench.newest("evaluation").test_metrics == ensemble.test_metrics


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("model=ae", "anomalies=all"), ("model=ae learns from healthy scans only", "data.anomalies")),
        (("model=ae", "data.labelled_train=5"), ("model=ae learns from healthy scans only", "data.labelled_train")),
        (("model=pca", "anomalies=all"), ("model=pca learns from healthy scans only",)),
        (
            ("model=synthetic_anomaly", "anomalies=none"),
            ("model=synthetic_anomaly learns from masks", "anomalies=all", "data.labelled_train"),
        ),
    ],
)
def test_a_model_and_masks_that_do_not_fit_are_told_before_any_scan_is_read(
    bench: Terminal, small: tuple[str, ...], options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    common = [option for option in small if not option.startswith(("model.", "data.root"))]
    bench.train(*common, "data.root=nowhere", *options).sentence(*words)


def test_a_size_that_a_u_net_cannot_take_is_told(bench: Terminal, tiny: tuple[str, ...]) -> None:
    bench.train(*tiny, "model=dae", "data.image_size=30").sentence("data.image_size=30", "multiple of 4, such as 32")
