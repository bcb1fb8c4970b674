"""Views: what MLflow's table of runs shows, and in which order, where its own default shows no number at all.

A view is a tag of the experiment, in the form in which MLflow's own page saves and shares them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

RESULTS = "results"  # the view that each experiment is made with
_TAG = "mlflow.sharedViewState."
_NAME, _CREATED, _DURATION = "attributes.`Run Name`", "runDateAndNestInfo", "duration"  # columns that are always there


def view(
    key: str,
    name: str,
    *,
    params: Sequence[str],
    metrics: Sequence[str],
    runs: str,
    order_by: str,
    ascending: bool = False,
) -> dict[str, str]:
    """The tag of an experiment that makes a view, which its page lists under 'Views'.

    Args:
        key: tells it from the other views of the experiment.
        name: what a person reads.
        params: names of the parameters that it shows, in this order.
        metrics: names of the metrics behind them.
        runs: MLflow's filter, such as ``tags.kind = 'training'``.
        order_by: metric whose best value stands first.
        ascending: whether low values are the best.
    """
    columns = [*(f"params.`{name}`" for name in params), *(f"metrics.`{name}`" for name in metrics)]
    state = {
        "searchFilter": runs,
        "orderByKey": f"metrics.`{order_by}`",
        "orderByAsc": ascending,
        "selectedColumns": columns,
        "columnOrder": [_NAME, _CREATED, *columns, _DURATION],
        "columnWidths": {_NAME: 340, **{column: 7 * len(column) - 15 for column in columns}},
    }
    now = int(1000 * time.time())
    saved = {"name": name, "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    return {f"{_TAG}{key}": json.dumps(saved)}


def results() -> dict[str, str]:
    """The view of all trainings and evaluations, those of sweeps among them."""
    return view(
        RESULTS,
        "Results, best val/auroc first",
        params=("model", "data", "threshold", "seed"),
        metrics=("val/auroc", "test/auroc", "test/average_precision", "test/balanced_accuracy", "test/pixel_ap"),
        runs="tags.kind != 'sweep'",
        order_by="val/auroc",
    )


def link(experiment_id: str, key: str) -> str:
    """Where a view stands in MLflow's pages."""
    return f"#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={key}"
