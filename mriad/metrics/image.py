"""How well one score per scan separates anomalous from healthy scans.

Every function reads the scores table: one row per scan with ``path``, ``class`` ('healthy' or the kind of
anomaly), ``label`` (0 healthy, 1 anomalous), ``score`` (higher = stranger) and ``decision`` (1 called
anomalous, else 0). Anomalous is the positive class throughout.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from mriad.errors import MriadError

LABELS = (0, 1)
LABEL_NAMES = ("healthy", "anomalous")


def image_metrics(table: pd.DataFrame) -> dict[str, float]:
    """Measure scores and decisions of a scores table, all in [0, 1].

    Keys: ``auroc`` and ``average_precision`` of the score; ``accuracy``, ``balanced_accuracy``,
    ``precision``, ``recall``, ``specificity``, ``false_positive_rate`` and ``f1`` of the decision;
    ``no_information_rate``, the accuracy of always naming the commoner label; ``accuracy_p_value``, one-sided
    and exact binomial, of an accuracy at least as high if the true one were the no-information rate. The test
    counts scans as independent, so where groups hold many scans its p-value is too small. Precision is 0 where
    no scan is called anomalous.

    What a table with a single label cannot tell is left out rather than NaN: ``recall`` without anomalous
    scans, ``specificity`` and ``false_positive_rate`` without healthy ones, and ``auroc``,
    ``average_precision``, ``balanced_accuracy``, ``precision``, ``f1`` and ``accuracy_p_value`` unless both are
    present. A table without rows gives an empty dict.

    Raises:
        MriadError: if a score is not finite.
    """
    _require_finite_scores(table)
    if table.empty:
        return {}
    label, decision = _labels(table), _decisions(table)
    prevalence = float(np.mean(label))
    metrics = {
        "accuracy": float(np.mean(label == decision)),
        "no_information_rate": max(prevalence, 1 - prevalence),
    }
    report = class_report(table)
    if prevalence > 0:
        metrics["recall"] = float(report["recall"]["anomalous"])
    if prevalence < 1:
        metrics["specificity"] = float(report["recall"]["healthy"])
        metrics["false_positive_rate"] = float(np.mean(decision[label == 0]))
    if 0 < prevalence < 1:
        metrics |= _ranking(label, table["score"])
        metrics["balanced_accuracy"] = (metrics["recall"] + metrics["specificity"]) / 2
        metrics["precision"] = float(report["precision"]["anomalous"])
        metrics["f1"] = float(report["f1"]["anomalous"])
        right = int(np.sum(label == decision))
        exact = binomtest(right, len(label), metrics["no_information_rate"], alternative="greater")
        metrics["accuracy_p_value"] = float(exact.pvalue)
    return metrics


def metrics_by_class(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Measure each kind of anomaly against all healthy scans.

    Returns:
        for each class among the anomalous scans, in alphabetical order: ``auroc`` and ``average_precision``
        of its scans against every healthy scan (left out where there is none), ``recall`` of its scans, and
        ``support``, their number. Average precision rises with the share of positives, so compare it
        between classes of similar support only.

    Raises:
        MriadError: if a score is not finite.
    """
    _require_finite_scores(table)
    healthy = table[table["label"] == 0]
    by_class = {}
    for name, members in table[table["label"] == 1].groupby("class", sort=True):
        metrics = {"recall": float(_decisions(members).mean()), "support": float(len(members))}
        if len(healthy):
            both = pd.concat([healthy, members])
            metrics |= _ranking(_labels(both), both["score"])
        by_class[str(name)] = metrics
    return by_class


def class_report(table: pd.DataFrame) -> pd.DataFrame:
    """Tabulate precision, recall, F1 and support for each label.

    Returns:
        a frame with the rows 'healthy' and 'anomalous', each measured with itself as the positive class, and
        the columns ``precision``, ``recall``, ``f1`` (in [0, 1], 0 where undefined) and ``support`` (scans).
    """
    columns = precision_recall_fscore_support(_labels(table), _decisions(table), labels=LABELS, zero_division=0)
    return pd.DataFrame(
        dict(zip(("precision", "recall", "f1", "support"), columns, strict=True)), index=pd.Index(LABEL_NAMES)
    )


def confusion(table: pd.DataFrame) -> np.ndarray:
    """Count decisions by true label.

    Returns:
        (2, 2) integers, [[true negatives, false positives], [false negatives, true positives]].
    """
    if table.empty:
        return np.zeros((2, 2), dtype=np.int64)
    return confusion_matrix(_labels(table), _decisions(table), labels=LABELS)


def _labels(table: pd.DataFrame) -> np.ndarray:
    return table["label"].to_numpy(dtype=np.int64)


def _decisions(table: pd.DataFrame) -> np.ndarray:
    return table["decision"].to_numpy(dtype=np.int64)


def _ranking(label: np.ndarray, score: pd.Series) -> dict[str, float]:
    scores = score.to_numpy(dtype=np.float64)
    return {
        "auroc": float(roc_auc_score(label, scores)),
        "average_precision": float(average_precision_score(label, scores)),
    }


def _require_finite_scores(table: pd.DataFrame) -> None:
    broken = ~np.isfinite(table["score"].to_numpy(dtype=np.float64))
    if broken.any():
        raise MriadError(
            f"{broken.sum()} of {len(table)} anomaly scores are not finite, the first that of "
            f"{table['path'].iloc[int(broken.argmax())]}; train again at a lower learning rate or in float32."
        )
