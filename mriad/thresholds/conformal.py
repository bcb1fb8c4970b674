"""A threshold whose false positive rate is promised for any distribution of scores."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

from mriad.errors import MriadError
from mriad.thresholds.rules import Groups, Labels, Scores, Threshold, count_groups, group_shares, require_share

_SLACK = 1e-9  # keeps numbers where floating point may say a little more


class Conformal(Threshold):
    """Split conformal prediction: an expected false positive rate of at most ``alpha``.

    With K healthy val scans, none related to another, the threshold is the ceil((K + 1)(1 - alpha))-th smallest
    score. A healthy scan exchangeable with them lies above it with probability at most ``alpha``, and more than
    ``alpha`` - 1 / (K + 1) where no scores tie; the probability is over val sets, too: one val set may do worse.
    Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005.

    Scans of one group are not exchangeable with those of another, so K counts groups: a score of group k weighs
    1 / ((K + 1) n_k), where n_k is the number of its scans, infinity weighs 1 / (K + 1), and the threshold is the
    1 - ``alpha`` quantile. What then holds is the same for one healthy scan of a new group, if groups are
    exchangeable and so are the scans inside each: the rate is averaged over groups. The rate over all scans of a test
    set may be higher where large groups score higher, and scans of one group are called together or not at all.
    It holds for healthy scans like those of val. Where anomalous patients have healthy slices, val and test may hold
    them in different shares; and where val also chose the checkpoint, its scores may be a little lower than new ones.
    Dunn, Wasserman & Ramdas, Distribution-free prediction sets for two-layer hierarchical models, JASA 2023; Lee,
    Barber & Willett, Distribution-free inference with hierarchical data, 2023.

    Args:
        alpha: the rate, in (0, 1).
    """

    name = "conformal"

    def __init__(self, *, alpha: float = 0.05) -> None:
        self.alpha = require_share("alpha", alpha)

    @property
    def promised_fpr(self) -> float:
        """The rate promised for a healthy scan of a new group, in expectation."""
        return self.alpha

    def require(self, labels: Labels, groups: Groups | None = None) -> None:
        """Raise a MriadError if val has too few healthy groups for ``alpha``."""
        super().require(labels, groups)
        needed = int(np.ceil(1 / self.alpha - _SLACK)) - 1
        if (found := count_groups(labels, groups)) < needed:
            raise MriadError(
                f"Threshold 'conformal' with threshold.alpha={self.alpha} needs {needed} independent healthy scans in "
                f"{self._scans} (groups count once), but {self._scans} holds {found}; raise threshold.alpha to "
                f"{np.ceil(1e4 / (found + 1) - _SLACK) / 1e4:g} or more, or {self._remedy}."
            )

    def _fit(self, scores: Scores, labels: Labels, groups: Groups) -> float:
        healthy = labels == 0
        shares = group_shares(groups[healthy])
        order = np.argsort(scores[healthy])
        n_groups = count_groups(labels, groups)
        below = np.cumsum(shares[order]) * n_groups / (n_groups + 1)
        return float(scores[healthy][order][np.searchsorted(below, 1 - self.alpha - _SLACK)])


def rate_interval(alpha: float, scans: int, *, level: float = 0.95) -> tuple[float, float]:
    """Where the false positive rate of one conformal threshold lies: what the promise averages over.

    ``Conformal`` promises the mean over calibrations. The rate of the one threshold that was fitted follows, where no
    scores tie, Beta(n + 1 - k, k) with k = ceil((n + 1)(1 - ``alpha``)); with ties it is smaller.
    Vovk, Conditional validity of inductive conformal predictors, ACML 2012.

    Args:
        alpha: the promised rate, at least 1 / (``scans`` + 1).
        scans: n, healthy scans that it was fitted on, none related to another.
        level: of the interval.

    Returns:
        Its ends, with equal chances beyond each.
    """
    rank = int(np.ceil((scans + 1) * (1 - alpha) - _SLACK))
    low, high = beta.ppf([(1 - level) / 2, (1 + level) / 2], scans + 1 - rank, rank)
    return float(low), float(high)
