import numpy as np
import pandas as pd
import pytest

from mriad.data.roles.draw import draw_healthy
from mriad.errors import MriadError
from mriad.thresholds import Conformal
from mriad.thresholds.rules import group_shares


def scans(sizes, *, labels=None):
    groups = np.repeat([f"g{number}" for number in range(len(sizes))], sizes)
    content = [f"{number:05}" for number in range(len(groups))]
    return pd.DataFrame({"content": content, "group": groups, "label": 0 if labels is None else labels})


def test_one_scan_of_each_of_so_many_groups():
    table = scans([3] * 30)
    drawn = draw_healthy(table, 20, seed=0)
    assert len(drawn) == len(set(table["group"].loc[drawn])) == 20
    assert (np.diff(drawn) > 0).all()


def test_the_draw_hangs_on_contents_and_seed_alone():
    table = scans([2] * 30)
    drawn = set(table["content"].loc[draw_healthy(table, 10, seed=3)])
    shuffled = table.sample(frac=1, random_state=0).reset_index(drop=True)
    renamed = shuffled.assign(group="other " + shuffled["group"])
    assert set(renamed["content"].loc[draw_healthy(renamed, 10, seed=3)]) == drawn
    assert set(table["content"].loc[draw_healthy(table, 10, seed=4)]) != drawn
    fewer = set(table["content"].loc[draw_healthy(table, 5, seed=3)])
    assert fewer < drawn
    without = table[~table["group"].isin(["g0", "g7"])]
    others = drawn - set(table["content"][table["group"].isin(["g0", "g7"])])
    assert others <= set(without["content"].loc[draw_healthy(without, 10, seed=3)])


def test_a_large_group_has_no_more_chances_than_a_small_one():
    table = scans([40] + [1] * 19)
    times = sum("g0" in set(table["group"].loc[draw_healthy(table, 5, seed=seed)]) for seed in range(400))
    assert times == pytest.approx(100, abs=3 * (400 * 0.25 * 0.75) ** 0.5)


def test_each_healthy_scan_of_a_group_has_the_same_chance_and_an_anomalous_one_none():
    table = scans([4, 1], labels=[0, 0, 1, 0, 0])
    drawn = [row for seed in range(600) for row in draw_healthy(table, 2, seed=seed)]
    counts = np.bincount(drawn, minlength=5)
    assert counts[2] == 0 and counts[4] == 600
    assert counts[[0, 1, 3]] == pytest.approx(200, abs=3 * (600 * 2 / 9) ** 0.5)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (scans([50]), r"50 healthy scans of 1 patients.*; set calibrate_scans=1 or fewer\."),
        (scans([2] * 6), r"calibrate_scans=20 asks .* 12 healthy scans of 6 .* counts once; set calibrate_scans=6"),
        (scans([2] * 30, labels=1), r"0 healthy scans of 0 .*; give data with healthy scans\."),
    ],
)
def test_too_few_groups_are_told(table, words):
    with pytest.raises(MriadError, match=words):
        draw_healthy(table, 20, seed=0)


def test_the_promise_holds_for_groups_that_were_not_drawn():
    """Unequal groups whose scores hang together, and draws of n scans: the rate over the groups that are left."""
    rng = np.random.default_rng(0)
    for count in (5, 10, 20):
        rates = []
        for _ in range(60):
            sizes = np.where(rng.random(80) < 0.2, 15, 2)
            table = scans(sizes)
            score = rng.normal(size=80)[np.repeat(np.arange(80), sizes)] + 0.3 * rng.normal(size=len(table))
            for seed in range(5):
                drawn = draw_healthy(table, count, seed=seed)
                threshold = Conformal(alpha=1 / (count + 1)).fit(score[drawn], np.zeros(count, dtype=int)).threshold_
                left = ~table["group"].isin(table["group"].loc[drawn]).to_numpy()
                rates.append(group_shares(table["group"].to_numpy()[left]) @ (score[left] > threshold))
        error = 3 * np.std(np.reshape(rates, (60, 5)).mean(axis=1)) / 60**0.5
        assert np.mean(rates) == pytest.approx(1 / (count + 1), abs=error)
