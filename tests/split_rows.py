"""A split beside what the catalog says of its scans."""

import pandas as pd


def joined(split: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Roles with path, label, class, patient and pool of their scans."""
    scans = table.loc[split["row"]].reset_index(drop=True)
    return pd.concat([split.reset_index(drop=True), scans], axis=1)


def count(split: pd.DataFrame, table: pd.DataFrame, role: str, label: int) -> int:
    """Number of scans with a label in a role."""
    rows = joined(split, table)
    return int(((rows["role"] == role) & (rows["label"] == label)).sum())


def by_path(split: pd.DataFrame, table: pd.DataFrame) -> pd.Series:
    """Roles by path."""
    return joined(split, table).set_index("path")["role"].sort_index()
