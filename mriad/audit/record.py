"""Puts an audit into an MLflow run."""

from __future__ import annotations

import json

from mriad.audit.audit import Audit
from mriad.plots.audit import trivial_features
from mriad.tracking.run import Run


def record_audit(run: Run, audit: Audit) -> None:
    """Log the numbers, ``audit.json``, the table of trivial features and its figure, and the verdict as a tag."""
    run.set_tags({"audit": audit.verdict})
    run.log_metrics(audit.metrics())
    run.log_text(json.dumps(audit.as_record(), indent=2), "audit.json")
    if not audit.features.empty:
        run.log_table(audit.features, "audit_features.csv")
        run.log_figures({"audit": trivial_features(audit.features)})
