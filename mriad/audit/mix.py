"""What each role is made of: classes, planes, contrasts and file formats."""

from __future__ import annotations

import pandas as pd

from mriad.data.roles.leakage import LABELS

_PROPERTIES = ("class", "plane", "contrast", "format", "mode")


def mix_by_role(scans: pd.DataFrame) -> pd.DataFrame:
    """Count the scans of each role and label by class, plane, contrast, file format and colour mode.

    Args:
        scans: one row per scan and role: ``role``, ``label`` and the properties, '' where unknown.

    Returns:
        a row per value: ``property``, ``value``, and a column of counts for each role and label that there is, such
        as 'train healthy'. A property that is unknown for all scans is left out.
    """
    names = [f"{role} {label}" for role in ("train", "labelled", "val", "test") for label in LABELS]
    part = scans["role"] + " " + scans["label"].map(dict(enumerate(LABELS)))
    tables = []
    for name in _PROPERTIES:
        values = scans[name].fillna("")
        if (values != "").any():
            counts = pd.crosstab(values.replace("", "unknown"), part)
            counts = counts[[column for column in names if column in counts]]
            tables.append(counts.rename_axis("value").reset_index().assign(property=name))
    table = pd.concat(tables, ignore_index=True)
    return table[["property", "value", *[column for column in names if column in table]]]
