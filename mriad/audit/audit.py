"""The audit of a data set and its split, made before any model is believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from mriad.audit.features import FEATURES, raw_features, scaled_features, separation
from mriad.audit.mix import mix_by_role
from mriad.audit.outliers import outliers_of
from mriad.data.datamodule import MRIDataModule
from mriad.data.preparing.packs import Rows
from mriad.data.roles.grouping import near_duplicate_clusters
from mriad.data.roles.leakage import LABELS, duplicates_by_role, is_repeated

Level = Literal["sound", "doubtful", "unsound"]

# Hosmer, Lemeshow and Sturdivant 2013 call discrimination poor below 0.7 and excellent from 0.8.
_POOR, _EXCELLENT = 0.7, 0.8
_MANY = 0.05


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What a data set gives away without any model.

    Args:
        data: name of the data set.
        published: whether the split repeats a published, flawed protocol.
        counts: number of scans by role and label, such as {'test healthy': 300}; those that there are.
        features: how well each trivial feature separates the test scans, best first; see ``separation``. No rows where
            test holds one label only.
        duplicates: near-duplicates inside roles and across them; see ``duplicates_by_role``.
        clusters: number of near-duplicate clusters of two scans or more.
        largest_cluster: scans in the largest cluster; 1 without near-duplicates.
        repeated: share of the scans that have a near-duplicate anywhere in the set.
        patients: whether the patient of any scan is known.
        mix: counts by role and label; see ``mix_by_role``.
        outliers: images that look unlike all others: path, role, class, distance, z; see ``outliers_of``.
    """

    data: str
    published: bool
    counts: dict[str, int]
    features: pd.DataFrame
    duplicates: pd.DataFrame
    clusters: int
    largest_cluster: int
    repeated: float
    patients: bool
    mix: pd.DataFrame
    outliers: pd.DataFrame

    @classmethod
    def of(cls, datamodule: MRIDataModule) -> Audit:
        """Audit the data and the split of a data module that is set up."""
        cache = datamodule.cache
        return cls.measure(
            data=str(datamodule.name),
            published=datamodule.split.published,
            scans=datamodule.split_table.join(datamodule.table, on="row"),
            facts=cache.facts,
            images=cache.images,
            thumbnails=cache.thumbnails,
        )

    @classmethod
    def measure(
        cls,
        *,
        data: str,
        published: bool,
        scans: pd.DataFrame,
        facts: pd.DataFrame,
        images: Rows,
        thumbnails: Rows,
    ) -> Audit:
        """Audit scans in their roles.

        Args:
            data: name of the data set.
            published: whether the split repeats a published, flawed protocol.
            scans: one row per scan and role: ``row`` of the other arguments, ``group``, ``role``, and the columns of
                a catalog.
            facts: N rows of the cache's facts.
            images: (N, *spatial) uint8, as the network sees them.
            thumbnails: (N, 16, 16) uint8, of the whole original images.
        """
        looks = facts[["format", "mode", "phash", "phash_head"]].iloc[scans["row"]]
        scans = scans.reset_index(drop=True).assign(**{name: looks[name].to_numpy() for name in looks})
        once = scans.drop_duplicates("row").sort_values("row", ignore_index=True)
        alike = near_duplicate_clusters(once.drop(columns="patient"))
        patients = bool((once["patient"] != "").any())
        clusters = near_duplicate_clusters(once) if patients else alike
        sizes = np.unique(clusters, return_counts=True)[1]
        odd = outliers_of(thumbnails[once["row"]], alike)
        outliers = once.loc[odd["index"], ["path", "role", "class"]].reset_index(drop=True)
        return cls(
            data=data,
            published=published,
            counts=_counts(scans),
            features=_features(scans, facts, images, thumbnails),
            duplicates=duplicates_by_role(scans),
            clusters=int((sizes > 1).sum()),
            largest_cluster=int(sizes.max(initial=0)),
            repeated=float(is_repeated(clusters).mean()),
            patients=patients,
            mix=mix_by_role(scans),
            outliers=pd.concat([outliers, odd[["distance", "z"]]], axis=1),
        )

    @property
    def best(self) -> pd.Series | None:
        """The row of ``features`` that separates best; None where test holds one label only."""
        return None if self.features.empty else self.features.iloc[0]

    @property
    def leaked(self) -> tuple[int, int] | None:
        """Healthy test scans with a near-duplicate in train, and all healthy test scans; None without either role."""
        table = self.duplicates
        row = table[(table["role"] == "test") & (table["label"] == "healthy") & (table["within"] == "train")]
        return None if row.empty else (int(row["duplicated"].iat[0]), int(row["scans"].iat[0]))

    @property
    def level(self) -> Level:
        """How far the split can be trusted.

        'unsound' if the best trivial feature reaches an AUROC of 0.8, or more than 5 % of the healthy test scans
        have a near-duplicate in train; 'doubtful' from 0.7, or where any has one; else 'sound'.
        """
        auroc = 0.5 if self.best is None else float(self.best["auroc"])
        leaked, total = self.leaked or (0, 1)
        if auroc >= _EXCELLENT or leaked > _MANY * total:
            return "unsound"
        return "doubtful" if auroc >= _POOR or leaked else "sound"

    @property
    def verdict(self) -> str:
        """How much AUROC there is to be had without any model, and how many test scans leak."""
        return " ".join([self._about_features(), *self._about_leaks()])

    def _about_features(self) -> str:
        if self.best is None:
            label = next((label for label in LABELS if f"test {label}" in self.counts), None)
            return f"No AUROC can be had: {f'all test scans are {label}' if label else 'no scan is tested'}."
        where = {"raw": "of the original images", "scaled": "after scaling"}[self.best["stage"]]
        return f"Without any model: AUROC {self.best['auroc']:.3f} from the {FEATURES[self.best['feature']]} {where}."

    def _about_leaks(self) -> list[str]:
        if self.leaked is None:
            return []
        leaked, total = self.leaked
        leak = "a near-duplicate or a scan of the same patient" if self.patients else "a near-duplicate"
        if leaked == 0:
            return [f"None of the {total} healthy test scans has {leak} in train."]
        share = f"{100 * leaked / total:.0f} %" if 200 * leaked >= total else "Less than 1 %"
        return [f"{share} of the healthy test scans ({leaked} of {total}) have {leak} in train."]

    def metrics(self) -> dict[str, float]:
        """The numbers that sum it up, under the names that they have in MLflow: ``audit/<name>``."""
        numbers = {}
        if self.best is not None:
            numbers["audit/trivial_auroc"] = float(self.best["auroc"])
        if self.leaked is not None:
            numbers["audit/leaked_share"] = self.leaked[0] / self.leaked[1]
        return numbers | {
            "audit/near_duplicates": self.repeated,
            "audit/clusters": float(self.clusters),
            "audit/largest_cluster": float(self.largest_cluster),
        }

    def as_record(self) -> dict[str, Any]:
        """The audit as plain values, for JSON."""
        tables = {
            name: getattr(self, name).to_dict("records") for name in ("features", "duplicates", "mix", "outliers")
        }
        return {
            "data": self.data,
            "published": self.published,
            "verdict": self.verdict,
            "level": self.level,
            "counts": self.counts,
            "near_duplicates": {
                "share": self.repeated,
                "clusters": self.clusters,
                "largest_cluster": self.largest_cluster,
            },
            **tables,
        }


def _counts(scans: pd.DataFrame) -> dict[str, int]:
    mix = mix_by_role(scans)
    return {str(name): int(count) for name, count in mix[mix["property"] == "class"].iloc[:, 2:].sum().items()}


def _features(scans: pd.DataFrame, facts: pd.DataFrame, images: Rows, thumbnails: Rows) -> pd.DataFrame:
    test = scans[scans["role"] == "test"].sort_values("row")
    rows, train = test["row"].to_numpy(), np.sort(scans["row"][scans["role"] == "train"].to_numpy())
    labels, groups = test["label"].to_numpy(dtype=np.int64), test["group"].to_numpy()
    if len(np.unique(labels)) < 2:
        return separation(pd.DataFrame(), labels, groups, stage="raw")
    raw = raw_features(facts.iloc[rows], thumbnails[rows], thumbnails[train], labels)
    scaled = scaled_features(images, rows, train)
    both = [
        separation(raw, labels, groups, stage="raw"),
        separation(scaled, labels, groups, stage="scaled"),
    ]
    return pd.concat(both, ignore_index=True).sort_values("auroc", ascending=False, kind="stable", ignore_index=True)
