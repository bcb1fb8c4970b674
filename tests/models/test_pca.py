import numpy as np
import pytest
import torch
from sklearn import decomposition
from slices import of_unknown_size

from mriad.errors import MriadError
from mriad.models import PCA
from mriad.scoring import Score

SIZE = 12


def scans(count, *, seed=0, rank=3):
    """Mixtures of a few fixed patterns, within [0, 1]."""
    patterns = torch.rand(rank, SIZE * SIZE, generator=torch.Generator().manual_seed(99))
    weights = torch.rand(count, rank, generator=torch.Generator().manual_seed(seed))
    return (weights @ patterns / rank).view(count, 1, SIZE, SIZE)


def batches(x, size):
    return [of_unknown_size(part) for part in x.split(size)]


def fitted(x, *, n_components=3, batch_size=8, **score):
    detector = PCA(n_components=n_components, score=Score(**score))
    detector.fit_healthy(batches(x, batch_size))
    return detector


def test_scans_of_the_healthy_kind_are_reconstructed():
    x = scans(10, seed=1)
    torch.testing.assert_close(fitted(scans(40)).reconstruct(x), x, atol=1e-5, rtol=0)


def test_what_healthy_scans_never_show_is_left_in_the_residual():
    x = scans(4, seed=1)
    x[..., 3:6, 3:6] += 0.4
    anomaly_map = fitted(scans(40), residual="l1").anomaly_map(x)
    assert (anomaly_map[..., 3:6, 3:6].mean() / anomaly_map[..., 8:, 8:].mean()) > 4


def test_the_components_are_those_of_an_exact_analysis():
    x = scans(60, rank=5)
    detector = fitted(x, n_components=5)
    exact = decomposition.PCA(n_components=5).fit(x.flatten(1).numpy())
    np.testing.assert_allclose(detector.mean, exact.mean_, atol=1e-5)
    overlap = np.abs(detector.components.numpy() @ exact.components_.T)
    np.testing.assert_allclose(overlap, np.eye(5), atol=1e-2)


def test_reconstructions_stay_within_the_range_of_scans():
    beyond = 3 * scans(5, seed=2)
    reconstruction = fitted(scans(40)).reconstruct(beyond)
    assert reconstruction.max() == 1.0
    assert fitted(scans(40)).reconstruct(-beyond).min() == 0.0


@pytest.mark.parametrize("batch_size", [1, 2, 7, 16, 100])
def test_every_scan_counts_however_they_are_batched(batch_size):
    x = scans(37, rank=4)
    detector = fitted(x, n_components=4, batch_size=batch_size)
    torch.testing.assert_close(detector.mean, x.flatten(1).mean(dim=0))
    torch.testing.assert_close(detector.reconstruct(x), x, atol=1e-4, rtol=0)


def test_as_many_scans_as_components_are_enough():
    x = scans(6, rank=6)
    torch.testing.assert_close(fitted(x, n_components=6, batch_size=4).reconstruct(x), x, atol=1e-5, rtol=0)


def test_fewer_scans_than_components_are_told():
    with pytest.raises(MriadError, match=r"5 train scans have no 6 .* set model\.n_components=5 or less"):
        fitted(scans(5), n_components=6, batch_size=4)


@pytest.mark.parametrize("n_components", [0, -1, 2.5])
def test_a_number_of_components_must_be_one(n_components):
    with pytest.raises(MriadError, match=r"model\.n_components"):
        PCA(n_components=n_components, score=Score())


def test_a_saved_one_scores_as_before():
    x = scans(5, seed=3)
    detector = fitted(scans(40))
    loaded = PCA(n_components=3, score=Score())
    loaded.load_state_dict(detector.state_dict())
    assert torch.equal(loaded.scan(of_unknown_size(x))[0], detector.scan(of_unknown_size(x))[0])


def test_another_number_of_components_does_not_load():
    with pytest.raises(RuntimeError, match="size mismatch for components"):
        PCA(n_components=4, score=Score()).load_state_dict(fitted(scans(40)).state_dict())
