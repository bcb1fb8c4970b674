"""Scans of one patient taken as one: who is ill is asked of patients, and a patient may have several scans."""

from __future__ import annotations

import numpy as np
import pandas as pd


def patient_table(table: pd.DataFrame) -> pd.DataFrame | None:
    """Gather the scans of each patient into a scores table of patients, which ``image_metrics`` takes.

    The score of a patient is the highest of the scans. A patient is anomalous where one of the scans is, and is called
    so where one of them is called so: at the threshold of scans, which several scans pass more easily than one.

    Args:
        table: n scans with ``path``, ``patient``, ``group``, ``class``, ``label``, ``score`` and ``decision``; a scan
            of an unknown patient, '', is a patient of its own.

    Returns:
        One row per patient in the order of their first scans: the columns above, ``scans``, their number, and ``row``,
        the place of the first of them in the table, at which ``GroupBootstrap.of`` has the same resamples. None where
        no patient has several scans.
    """
    patient = table["patient"].astype(str).to_numpy()
    known = np.unique(patient, return_inverse=True)[1]
    rows = np.arange(len(table))
    numbered = table.assign(row=rows, key=np.where(patient == "", -1 - rows, known))
    by_patient = numbered.groupby("key", sort=False)
    if by_patient.ngroups == len(table):
        return None
    facts = {name: (name, "first") for name in ("path", "patient", "group", "row")}
    facts |= {name: (name, "max") for name in ("label", "score", "decision")}
    patients = by_patient.agg(**facts, scans=("row", "size"))
    anomalous_first = numbered.sort_values("label", ascending=False, kind="stable").groupby("key", sort=False)
    patients["class"] = anomalous_first["class"].first().loc[patients.index]
    return patients.reset_index(drop=True)
