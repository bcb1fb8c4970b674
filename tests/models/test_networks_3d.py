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


@pytest.mark.parametrize("network", [VolumeAutoencoderNetwork, VolumeVAENetwork])
def test_cubes_come_back_where_they_are_what_is_seen(network):
    x = torch.rand(2, 1, 8, 8, 8)
    made = network(depth=16, image_size=32, patch=8, **SMALL)
    y = made(x) if network is VolumeAutoencoderNetwork else made.decode(made.encode(x)[0])
    assert y.shape == x.shape


@pytest.mark.parametrize(
    ("patch", "match"),
    [
        (6, r"cannot take data\.patches\.size=6: it must be a multiple of 4, such as 8\."),
        (0, r"cannot take data\.patches\.size=0: it must be a multiple of 4, such as 4\."),
        (
            12,
            r"^Cubes of data\.patches\.size=12 do not fit into volumes of 8 x 16 x 16 voxels; choose smaller ones, or",
        ),
        ("abc", r"^data\.patches\.size=abc is no side of a cube in voxels; give a whole number, or null\."),
    ],
)
def test_cubes_that_a_network_cannot_take_are_refused(patch, match):
    with pytest.raises(MriadError, match=match):
        VolumeVAENetwork(**SHAPE, **SMALL, patch=patch)


@pytest.mark.parametrize(
    ("detector", "network"), [(Autoencoder, VolumeAutoencoderNetwork), (CompactVAE, VolumeVAENetwork)]
)
@torch.inference_mode()
def test_a_detector_of_cubes_puts_their_maps_together(detector, network):
    pytest.importorskip("torchio")
    options = {"beta": 0.01} if detector is CompactVAE else {}
    made = detector(
        network=network(depth=12, image_size=16, patch=8, **SMALL),
        patches={"size": 8, "overlap": 0.5},
        score=Score(),
        optimizer=torch.optim.Adam,
        **options,
    ).eval()
    x = torch.rand(2, 1, 12, 16, 16)
    maps, scores = made.scan({"image": x, "pixel_area": torch.full((2,), 8.0)})
    assert maps.shape == made.reconstructions(x).shape == x.shape
    corner = x[..., :4, :4, :4], made.reconstruct(x[..., :8, :8, :8])[..., :4, :4, :4]
    torch.testing.assert_close(made.reconstructions(x)[..., :4, :4, :4], corner[1])  # one cube alone shows it
    torch.testing.assert_close(maps[..., :4, :4, :4], (corner[0] - corner[1]) ** 2)
    assert scores == pytest.approx(maps.flatten(1).mean(dim=1).tolist())
