from pathlib import Path

import pytest

from mriad.tasks.trace import describe, tags

CHOICES = {"model": "synthetic_anomaly", "data": "br35h", "threshold": "youden", "split": "grouped"}


@pytest.mark.parametrize(
    ("labelled_train", "name", "tag"),
    [
        (0, "synthetic_anomaly br35h youden seed 3", {}),
        (20, "synthetic_anomaly br35h youden labelled 20 seed 3", {"labelled_train": "20"}),
    ],
)
def test_labelled_scans_that_trained_stand_in_name_and_tags(labelled_train, name, tag):
    assert describe(CHOICES, 3, labelled_train) == name
    found = tags(CHOICES, Path("/out"), labelled_train)
    assert found == {"kind": "training", "output_dir": "/out"} | tag
