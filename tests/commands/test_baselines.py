from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from .command_line import Terminal, TrainedRun

pytestmark = pytest.mark.slow

SMALL = {"intensity": (), "pca": ("model.n_components=4",), "nearest": ("model.thumbnail=8",)}


@pytest.fixture(scope="module", params=list(SMALL))
def baseline(request: pytest.FixtureRequest, bench: Terminal, small: tuple[str, ...]) -> TrainedRun:
    common = [option for option in small if not option.startswith("model.")]
    bench.train(*common, f"model={request.param}", *SMALL[request.param]).ok()
    return bench.newest("training")


def test_a_baseline_goes_the_way_of_every_detector(baseline: TrainedRun) -> None:
    assert baseline.status == "FINISHED"
    assert 0 <= baseline.metrics["test/auroc"] <= 1 and 0 <= baseline.metrics["val/auroc"] <= 1
    assert {"report.html", "scores.parquet", "checkpoint/best.ckpt", "plots/gallery.png"} <= baseline.files()
    assert "train/loss" not in baseline.metrics and "plots/loss.png" not in baseline.files()


def test_its_checkpoint_tells_the_same_again(bench: Terminal, baseline: TrainedRun) -> None:
    bench.evaluate(f"run={baseline.id}").ok()
    again = bench.newest("evaluation")
    assert again.test_metrics == baseline.test_metrics
    pd.testing.assert_frame_equal(again.scores, baseline.scores, check_exact=True)


def test_it_predicts_as_it_was_tested(bench: Terminal, baseline: TrainedRun, scans: Path, tmp_path: Path) -> None:
    bench.predict(f"run={baseline.id}", f"input={scans / 'tumour'}", f"output={tmp_path}").ok()
    predicted = pd.read_csv(tmp_path / "predictions.csv")
    names = predicted["path"].map(lambda path: f"tumour/{Path(path).name}")
    tested = baseline.scores.set_index("path")
    both = names.isin(tested.index).to_numpy()
    assert both.sum() >= 5
    np.testing.assert_allclose(predicted["score"][both], tested["score"][names[both]], atol=1e-5)
    assert list(predicted["decision"][both]) == list(tested["decision"][names[both]])


def test_it_cannot_be_resumed(bench: Terminal, baseline: TrainedRun) -> None:
    bench.train(f"resume={baseline.id}").sentence("cannot be resumed", "fitted in one pass")
