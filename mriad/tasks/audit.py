"""Audit a data set and its split, without any model and without a run."""

from __future__ import annotations

import json

from omegaconf import DictConfig

from mriad.audit.audit import Audit
from mriad.audit.terminal import print_audit
from mriad.experiment.data import load_data
from mriad.experiment.job import prepare
from mriad.plots.audit import trivial_features
from mriad.tables import write_csv


def audit(cfg: DictConfig) -> float | None:
    """Print the audit and write it to the job's folder.

    Args:
        cfg: the composed ``conf/audit.yaml``.

    Returns:
        The best AUROC to be had without any model, None where test holds one label only.

    Raises:
        MriadError: on bad input.
    """
    folder = prepare(cfg)
    found = Audit.of(load_data(cfg.data, roles=()))
    (folder / "audit.json").write_text(json.dumps(found.as_record(), indent=2))
    write_csv(found.features, folder / "audit_features.csv")
    if not found.features.empty:
        trivial_features(found.features).savefig(folder / "audit.png")
    print_audit(found)
    print(f"Written to {folder}")
    return found.metrics().get("audit/trivial_auroc")
