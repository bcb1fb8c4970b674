import numpy as np
import pandas as pd
import pytest

from mriad.metrics.bootstrap import GroupBootstrap
from mriad.metrics.pixel import pixel_metrics
from mriad.report import pixels as module
from mriad.report.pixels import PixelFindings, measure_pixels


@pytest.fixture
def scans():
    """Healthy scans between anomalous ones, of which the second has no mask and the third an empty one."""
    rng = np.random.default_rng(0)
    label = np.array([1, 0, 1, 1, 0] + [1] * 6)
    masks = [None] * len(label)
    for row, area in zip([0, *range(5, 11)], [1, 2, 3, 4, 5, 6, 7], strict=True):
        masks[row] = np.arange(64).reshape(8, 8) < area
    masks[3] = np.zeros((8, 8), dtype=bool)
    table = pd.DataFrame({"label": label, "decision": label * (np.arange(len(label)) != 5)})
    return table, rng.random((len(label), 8, 8), dtype=np.float32), masks


def measured(table, maps, masks):
    bootstrap = GroupBootstrap.draw(groups=np.arange(len(table)), labels=table["label"], resamples=50)
    return measure_pixels(table, maps, masks, threshold=0.5, bootstrap=bootstrap)


def test_scans_with_a_lesion_are_measured_beside_the_healthy_ones(scans):
    _, maps, masks = scans
    rows = [0, *range(5, 11)]
    alone = pixel_metrics(maps[rows], np.stack([masks[row] for row in rows]), threshold=0.5, healthy_maps=maps[[1, 4]])
    found = measured(*scans)
    assert alone.items() <= found.metrics.items()
    assert set(found.intervals) == set(found.metrics)


def test_the_same_scans_are_drawn(scans, monkeypatch):
    given = {}
    for name in ("pixel_intervals", "lesion_intervals", "intervals_by_size"):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, _name=name, _original=original, **b: given.update({_name: b}) or _original(*a, **b)
        )
    measured(*scans)
    # groups are numbered by their names as texts: 0, 1, 10, 2, 3 ...
    diseased, healthy = [0, 6, 7, 8, 9, 10, 2], [1, 5]
    assert [drawn["bootstrap"].group.tolist() for drawn in given.values()] == [diseased] * 3
    for name in ("pixel_intervals", "lesion_intervals"):
        assert given[name]["healthy_bootstrap"].group.tolist() == healthy


def test_thirds_are_rows_of_the_table_and_their_recall_that_of_its_decisions(scans):
    found = measured(*scans)
    assert [third.rows.tolist() for third in found.thirds] == [[0, 5, 6], [7, 8], [9, 10]]
    assert found.metrics["recall_small"] == pytest.approx(2 / 3)
    assert found.metrics["recall_medium"] == found.metrics["recall_large"] == 1


def test_no_lesion_no_findings(scans):
    table, maps, masks = scans
    assert measured(table, maps, [None] * len(masks)) == PixelFindings()
    assert measured(table[3:5], maps[3:5], masks[3:5]) == PixelFindings()
