import pytest
import torch
from slices import of_unknown_size

from mriad.errors import MriadError
from mriad.models import FittedDetector, Intensity, ReconstructionDetector
from mriad.scoring import Score


@pytest.fixture
def x():
    return torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_map_is_the_intensity(x):
    assert torch.equal(Intensity(score=Score()).anomaly_map(x), x)


def test_dark_polarity_turns_the_map_round(x):
    torch.testing.assert_close(Intensity(polarity="dark", score=Score()).anomaly_map(x), 1 - x)


def test_the_score_is_pooled_over_the_mask_alone():
    x = torch.tensor([0.0, 0.2, 0.6, 0.0]).view(1, 1, 2, 2)
    anomaly_map, score = Intensity(polarity="dark", score=Score(mask="foreground")).scan(of_unknown_size(x))
    torch.testing.assert_close(anomaly_map.flatten(), torch.tensor([0.0, 0.8, 0.4, 0.0]))
    assert score.item() == pytest.approx(0.6)


def test_nothing_is_learned_and_nothing_reconstructed(x):
    detector = Intensity(score=Score())
    detector.fit_healthy([{"image": x}])
    assert isinstance(detector, FittedDetector)
    assert not isinstance(detector, ReconstructionDetector)
    assert detector.state_dict() == {}


def test_an_unknown_polarity_is_told_with_the_legal_ones():
    with pytest.raises(MriadError, match=r"model\.polarity=grey is unknown; choose bright or dark\."):
        Intensity(polarity="grey", score=Score())
