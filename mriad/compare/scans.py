"""The one test set that all methods of a comparison share, and a refusal where they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mriad.errors import MriadError
from mriad.invocation import typed


@dataclass(frozen=True, kw_only=True)
class CommonScans:
    """The test scans of all runs, and the score that each run gives them.

    Args:
        table: one row per scan, by path: path, group, label.
        scores: (N,) anomaly scores by run id, aligned with ``table``.
        notes: what a reader should know of the groups, a sentence each.
    """

    table: pd.DataFrame
    scores: dict[str, NDArray[np.float64]]
    notes: list[str]

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) 0 healthy, 1 anomalous."""
        return self.table["label"].to_numpy(dtype=np.int64)


def common_scans(tables: Mapping[str, pd.DataFrame]) -> CommonScans:
    """Put the scores of several runs side by side.

    Where the runs group the scans differently, scans that any of them keeps together stay together.

    Args:
        tables: scores table of each run, by its id, with at least path, group, label and score.

    Raises:
        MriadError: if the runs were tested on different scans or with different labels, if test holds one label
            only, or if a score is not finite.
    """
    by_path = {run: table.set_index("path").sort_index() for run, table in tables.items()}
    first, reference = next(iter(by_path.items()))
    _require_same_scans(first, by_path)
    _require_same_labels(first, by_path)
    labels = reference["label"].to_numpy(dtype=np.int64)
    if len(set(labels)) < 2:
        raise MriadError(
            f"The {len(labels)} test scans of run {first} are all {'anomalous' if labels.all() else 'healthy'}; "
            "a comparison needs test scans of both labels."
        )
    scores = {run: table["score"].to_numpy(dtype=np.float64) for run, table in by_path.items()}
    for run, values in scores.items():
        if not np.isfinite(values).all():
            raise MriadError(f"Run {run} has scores that are not finite; leave it out, or train it again.")
    group, notes = _common_groups({run: table["group"] for run, table in by_path.items()})
    table = pd.DataFrame({"path": reference.index, "group": group, "label": labels})
    return CommonScans(table=table, scores=scores, notes=notes)


def _require_same_scans(first: str, tables: Mapping[str, pd.DataFrame]) -> None:
    reference = tables[first].index
    strays = []
    for run, table in tables.items():
        if not table.index.equals(reference):
            missing, more = len(reference.difference(table.index)), len(table.index.difference(reference))
            strays.append(f"{run} (lacks {missing} of its {len(reference)} scans, has {more} others)")
    if strays:
        raise MriadError(
            f"Only runs with the same test scans can be compared, and those of run {first} are not those of run "
            f"{', nor of run '.join(strays)}; leave such runs out, or test a training on other data with "
            f"{typed('evaluate')} run=<id> data=<name> split=<name>."
        )


def _require_same_labels(first: str, tables: Mapping[str, pd.DataFrame]) -> None:
    reference = tables[first]["label"]
    for run, table in tables.items():
        differs = (table["label"] != reference).to_numpy()
        if differs.any():
            raise MriadError(
                f"Run {run} labels {differs.sum()} of the {len(reference)} test scans otherwise than run {first}, "
                f"{reference.index[int(differs.argmax())]} first; test both again on one version of the data."
            )


def _common_groups(groups: Mapping[str, pd.Series]) -> tuple[NDArray[np.object_], list[str]]:
    """The group of each scan, and a note where the runs do not agree on it."""
    first = next(iter(groups.values()))
    codes = {tuple(pd.factorize(column)[0]) for column in groups.values()}
    if len(codes) == 1:
        return first.to_numpy(dtype=object), []
    nodes = len(first)
    edges = [np.zeros((2, 0), dtype=np.int64)]
    for code in codes:  # scans and the groups of each run as one graph: what hangs together is one group
        edges.append(np.stack([np.arange(len(first)), np.asarray(code) + nodes]))
        nodes += max(code) + 1
    rows, columns = np.concatenate(edges, axis=1)
    count, parts = connected_components(coo_array((np.ones(len(rows)), (rows, columns)), shape=(nodes, nodes)))
    note = (
        f"The runs group the scans differently; scans that any run keeps together are resampled together "
        f"({count} groups)."
    )
    return parts[: len(first)].astype(str).astype(object), [note]
