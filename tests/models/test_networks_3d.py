import pytest
import torch

from mriad.errors import MriadError
from mriad.models import Autoencoder, CompactVAE
from mriad.models.networks_3d import VolumeAutoencoderNetwork, VolumeVAENetwork
from mriad.scoring import Score

SHAPE = {"depth": 8, "image_size": 16}
SMALL = {"latent_dim": 4, "widths": [2, 4]}


@pytest.mark.parametrize("network", [VolumeAutoencoderNetwork, VolumeVAENetwork])
def test_volumes_of_any_even_shape_come_back_in_their_range(network):
    x = torch.rand(2, 1, 8, 16, 16)
    made = network(**SHAPE, **SMALL)
    y = made(x) if network is VolumeAutoencoderNetwork else made.decode(made.encode(x)[0])
    assert y.shape == x.shape
    assert 0 <= y.min() <= y.max() <= 1


@pytest.mark.parametrize(
    ("shape", "match"),
    [({"depth": 10, "image_size": 16}, r"depth=10.*multiple of 4"), ({"depth": 8, "image_size": 18}, "image_size=18")],
)
def test_a_volume_that_cannot_be_halved_is_refused(shape, match):
    with pytest.raises(MriadError, match=match):
        VolumeAutoencoderNetwork(**shape, **SMALL)


@pytest.mark.parametrize(
    ("detector", "network"), [(Autoencoder, VolumeAutoencoderNetwork), (CompactVAE, VolumeVAENetwork)]
)
@torch.inference_mode()
def test_a_detector_of_volumes_looks_at_them_as_a_whole(detector, network):
    options = {"beta": 0.01} if detector is CompactVAE else {}
    made = detector(network=network(**SHAPE, **SMALL), score=Score(), optimizer=torch.optim.Adam, **options).eval()
    x = torch.rand(2, 1, 8, 16, 16)
    assert made.spatial_dims == 3
    maps, scores = made.scan({"image": x, "pixel_area": torch.full((2,), 8.0)})
    assert torch.allclose(maps, (x - made.reconstruct(x)) ** 2)
    assert scores == pytest.approx(maps.flatten(1).mean(dim=1).tolist())
    assert made.losses(x)["loss"].isfinite()
