import numpy as np
import pandas as pd
import pytest

from benchmarks.recalibration import SCANS, promised, recalibrated


def scores(groups, *, at=0.0, threshold=1.64):
    rng = np.random.default_rng(0)
    sizes = np.where(rng.random(groups) < 0.2, 6, 1)
    group = np.repeat(np.arange(groups), sizes)
    healthy = pd.DataFrame({"score": at + rng.normal(size=groups)[group], "group": group, "label": 0})
    sick = pd.DataFrame({"score": 9.0, "group": -1 - np.arange(5), "label": 1})
    table = pd.concat([healthy, sick], ignore_index=True)
    return table.assign(path=[f"{n}.png" for n in range(len(table))], threshold=threshold)


def test_promises_are_kept_where_the_old_threshold_is_not():
    found = recalibrated(scores(400, at=1.0))
    assert found["groups"] == 400
    assert found["val"] > 0.2
    for count in SCANS:
        low, high = found[f"n{count}_low"], found[f"n{count}_high"]
        assert low < found[f"n{count}"] < high
        assert found[f"n{count}"] == pytest.approx(promised(count), abs=0.02)
    assert found["n50_high"] - found["n50_low"] < found["n20_high"] - found["n20_low"]


def test_the_rate_asked_for_is_one_that_so_many_scans_can_promise():
    assert [promised(count) for count in SCANS] == pytest.approx([1 / 6, 1 / 11, 0.05, 0.05])


def test_more_scans_than_there_are_groups_have_no_rate():
    found = recalibrated(scores(20), draws=5)
    assert "n10" in found and "n20" not in found and "n50" not in found
