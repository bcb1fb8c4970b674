from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from .command_line import Terminal, TrainedRun

pytestmark = pytest.mark.slow

UNETS = ("dae", "synthetic_anomaly")


@pytest.fixture(scope="module")
def tiny(small: tuple[str, ...]) -> tuple[str, ...]:
    """The options that make a quick training of a U-Net."""
    rest = [option for option in small if not option.startswith(("model.", "trainer."))]
    return (*rest, "model.network.widths=[8,16]", "trainer.max_epochs=1")


@pytest.fixture(scope="module", params=UNETS)
def unet(request: pytest.FixtureRequest, bench: Terminal, tiny: tuple[str, ...]) -> TrainedRun:
    bench.train(*tiny, f"model={request.param}").ok()
    return bench.newest("training")


def test_a_u_net_trains_in_one_command(unet: TrainedRun) -> None:
    assert unet.status == "FINISHED"
    assert 0 <= unet.metrics["test/auroc"] <= 1
    assert {"report.html", "scores.parquet", "checkpoint/best.ckpt", "plots/loss.png"} <= unet.files()
    assert ("plots/anomalies.png" in unet.files()) == (unet.params["model"] == "synthetic_anomaly")


def test_its_checkpoint_tells_the_same_again(bench: Terminal, unet: TrainedRun) -> None:
    bench.evaluate(f"run={unet.id}").ok()
    again = bench.newest("evaluation")
    assert again.test_metrics == unet.test_metrics
    pd.testing.assert_frame_equal(again.scores, unet.scores, check_exact=True)
    assert "plots/anomalies.png" not in again.files()


def test_it_predicts_as_it_was_tested(bench: Terminal, unet: TrainedRun, scans: Path, tmp_path: Path) -> None:
    bench.predict(f"run={unet.id}", f"input={scans / 'tumour'}", f"output={tmp_path}").ok()
    predicted = pd.read_csv(tmp_path / "predictions.csv")
    names = predicted["path"].map(lambda path: f"tumour/{Path(path).name}")
    tested = unet.scores.set_index("path")
    both = names.isin(tested.index).to_numpy()
    assert both.sum() >= 5
    np.testing.assert_allclose(predicted["score"][both], tested["score"][names[both]], atol=1e-5)


def test_labelled_scans_alone_are_masks_to_learn_from(bench: Terminal, tiny: tuple[str, ...]) -> None:
    few = ("anomalies=none", "data.labelled_train=3", "data.split.labelled=4")
    bench.train(*tiny, "model=synthetic_anomaly", *few).ok()
    run = bench.newest("training")
    assert run.status == "FINISHED"
    assert run.metrics["train/dice_loss"] > 0
    assert "plots/anomalies.png" not in run.files()


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
