import numpy as np

from mriad.audit import outliers
from mriad.audit.outliers import outliers_of


def alike(count, seed=0):
    """Thumbnails of one pattern with a little noise."""
    rng = np.random.default_rng(seed)
    pattern = rng.integers(40, 200, size=(16, 16))
    return np.clip(pattern + rng.normal(0, 12, size=(count, 16, 16)), 0, 255).astype(np.uint8)


def test_an_inverted_image_is_named_first():
    thumbnails = alike(60)
    thumbnails[17] = 255 - thumbnails[17]
    found = outliers_of(thumbnails, np.arange(60))
    assert found["index"][0] == 17
    assert found["z"][0] > 20
    assert (found["z"] > 2.5).all() and found["z"].is_monotonic_decreasing


def test_an_odd_image_does_not_hide_behind_its_copies_and_is_named_once():
    thumbnails = alike(60)
    thumbnails[20:30] = 255 - thumbnails[20]
    clusters = np.arange(60)
    clusters[20:30] = 20
    found = outliers_of(thumbnails, clusters)
    assert found["index"][0] == 20
    assert not found["index"].isin(range(21, 30)).any()


def test_distance_is_that_to_the_fifth_nearest_other():
    thumbnails = np.zeros((40, 16, 16), dtype=np.uint8)
    thumbnails[:, 0, 0] = np.arange(40) % 4  # so that the median deviation is not zero
    thumbnails[5] = 200
    thumbnails[6:10] = 201  # four companions are not enough
    found = outliers_of(thumbnails, np.arange(40)).set_index("index")
    assert set(found.index[:5]) == {5, 6, 7, 8, 9}
    assert 0.75 < found["distance"][5] < 0.8


def test_ten_are_named_at_most():
    thumbnails = np.concatenate([alike(100), np.random.default_rng(1).integers(0, 256, (30, 16, 16), dtype=np.uint8)])
    found = outliers_of(thumbnails, np.arange(130))
    assert len(found) == 10 and (found["index"] >= 100).all()


def test_of_many_scans_an_even_choice_is_compared(monkeypatch):
    thumbnails = alike(200)
    thumbnails[31] = 255 - thumbnails[31]  # not in the choice
    thumbnails[40] = 255 - thumbnails[40][::-1]  # in the choice, at no distance from itself
    exact = outliers_of(thumbnails, np.arange(200)).set_index("index")
    monkeypatch.setattr(outliers, "_COMPARED", 100)
    chosen = outliers_of(thumbnails, np.arange(200)).set_index("index")
    assert set(chosen.index[:2]) == set(exact.index[:2]) == {31, 40}
    np.testing.assert_allclose(chosen["distance"][:2], exact["distance"][:2], rtol=0.05)


def test_where_half_are_alike_a_shade_is_no_outlier():
    thumbnails = np.full((30, 16, 16), 100, dtype=np.uint8)
    thumbnails[20:] += np.arange(10, dtype=np.uint8)[:, None, None] // 5
    assert outliers_of(thumbnails, np.arange(30)).empty


def test_where_all_are_alike_or_few_none_stands_out():
    assert outliers_of(np.repeat(alike(1), 30, axis=0), np.arange(30)).empty
    assert outliers_of(alike(6), np.arange(6)).empty
    assert list(outliers_of(alike(6), np.arange(6)).columns) == ["index", "distance", "z"]
