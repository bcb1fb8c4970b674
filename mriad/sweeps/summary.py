"""What the parent run tells of its children: a table, the best one, and both on its page in MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mriad.tracking import view
from mriad.tracking.sweep import job_options, varied_options
from mriad.tracking.tags import JOB_TAG, PARENT_TAG

if TYPE_CHECKING:
    from mlflow.entities import Run as StoredRun

    from mriad.tracking.run import Run

_METRICS = (
    "val/auroc",
    "val/loss",
    "test/auroc",
    "test/average_precision",
    "test/balanced_accuracy",
    "test/pixel_ap",
    "test/dice",
)
_USUAL = {"status": "FINISHED", "failure": ""}  # what the page need not say of each job
_LONGEST = 7000  # characters of the table on the parent's page, of which MLflow keeps 8000; sweep.csv has all


def lower_is_better(objective: str) -> bool:
    """Whether an objective is to be minimised: losses are, all else is not."""
    return objective.endswith("loss")


def summarize(parent: Run, children: list[StoredRun], objective: str | None) -> None:
    """Write ``sweep.csv``, the best child, the description of the parent run and the view of its children.

    Args:
        parent: the parent run.
        children: the jobs' runs.
        objective: metric that chooses the best child; None if there is none.
    """
    if not children:
        return
    table = table_of(children, objective)
    parent.log_table(table, "sweep.csv")
    link = f"#/experiments/{parent.experiment_id}/runs/"
    first, tags = [], {}
    if (best := _best(table, objective)) is not None:
        parent.log_metrics({f"best/{objective}": best[objective]})
        tags["best_run"] = best["run_id"]
        first.append(f"Best `{objective}`: {best[objective]:.4g}, {_linked(best, link)}.")
    if metrics := [name for name in (objective, *_METRICS) if name is not None and name in table]:
        first.append(f"[Select and compare the jobs]({_save_view(parent, children, metrics)}).")
    page = "\n\n".join([*([" ".join(first)] if first else []), _page(table, link, ordered=objective in table)])
    parent.set_tags(tags | {"mlflow.note.content": page})


def table_of(children: list[StoredRun], objective: str | None) -> pd.DataFrame:
    """One row per job, best first: name, run id, status, the options that differ, metrics, reason of a failure.

    Args:
        children: the jobs' runs.
        objective: metric to sort by, which stands before the others.
    """
    names = [child.data.tags[JOB_TAG] for child in children]
    options = pd.DataFrame([job_options(name) for name in names], dtype=object).fillna("")
    wanted = dict.fromkeys([*([objective] if objective else []), *_METRICS])
    metrics = pd.DataFrame([{name: child.data.metrics.get(name) for name in wanted} for child in children], dtype=float)
    facts = pd.DataFrame(
        {
            "name": [child.info.run_name for child in children],
            "run_id": [child.info.run_id for child in children],
            "status": [child.info.status for child in children],
        }
    )
    table = pd.concat(
        [facts, options[varied_options(names)], metrics.dropna(axis="columns", how="all")], axis="columns"
    )
    table["failure"] = [child.data.tags.get("failure", "") for child in children]
    table["_last"] = table["status"] != "FINISHED"
    by = ["_last", *([objective] if objective in table else [])]
    ascending = [True, *([lower_is_better(objective or "")] if objective in table else [])]
    return table.sort_values(by, ascending=ascending, kind="stable", ignore_index=True).drop(columns="_last")


def _save_view(parent: Run, children: list[StoredRun], metrics: list[str]) -> str:
    """Save the view of a sweep: its jobs alone, with what varies and how they did, best first; returns its link."""
    logged = {name for child in children for name in child.data.params}
    saved = view.view(
        parent.run_id,
        parent.name,
        params=[name for name in varied_options(child.data.tags[JOB_TAG] for child in children) if name in logged],
        metrics=list(dict.fromkeys(metrics)),
        runs=f"tags.`{PARENT_TAG}` = '{parent.run_id}'",
        order_by=metrics[0],
        ascending=lower_is_better(metrics[0]),
    )
    for key, value in saved.items():
        parent.client.set_experiment_tag(parent.experiment_id, key, value)
    return view.link(parent.experiment_id, parent.run_id)


def _best(table: pd.DataFrame, objective: str | None) -> pd.Series | None:
    """The row of the finished job with the best objective, if there is one."""
    if objective not in table:
        return None
    rows = table[(table["status"] == "FINISHED") & table[objective].notna()]
    return rows.iloc[0] if len(rows) else None


def _page(table: pd.DataFrame, link: str, *, ordered: bool) -> str:
    """The table in Markdown, each name a link to its run."""
    told = table.drop(columns=[name for name, usual in _USUAL.items() if (table[name] == usual).all()])
    told = told.assign(name=[_linked(row, link) for _, row in told.iterrows()]).drop(columns="run_id")
    rows = [[_cell(value) for value in row] for row in told.itertuples(index=False)]
    lines = [f"| {' | '.join(line)} |" for line in (list(told.columns), ["---"] * len(told.columns), *rows)]
    ends = np.cumsum([len(line) + 1 for line in lines])
    shown = int((ends <= _LONGEST).sum()) - 2
    more = f"The first {shown} of {len(table)} jobs" if shown < len(table) else "The jobs of this sweep"
    page = "\n".join(lines[: shown + 2])
    return f"{more}{', best first' if ordered else ''}; `sweep.csv` holds all.\n\n{page}"


def _linked(row: pd.Series, link: str) -> str:
    return f"[{row['name']}]({link}{row['run_id']})"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    text = str(value)
    try:
        return f"{float(text):.4g}" if len(text) > 6 and not text.lstrip("-").isdecimal() else text
    except ValueError:
        return text.replace("|", "\\|")
