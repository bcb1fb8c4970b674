"""The splits of published experiments, repeated as they were, flaws included."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.data.roles.grouping import groups
from mriad.data.roles.splits import GroupedSplit
from mriad.errors import MriadError

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PublishedNavoneel:
    """The protocol of the published autoencoder on the Navoneel set, leaks included.

    Only files that end in .jpg (any letter case); every healthy one trains, the same ones are val, all are tested.
    """

    published = True

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Give the published roles; a healthy row has three."""
        rows = table[table["path"].str.lower().str.endswith(".jpg")]
        healthy = rows.index[rows["label"] == 0]
        roles = [("train", healthy), ("val", healthy), ("test", rows.index)]
        return _concatenate(table, roles)


@dataclass(frozen=True, kw_only=True)
class PublishedNickparvar:
    """The protocol of the published residual VAE on the Nickparvar set, leaks included.

    Training/notumor is shuffled scan by scan into 70 % train, 20 % val and 10 % test; of the Testing tumours 20 %
    join val to calibrate the threshold, the rest is tested. Near-duplicates stand on both sides.

    Args:
        seed: 42 in the published run.
    """

    seed: int = 42
    published = True

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Draw the published roles."""
        rng = np.random.default_rng(self.seed)
        in_training = table["path"].str.contains("Training/", regex=False)
        healthy = rng.permutation(table.index[in_training & (table["label"] == 0)])
        tumours = rng.permutation(table.index[~in_training & (table["label"] == 1)])
        train, val = round(0.7 * len(healthy)), round(0.9 * len(healthy))
        calibration = round(0.2 * len(tumours))
        roles = [
            ("train", healthy[:train]),
            ("val", np.concatenate([healthy[train:val], tumours[:calibration]])),
            ("test", np.concatenate([healthy[val:], tumours[calibration:]])),
        ]
        return _concatenate(table, roles)


@dataclass(frozen=True, kw_only=True)
class PublishedMedIAnomaly:
    """The protocol of the MedIAnomaly benchmark (Cai et al. 2025) on its Brain Tumor set, leaks included.

    Near-duplicates of the healthy test scans are in train, and healthy and tumour scans come from different sources.
    The benchmark has no val: the healthy scans of its unlabelled list, which it does not use, stand in. Names on the
    lists that are not on disk are counted in a warning.

    Args:
        file: the benchmark's lists of file names as JSON: ``train.0``, ``train.unlabeled.0``, ``test.0``, ``test.1``.
    """

    file: str | Path
    published = True

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Give the published roles.

        Raises:
            MriadError: if the lists cannot be read.
        """
        names = _medianomaly_names(self.file)
        row_of = pd.Series(table.index, index=_file_names(table))
        missing = {role: sum(name not in row_of.index for name in wanted) for role, wanted in names.items()}
        if any(missing.values()):
            told = ", ".join(f"{count} of {len(names[role])} for {role}" for role, count in missing.items() if count)
            log.warning("Scans that %s names and that are not there, or copies of one that is: %s.", self.file, told)
        rows = {role: row_of.index.isin(wanted) for role, wanted in names.items()}
        return _concatenate(table, [(role, pd.Index(row_of[chosen])) for role, chosen in rows.items()])


@dataclass(frozen=True, kw_only=True)
class GroupedMedIAnomaly(GroupedSplit):
    """The scans of the MedIAnomaly benchmark, split anew with groups whole: the honest version of it.

    Args:
        file: the benchmark's lists of file names, see ``PublishedMedIAnomaly``.
        **grouped: see ``GroupedSplit``.
    """

    file: str | Path

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Draw the roles of the scans on the lists; the others have none.

        Raises:
            MriadError: if the lists cannot be read.
        """
        named = [name for names in _medianomaly_names(self.file).values() for name in names]
        rows = table.index[_file_names(table).isin(named)]
        together = table["group"] if "group" in table else groups(table, "patient")
        sick = (table["label"] == 1) | table.get("diseased", False)
        known = table.assign(diseased=sick.groupby(together).transform("any"))
        listed = known.loc[rows].drop(columns="group", errors="ignore")  # found anew among these alone
        split = super().__call__(listed.assign(pool="").reset_index(drop=True))
        return split.assign(row=rows[split["row"]])


def _medianomaly_names(file: str | Path) -> dict[str, list[str]]:
    """File names by role."""
    try:
        lists = json.loads(Path(file).expanduser().read_text())
        return {
            "train": lists["train"]["0"],
            "val": lists["train"]["unlabeled"]["0"],
            "test": [*lists["test"]["0"], *lists["test"]["1"]],
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MriadError(
            f"The benchmark's lists cannot be read from {file} ({type(error).__name__}: {error}); "
            "set data.split.file to its JSON file."
        ) from error


def _file_names(table: pd.DataFrame) -> pd.Series:
    return table["path"].str.rsplit("/").str[-1]


def _concatenate(table: pd.DataFrame, roles: list[tuple[str, NDArray[np.int64] | pd.Index]]) -> pd.DataFrame:
    group = table["group"] if "group" in table else groups(table, "none")
    parts = [pd.DataFrame({"row": rows, "group": group[rows].to_numpy(), "role": role}) for role, rows in roles]
    return pd.concat(parts, ignore_index=True)
