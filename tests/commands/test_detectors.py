"""Each kind of detector goes the same way: trained, tested again, asked for scans."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from .command_line import Terminal, TrainedRun

pytestmark = pytest.mark.slow

TINY = ("data.epoch_scans=null", "model.network.widths=[8,16]", "trainer.max_epochs=1")
FITTED = {"intensity": (), "pca": ("model.n_components=4",), "nearest": ("model.thumbnail=8",)}
SMALL = FITTED | {"dae": TINY, "synthetic_anomaly": TINY}


@pytest.fixture(scope="module", params=list(SMALL))
def run(request: pytest.FixtureRequest, bench: Terminal, small: tuple[str, ...]) -> TrainedRun:
    common = [option for option in small if not option.startswith(("model.", "trainer."))]
    bench.train(*common, f"model={request.param}", *SMALL[request.param]).ok()
    return bench.newest("training")


def test_a_detector_is_trained_and_tested_in_one_command(run: TrainedRun) -> None:
    assert run.status == "FINISHED"
    assert 0 <= run.metrics["test/auroc"] <= 1 and 0 <= run.metrics["val/auroc"] <= 1
    assert {"report.html", "scores.parquet", "checkpoint/best.ckpt", "plots/gallery.png"} <= run.files()
    fitted = run.params["model"] in FITTED
    assert ("train/loss" not in run.metrics, "plots/loss.png" not in run.files()) == (fitted, fitted)
    assert ("plots/anomalies.png" in run.files()) == (run.params["model"] == "synthetic_anomaly")


def test_its_checkpoint_tells_the_same_again(bench: Terminal, run: TrainedRun) -> None:
    bench.evaluate(f"run={run.id}").ok()
    again = bench.newest("evaluation")
    assert again.test_metrics == run.test_metrics
    pd.testing.assert_frame_equal(again.scores, run.scores, check_exact=True)
    assert "plots/anomalies.png" not in again.files()


def test_it_predicts_as_it_was_tested(bench: Terminal, run: TrainedRun, scans: Path, tmp_path: Path) -> None:
    bench.predict(f"run={run.id}", f"input={scans / 'tumour'}", f"output={tmp_path}").ok()
    predicted = pd.read_csv(tmp_path / "predictions.csv")
    names = predicted["path"].map(lambda path: f"tumour/{Path(path).name}")
    tested = run.scores.set_index("path")
    both = names.isin(tested.index).to_numpy()
    assert both.sum() >= 5
    np.testing.assert_allclose(predicted["score"][both], tested["score"][names[both]], atol=1e-5)
    assert list(predicted["decision"][both]) == list(tested["decision"][names[both]])


def test_one_that_is_fitted_in_one_pass_cannot_be_resumed(bench: Terminal, run: TrainedRun) -> None:
    if run.params["model"] in FITTED:
        bench.train(f"resume={run.id}").sentence("cannot be resumed", "fitted in one pass")
