"""Whether scores of other scans lie where those lay that a threshold was fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from mriad.thresholds.calibration import Calibration

Kind = Literal["healthy", "anomalous", "all"]

SIGNIFICANT = 0.01
"""p-values below it are warned of."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A two-sample Kolmogorov-Smirnov test of scores against those that a threshold was fitted on.

    The test takes scores for independent, and scans of one patient or group are not: of each group one scan is drawn.
    It asks whether both sets of scores may come from one distribution. A small p-value says that they do not, not why;
    a large one does not say that they do.

    Args:
        kind: the scans that are compared, on both sides: 'healthy', or 'anomalous' where no healthy ones are there;
            'all': those whose labels are not known, held against healthy ones.
        fitted_on: what the scans are called that the threshold was fitted on.
        scans: groups among the scans, each with one score in the test.
        known: likewise among those that the threshold was fitted on.
        statistic: largest distance of the two distribution functions, in [0, 1].
        p_value: two-sided.
        median: of the scores.
        known_median: of those that the threshold was fitted on.
    """

    kind: Kind
    fitted_on: str
    scans: int
    known: int
    statistic: float
    p_value: float
    median: float
    known_median: float

    @classmethod
    def of(cls, calibration: Calibration, table: pd.DataFrame) -> Self | None:
        """Hold scans against those that a threshold was fitted on, like against like.

        Args:
            calibration: the threshold with its scores.
            table: the scans: ``score``, ``group``, and ``label`` where labels are known.

        Returns:
            The test; None where there is nothing to be compared.
        """
        known = calibration.val_scores
        kinds: dict[Kind, tuple[pd.DataFrame, pd.DataFrame]] = {}
        if "label" in table:
            for kind, label in (("healthy", 0), ("anomalous", 1)):
                kinds[kind] = (table[table["label"] == label], known[known["label"] == label])  # type: ignore[index]
        else:
            kinds["all"] = (table, known[known["label"] == 0])
        for kind, (scans, others) in kinds.items():
            if scans.empty or others.empty:
                continue
            here, there = _one_of_each_group(scans), _one_of_each_group(others)
            found = ks_2samp(here, there)
            return cls(
                kind=kind,
                fitted_on=calibration.fitted_on,
                scans=len(here),
                known=len(there),
                statistic=float(found.statistic),
                p_value=float(found.pvalue),
                median=float(np.median(here)),
                known_median=float(np.median(there)),
            )
        return None

    @property
    def significant(self) -> bool:
        """Whether the p-value is below ``SIGNIFICANT``."""
        return self.p_value < SIGNIFICANT


def _one_of_each_group(scans: pd.DataFrame) -> np.ndarray:
    """(n,) scores, one of each group, drawn from all of its scans; the draw is always the same."""
    drawn = scans.iloc[np.random.default_rng(0).permutation(len(scans))]
    if "group" in drawn:  # a record from before groups were kept has none
        drawn = drawn.drop_duplicates("group")
    return drawn["score"].to_numpy(dtype=np.float64)
