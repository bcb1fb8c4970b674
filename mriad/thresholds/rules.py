"""Rules that turn validation scores into a threshold; a scan is anomalous if its score is above it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Real
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from mriad.errors import MriadError

Scores = NDArray[np.floating]
Labels = NDArray[np.integer]
Groups = NDArray[np.generic]


class Threshold(ABC):
    """One rule.

    Class attributes:
        name: the rule's name in tables and errors.
        needs_labels: whether it needs anomalous scans; if not, it sees the healthy ones only.

    Attributes:
        threshold_: the fitted threshold, in units of the score; set by ``fit``.
    """

    name: ClassVar[str]
    needs_labels: ClassVar[bool] = False
    threshold_: float
    _scans, _remedy = "val", "change data.split"

    def told_of(self, scans: str, remedy: str) -> Self:
        """The rule itself, whose errors speak of other scans than those of val.

        Args:
            scans: what they are called.
            remedy: what to do where they are too few.
        """
        self._scans, self._remedy = scans, remedy
        return self

    @property
    def promised_fpr(self) -> float | None:
        """Share of new healthy scans that the rule means to call anomalous, None where it promises nothing."""
        return None

    def fit(self, scores: Scores, labels: Labels, groups: Groups | None = None) -> Self:
        """Fit the threshold.

        Args:
            scores: (n,) finite anomaly scores of val scans.
            labels: (n,) 0 healthy, 1 anomalous.
            groups: (n,) group of each scan; None if each is a group of its own.

        Raises:
            MriadError: if the scores do not hold what the rule needs.
        """
        scores, labels = np.asarray(scores, dtype=float), np.asarray(labels)
        groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
        if not np.isfinite(scores).all():
            raise MriadError(
                f"{int((~np.isfinite(scores)).sum())} of {len(scores)} {self._scans} scores are not finite, so "
                f"threshold '{self.name}' cannot be fitted; train with a smaller learning rate."
            )
        self.require(labels, groups)
        self.threshold_ = float(self._fit(scores, labels, groups))
        return self

    def require(self, labels: Labels, groups: Groups | None = None) -> None:
        """Raise a MriadError if scans with these labels and groups cannot give the threshold."""
        if not (labels == 0).any():
            raise MriadError(
                f"Threshold '{self.name}' needs healthy scans in {self._scans}, but {self._scans} holds none; "
                f"{self._remedy}."
            )
        if self.needs_labels and not (labels == 1).any():
            raise MriadError(
                f"Threshold '{self.name}' needs anomalous scans in {self._scans}, but {self._scans} holds none; "
                f"choose threshold=mean_std or threshold=quantile, or {self._remedy}."
            )

    @abstractmethod
    def _fit(self, scores: Scores, labels: Labels, groups: Groups) -> float: ...


class Youden(Threshold):
    """Largest sensitivity + specificity - 1; Youden 1950."""

    name = "youden"
    needs_labels = True

    def _fit(self, scores: Scores, labels: Labels, groups: Groups) -> float:
        fpr, tpr, cuts = roc_curve(labels, scores, drop_intermediate=False)
        return _just_below(cuts[np.argmax(tpr - fpr)], scores)


class MaxF1(Threshold):
    """Largest F1 of the anomalous class."""

    name = "max_f1"
    needs_labels = True

    def _fit(self, scores: Scores, labels: Labels, groups: Groups) -> float:
        precision, recall, cuts = precision_recall_curve(labels, scores)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        return _just_below(cuts[np.argmax(f1[:-1])], scores)


class Sensitivity(Threshold):
    """Highest threshold that finds at least a share of the anomalous val scans.

    Args:
        target: the share, in (0, 1].
    """

    name = "sensitivity"
    needs_labels = True

    def __init__(self, *, target: float = 0.95) -> None:
        if not 0 < target <= 1:
            raise MriadError(f"threshold.target={target} is no sensitivity; choose one in (0, 1].")
        self.target = target

    def _fit(self, scores: Scores, labels: Labels, groups: Groups) -> float:
        anomalous = np.sort(scores[labels == 1])[::-1]
        # the small slack keeps 0.55 of 20 at 11 where floating point says 11.000000000000002
        needed = int(np.ceil(self.target * len(anomalous) - 1e-9))
        return _just_below(anomalous[needed - 1], scores)


class MeanStd(Threshold):
    """Mean plus k standard deviations of the healthy scores.

    Args:
        k: number of (population) standard deviations.
    """

    name = "mean_std"

    def __init__(self, *, k: float = 1.0) -> None:
        self.k = _number("k", k)

    def _fit(self, scores: Scores, labels: Labels, groups: Groups) -> float:
        healthy = scores[labels == 0]
        return float(healthy.mean() + self.k * healthy.std())


class Quantile(Threshold):
    """A quantile of the healthy scores.

    Args:
        q: the quantile, in (0, 1).
    """

    name = "quantile"

    def __init__(self, *, q: float = 0.95) -> None:
        if not 0 < q < 1:
            raise MriadError(f"threshold.q={q} is no quantile; choose one in (0, 1).")
        self.q = q

    @property
    def promised_fpr(self) -> float:
        """The share of the healthy val scans above the quantile."""
        return 1 - self.q

    def _fit(self, scores: Scores, labels: Labels, groups: Groups) -> float:
        return float(np.quantile(scores[labels == 0], self.q))


class Fixed(Threshold):
    """A given number; nothing is fitted.

    Args:
        value: the threshold, in units of the score.
    """

    name = "fixed"

    def __init__(self, *, value: float) -> None:
        self.value = _number("value", value)

    def fit(self, scores: Scores, labels: Labels, groups: Groups | None = None) -> Self:
        """Take the given number; the scores may be empty."""
        self.threshold_ = float(self.value)
        return self

    def _fit(self, scores: Scores, labels: Labels, groups: Groups) -> float:
        return self.value


def count_groups(labels: Labels, groups: Groups | None) -> int:
    """Number of groups with a healthy scan; of healthy scans where ``groups`` is None."""
    healthy = np.asarray(labels) == 0
    return int(healthy.sum()) if groups is None else len(np.unique(np.asarray(groups)[healthy]))


def group_shares(groups: Groups) -> NDArray[np.float64]:
    """(n,) weights that add up to 1, alike for each group and for the scans inside each."""
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return 1 / (len(sizes) * sizes[group])


def require_share(option: str, value: float) -> float:
    """Return ``value`` or raise a MriadError if it is not in (0, 1)."""
    if not 0 < value < 1:
        raise MriadError(f"threshold.{option}={value} is no rate; choose one in (0, 1).")
    return value


def _number(option: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(float(value)):
        raise MriadError(f"threshold.{option}={value} is no number; give one.")
    return float(value)


def _just_below(cut: float, scores: Scores) -> float:
    """Midway between ``cut`` and the next lower score, so that ``score > threshold`` holds from ``cut`` on."""
    if not np.isfinite(cut):  # roc_curve's first point: nothing is above it
        return float(scores.max())
    lower = scores[scores < cut]
    if lower.size == 0:
        return float(np.nextafter(cut, -np.inf))
    middle = (float(cut) + float(lower.max())) / 2
    return middle if middle < cut else float(lower.max())
