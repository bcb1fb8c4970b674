"""How well axial slices with a lesion are told from those without, where a whole volume is what is decided on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mriad.metrics.bootstrap import GroupBootstrap, Interval, Weights, auroc, average_precision, interval
from mriad.metrics.scans import Rows

RESAMPLES_AT_ONCE = 100  # of 20,000 slices, 200 volumes, 16 MB

WITHIN = "_within_patients"


@dataclass(frozen=True, kw_only=True)
class Slices:
    """The K slices of volumes of which it is known whether they hold a lesion.

    Args:
        score: (K,) finite, higher = stranger.
        label: (K,) 1 with a lesion, else 0.
        scan: (K,) row of the scan of each.
        diseased: (K,) whether that scan is anomalous.
    """

    score: NDArray[np.float64]
    label: NDArray[np.int64]
    scan: Rows
    diseased: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        scores: NDArray[np.floating],
        masks: Iterable[NDArray[np.bool_] | None],
        *,
        anomalous: NDArray[np.bool_],
    ) -> Self:
        """Take those slices that have a score, of healthy scans and of scans with a lesion in their mask.

        Args:
            scores: (n, D) score of each axial slice, NaN where it has none, as beyond the head.
            masks: n masks (D, H, W), true where the lesion is; None for a scan without one.
            anomalous: (n,) whether a scan is.
        """
        with_lesion = np.zeros(scores.shape, dtype=bool)
        for row, mask in enumerate(masks):
            if mask is not None:
                with_lesion[row] = mask.any(axis=(1, 2))
        known = with_lesion.any(axis=1) | ~anomalous
        there = np.isfinite(scores) & known[:, None]
        scan = np.nonzero(there)[0]
        return cls(
            score=scores[there].astype(np.float64),
            label=with_lesion[there].astype(np.int64),
            scan=scan,
            diseased=anomalous[scan],
        )

    def within_patients(self) -> Slices:
        """The slices of anomalous scans."""
        return Slices(
            score=self.score[self.diseased],
            label=self.label[self.diseased],
            scan=self.scan[self.diseased],
            diseased=self.diseased[self.diseased],
        )


def slice_metrics(slices: Slices) -> dict[str, float]:
    """Measure the scores of slices, those with a lesion as positive.

    ``auroc`` and ``average_precision`` in [0, 1] hold them against all lesion-free slices of the test set, those of
    healthy scans and those of anomalous ones. ``auroc_within_patients`` and ``average_precision_within_patients`` hold
    them against the lesion-free slices of anomalous scans alone, all together: no difference between healthy and
    diseased scans, of source, scanner or anatomy, helps there, and a test set without healthy scans has them too.
    ``with_lesion``, ``lesion_free`` and ``lesion_free_within_patients`` are the numbers of slices. Where in the head a
    lesion lies also tells slices apart: lesions are rare at its top and its bottom.

    What lacks slices of either kind is left out; no slices give an empty dict.
    """
    within = slices.within_patients()
    counts = {
        "with_lesion": float(slices.label.sum()),
        "lesion_free": float((slices.label == 0).sum()),
        f"lesion_free{WITHIN}": float((within.label == 0).sum()),
    }
    found = {name: float(draws[0]) for name, draws in _ranked(slices, within, None).items()}
    return found | counts if found else {}


def slice_intervals(slices: Slices, bootstrap: GroupBootstrap) -> dict[str, Interval]:
    """Give AUROC and average precision of ``slice_metrics`` their 95 % intervals; whole groups of scans are drawn.

    Args:
        slices: of n scans.
        bootstrap: resamples of these n scans.
    """
    within = slices.within_patients()
    groups = {"": _groups(slices, bootstrap), WITHIN: _groups(within, bootstrap)}
    return {
        name: interval(draws, groups[WITHIN if name.endswith(WITHIN) else ""])
        for name, draws in _ranked(slices, within, bootstrap).items()
    }


def _ranked(slices: Slices, within: Slices, bootstrap: GroupBootstrap | None) -> dict[str, NDArray[np.float64]]:
    """(R,) values of the resamples, or (1,) of the slices as they are."""
    found = {}
    for some, suffix in ((slices, ""), (within, WITHIN)):
        if len(np.unique(some.label)) == 2:
            for name, measure in (("auroc", auroc), ("average_precision", average_precision)):
                # the weights of slices are many: those of all resamples at once would take as much as maps
                parts = [measure(some.label, some.score, weights) for weights in _weights(some, bootstrap)]
                found[f"{name}{suffix}"] = np.concatenate(parts)
    return found


def _weights(slices: Slices, bootstrap: GroupBootstrap | None) -> Iterator[Weights]:
    if bootstrap is None:
        yield np.ones((1, len(slices.scan)), dtype=np.uint16)
        return
    for start in range(0, len(bootstrap.weights), RESAMPLES_AT_ONCE):
        yield bootstrap.weights[start : start + RESAMPLES_AT_ONCE, slices.scan]


def _groups(slices: Slices, bootstrap: GroupBootstrap) -> int:
    """The smaller number of groups with slices of one kind."""
    return min(len(np.unique(bootstrap.group[slices.scan[slices.label == label]])) for label in (0, 1))
