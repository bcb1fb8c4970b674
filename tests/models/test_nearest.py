import pytest
import torch
from slices import of_unknown_size
from torch.nn import functional as F

from mriad.errors import MriadError
from mriad.models import Nearest
from mriad.scoring import Score


def random_scans(count, seed, *, size=16):
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(seed))


def fitted(x, *, thumbnail=4, batch_size=3, **score):
    detector = Nearest(thumbnail=thumbnail, score=Score(**score))
    detector.fit_healthy([of_unknown_size(part) for part in x.split(batch_size)])
    return detector


def test_the_score_is_the_euclidean_distance_to_the_nearest_thumbnail():
    train, x = random_scans(7, 0), random_scans(5, 1)
    small = [F.avg_pool2d(part, 4).flatten(1).double() for part in (train, x)]
    expected = (small[1][:, None] - small[0][None]).square().sum(dim=2).sqrt().amin(dim=1)
    torch.testing.assert_close(fitted(train).scan(of_unknown_size(x))[1].double(), expected, atol=1e-6, rtol=0)


def test_a_train_scan_is_at_distance_0_exactly():
    train = random_scans(50, 0, size=64)
    anomaly_map, score = fitted(train, thumbnail=16).scan(of_unknown_size(train))
    assert score.max() == 0.0
    assert anomaly_map.max() == 0.0


def test_the_reconstruction_is_the_nearest_thumbnail_enlarged():
    train = random_scans(7, 0)
    x = (train[[5, 2]] + 0.01 * random_scans(2, 1)).clamp(0, 1)
    expected = F.interpolate(F.avg_pool2d(train[[5, 2]], 4), size=16, mode="bilinear")
    assert torch.equal(fitted(train).reconstruct(x), expected)


def test_the_first_of_equals_is_taken():
    train = torch.cat([random_scans(1, 0), random_scans(1, 1), random_scans(1, 1)])
    train[2, 0, 0, 0] -= 0.25  # other pixels, the same thumbnail
    train[2, 0, 0, 1] += 0.25
    detector = fitted(train)
    assert torch.equal(detector._distances(train[1:2]).argmin(dim=1), torch.tensor([1]))


def test_the_map_shows_where_the_scan_differs():
    train = random_scans(6, 0)
    x = train[:1].clone()
    x[..., 8:12, 4:8] += 0.5
    anomaly_map = fitted(train, residual="l1").anomaly_map(x)
    assert divmod(int(anomaly_map.argmax()), 16)[0] in range(8, 12)
    assert divmod(int(anomaly_map.argmax()), 16)[1] in range(4, 8)
    assert anomaly_map[..., :4, 10:].max() < 1e-6


def test_fine_edges_are_no_anomaly():
    train = torch.full((2, 1, 16, 16), 0.5)
    stripes = train[:1].clone()
    stripes[..., ::2] = 0.1
    stripes[..., 1::2] = 0.9
    assert fitted(train, residual="l1").anomaly_map(stripes).max() < 1e-6


def test_mask_and_pooling_have_no_part_in_the_score():
    train, x = random_scans(6, 0), random_scans(4, 1)
    plain = fitted(train).scan(of_unknown_size(x))[1]
    assert torch.equal(
        fitted(train, mask="foreground", pooling="max", foreground_level=0.9).scan(of_unknown_size(x))[1], plain
    )


def test_scores_do_not_depend_on_batch_mates():
    train, x = random_scans(60, 0), random_scans(5, 1)
    detector = fitted(train)
    alone = torch.cat([detector.scan(of_unknown_size(x[i : i + 1]))[1] for i in range(5)])
    assert torch.equal(alone, detector.scan(of_unknown_size(x))[1])


@pytest.mark.parametrize("size", [16, 23, 40])
def test_any_size_of_scan_will_do(size):
    anomaly_map, score = fitted(random_scans(4, 0, size=size)).scan(of_unknown_size(random_scans(2, 1, size=size)))
    assert anomaly_map.shape == (2, 1, size, size)
    assert (score > 0).all()


@pytest.mark.parametrize("count", [1, 5, 11])
def test_a_saved_one_loads_whatever_the_number_of_train_scans(count):
    detector, x = fitted(random_scans(count, 0)), random_scans(3, 1)
    loaded = Nearest(thumbnail=4, score=Score())
    loaded.load_state_dict(detector.state_dict())
    assert loaded.thumbnails.shape == (count, 16)
    assert torch.equal(loaded.scan(of_unknown_size(x))[0], detector.scan(of_unknown_size(x))[0])
    assert torch.equal(loaded.scan(of_unknown_size(x))[1], detector.scan(of_unknown_size(x))[1])


def test_thumbnails_of_another_side_do_not_load():
    with pytest.raises(RuntimeError, match="size mismatch for thumbnails"):
        Nearest(thumbnail=8, score=Score()).load_state_dict(fitted(random_scans(3, 0)).state_dict())


@pytest.mark.parametrize("thumbnail", [0, -4, 1.5])
def test_a_side_must_be_a_number_of_pixels(thumbnail):
    with pytest.raises(MriadError, match=r"model\.thumbnail"):
        Nearest(thumbnail=thumbnail, score=Score())
