"""The scans of a run: ready in their roles, and as MLflow knows data sets: by name, content, role and size."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import pandas as pd
from hydra.utils import instantiate
from omegaconf import DictConfig

from mriad.data.datamodule import MRIDataModule
from mriad.data.roles.splits import Split

_CONTEXTS = {"train": "training", "labelled": "labelled training", "val": "validation", "test": "test"}


def load_data(config: DictConfig, *, roles: Sequence[str], split: Split | None = None) -> MRIDataModule:
    """The data module, ready, with scans in each of ``roles`` (healthy ones in train and val).

    Args:
        config: the options ``data``.
        roles: what must not be empty.
        split: instead of the one in ``config``.

    Raises:
        MriadError: if the data cannot be read, or a role is empty.
    """
    datamodule: MRIDataModule = instantiate(config)
    if split is not None:
        datamodule.split = split
    datamodule.setup()
    for role in roles:
        datamodule.require(role, label=None if role == "test" else 0)
    return datamodule


def data_sets(datamodule: MRIDataModule, roles: Sequence[str] = tuple(_CONTEXTS)) -> list[dict[str, str]]:
    """A record of each role that has scans, see :class:`mriad.tracking.writes.DataSets`.

    The digest is that of what the files hold and of their labels: two runs have the same where they have read the same
    scans, whatever the files are called and wherever they lie.

    Args:
        datamodule: the data, ready.
        roles: which of them; of the labelled pool only what trains.
    """
    scans = {role: datamodule.scans(role) for role in roles}
    if "labelled" in scans:
        scans["labelled"] = scans["labelled"].loc[datamodule.training_set.labelled_rows()]
    return [
        {
            "name": str(datamodule.name),
            "digest": digest(table),
            "context": _CONTEXTS[role],
            "source": json.dumps({"uri": str(datamodule.root)}),
            "profile": json.dumps(_profile(table)),
        }
        for role, table in scans.items()
        if len(table)
    ]


def digest(scans: pd.DataFrame) -> str:
    """16 hex digits that tell one set of scans from another; their order does not count.

    Args:
        scans: columns ``content`` and ``label``.
    """
    lines = sorted(f"{content} {label}" for content, label in zip(scans["content"], scans["label"], strict=True))
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def _profile(scans: pd.DataFrame) -> dict[str, int]:
    patients = scans["patient"][scans["patient"] != ""]
    return {
        "scans": len(scans),
        "healthy": int((scans["label"] == 0).sum()),
        "anomalous": int((scans["label"] == 1).sum()),
        "with_mask": int((scans["mask"] != "").sum()),
        "groups": int(scans["group"].nunique()),
        "patients": int(patients.nunique()),
    }
