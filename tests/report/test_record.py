from dataclasses import replace

import pandas as pd
import pytest
from matplotlib.figure import Figure

from mriad import plots
from mriad.report import record_result
from mriad.tracking.tracker import Tracker

COMMIT = "mlflow.source.git.commit"


@pytest.fixture
def tracker(tracking_uri, monkeypatch):
    monkeypatch.setattr("mriad.report.record.result_figures", lambda result, detector: {})  # slow, and tested apart
    return Tracker(tracking_uri=tracking_uri)


def recorded(tracker, result, detector, *, audit=None, losses=()):
    split = result.table[["path", "group", "label", "class", "role"]]
    with tracker.run(name="vae on toys", tags={COMMIT: "f00dcafe"}) as run:
        for epoch, loss in enumerate(losses):
            run.log_metrics({"train/loss": loss}, step=epoch)
        commands = [("Train it again", "python train.py model=vae")]
        record_result(run, result, detector, audit=audit, split=split, config_yaml="seed: 7", commands=commands)
    return run


def test_each_figure_is_drawn_once_for_the_run_and_its_report(tracking_uri, mixed, vae, monkeypatch):
    drawn = []

    def draw(name, drawing):
        monkeypatch.setattr(f"mriad.plots.{name}", lambda *told: drawn.append(name) or drawing(*told))

    names = ["roc_curve", "pr_curve", "score_histogram", "confusion_matrix"]
    for name in names:
        draw(name, getattr(plots, name))
    monkeypatch.setattr("mriad.report.figures.gallery", lambda result, detector: Figure())
    run = recorded(Tracker(tracking_uri=tracking_uri), mixed, vae)
    assert drawn == names
    assert run.download("report.html").read_text().count("data:image/svg+xml") == 4


def test_metrics_are_logged_with_the_ends_of_their_intervals(tracker, mixed, vae):
    metrics = tracker.client.get_run(recorded(tracker, mixed, vae).run_id).data.metrics
    low, high = mixed.intervals["auroc"]
    assert low < mixed.metrics["auroc"] < high
    assert metrics["test/auroc"] == pytest.approx(mixed.metrics["auroc"])
    assert (metrics["test/auroc_low"], metrics["test/auroc_high"]) == pytest.approx((low, high))
    assert metrics["threshold"] == 0.5


def test_the_false_positive_rate_on_val_and_the_one_promised_are_logged(tracker, mixed, vae):
    val = pd.DataFrame({"score": [0.1, 0.2, 0.3, 0.9, 0.95], "label": [0, 0, 0, 0, 1]})
    told = replace(mixed, calibration=replace(mixed.calibration, val_scores=val, promised_fpr=0.1))
    metrics = tracker.client.get_run(recorded(tracker, told, vae).run_id).data.metrics
    assert metrics["val/false_positive_rate"] == 0.25
    assert metrics["val/false_positive_rate_promised"] == 0.1
    silent = replace(mixed, calibration=replace(mixed.calibration, promised_fpr=None))
    metrics = tracker.client.get_run(recorded(tracker, silent, vae).run_id).data.metrics
    assert "val/false_positive_rate_promised" not in metrics


def test_the_report_is_among_the_artifacts(tracker, mixed, vae, audit, tmp_path):
    run = recorded(tracker, mixed, vae, audit=audit, losses=[2.0, 1.0])
    page = run.download("report.html", tmp_path).read_text(encoding="utf-8")
    for words in ("vae on toys", run.run_id, "f00dcafe", "seed: 7", "python train.py model=vae", audit.verdict):
        assert words in page
    assert "loss by epoch" in page
    assert len(pd.read_parquet(run.download("scores.parquet", tmp_path))) == len(mixed.table)


def test_an_evaluation_s_report_shows_no_losses(tracker, mixed, vae, tmp_path):
    page = recorded(tracker, mixed, vae).download("report.html", tmp_path).read_text(encoding="utf-8")
    assert "loss by epoch" not in page


def test_the_run_s_note_tells_the_numbers_and_the_audit(tracker, mixed, vae, audit):
    run = recorded(tracker, mixed, vae, audit=audit)
    note = tracker.client.get_run(run.run_id).data.tags["mlflow.note.content"]
    low, high = mixed.intervals["auroc"]
    assert f"AUROC {mixed.metrics['auroc']:.3f} [{low:.3f}, {high:.3f}]" in note
    assert f"Audit of the data: {audit.verdict}" in note
    assert f"[report.html](#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts/report.html)" in note
    assert "flawed" not in note


def test_what_the_whole_test_says_is_not_said_again_of_its_anomalous_scans(tracker, mixed, vae):
    metrics = tracker.client.get_run(recorded(tracker, mixed, vae).run_id).data.metrics
    assert {"test/recall", "test/recall_low", "test/healthy/recall", "test/anomalous/support"} <= set(metrics)
    assert not {name for name in metrics if name.startswith(("test/anomalous/recall", "test/anomalous/f1"))}
