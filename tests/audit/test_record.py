import json

import pytest

from mriad.audit.record import record_audit

from .test_audit import audit_of


class Recorder:
    """Keeps what a run is given, under its name."""

    def __init__(self):
        self.kept = {}

    def set_tags(self, tags):
        self.kept |= tags

    def log_metrics(self, metrics):
        self.kept |= metrics

    def log_text(self, text, name):
        self.kept[name] = text

    def log_table(self, table, name):
        self.kept[name] = table

    def log_figures(self, figures):
        self.kept |= {f"{name}.png": figure for name, figure in figures.items()}


@pytest.fixture
def run():
    return Recorder()


def test_an_audit_goes_into_the_run_whole(run, leaky):
    audit = audit_of(leaky)
    record_audit(run, audit)
    assert run.kept["audit"] == audit.verdict
    assert run.kept["audit/leaked_share"] == 0.6
    assert json.loads(run.kept["audit.json"]) == audit.as_record()
    assert run.kept["audit_features.csv"] is audit.features
    assert run.kept["audit.png"].axes


def test_without_features_there_is_no_table_and_no_figure(run, clean):
    record_audit(run, audit_of(clean, scans=clean.scans[clean.scans["label"] == 0]))
    assert "No AUROC can be had" in run.kept["audit"]
    assert "audit.json" in run.kept and not {"audit_features.csv", "audit.png"} & run.kept.keys()
